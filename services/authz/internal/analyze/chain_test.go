package analyze

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/probe"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// followed runs statements both ways: one by one in a transaction of a real server, and as
// the beginning of one message.
type followed struct {
	conn *pgx.Conn
	base *catalog.Snapshot
	// before describes the base.
	before map[string]string
}

func newChains(t *testing.T) *followed {
	t.Helper()
	schema, err := os.ReadFile("testdata/chain.sql")
	if err != nil {
		t.Fatal(err)
	}
	dsn := pgtest.NewDatabase(t, string(schema))
	c := &followed{base: readSnapshot(t, dsn)}
	c.before = describeAll(c.base)
	if c.conn, err = pgx.Connect(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close(context.Background()) })
	return c
}

// seen is the catalog as the open transaction sees it.
func (c *followed) seen(t *testing.T, tx pgx.Tx) *catalog.Snapshot {
	t.Helper()
	var answer string
	if err := tx.QueryRow(t.Context(), probe.Query(probe.Session, "", ""), pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	session, err := catalog.DescribeSession([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	over, err := session.Over(c.base, true)
	if err != nil {
		t.Fatal(err)
	}
	return over
}

// simulated is the catalog as the statements after a text would be judged by.
func (c *followed) simulated(text string) (*analyzer, error) {
	a := &analyzer{literally: new(bool), in: c.input(text), snap: c.base, limits: Limits{}.withDefaults()}
	err := a.run()
	if err == nil && a.unsettled != "" {
		err = fmt.Errorf("a statement after %s", a.unsettled)
	}
	return a, err
}

func (c *followed) input(text string) Input {
	in := Input{Text: []byte(text), Context: publicContext()}
	in.Context.Role, in.Context.ServerVersionNum = c.conn.Config().User, c.base.ServerVersionNum
	return in
}

// agree compares what was simulated with what is there, object by object, and what
// statements about them would need.
func (c *followed) agree(t *testing.T, a *analyzer, real *catalog.Snapshot, after string) bool {
	t.Helper()
	want, got := describeAll(real), describeAll(a.snap)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after %s (-server +simulated):\n%s", after, diff)
		return false
	}
	changed := func(key string) bool { return c.before[key] != want[key] }
	for _, sql := range questions(real, changed) {
		in := c.input(sql)
		in.Context.SearchPath = "pg_temp, public"
		judged, simulated := summary(Analyze(in, real)), summary(Analyze(in, a.snap))
		if diff := cmp.Diff(judged, simulated); diff != "" {
			t.Errorf("after %s: %s (-server +simulated):\n%s", after, sql, diff)
			return false
		}
	}
	return true
}

var temporaryName = regexp.MustCompile(`pg_temp_[0-9]+\.`)

// summary is what an analysis says, in lines. Numbers of temporary schemas differ, and so
// does the order in which accesses are met.
func summary(got access.Analysis) []string {
	lines := []string{outcomeName(got.Outcome) + " " + string(got.Reason)}
	for _, s := range got.Statements {
		for _, needed := range s.Accesses {
			slices.SortFunc(needed.Trust, func(x, y access.Trust) int { return strings.Compare(x.Code, y.Code) })
			lines = append(lines, temporaryName.ReplaceAllString(accessText(needed), "pg_temp."))
		}
	}
	slices.Sort(lines)
	return lines
}

// questions are statements about what has changed.
func questions(s *catalog.Snapshot, changed func(string) bool) []string {
	var all []string
	d := describer{s}
	for rel := range s.EachRelation() {
		if isSystem(rel) || rel.IndexOf != 0 || rel.Kind == catalog.KindComposite || !changed("relation "+d.relation(rel.OID)) {
			continue
		}
		name := quotedName(shownSchema(rel.Schema)) + "." + quotedName(rel.Name)
		all = append(all, "SELECT * FROM "+name)
		if rel.Kind == catalog.KindSequence {
			all = append(all, "SELECT nextval('"+name+"')")
			continue
		}
		all = append(all, "INSERT INTO "+name+" DEFAULT VALUES", "DELETE FROM "+name, "TRUNCATE "+name)
		for _, c := range rel.Columns {
			all = append(all, "UPDATE "+name+" SET "+quotedName(c.Name)+" = NULL")
		}
	}
	for f := range s.EachFunction() {
		if f.OID < catalog.FirstNormalOID || f.Kind == 'p' || !changed("function "+d.function(f.OID)) {
			continue
		}
		var arguments []string
		for _, oid := range f.Arguments {
			arguments = append(arguments, "NULL::"+typeText(s, oid))
		}
		all = append(all, "SELECT "+quotedName(f.Schema)+"."+quotedName(f.Name)+"("+strings.Join(arguments, ", ")+")",
			"SELECT "+quotedName(f.Schema)+"."+quotedName(f.Name)+"()")
	}
	for typ := range s.EachType() {
		if typ.OID >= catalog.FirstNormalOID && changed("type "+d.typ(typ.OID)) {
			all = append(all, "SELECT 'x'::"+typeText(s, typ.OID))
		}
	}
	return all
}

func typeText(s *catalog.Snapshot, oid catalog.OID) string {
	typ := s.TypeByOID(oid)
	return quotedName(shownSchema(typ.Schema)) + "." + quotedName(typ.Name)
}

// TestChains: after each statement of a chain the simulated catalog is the server's.
func TestChains(t *testing.T) {
	c := newChains(t)
	for _, chain := range readChains(t) {
		t.Run(chain.Name, func(t *testing.T) {
			tx, err := c.conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.Background()) }()
			text := ""
			for _, sql := range chain.SQL {
				if _, err := tx.Exec(t.Context(), sql); err != nil {
					t.Fatalf("%s: %s", sql, err)
				}
				text += sql + ";\n"
				a, err := c.simulated(text)
				if err != nil {
					t.Fatalf("after %s: %s", sql, err)
				}
				if !c.agree(t, a, c.seen(t, tx), sql) {
					return
				}
			}
		})
	}
}
