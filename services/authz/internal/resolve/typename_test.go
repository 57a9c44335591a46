package resolve

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestNames: every type is found and printed as PostgreSQL does, whatever the
// path.
func TestNames(t *testing.T) {
	o := newOracle(t)
	for _, path := range paths {
		o.setPath(t, path...)
		r := o.resolver()
		result := o.conn.ExecParams(context.Background(), `SELECT t.oid, pg_catalog.format_type(t.oid, NULL),
			COALESCE(CASE WHEN t.typisdefined THEN pg_catalog.to_regtype(pg_catalog.quote_ident(t.typname))::pg_catalog.oid END, 0), t.typname
			FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
			WHERE n.nspname !~ '^pg_(toast|temp)'`, nil, nil, nil, nil).Read()
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		if len(result.Rows) < 500 {
			t.Errorf("only %d types were compared", len(result.Rows))
		}
		for _, row := range result.Rows {
			oid, err := strconv.ParseUint(string(row[0]), 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			typ := o.snap.TypeByOID(catalog.OID(oid))
			if typ == nil {
				t.Fatalf("%s is not in the snapshot", row[1])
			}
			if got := r.Name(typ.OID); got != string(row[1]) {
				t.Errorf("%v: %d is printed as %s, by PostgreSQL as %s", path, oid, got, row[1])
			}
			if typ.Input == shellInput {
				continue
			}
			want, found := string(row[2]), "0"
			if f, err := r.lookupType("", string(row[3]), true); err == nil && f != nil {
				found = fmt.Sprint(f.OID)
			}
			if found != want {
				t.Errorf("%v: the name %s is %s, for PostgreSQL %s", path, row[3], found, want)
			}
		}
	}
}

// TestTypeErrors: what Type cannot find is worded as PostgreSQL words it.
func TestTypeErrors(t *testing.T) {
	o := newOracle(t)
	r := o.resolver()
	for _, name := range [][2]string{{"", "nosuch"}, {"public", "nosuch"}, {"nosuch", "int4"}, {"", "shell"}, {"public", "shell"}} {
		sql := "SELECT NULL::" + quote(name[1])
		if name[0] != "" {
			sql = "SELECT NULL::" + quote(name[0]) + "." + quote(name[1])
		}
		_, pgErr := o.understand(t, sql, nil)
		typ, err := r.Type(name[0], name[1])
		if e := sameError(err, pgErr); e != nil || typ != nil {
			t.Errorf("%s: %v", sql, e)
		}
	}
}
