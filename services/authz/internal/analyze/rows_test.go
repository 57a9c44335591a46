package analyze

import (
	"slices"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// rowCase is a statement with the rights that PostgreSQL asks for it. Each right is what
// gives it, an arrow, and the access that stands for it: "own table app.t -> ddl schema
// app". What gives it is a GRANT without its end (grant), a change of owner (own), an
// attribute of the role (role) or a statement of any kind (run).
type rowCase struct {
	SQL    string   `yaml:"sql"`
	Rights []string `yaml:"rights,omitempty"`
	// Since and Until are the major versions that ask for these rights.
	Since int `yaml:"since,omitempty"`
	Until int `yaml:"until,omitempty"`
	// Answer is the server's error to whom has the rights.
	Answer string `yaml:"answer,omitempty"`
	// Admin says that PostgreSQL has no right for it that could be given in a transaction,
	// or runs it in none, so that only analysis is asked. It must want admin, or what
	// Accesses lists.
	Admin bool `yaml:"admin,omitempty"`
	// Only says that analysis asks for no more than that.
	Only     bool     `yaml:"only,omitempty"`
	Accesses []string `yaml:"accesses,omitempty"`
}

// right splits a right into the statement that gives it and its access.
func right(t *testing.T, text string) (give, stands string) {
	t.Helper()
	what, stands, ok := strings.Cut(text, " -> ")
	word, rest, more := strings.Cut(what, " ")
	if !ok || !more {
		t.Fatalf("no right: %s", text)
	}
	switch word {
	case "grant":
		return "GRANT " + rest + " TO analyze_oracle", stands
	case "own":
		return "ALTER " + rest + " OWNER TO analyze_oracle", stands
	case "role":
		return "ALTER ROLE analyze_oracle " + rest, stands
	case "run":
		return rest, stands
	}
	t.Fatalf("no right: %s", text)
	return "", ""
}

// TestRows holds the table of statements against PostgreSQL: for each, a role with
// exactly these rights runs it and one without any single one of them is refused; and
// analysis asks for an access for each of those rights, so that whoever has not been
// granted it is denied.
func TestRows(t *testing.T) {
	o := newOracleOf(t, "rows.sql")
	for _, c := range readYAML[rowCase](t, "rows.yaml") {
		if v := o.snap.ServerVersionNum / 10000; v < c.Since || c.Until != 0 && v > c.Until {
			continue
		}
		context := publicContext()
		context.SearchPath, context.ServerVersionNum = "app", o.snap.ServerVersionNum
		got := Analyze(Input{Text: []byte(c.SQL), Context: context}, o.snap)
		if got.Outcome != access.Judge || len(got.Statements) != 1 {
			t.Errorf("%s\nis %s: %s", c.SQL, outcomeName(got.Outcome), got.Detail)
			continue
		}
		var asked []string
		for _, a := range got.Statements[0].Accesses {
			text, _, _ := strings.Cut(accessText(a), " [")
			asked = append(asked, strings.ReplaceAll(text, o.snap.Database, "app"))
		}
		expect := c.Accesses
		if c.Admin && len(expect) == 0 {
			expect = []string{"admin database app"}
		}
		grants := []string{"SELECT 1"}
		for _, text := range c.Rights {
			give, stands := right(t, text)
			grants, expect = append(grants, give), append(expect, stands)
		}
		for _, stands := range expect {
			if stands != "nothing" && !slices.Contains(asked, stands) {
				t.Errorf("%s\nneeds %s, and analysis asks for %q", c.SQL, stands, asked)
			}
		}
		if c.Only && len(asked) != len(expect) {
			t.Errorf("%s\nneeds %q alone, and analysis asks for %q", c.SQL, expect, asked)
		}
		if c.Admin {
			continue
		}
		if err := o.as(t, "app", grants, c.SQL); err != nil && err.Code != c.Answer || err == nil && c.Answer != "" {
			t.Errorf("%s\nwith its rights: %v", c.SQL, err)
		}
		for i := 1; i < len(grants); i++ {
			if err := o.as(t, "app", slices.Delete(slices.Clone(grants), i, i+1), c.SQL); err == nil || err.Code != "42501" {
				t.Errorf("%s\nwithout %s: %v", c.SQL, grants[i], err)
			}
		}
	}
}

// TestRowsCoverTheTables: each statement, subcommand, constraint and type of object that
// is judged stands in rows.yaml, with a right to withhold where it needs one.
func TestRowsCoverTheTables(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range readYAML[rowCase](t, "rows.yaml") {
		tree, err := pg_query.Parse(c.SQL)
		if err != nil || len(tree.Stmts) != 1 {
			t.Fatalf("%s: %v", c.SQL, err)
		}
		node := tree.Stmts[0].Stmt
		name := nodeType(node)
		seen[name] = true
		if len(c.Rights) == 0 && !c.Admin && !free(name) {
			t.Errorf("%s\nhas no right that could be withheld", c.SQL)
		}
		kindsIn(node.ProtoReflect(), seen)
	}
	// These need a session that has prepared or declared something, as session.yaml has,
	// and no statement that names objects of any type names a user mapping.
	elsewhere := []string{"ExecuteStmt", "FetchStmt", "OBJECT_USER_MAPPING"}
	want := func(words, row string) {
		if !seen[row] && !slices.Contains(elsewhere, row) {
			t.Errorf("%s (%s) is not in rows.yaml", words, row)
		}
	}
	for _, k := range kinds() {
		if k.judge != nil {
			want(k.command, k.node)
		}
	}
	for _, k := range alterKinds() {
		if k.judge != nil {
			want(k.words, k.kind.String())
		}
	}
	for _, k := range constraintKinds() {
		want(k.words, k.kind.String())
	}
	for _, k := range objectKinds() {
		if k.form != unnamed {
			want(k.words, k.kind.String())
		}
	}
	for _, k := range reindexKinds() {
		want(k.words, k.kind.String())
	}
}

// free lists the statements that may need nothing at all.
func free(node string) bool {
	return slices.Contains([]string{"TransactionStmt", "VariableSetStmt", "VariableShowStmt", "ConstraintsSetStmt", "DiscardStmt", "DeallocateStmt",
		"ClosePortalStmt", "UnlistenStmt"}, node)
}

// kindsIn adds the names of all values of enums in a tree.
func kindsIn(m protoreflect.Message, seen map[string]bool) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Enum() != nil && !field.IsList():
			if value := field.Enum().Values().ByNumber(v.Enum()); value != nil {
				seen[string(value.Name())] = true
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				kindsIn(v.List().Get(i).Message(), seen)
			}
		default:
			kindsIn(v.Message(), seen)
		}
		return true
	})
}
