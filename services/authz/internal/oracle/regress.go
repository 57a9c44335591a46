package oracle

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Suite is PostgreSQL's own regression suite, as its source package holds it.
type Suite struct {
	// Dir is the folder src/test/regress.
	Dir string
}

// SuiteDir is where scripts/oracle-tools puts the suite, unless the variable
// SCOPEWIRE_REGRESS names another folder.
func SuiteDir() (string, error) {
	if dir := os.Getenv("SCOPEWIRE_REGRESS"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "scopewire", "regress"), nil
}

// Present reports whether the suite is there.
func (s Suite) Present() bool {
	_, err := os.Stat(filepath.Join(s.Dir, "sql", "test_setup.sql"))
	return err == nil
}

// skipped are files about the cluster, other programs or sessions, or of no
// statement that a role could run.
var skipped = []string{"test_setup", "tablespace", "psql", "psql_crosstab", "opr_sanity", "type_sanity", "misc_sanity", "sanity_check", "oidjoins",
	"encoding", "euc_kr", "security_label", "event_trigger", "prepared_xacts", "vacuum", "database", "publication", "subscription", "stats", "mvcc",
	"create_function_c", "create_role", "roleattributes", "init_privs", "password", "vacuum_parallel", "write_parallel", "sysviews", "dbsize", "conversion"}

