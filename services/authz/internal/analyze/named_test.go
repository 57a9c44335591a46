package analyze

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What EXECUTE and FETCH name is the protocol's where SQL has made no such name: it is
// asked for, all of it at once, and judged by its text.
func TestNamesOfTheProtocol(t *testing.T) {
	snap := fixture(t).index()
	statement := func(text string, types ...catalog.OID) Named {
		return Named{Exists: true, Text: text, ParameterTypes: types}
	}
	portal := func(text string, types ...catalog.OID) Named {
		return Named{Exists: true, Text: text, ParameterTypes: types, SearchPath: "public", PathKnown: true}
	}
	s, c := access.Name{Name: "x"}, access.Name{Cursor: true, Name: "x"}
	elsewhere := portal("SELECT secret FROM orders")
	elsewhere.SearchPath = "app"
	none := map[access.Name]Named{}
	lost := portal("SELECT id FROM orders")
	lost.PathKnown = false
	for _, tc := range []struct {
		name, sql string
		known     map[access.Name]Named
		outcome   access.Outcome
		unknown   []access.Name
		tables    []string
	}{
		{"nobody to ask", "EXECUTE x", nil, access.Hidden, nil, nil},
		{"asked for", "EXECUTE x", none, access.Denied, []access.Name{s}, nil},
		{"all at once", "EXECUTE x(1); FETCH x; EXPLAIN EXECUTE y; CREATE TABLE z AS EXECUTE z", none, access.Denied, []access.Name{s, c, {Name: "y"}, {Name: "z"}}, nil},
		{"behind what is there", "SELECT secret FROM orders; EXECUTE x", none, access.Denied, []access.Name{s}, nil},
		{"behind what is not there", "SELECT secret FROM nothing; EXECUTE x", none, access.Denied, []access.Name{s}, nil},
		{"before it is made", "EXECUTE x; DEALLOCATE x; PREPARE x AS SELECT 1", none, access.Denied, []access.Name{s}, nil},
		{"answered: none", "EXECUTE x", map[access.Name]Named{s: {}}, access.Hidden, nil, nil},
		{"a statement", "EXECUTE x", map[access.Name]Named{s: statement("SELECT note FROM orders")}, access.Judge, nil, []string{"public.orders"}},
		{"its comments", "EXECUTE x", map[access.Name]Named{s: statement("/* a */ SELECT note -- b\n FROM orders;")}, access.Judge, nil, []string{"public.orders"}},
		{"its parameters", "EXECUTE x(1)", map[access.Name]Named{s: statement("SELECT note FROM orders WHERE id = $1", 23)}, access.Judge, nil, []string{"public.orders"}},
		{"too many of them", "EXECUTE x(1, 2)", map[access.Name]Named{s: statement("SELECT note FROM orders WHERE id = $1", 23)}, access.Hidden, nil, nil},
		{"a cursor of the name is no statement", "EXECUTE x", map[access.Name]Named{c: portal("SELECT note FROM orders"), s: {}}, access.Hidden, nil, nil},
		{"what is no query", "EXECUTE x", map[access.Name]Named{s: statement("DROP TABLE orders")}, access.Denied, nil, nil},
		{"two statements", "EXECUTE x", map[access.Name]Named{s: statement("SET search_path TO 'app'; SELECT 1")}, access.Denied, nil, nil},
		{"made by the same message", "PREPARE x AS SELECT id FROM events; EXECUTE x", none, access.Judge, nil, []string{"public.events", "public.events"}},
		{"SQL's own first", "PREPARE x AS SELECT id FROM events; EXECUTE x", map[access.Name]Named{s: statement("SELECT note FROM orders")}, access.Judge, nil, []string{"public.events", "public.events"}},
		{"a portal", "FETCH x", map[access.Name]Named{c: portal("SELECT note FROM orders")}, access.Judge, nil, []string{"public.orders"}},
		{"MOVE", "MOVE FORWARD 2 IN x", map[access.Name]Named{c: portal("SELECT note FROM orders WHERE id = $1", 23)}, access.Judge, nil, []string{"public.orders"}},
		{"the path it was bound over", "FETCH x", map[access.Name]Named{c: elsewhere}, access.Judge, nil, []string{"app.orders"}},
		{"an unknown path", "FETCH x", map[access.Name]Named{c: lost}, access.Denied, nil, nil},
		{"what a portal writes", "FETCH x", map[access.Name]Named{c: portal("DELETE FROM orders RETURNING id")}, access.Judge, nil, []string{"public.orders", "public.orders"}},
		{"a portal of a utility statement", "FETCH x", map[access.Name]Named{c: portal("SHOW search_path")}, access.Denied, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := Input{Text: []byte(tc.sql), Context: publicContext()}
			in.Context.Named = tc.known
			got := Analyze(in, snap)
			if got.Outcome != tc.outcome {
				t.Fatalf("%s: %s %s", outcomeName(got.Outcome), got.Detail, got.Error.Message)
			}
			if diff := cmp.Diff(tc.unknown, got.Unknown); diff != "" {
				t.Errorf("names that are asked for (-want +got)\n%s", diff)
			}
			var tables []string
			for _, st := range got.Statements {
				for _, a := range st.Accesses {
					if a.Resolved.Kind == access.Table {
						tables = append(tables, a.Resolved.Schema+"."+a.Resolved.Name)
					}
				}
			}
			if tc.outcome != access.Judge {
				return
			}
			if diff := cmp.Diff(tc.tables, tables); diff != "" {
				t.Errorf("tables (-want +got)\n%s", diff)
			}
		})
	}
}

