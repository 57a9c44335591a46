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
			b := fixture()
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
	got := Analyze(in, fixture().index())
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
	b := fixture()
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
	got := Analyze(Input{Text: []byte(" SELECT 'é' ;\n SELECT id FROM orders -- c"), Context: publicContext()}, fixture().index())
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

// TestCasts: a user's cast that could run unasked stops every expression, one that
// could not stops none.
func TestCasts(t *testing.T) {
	const userType = 17500
	for _, tc := range []struct {
		name string
		cast catalog.Cast
		want access.Outcome
	}{
		{"between built-in types", catalog.Cast{OID: 19000, Source: 23, Target: 16, Method: 'i', Context: 'e'}, access.Denied},
		{"from an enum by function", catalog.Cast{OID: 19000, Source: oidMood, Target: 3802, Method: 'f', Context: 'e'}, access.Denied},
		{"to an enum by its input", catalog.Cast{OID: 19000, Source: 1043, Target: oidMood, Method: 'i', Context: 'i'}, access.Judge},
		{"from a user's base type", catalog.Cast{OID: 19000, Source: userType, Target: 25, Method: 'f', Context: 'i'}, access.Judge},
		{"to a user's base type", catalog.Cast{OID: 19000, Source: 25, Target: userType, Method: 'f', Context: 'a'}, access.Judge},
		{"to a user's base type unasked", catalog.Cast{OID: 19000, Source: 25, Target: userType, Method: 'f', Context: 'i'}, access.Denied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := fixture()
			b.snap.Types = append(b.snap.Types, catalog.Type{OID: userType, Schema: "public", Name: "citext", Kind: 'b'})
			b.snap.Casts = append(b.snap.Casts, tc.cast)
			got := Analyze(Input{Text: []byte("SELECT id FROM orders WHERE note = 'x'"), Context: publicContext()}, b.index())
			if got.Outcome != tc.want {
				t.Errorf("%s %s", outcomeName(got.Outcome), got.Detail)
			}
			if got := Analyze(Input{Text: []byte("BEGIN"), Context: publicContext()}, &b.snap); got.Outcome != access.Judge {
				t.Errorf("BEGIN: %s", outcomeName(got.Outcome))
			}
		})
	}
}

// TestForeignOperators: an operator on the path stops the built-in one's use only
// where PostgreSQL could choose it.
func TestForeignOperators(t *testing.T) {
	const userType = 17500
	user := func(preferred bool) catalog.Type {
		return catalog.Type{OID: userType, Schema: "public", Name: "citext", Kind: 'b', Category: 'S', Preferred: preferred}
	}
	for _, tc := range []struct {
		name      string
		sql       string
		left      catalog.OID
		right     catalog.OID
		preferred bool
		want      access.Outcome
	}{
		{"both built-in", "SELECT note LIKE 'a' FROM orders", 25, 25, false, access.Denied},
		{"an enum", "SELECT note LIKE 'a' FROM orders", oidMood, 25, false, access.Denied},
		{"a user's base type beside a column", "SELECT note LIKE note FROM orders", userType, 25, false, access.Judge},
		{"a user's base type beside a literal", "SELECT note LIKE 'a' FROM orders", 25, userType, false, access.Judge},
		{"two user's base types", "SELECT note LIKE 'a' FROM orders", userType, userType, false, access.Judge},
		{"two user's base types, two literals", "SELECT 'b' LIKE 'a'", userType, userType, false, access.Judge},
		{"a preferred user's type beside a literal", "SELECT note LIKE 'a' FROM orders", 25, userType, true, access.Denied},
		{"a type that text is not tried for", "SELECT id LIKE 'a' FROM orders", 23, userType, false, access.Denied},
		{"the prefix operator", "SELECT note LIKE 'a' FROM orders", 0, 25, false, access.Judge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := fixture()
			b.snap.Types = append(b.snap.Types, user(tc.preferred))
			b.snap.Operators = append(b.snap.Operators, catalog.Operator{OID: 19000, Schema: "public", Name: "~~", Left: tc.left, Right: tc.right})
			got := Analyze(Input{Text: []byte(tc.sql), Context: publicContext()}, b.index())
			if got.Outcome != tc.want {
				t.Errorf("%s %s", outcomeName(got.Outcome), got.Detail)
			}
		})
	}
}

// TestAddedToCatalog: what a superuser or an extension put into pg_catalog is no
// built-in, whatever its name.
func TestAddedToCatalog(t *testing.T) {
	b := fixture()
	b.snap.Functions = append(b.snap.Functions, catalog.Function{OID: 19000, Schema: "pg_catalog", Name: "lower", Kind: 'f', Arguments: []catalog.OID{17}})
	b.snap.Operators = append(b.snap.Operators, catalog.Operator{OID: 19001, Schema: "pg_catalog", Name: "||", Left: 23, Right: 25})
	snap := b.index()
	for sql, want := range map[string]access.Outcome{
		"SELECT lower(note) FROM orders":                           access.Denied,
		"SELECT pg_catalog.lower(note) FROM orders":                access.Denied,
		"SELECT pg_catalog.upper(note) FROM orders":                access.Judge,
		"SELECT id || note FROM orders":                            access.Denied,
		"SELECT id OPERATOR(pg_catalog.||) note FROM orders":       access.Denied,
		"SELECT id FROM orders WHERE id OPERATOR(pg_catalog.=) 1":  access.Judge,
		"SELECT name FROM customers":                               access.Denied, // its index is over lower(email)
		"SELECT line FROM order_items WHERE qty + line - 1 > line": access.Judge,
	} {
		if got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap); got.Outcome != want {
			t.Errorf("%s: %s %s", sql, outcomeName(got.Outcome), got.Detail)
		}
	}
}
