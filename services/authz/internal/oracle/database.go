package oracle

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Database is a database of a test server, its snapshot and model, and the roles
// that hold grants in it.
type Database struct {
	// Name is where its statements come from, for reports.
	Name string
	dsn  string
	// admin makes things; login is as the session of a principal would be under a
	// powerful login.
	admin, login *session
	// Schema are the statements that made it, those left out that failed.
	Schema []string
	// Snapshot is as the service reads it, with the login that is a superuser.
	Snapshot *catalog.Snapshot
	Model    *Model
	roles    []*Role
}

// Role is a role of the server that holds some grants, and the same as policy.
type Role struct {
	Name   string
	Grants []Grant
	// Path is the search_path its statements run under.
	Path string

	session *session
	judge   *judge
}

// baseline revokes what PUBLIC has by default, as DESIGN's baseline has it. Later
// objects of the superuser are made without it.
const baseline = `
DO $$ BEGIN CREATE ROLE oracle_owner; CREATE ROLE oracle_scratch; CREATE ROLE oracle_holder SUPERUSER; GRANT oracle_holder TO oracle_scratch; EXCEPTION WHEN OTHERS THEN NULL; END $$;
DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC; GRANT CONNECT ON DATABASE %1$I TO oracle_scratch', current_database()); END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE USAGE ON LANGUAGE sql, plpgsql FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
`

// Open loads a schema into an empty database and reads it back. Statements that
// fail are left out. The caller closes it; the database itself is the caller's.
func Open(ctx context.Context, dsn string, schema []string) (*Database, error) {
	admin, err := newScriptSession(dsn)
	if err != nil {
		return nil, err
	}
	login, err := newSession(dsn, "", "")
	if err != nil {
		return nil, err
	}
	d := &Database{dsn: dsn, admin: admin, login: login}
	if err := d.load(ctx, schema); err != nil {
		d.Close(ctx)
		return nil, err
	}
	return d, nil
}

// newScriptSession prepares a session of the superuser that makes things.
func newScriptSession(dsn string) (*session, error) {
	s, err := newSession(dsn, "", "")
	if err != nil {
		return nil, err
	}
	// What makes a world may take its time.
	delete(s.config.RuntimeParams, "statement_timeout")
	s.files = true
	return s, nil
}

func (d *Database) load(ctx context.Context, schema []string) error {
	if answer, err := d.admin.exec(ctx, baseline); err != nil || !answer.Ran() {
		return errors.Join(err, stateError(answer))
	}
	for _, sql := range schema {
		answer, err := d.admin.exec(ctx, sql)
		if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		if answer.Ran() {
			d.Schema = append(d.Schema, sql)
		}
	}
	return d.Read(ctx)
}

// Read reads snapshot and model again.
func (d *Database) Read(ctx context.Context) error {
	if err := d.admin.open(ctx); err != nil {
		return err
	}
	var err error
	if d.Model, err = readModel(ctx, d.admin.conn); err != nil {
		return err
	}
	// Another database's roles change catalogs that all share.
	for range 5 {
		if d.Snapshot, err = readSnapshot(ctx, d.dsn); err == nil {
			return nil
		}
	}
	return err
}

// Close ends its sessions and drops its roles.
func (d *Database) Close(ctx context.Context) {
	d.dropRoles(ctx)
	d.admin.close()
	d.login.close()
}

// dropRoles drops the roles that were added. Where that fails they stay, without a
// session: the server is the test's own.
func (d *Database) dropRoles(ctx context.Context) {
	for _, r := range d.roles {
		r.session.close()
		_, _ = d.admin.exec(ctx, "DROP OWNED BY "+quote(r.Name)+"; DROP ROLE "+quote(r.Name))
	}
	d.roles = nil
}

// AddRole makes a role of the server with these grants.
func (d *Database) AddRole(ctx context.Context, path string, grants []Grant) (*Role, error) {
	password := rand.Text()
	r := &Role{Name: "oracle_" + strings.ToLower(rand.Text()), Path: path, Grants: grants}
	var sql strings.Builder
	fmt.Fprintf(&sql, "CREATE ROLE %s LOGIN PASSWORD '%s';\nGRANT CONNECT ON DATABASE %s TO %s;\n", quote(r.Name), password, quote(d.Model.Database), quote(r.Name))
	for _, text := range d.grantSQL(r.Name, grants) {
		sql.WriteString(text + ";\n")
	}
	answer, err := d.admin.exec(ctx, sql.String())
	if err != nil || !answer.Ran() {
		return nil, fmt.Errorf("grant: %w", errors.Join(err, stateError(answer)))
	}
	if r.session, err = newSession(d.dsn, r.Name, password); err != nil {
		return nil, err
	}
	d.roles = append(d.roles, r)
	if r.judge, err = d.judge(path, grants); err != nil {
		return nil, err
	}
	return r, nil
}

// judge asks Scopewire about a principal with these grants, under the database's login.
func (d *Database) judge(path string, grants []Grant) (*judge, error) {
	return newJudge(d.Snapshot, path, d.admin.config.User, grants)
}

// grantSQL are the statements that give a role the grants and, by DESIGN's baseline,
// usage of the types of the columns.
func (d *Database) grantSQL(role string, grants []Grant) []string {
	var all, types []string
	for _, g := range grants {
		if text := g.SQL(role); text != "" {
			all = append(all, text)
		}
		if g.Kind == access.Table && g.Name == every {
			types = append(types, d.typesOf(role, g.Schema)...)
		}
		rel := d.Snapshot.RelationByName(g.Schema, g.Name)
		if g.Kind != access.Table || rel == nil {
			continue
		}
		types = append(types, d.columnTypes(role, rel, g.Columns)...)
	}
	slices.Sort(types)
	return append(all, slices.Compact(types)...)
}

// columnTypes are grants of usage of the types of a relation's columns; of all
// columns when none are named.
func (d *Database) columnTypes(role string, rel *catalog.Relation, columns []string) []string {
	var all []string
	for _, c := range rel.Columns {
		if len(columns) > 0 && !slices.Contains(columns, c.Name) {
			continue
		}
		typ := d.Snapshot.TypeByOID(c.Type)
		if typ != nil && typ.Element != 0 {
			typ = d.Snapshot.TypeByOID(typ.Element)
		}
		if typ != nil && typ.OID >= catalog.FirstNormalOID && typ.Schema != "information_schema" {
			all = append(all, fmt.Sprintf("GRANT USAGE ON TYPE %s.%s TO %s", quote(typ.Schema), quote(typ.Name), quote(role)))
		}
	}
	return all
}

// typesOf is the same for all relations of a schema.
func (d *Database) typesOf(role, schema string) []string {
	var all []string
	for i := range d.Snapshot.Relations {
		if rel := &d.Snapshot.Relations[i]; rel.Schema == schema && rel.Kind != catalog.KindComposite && rel.Kind != catalog.KindSequence {
			all = append(all, d.columnTypes(role, rel, nil)...)
		}
	}
	return all
}