// The query that gets a name is told as a Parse message would bring it, and is judged as
// PREPARE and DECLARE are.
func TestQueriesBehindNames(t *testing.T) {
	snap := fixture(t).index()
	for sql, want := range map[string]*access.Query{
		"PREPARE x AS SELECT id FROM orders":                                                  {Text: " SELECT id FROM orders"},
		`prepare "as" (int, numeric(4, 2)) /* as */ as select note from orders where id = $1`: {Text: " select note from orders where id = $1", ParameterTypes: []uint32{23, 1700}},
		"PREPARE x AS SELECT note FROM orders WHERE id = $1;":                                 {Text: " SELECT note FROM orders WHERE id = $1", ParameterTypes: []uint32{23}},
		"PREPARE x AS SELECT 1 AS as_is":                                                      {Text: " SELECT 1 AS as_is"},
		`DECLARE "for" SCROLL CURSOR WITH HOLD FOR SELECT id FROM orders FOR READ ONLY`:       {Text: " SELECT id FROM orders FOR READ ONLY"},
		"DECLARE c CURSOR -- for all\nFOR VALUES (1)":                                         {Text: " VALUES (1)"},
		"DECLARE c INSENSITIVE CURSOR FOR(SELECT 1)":                                          {Text: "(SELECT 1)"},
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s %s", sql, outcomeName(got.Outcome), got.Detail)
			continue
		}
		want.SearchPath = publicContext().SearchPath
		st := got.Statements[0]
		if want.ParameterTypes == nil {
			want.ParameterTypes = []uint32{}
		}
		if diff := cmp.Diff(want, st.Effects[0].Query); diff != "" {
			t.Errorf("%s (-want +got)\n%s", sql, diff)
			continue
		}
		var types []catalog.OID
		for _, oid := range want.ParameterTypes {
			types = append(types, catalog.OID(oid))
		}
		again := Analyze(Input{Text: []byte(st.Effects[0].Query.Text), Parse: true, SettledTypes: types, Context: publicContext()}, snap)
		if again.Outcome != access.Judge {
			t.Errorf("%s: its query is %s", sql, outcomeName(again.Outcome))
			continue
		}
		if diff := cmp.Diff(st.Accesses, again.Statements[0].Accesses); diff != "" {
			t.Errorf("%s: its query touches something else (-name +query)\n%s", sql, diff)
		}
	}
}

// What FETCH finds a portal to touch is what its Parse was found to touch: where the two
// differ, a session takes it for a portal whose names have come to mean something else.
func TestPortalsTouchTheSame(t *testing.T) {
	snap := fixture(t).index()
	for _, sql := range []string{
		"SELECT note FROM orders WHERE id = $1", "SELECT * FROM orders FOR UPDATE", "TABLE orders", "VALUES (1)",
		"WITH d AS (DELETE FROM orders RETURNING id) SELECT id FROM d", "INSERT INTO orders (id) VALUES (1) RETURNING note",
		"UPDATE orders SET note = $1 WHERE status = $2 RETURNING id", "DELETE FROM orders WHERE id = 1 RETURNING id", "SELECT pg_catalog.set_config('app.x', 'y', false)",
	} {
		parsed := Analyze(Input{Text: []byte(sql), Parse: true, Context: publicContext()}, snap)
		in := Input{Text: []byte("FETCH x"), Context: publicContext()}
		n := Named{Exists: true, Text: sql, SearchPath: in.Context.SearchPath, PathKnown: true}
		if parsed.Outcome != access.Judge {
			t.Errorf("%s: %s %s", sql, outcomeName(parsed.Outcome), parsed.Detail)
			continue
		}
		for _, oid := range parsed.Statements[0].ParameterTypes {
			n.ParameterTypes = append(n.ParameterTypes, catalog.OID(oid))
		}
		in.Context.Named = map[access.Name]Named{{Cursor: true, Name: "x"}: n}
		fetched := Analyze(in, snap)
		if fetched.Outcome != access.Judge {
			t.Errorf("%s: FETCH is %s %s", sql, outcomeName(fetched.Outcome), fetched.Detail)
			continue
		}
		if diff := cmp.Diff(parsed.Statements[0].Accesses, fetched.Statements[0].Accesses); diff != "" {
			t.Errorf("%s (-Parse +FETCH)\n%s", sql, diff)
		}
	}
}

// The types of a Parse message's parameters are told as they were found.
func TestParameterTypes(t *testing.T) {
	snap := fixture(t).index()
	for sql, want := range map[string][]uint32{
		"SELECT note FROM orders WHERE id = $1":           {23},
		"SELECT $2::text, $1 + 1":                         {23, 25},
		"SELECT 1":                                        {},
		"SHOW search_path":                                {},
		"UPDATE orders SET status = $1":                   {oidMood},
		"INSERT INTO orders (id, status) VALUES ($1, $2)": {23, oidMood},
		"SELECT id FROM orders WHERE status = ANY ($1)":   {oidMood + 1},
		"INSERT INTO positive (a) VALUES ($1)":            {oidPosint},
	} {
		got := Analyze(Input{Text: []byte(sql), Parse: true, Context: publicContext()}, snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s %s", sql, outcomeName(got.Outcome), got.Detail)
			continue
		}
		if diff := cmp.Diff(want, got.Statements[0].ParameterTypes); diff != "" {
			t.Errorf("%s (-want +got)\n%s", sql, diff)
		}
		var types []catalog.OID
		for _, oid := range got.Statements[0].ParameterTypes {
			types = append(types, catalog.OID(oid))
		}
		again := Analyze(Input{Text: []byte(sql), Parse: true, SettledTypes: types, Context: publicContext()}, snap)
		if diff := cmp.Diff(got.Statements, again.Statements); diff != "" || again.Outcome != access.Judge {
			t.Errorf("%s: judged again with them (-first +again)\n%s%s", sql, diff, again.Detail)
		}
	}
}