// Files lists the scripts of the suite, sorted.
func (s Suite) Files() ([]string, error) {
	all, err := filepath.Glob(filepath.Join(s.Dir, "sql", "*.sql"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range all {
		name := strings.TrimSuffix(filepath.Base(file), ".sql")
		if !slices.Contains(skipped, name) && !strings.HasPrefix(name, "collate.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Statements are the statements of a script. Files that it loads are named by the
// path they have here.
func (s Suite) Statements(name string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(s.Dir, "sql", name+".sql"))
	if err != nil {
		return nil, err
	}
	text := string(b)
	// \set filename :abs_srcdir '/data/onek.data' … COPY onek FROM :'filename';
	set := regexp.MustCompile(`(?m)^\\set filename :abs_srcdir '([^']+)'$`)
	var b2 strings.Builder
	file := ""
	for line := range strings.Lines(text) {
		if m := set.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			file = filepath.Join(s.Dir, filepath.FromSlash(m[1]))
		}
		b2.WriteString(strings.ReplaceAll(line, ":'filename'", quoteLiteral(file)))
	}
	return Script(b2.String()), nil
}

// Base are the statements that make what most scripts take for granted. Loading
// data from files needs a server that can read them.
func (s Suite) Base() ([]string, error) {
	var all []string
	for _, name := range []string{"test_setup", "create_misc", "create_aggregate"} {
		statements, err := s.Statements(name)
		if err != nil {
			return nil, err
		}
		for _, sql := range statements {
			if !Forbidden(sql) {
				all = append(all, sql)
			}
		}
	}
	return all, nil
}

// forbidden matches statements that would change the cluster, the baseline, or who
// the loading session is; those that leave a transaction open; and those that take away
// what PostgreSQL knows of dependencies, after which it does not answer for the rest.
var forbidden = regexp.MustCompile(`(?is)^\s*(begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction|lock|` +
	`set\s+(session\s+authorization|(local\s+|session\s+)?role|transaction)|reset\s+(role|session)|alter\s+(system|database|role|user)|create\s+(database|tablespace|user|role|subscription)|` +
	`drop\s+(database|tablespace|user|role|owned)|reassign|checkpoint|vacuum|cluster|listen|notify|load|declare|fetch|move|close|delete\s+from\s+pg_depend)\b|\bto\s+public\b|\bpg_sleep|\bpg_terminate|\bpg_reload`)

// Forbidden reports whether the loading session leaves a statement out.
func Forbidden(sql string) bool { return forbidden.MatchString(sql) }

// judged matches statements that a role may be able to run.
var judged = regexp.MustCompile(`(?is)^[\s(]*(select|insert|update|delete|merge|with|values|table|copy|truncate|explain|lock|declare)\b`)

// Judged reports whether a statement is compared. What loads files, or needs a variable of psql, is not.
func Judged(sql string) bool {
	return judged.MatchString(sql) && len(sql) < 5000 && !variable.MatchString(sql) && !sleeps.MatchString(sql)
}

// variable matches a variable of psql where it stands.
var variable = regexp.MustCompile(`(^|[\s(,]):['"]?[a-z_]+`)

// sleeps matches what waits, or what the server spends its time on.
var sleeps = regexp.MustCompile(`(?i)\b(pg_sleep\w*|repeat|dblink\w*)\s*\(`)

// Replay runs a script of the suite statement by statement as the superuser, and
// hands statements that a role could run, as they are and bent, to compare,
// with the database as it then is.
type Replay struct {
	Database *Database
	Random   *rand.Rand
	// Compare is called with each statement and a role that holds random grants.
	Compare func(*Role, string) error

	mutator *Mutator
	// script is the script's own session: what it sets, say that transactions only read,
	// is not for what reads the database and deals the grants.
	script *session
	roles  []*Role
	path   string
	dirty  bool
}

// mutations is how many variants of a statement are compared beside itself.
const mutations = 4

// Run replays statements until budget of them have been compared.
func (p *Replay) Run(ctx context.Context, statements []string, budget int) error {
	p.mutator, p.dirty, p.path = NewMutator(p.Random), true, `"$user", public`
	var err error
	if p.script, err = newScriptSession(p.Database.dsn); err != nil {
		return err
	}
	defer p.script.close()
	for _, sql := range statements {
		if budget <= 0 {
			return nil
		}
		if Judged(sql) {
			p.mutator.Learn(sql)
			n, err := p.compare(ctx, sql)
			if err != nil {
				return err
			}
			budget -= n
		}
		if err := p.run(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// run executes a statement as the superuser. An error of the server's is as good as
// a result; the suite holds many.
func (p *Replay) run(ctx context.Context, sql string) error {
	if Forbidden(sql) || variable.MatchString(sql) {
		return nil
	}
	answer, err := p.script.exec(ctx, sql)
	if err != nil {
		// It took too long. The next one opens a new session.
		p.script.close()
		return nil
	}
	if answer.Ran() && !Judged(sql) {
		p.dirty = true
	}
	if strings.Contains(strings.ToLower(sql), "search_path") {
		p.path, err = p.script.show(ctx, "search_path")
	}
	return err
}

// compare hands a statement and variants of it on, and returns how many it were.
func (p *Replay) compare(ctx context.Context, sql string) (int, error) {
	if p.dirty {
		// Reading the catalog takes longer than many statements.
		if p.Random.IntN(4) > 0 {
			return 0, nil
		}
		if err := p.refresh(ctx); err != nil {
			return 0, err
		}
	}
	if len(p.roles) == 0 {
		return 0, nil
	}
	n := 0
	for i := range 1 + mutations {
		text := sql
		if i > 0 {
			text = p.mutator.Mutate(sql)
		}
		if Forbidden(text) || !Judged(text) {
			continue
		}
		n++
		if err := p.Compare(p.roles[p.Random.IntN(len(p.roles))], text); err != nil {
			return n, err
		}
	}
	return n, nil
}

// refresh reads the database again and deals new grants.
func (p *Replay) refresh(ctx context.Context) error {
	if err := p.Database.Read(ctx); err != nil {
		return err
	}
	p.mutator.model = p.Database.Model
	p.Database.dropRoles(ctx)
	p.roles = nil
	for _, generosity := range []int{100, 92, 70} {
		grants := Deal(p.Random, p.Database.Model, generosity)
		path := p.path
		if !granted(path, grants, p.Database) {
			path = ""
		}
		r, err := p.Database.AddRole(ctx, path, grants)
		if err != nil {
			// Something that is granted cannot be: a type that is half made, say.
			continue
		}
		p.roles = append(p.roles, r)
	}
	p.dirty = false
	return nil
}

// granted reports whether something is granted in every schema of a search_path:
// others are refused when they are set.
func granted(path string, grants []Grant, d *Database) bool {
	schemas := schemasOf(grants)
	for part := range strings.SplitSeq(path, ",") {
		name := strings.Trim(strings.TrimSpace(part), `"`)
		switch {
		case name == "", name == "$user", strings.HasPrefix(name, "pg_"), name == "information_schema":
		case !slices.Contains(schemas, name):
			return false
		}
	}
	return d.Snapshot != nil
}
