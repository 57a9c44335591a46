package analyze

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func TestContext(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(*Input, *catalog.Snapshot)
		outcome access.Outcome
		reason  access.Reason
	}{
		{"as it should be", func(*Input, *catalog.Snapshot) {}, access.Judge, access.Granted},
		{"strings with backslashes", func(in *Input, _ *catalog.Snapshot) { in.Context.Settings["standard_conforming_strings"] = "off" }, access.Denied, access.Context},
		{"strings unknown", func(in *Input, _ *catalog.Snapshot) { in.Context.Settings = nil }, access.Judge, access.Granted},
		{"another encoding", func(_ *Input, s *catalog.Snapshot) { s.ServerEncoding = "LATIN1" }, access.Denied, access.Context},
		{"no version but the snapshot's", func(in *Input, _ *catalog.Snapshot) { in.Context.ServerVersionNum = 0 }, access.Judge, access.Granted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := Input{Text: []byte("SELECT 1"), Context: publicContext()}
			b := fixture(t)
			tc.change(&in, &b.snap)
			got := Analyze(in, b.index())
			if got.Outcome != tc.outcome || got.Reason != tc.reason {
				t.Errorf("%s %s", outcomeName(got.Outcome), got.Reason)
			}
		})
	}
	if got := Analyze(Input{Text: []byte("SELECT 1")}, nil); got.Outcome != access.Refused || got.Reason != access.Unavailable {
		t.Errorf("without a snapshot: %+v", got)
	}
}

func TestSearchPathUser(t *testing.T) {
	in := Input{Text: []byte("SELECT secret FROM orders"), Context: publicContext()}
	in.Context.Role = "app"
	got := Analyze(in, fixture(t).index())
	want := access.Object{Kind: access.Table, Schema: "app", Name: "orders"}
	if got.Outcome != access.Judge || !cmp.Equal(got.Statements[0].Accesses[0].Resolved, want) {
		t.Errorf("%+v", got)
	}
}

// TestClosedSchema: the server passes over a schema on which the role has no
// USAGE, and reads another table of that name.
func TestClosedSchema(t *testing.T) {
	in := Input{Text: []byte("SELECT note FROM orders"), Context: publicContext()}
	in.Context.Role, in.Context.SearchPath = "clerk", "app, public"
	b := fixture(t)
	for i := range b.snap.Schemas {
		if b.snap.Schemas[i].Name == "app" {
			b.snap.Schemas[i].ClosedTo = []string{"clerk"}
		}
	}
	got := Analyze(in, b.index())
	want := access.Object{Kind: access.Table, Schema: "public", Name: "orders"}
	if got.Outcome != access.Judge || !cmp.Equal(got.Statements[0].Accesses[0].Resolved, want) {
		t.Errorf("%+v", got)
	}
}

// TestStatementText: the digest and the normalised text are of the statement's own
// text, not of the unit's.
func TestStatementText(t *testing.T) {
	got := Analyze(Input{Text: []byte(" SELECT 'é' ;\n SELECT id FROM orders -- c"), Context: publicContext()}, fixture(t).index())
	if len(got.Statements) != 2 {
		t.Fatalf("%+v", got)
	}
	if got.Statements[0].TextSHA256 != sha256.Sum256([]byte("SELECT 'é'")) || got.Statements[0].Normalised != "SELECT ?" {
		t.Errorf("%+v", got.Statements[0])
	}
	if got.Statements[1].TextSHA256 != sha256.Sum256([]byte("SELECT id FROM orders -- c")) || got.Statements[1].Normalised != "SELECT id FROM orders" {
		t.Errorf("%+v", got.Statements[1])
	}
}

