package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/upstream"
)

// Finding is something about a database that a person should know.
type Finding struct {
	Database string
	// Broken is set when sessions cannot be opened; else it is a way past the proxy, or a
	// right that a login should not have.
	Broken bool
	Text   string
}

// String prints a line.
func (f Finding) String() string {
	kind := "warning"
	if f.Broken {
		kind = "error"
	}
	return fmt.Sprintf("%s: database %s: %s", kind, f.Database, f.Text)
}

// CheckDatabases logs in to each database under each login and asks what would let
// somebody past the proxy. known are roles that have their business there, by database,
// beside the logins. What it does not find may still be there: it sees what a login is
// let see. The configuration has to be valid.
func CheckDatabases(ctx context.Context, cfg Config, system sys.System, known map[string][]string) []Finding {
	var found []Finding
	for _, d := range cfg.Databases {
		c := &checker{ctx: ctx, system: system, database: d, known: slices.Clone(known[d.Name])}
		for _, l := range d.Logins {
			c.known = append(c.known, or(l.User, l.Name))
		}
		for i, l := range d.Logins {
			c.login(l, i == 0)
		}
		if !c.readRules && c.connected {
			c.warn("what pg_hba.conf lets in is not known: none of its logins can read it. As a superuser: SELECT * FROM pg_hba_file_rules")
		}
		found = append(found, c.found...)
	}
	return found
}

// checker asks about one database.
type checker struct {
	ctx      context.Context //nolint:containedctx // One check's.
	system   sys.System
	database DatabaseConfig
	known    []string
	found    []Finding
	// connected is set once a login works, readRules once one could read pg_hba.conf.
	connected, readRules bool
}

func (c *checker) warn(format string, args ...any) {
	c.found = append(c.found, Finding{Database: c.database.Name, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) broken(format string, args ...any) {
	c.found = append(c.found, Finding{Database: c.database.Name, Broken: true, Text: fmt.Sprintf(format, args...)})
}

// login checks one login, and with the first what every login sees.
func (c *checker) login(l LoginConfig, first bool) {
	credential, err := newCredential(c.database, l, c.system, slog.New(slog.DiscardHandler))
	if err != nil {
		c.broken("%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, backendConnectTimeout)
	defer cancel()
	conn, err := upstream.Open(ctx, c.system.Net, credential.target(), map[string]string{"client_encoding": "UTF8", "application_name": "scopewire config check"})
	if err != nil {
		c.broken("login %s: %v", l.Name, err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	c.connected = true
	ask := func(sql string) [][]string {
		rows, err := rowsOf(ctx, conn, sql)
		if err != nil {
			c.broken("login %s: %v", l.Name, err)
		}
		return rows
	}
	for _, row := range ask(ownRights) {
		c.warn("login %s %s: code that it runs can reach beyond what policy says", l.Name, row[0])
	}
	if first {
		c.others(ask)
	}
	if !c.readRules {
		c.rules(ask)
	}
}

// ownRights are rights of a login that nothing behind the proxy should need.
const ownRights = `
SELECT a.what FROM pg_catalog.pg_roles r, LATERAL (VALUES
  (r.rolsuper, 'is a superuser'), (r.rolcreaterole, 'may create roles'), (r.rolreplication, 'may replicate'), (r.rolbypassrls, 'bypasses row security')
) a(has, what) WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND a.has
UNION ALL
SELECT 'is a member of ' || r.rolname FROM pg_catalog.pg_roles r
WHERE r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_signal_backend')
  AND pg_catalog.pg_has_role(CURRENT_USER, r.oid, 'MEMBER')
  AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) CURRENT_USER)`

// otherRoles can log in and connect to the database.
const otherRoles = `
SELECT rolname, rolsuper::text FROM pg_catalog.pg_roles
WHERE rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now())
  AND (rolsuper OR pg_catalog.has_database_privilege(oid, pg_catalog.current_database(), 'CONNECT'))
ORDER BY rolsuper, rolname`

// otherSessions are open now.
const otherSessions = `
SELECT DISTINCT usename FROM pg_catalog.pg_stat_activity
WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND usename IS NOT NULL ORDER BY 1`

// others asks who else may come, or is here.
func (c *checker) others(ask func(string) [][]string) {
	var roles, superusers []string
	for _, row := range ask(otherRoles) {
		switch {
		case slices.Contains(c.known, row[0]):
		case row[1] == "true":
			superusers = append(superusers, row[0])
		default:
			roles = append(roles, row[0])
		}
	}
	if len(roles) > 0 {
		c.warn("roles that can log in and connect without the proxy: %s. REVOKE CONNECT ON DATABASE … FROM PUBLIC, or take LOGIN away", names(roles))
	}
	if len(superusers) > 0 {
		c.warn("superusers can log in without the proxy: %s. Let pg_hba.conf take them from a unix socket alone", names(superusers))
	}
	var here []string
	for _, row := range ask(otherSessions) {
		if !slices.Contains(c.known, row[0]) {
			here = append(here, row[0])
		}
	}
	if len(here) > 0 {
		c.warn("sessions without the proxy are open now, of %s", names(here))
	}
}

// mayReadRules says whether the login may read pg_hba.conf through its view.
const mayReadRules = `
SELECT (pg_catalog.has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
  AND pg_catalog.has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE'))::text`

// hbaRules let connections over the network into the database, but from this session's
// own address and from the machine itself.
const hbaRules = `
SELECT line_number::text, pg_catalog.array_to_string(user_name, ','),
  CASE WHEN address IN ('all', 'samenet', 'samehost') OR netmask IS NULL THEN address ELSE address || ' ' || netmask END, auth_method
FROM pg_catalog.pg_hba_file_rules
WHERE error IS NULL AND type LIKE 'host%' AND auth_method <> 'reject'
  AND database && ARRAY['all', 'sameuser', 'samerole', 'samegroup', pg_catalog.current_database()::text]
  AND address NOT IN ('127.0.0.1', '::1', 'localhost', 'samehost')
  AND address IS DISTINCT FROM pg_catalog.host(pg_catalog.inet_client_addr())
ORDER BY line_number`

func (c *checker) rules(ask func(string) [][]string) {
	if may := ask(mayReadRules); len(may) != 1 || may[0][0] != "true" {
		return
	}
	c.readRules = true
	for _, row := range ask(hbaRules) {
		c.warn("line %s of pg_hba.conf lets %s connect from %s by %s: let it name the proxy's addresses alone", row[0], row[1], row[2], row[3])
	}
}

// maxNamed bounds the names of one finding.
const maxNamed = 10

func names(list []string) string {
	if len(list) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNamed], ", "), len(list)-maxNamed)
	}
	return strings.Join(list, ", ")
}

// rowsOf runs a query. What a terminal would obey is taken out of names.
func rowsOf(ctx context.Context, conn *pgconn.PgConn, sql string) ([][]string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("ask the database: %w", err)
	}
	var rows [][]string
	for _, r := range results {
		for _, row := range r.Rows {
			var out []string
			for _, v := range row {
				out = append(out, shown(string(v), maxIdentity))
			}
			rows = append(rows, out)
		}
	}
	return rows, nil
}
