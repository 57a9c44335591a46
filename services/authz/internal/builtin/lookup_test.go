package builtin

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func snapshot(version int) *catalog.Snapshot {
	s := &catalog.Snapshot{ServerVersionNum: version}
	s.Index()
	return s
}

func TestLookupTakesOnlyTheFunctionThatWasReviewed(t *testing.T) {
	lower := catalog.Function{
		OID: 870, Schema: "pg_catalog", Name: "lower", Kind: 'f', Arguments: []catalog.OID{25}, Result: 25,
		Language: "internal", Symbol: "lower",
	}
	for _, c := range []struct {
		name    string
		version int
		bend    func(*catalog.Function)
		want    Class
	}{
		{"as it came", 150018, func(*catalog.Function) {}, Harmless},
		{"another OID", 150018, func(f *catalog.Function) { f.OID = 871 }, Unreviewed},
		{"a user's", 150018, func(f *catalog.Function) { f.OID = 16500 }, Unreviewed},
		{"renamed", 150018, func(f *catalog.Function) { f.Name = "lowered" }, Unreviewed},
		{"moved", 150018, func(f *catalog.Function) { f.Schema = "public" }, Unreviewed},
		{"another language", 150018, func(f *catalog.Function) { f.Language = "plpgsql" }, Unreviewed},
		{"another symbol", 150018, func(f *catalog.Function) { f.Symbol = "pg_read_file" }, Unreviewed},
		{"symbol unknown", 150018, func(f *catalog.Function) { f.Symbol = "" }, Unreviewed},
		{"more arguments", 150018, func(f *catalog.Function) { f.Arguments = append(f.Arguments, 25) }, Unreviewed},
		{"older than the review", 130000, func(*catalog.Function) {}, Unreviewed},
		{"newer than the review", 190000, func(*catalog.Function) {}, Unreviewed},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := lower
			f.Arguments = append([]catalog.OID(nil), lower.Arguments...)
			c.bend(&f)
			if got := Lookup(snapshot(c.version), &f).Class; got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	if got := Lookup(snapshot(150018), nil); got.Class != Unreviewed {
		t.Error("no function is reviewed")
	}
}

func TestLookupTellsWhatAnArgumentNames(t *testing.T) {
	f := catalog.Function{
		OID: 1574, Schema: "pg_catalog", Name: "nextval", Kind: 'f', Arguments: []catalog.OID{2205}, Result: 20,
		Language: "internal", Symbol: "nextval_oid",
	}
	want := Function{Class: Named, Names: []Name{{Kind: Sequence, Action: "usage", Or: "update"}}}
	if diff := cmp.Diff(want, Lookup(snapshot(170000), &f)); diff != "" {
		t.Error(diff)
	}
}

func TestExtensionsGoByMembershipLibraryAndSymbol(t *testing.T) {
	digest := catalog.Function{
		OID: 20000, Schema: "public", Name: "digest", Kind: 'f', Arguments: []catalog.OID{25, 25}, Result: 17,
		Language: "c", Extension: "pgcrypto", Library: "$libdir/pgcrypto", Symbol: "pg_digest",
	}
	for _, c := range []struct {
		name string
		bend func(*catalog.Function)
		want Class
	}{
		{"as it came", func(*catalog.Function) {}, Harmless},
		{"renamed and moved", func(f *catalog.Function) { f.Name, f.Schema = "d", "crypto" }, Harmless},
		{"not a member", func(f *catalog.Function) { f.Extension = "" }, Unreviewed},
		{"of another extension", func(f *catalog.Function) { f.Extension = "citext" }, Unreviewed},
		{"another library", func(f *catalog.Function) { f.Library = "/tmp/pgcrypto" }, Unreviewed},
		{"another symbol", func(f *catalog.Function) { f.Symbol = "evil" }, Unreviewed},
		{"another language", func(f *catalog.Function) { f.Language = "plpgsql" }, Unreviewed},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := digest
			c.bend(&f)
			if got := Lookup(snapshot(150018), &f).Class; got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestAnAggregateOfAnExtensionIsWhatItRuns(t *testing.T) {
	build := func(transition catalog.Function) (*catalog.Snapshot, *catalog.Function) {
		s := &catalog.Snapshot{
			ServerVersionNum: 150018,
			Types:            []catalog.Type{{OID: 20001, Schema: "public", Name: "citext", Kind: 'b', Extension: "citext"}},
			Functions: []catalog.Function{transition, {
				OID: 20003, Schema: "public", Name: "max", Kind: 'a', Arguments: []catalog.OID{20001}, Result: 20001,
				Language: "internal", Symbol: "aggregate_dummy", Extension: "citext",
				Aggregate: catalog.Aggregate{Kind: 'n', Functions: []catalog.OID{transition.OID}},
			}},
		}
		s.Index()
		return s, s.FunctionByOID(20003)
	}
	larger := catalog.Function{
		OID: 20002, Schema: "public", Name: "citext_larger", Kind: 'f', Arguments: []catalog.OID{20001, 20001}, Result: 20001,
		Language: "c", Extension: "citext", Library: "$libdir/citext", Symbol: "citext_larger",
	}
	if s, f := build(larger); Lookup(s, f).Class != Harmless {
		t.Error("max(citext) is not harmless")
	}
	larger.Extension, larger.Language = "", "plpgsql"
	if s, f := build(larger); Lookup(s, f).Class != Unreviewed {
		t.Error("max(citext) over a user's function is reviewed")
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name     string
		class    SettingClass
		readable bool
	}{
		{"work_mem", Plain, true},
		{"TimeZone", Plain, true},
		{"DATESTYLE", Plain, true},
		{"search_path", Meaning, true},
		{"standard_conforming_strings", Meaning, true},
		{"scopewire.token", Meaning, false},
		{"Scopewire.Anything", Meaning, false},
		{"role", Identity, true},
		{"session_authorization", Identity, true},
		{"log_statement", Guarded, false},
		{"default_tablespace", Guarded, true},
		{"session_replication_role", System, false},
		{"shared_preload_libraries", System, false},
		{"primary_conninfo", System, false},
		{"server_version", System, true},
		{"pg_trgm.similarity_threshold", Plain, true},
		{"plpgsql.variable_conflict", Guarded, false},
		{"app.tenant", Custom, false},
		{"request.jwt.claims", Custom, false},
		{"no_such_setting", Guarded, false},
		{"", Guarded, false},
		{"ſearch_path", Guarded, false}, // a letter that folds to s elsewhere
	} {
		if got := SettingOf(c.name); got != c.class {
			t.Errorf("%s is %v, want %v", c.name, got, c.class)
		}
		if got := Readable(c.name); got != c.readable {
			t.Errorf("%s readable: %v", c.name, got)
		}
	}
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"work_mem", "1GB", true},
		{"Standard_Conforming_Strings", "ON", true},
		{"standard_conforming_strings", "off", false},
		{"backslash_quote", "safe_encoding", true},
		{"backslash_quote", "on", false},
		{"client_encoding", "UTF8", true},
		{"client_encoding", "SJIS", false},
		{"client_min_messages", "warning", true},
		{"client_min_messages", "debug1", false},
		{"client_min_messages", "log", false},
		{"session_replication_role", "origin", true},
		{"session_replication_role", "replica", false},
		{"default_tablespace", "", true},
		{"default_tablespace", "fast", false},
		{"default_text_search_config", "pg_catalog.english", true},
		{"default_text_search_config", "english", false},
		{"default_text_search_config", "pg_catalog.", false},
		{"default_text_search_config", "private.pg_catalog.x", false},
		{"role", "none", false},
		{"app.tenant", "1", false},
	} {
		if got := Allowed(c.name, c.value); got != c.want {
			t.Errorf("%s = %q: %v", c.name, c.value, got)
		}
	}
}

func TestSystemRelations(t *testing.T) {
	for _, c := range []struct {
		schema, name, column string
		class                RelationClass
		closed               bool
	}{
		{"pg_catalog", "pg_type", "typname", Drivers, false},
		{"pg_catalog", "pg_class", "relname", Definitions, false},
		{"pg_catalog", "pg_attribute", "attmissingval", Definitions, true},
		{"pg_catalog", "pg_subscription", "subconninfo", Definitions, true},
		{"pg_catalog", "pg_subscription", "subname", Definitions, false},
		{"pg_catalog", "pg_authid", "rolname", Closed, true},
		{"pg_catalog", "pg_stat_activity", "query", Closed, true},
		{"information_schema", "tables", "table_name", Definitions, false},
		{"information_schema", "user_mapping_options", "option_value", Closed, true},
		{"public", "pg_class", "relname", Closed, true},
		{"pg_catalog", "no_such", "x", Closed, true},
	} {
		if got := ClassOf(c.schema, c.name); got != c.class {
			t.Errorf("%s.%s is %v, want %v", c.schema, c.name, got, c.class)
		}
		if got := ColumnClosed(c.schema, c.name, c.column); got != c.closed {
			t.Errorf("%s.%s.%s closed: %v", c.schema, c.name, c.column, got)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	f := catalog.Function{
		OID: 870, Schema: "pg_catalog", Name: "lower", Kind: 'f', Arguments: []catalog.OID{25}, Result: 25,
		Language: "internal", Symbol: "lower",
	}
	s := snapshot(150018)
	b.ReportAllocs()
	for b.Loop() {
		if Lookup(s, &f).Class != Harmless {
			b.Fatal("not harmless")
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := loadFunctions(); err != nil {
			b.Fatal(err)
		}
	}
}