// TestCasts: a user's cast asks for execute on its function where PostgreSQL takes it,
// and nowhere else.
func TestCasts(t *testing.T) {
	const userType = 17500
	execute := []string{"execute function public.cast()"}
	for _, tc := range []struct {
		name string
		cast catalog.Cast
		sql  string
		want []string
	}{
		{"between built-in types, by their input and output", catalog.Cast{Source: 23, Target: 1082, Method: 'i', Context: 'e'}, "SELECT 1::date", nil},
		{"between built-in types, by function", catalog.Cast{Source: 23, Target: 1082, Method: 'f', Context: 'e'}, "SELECT 1::date", execute},
		{"explicit, where it is not asked for", catalog.Cast{Source: 23, Target: 1082, Method: 'f', Context: 'e'}, "SELECT 1", nil},
		{"implicit", catalog.Cast{Source: 23, Target: 1082, Method: 'f', Context: 'i'}, "SELECT coalesce(1, NULL::date)", nil},
		{"by assignment", catalog.Cast{Source: 23, Target: 1082, Method: 'f', Context: 'a'}, "INSERT INTO events (at) VALUES (1)", execute},
		{"from an enum by function", catalog.Cast{Source: oidMood, Target: 23, Method: 'f', Context: 'e'}, "SELECT status::int FROM orders", execute},
		{"to an enum by its input", catalog.Cast{Source: 1043, Target: oidMood, Method: 'i', Context: 'i'}, "INSERT INTO orders (status) VALUES ('ok'::varchar)", nil},
		{"from a user's base type", catalog.Cast{Source: userType, Target: 25, Method: 'f', Context: 'i'}, "SELECT lower('x'::citext)", execute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := fixture(t)
			b.snap.Types = append(b.snap.Types, catalog.Type{OID: userType, Schema: "public", Name: "citext", Kind: 'b', Input: 46, Output: 47})
			tc.cast.OID, tc.cast.Function = 19000, 0
			if tc.cast.Method == 'f' {
				tc.cast.Function = 19001
			}
			b.snap.Casts = append(b.snap.Casts, tc.cast)
			b.snap.Functions = append(b.snap.Functions, catalog.Function{OID: 19001, Schema: "public", Name: "cast", Kind: 'f', Language: "plpgsql",
				Result: tc.cast.Target})
			got := Analyze(Input{Text: []byte(tc.sql), Context: publicContext()}, b.index())
			if tc.name == "implicit" {
				if got.Outcome != access.Hidden || got.Error.SQLState != stateDatatypeMismatch {
					t.Errorf("%s %s", outcomeName(got.Outcome), got.Detail)
				}
				return
			}
			if diff := cmp.Diff(tc.want, functionsOf(got)); diff != "" || got.Outcome != access.Judge {
				t.Errorf("%s: %s %s (-want +got)\n%s", tc.sql, outcomeName(got.Outcome), got.Detail, diff)
			}
		})
	}
}

// TestCastsBehindFunctions: functions and operators that look for a user's cast of their
// argument to json or text run it, and nobody asks for execute: it must be trusted.
func TestCastsBehindFunctions(t *testing.T) {
	for sql, want := range map[string]bool{
		"SELECT to_json(other) FROM own_type":                true,
		"SELECT row_to_json(o) FROM own_type o":              true,
		"SELECT jsonb_build_array(ROW(other)) FROM own_type": true,
		"SELECT json_agg(other) FROM own_type":               true,
		"SELECT JSON_ARRAY(other) FROM own_type":             true,
		"SELECT JSON_SCALAR(a), other FROM own_type":         false,
		"SELECT to_json(a), other FROM own_type":             false,
	} {
		b := fixture(t)
		b.snap.Casts = append(b.snap.Casts, catalog.Cast{OID: 19000, Source: oidPair, Target: 114, Method: 'f', Context: 'e', Function: 19001})
		b.snap.Functions = append(b.snap.Functions, catalog.Function{OID: 19001, Schema: "public", Name: "spy", Kind: 'f', Language: "plpgsql", Arguments: []catalog.OID{oidPair}, Result: 114})
		in := Input{Text: []byte(sql), Context: publicContext()}
		in.Context.ServerVersionNum = 170000
		got := Analyze(in, b.index())
		trusted := false
		for _, s := range got.Statements {
			for _, a := range s.Accesses {
				trusted = trusted || a.Resolved.Kind == access.Type && len(a.Trust) > 0
			}
		}
		if got.Outcome != access.Judge || trusted != want {
			t.Errorf("%s: %s, trust asked for: %v, want %v: %s", sql, outcomeName(got.Outcome), trusted, want, got.Detail)
		}
	}
}

// functionsOf lists the accesses on functions.
func functionsOf(got access.Analysis) []string {
	var all []string
	for _, s := range got.Statements {
		for _, a := range s.Accesses {
			if a.Resolved.Kind == access.Function {
				a.Trust = nil
				all = append(all, accessText(a))
			}
		}
	}
	return all
}

