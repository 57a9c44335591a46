package analyze

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
)

// TestFunctionCalls judges calls by number against the catalog of PostgreSQL 15.
func TestFunctionCalls(t *testing.T) {
	snap := catalogtest.Empty(t, 15)
	own := func(oid catalog.OID, name string, change func(*catalog.Function)) {
		f := catalog.Function{OID: oid, Schema: "public", Name: name, Kind: 'f', Arguments: []catalog.OID{23}, Result: 23, Language: "sql", Body: "SELECT $1"}
		change(&f)
		snap.Functions = append(snap.Functions, f)
	}
	own(20001, "plain", func(*catalog.Function) {})
	own(20002, "opaque", func(f *catalog.Function) { f.Language, f.Body = "plpgsql", "" })
	own(20003, "many", func(f *catalog.Function) { f.ReturnSet = true })
	own(20004, "proc", func(f *catalog.Function) { f.Kind = 'p' })
	snap.Index()
	for _, c := range []struct {
		name      string
		oid       catalog.OID
		arguments int
		denied    bool
		accesses  []string
		opaque    bool
	}{
		{name: "version()", oid: 89},
		{name: "version() with an argument", oid: 89, arguments: 1, denied: true},
		{name: "int4pl", oid: 177, arguments: 2},
		{name: "nothing", oid: 4000000, denied: true},
		{name: "nextval(regclass)", oid: 1574, arguments: 1, denied: true},
		{name: "set_config", oid: 2078, arguments: 3, accesses: []string{"execute function pg_catalog.set_config(text, text, boolean)"}, opaque: true},
		{name: "current_setting", oid: 2077, arguments: 1, accesses: []string{"execute function pg_catalog.current_setting(text)"}},
		{name: "pg_notify", oid: 3036, arguments: 2, accesses: []string{"execute function pg_catalog.pg_notify(text, text)"}},
		{name: "has_table_privilege(text, text)", oid: 1926, arguments: 2, accesses: []string{"execute function pg_catalog.has_table_privilege(text, text)"}},
		{name: "regclassin", oid: 2218, arguments: 1, denied: true},
		{name: "pg_read_file(text)", oid: 3826, arguments: 1, accesses: []string{"admin function pg_catalog.pg_read_file(text)"}},
		{name: "query_to_xml", oid: 2924, arguments: 4, accesses: []string{"execute function pg_catalog.query_to_xml(text, boolean, boolean, text)"}},
		{name: "pg_advisory_lock(bigint)", oid: 2880, arguments: 1, accesses: []string{"execute function pg_catalog.pg_advisory_lock(bigint)"}},
		{name: "lo_open", oid: 952, arguments: 2, accesses: []string{"execute function pg_catalog.lo_open(oid, integer)"}},
		{name: "one's own", oid: 20001, arguments: 1, accesses: []string{"usage schema public", "execute function public.plain(integer)"}},
		{name: "opaque", oid: 20002, arguments: 1, accesses: []string{"usage schema public", "execute function public.opaque(integer) [function public.opaque]"}, opaque: true},
		{name: "a set", oid: 20003, arguments: 1, denied: true},
		{name: "a procedure", oid: 20004, arguments: 1, denied: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Analyze(Input{Function: &FunctionCall{OID: c.oid, Arguments: c.arguments}, Context: publicContext()}, snap)
			if (got.Outcome == access.Denied) != c.denied {
				t.Fatalf("%s %s %s", outcomeName(got.Outcome), got.Reason, got.Detail)
			}
			if c.denied {
				return
			}
			if opaque := len(got.Statements[0].Effects) == 1; opaque != c.opaque {
				t.Errorf("effects %v", got.Statements[0].Effects)
			}
			var accesses []string
			for _, a := range got.Statements[0].Accesses {
				accesses = append(accesses, accessText(a))
			}
			if diff := cmp.Diff(c.accesses, accesses); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