// TestForeignOperators: an operator on the path is asked for where PostgreSQL chooses
// it.
func TestForeignOperators(t *testing.T) {
	const userType = 17500
	user := func(preferred bool) catalog.Type {
		return catalog.Type{OID: userType, Schema: "public", Name: "citext", Kind: 'b', Category: 'S', Preferred: preferred, Input: 46, Output: 47}
	}
	execute := []string{"execute function public.likeness()"}
	for _, tc := range []struct {
		name      string
		sql       string
		left      catalog.OID
		right     catalog.OID
		preferred bool
		want      []string
	}{
		{"both built-in", "SELECT note LIKE 'a' FROM orders", 25, 25, false, nil},
		{"both built-in, on another schema's path", "SELECT note OPERATOR(public.~~) 'a' FROM orders", 25, 25, false, execute},
		{"an enum", "SELECT status LIKE 'a' FROM orders", oidMood, 25, false, execute},
		{"an enum beside text", "SELECT note LIKE 'a' FROM orders", oidMood, 25, false, nil},
		{"a user's base type beside a column", "SELECT note LIKE note FROM orders", userType, 25, false, nil},
		{"a user's base type beside a literal", "SELECT note LIKE 'a' FROM orders", 25, userType, false, nil},
		{"two user's base types", "SELECT note LIKE 'a' FROM orders", userType, userType, false, nil},
		{"two user's base types, two literals", "SELECT 'b' LIKE 'a'", userType, userType, false, nil},
		{"a user's base type itself", "SELECT 'b'::citext LIKE 'a'", userType, userType, false, execute},
		{"the prefix operator", "SELECT note LIKE 'a' FROM orders", 0, 25, false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := fixture(t)
			b.snap.Types = append(b.snap.Types, user(tc.preferred))
			b.snap.Operators = append(b.snap.Operators, catalog.Operator{OID: 19000, Schema: "public", Name: "~~", Left: tc.left, Right: tc.right,
				Result: 16, Function: 19001})
			b.snap.Functions = append(b.snap.Functions, catalog.Function{OID: 19001, Schema: "public", Name: "likeness", Kind: 'f', Language: "plpgsql", Result: 16})
			got := Analyze(Input{Text: []byte(tc.sql), Context: publicContext()}, b.index())
			if diff := cmp.Diff(tc.want, functionsOf(got)); diff != "" || got.Outcome != access.Judge {
				t.Errorf("%s %s (-want +got)\n%s", outcomeName(got.Outcome), got.Detail, diff)
			}
		})
	}
}

// TestAddedToCatalog: what a superuser or an extension put into pg_catalog is no
// built-in, whatever its name.
func TestAddedToCatalog(t *testing.T) {
	b := fixture(t)
	b.snap.Functions = append(b.snap.Functions,
		catalog.Function{OID: 19000, Schema: "pg_catalog", Name: "lower", Kind: 'f', Arguments: []catalog.OID{17}, Result: 25, Language: "plpgsql"},
		catalog.Function{OID: 19002, Schema: "pg_catalog", Name: "join", Kind: 'f', Arguments: []catalog.OID{23, 25}, Result: 25, Language: "plpgsql"})
	b.snap.Operators = append(b.snap.Operators, catalog.Operator{OID: 19001, Schema: "pg_catalog", Name: "||", Left: 23, Right: 25, Result: 25, Function: 19002})
	snap := b.index()
	for sql, want := range map[string][]string{
		"SELECT lower(note) FROM orders":                           nil,
		"SELECT lower('x'::bytea)":                                 {"execute function pg_catalog.lower(bytea)"},
		"SELECT pg_catalog.lower('x'::bytea)":                      {"execute function pg_catalog.lower(bytea)"},
		"SELECT pg_catalog.upper(note) FROM orders":                nil,
		"SELECT id || note FROM orders":                            {"execute function pg_catalog.join(integer, text)"},
		"SELECT id OPERATOR(pg_catalog.||) note FROM orders":       {"execute function pg_catalog.join(integer, text)"},
		"SELECT id FROM orders WHERE id OPERATOR(pg_catalog.=) 1":  nil,
		"SELECT name FROM customers":                               nil,
		"SELECT line FROM order_items WHERE qty + line - 1 > line": nil,
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		if diff := cmp.Diff(want, functionsOf(got)); diff != "" || got.Outcome != access.Judge {
			t.Errorf("%s: %s %s (-want +got)\n%s", sql, outcomeName(got.Outcome), got.Detail, diff)
		}
	}
}
