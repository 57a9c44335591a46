package analyze

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// testCase is an entry of a case file: a text, and what analysis says of it.
type testCase struct {
	Name string `yaml:"name,omitempty"`
	SQL  string `yaml:"sql"`
	// Session is what the session has run in its open transaction.
	Session string `yaml:"session,omitempty"`
	// Path is search_path; the default is "$user", public.
	Path *string `yaml:"path,omitempty"`
	// Parse makes it a Parse message, Types its parameter types.
	Parse bool          `yaml:"parse,omitempty"`
	Types []catalog.OID `yaml:"types,omitempty"`
	// Server is server_version_num; the default is 150018.
	Server int `yaml:"server,omitempty"`
	// Prepared and Cursors are the texts behind names.
	Prepared map[string]string `yaml:"prepared,omitempty"`
	Cursors  map[string]string `yaml:"cursors,omitempty"`

	// Since is the first major version that reads the text so, Until the last.
	Since int `yaml:"since,omitempty"`
	Until int `yaml:"until,omitempty"`
	// Apart says that the server is not asked: what it runs there fails.
	Apart bool `yaml:"apart,omitempty"`
	// Surplus says that PostgreSQL does not ask for all that analysis asks for.
	Surplus bool `yaml:"surplus,omitempty"`
	// SurplusSince says so of servers from that major version on.
	SurplusSince int `yaml:"surplus_since,omitempty"`

	// Outcome is judge, denied, failed, hidden or refused.
	Outcome string `yaml:"outcome"`
	// Kinds are the statements' kinds, Accesses theirs: "select public.t(a, b)", "(*)"
	// for all columns, no parentheses for any one.
	Kinds    []string `yaml:"kinds,omitempty"`
	Accesses []string `yaml:"accesses,omitempty"`
	Effects  []string `yaml:"effects,omitempty"`
	Reason   string   `yaml:"reason,omitempty"`
	Detail   string   `yaml:"detail,omitempty"`
	// State, Message and Position are the error's.
	State    string   `yaml:"state,omitempty"`
	Message  string   `yaml:"message,omitempty"`
	Position int      `yaml:"position,omitempty"`
	Hint     string   `yaml:"hint,omitempty"`
	Requires []string `yaml:"requires,omitempty"`
}

func (c *testCase) input() Input {
	context := publicContext()
	if c.Path != nil {
		context.SearchPath = *c.Path
	}
	if c.Server != 0 {
		context.ServerVersionNum = c.Server
	}
	context.PreparedStatements, context.Cursors = c.Prepared, c.Cursors
	return Input{Text: []byte(c.SQL), Parse: c.Parse, ParameterTypes: c.Types, Context: context}
}

// observed is the case with the expectations replaced by what analysis says.
func (c *testCase) observed(got access.Analysis) testCase {
	o := testCase{Name: c.Name, SQL: c.SQL, Path: c.Path, Parse: c.Parse, Types: c.Types, Server: c.Server, Since: c.Since, Until: c.Until, Surplus: c.Surplus, SurplusSince: c.SurplusSince, Apart: c.Apart,
		Prepared: c.Prepared, Cursors: c.Cursors,
		Outcome: outcomeName(got.Outcome), State: got.Error.SQLState, Message: got.Error.Message, Position: got.Error.Position, Hint: got.Error.Hint}
	for _, a := range got.Requires {
		o.Requires = append(o.Requires, accessText(a))
	}
	if got.Outcome != access.Judge {
		o.Reason, o.Detail = string(got.Reason), got.Detail
		return o
	}
	for _, s := range got.Statements {
		o.Kinds = append(o.Kinds, s.Kind)
		for _, a := range s.Accesses {
			o.Accesses = append(o.Accesses, accessText(a))
		}
		for _, e := range s.Effects {
			o.Effects = append(o.Effects, effectText(e))
		}
	}
	return o
}

// reads reports whether a server of that server_version_num reads the text as the case
// says.
func (c *testCase) reads(version int) bool {
	return version/10000 >= c.Since && (c.Until == 0 || version/10000 <= c.Until)
}

// surplus reports whether such a server asks for less than analysis.
func (c *testCase) surplus(version int) bool {
	return c.Surplus || c.SurplusSince > 0 && version/10000 >= c.SurplusSince
}

// effectText is an effect on one line.
func effectText(e access.Effect) string {
	text := strings.TrimSpace(string(e.Kind) + " " + e.Name)
	if e.Value != "" {
		text += " = " + e.Value
	}
	if e.Chain {
		text += " chain"
	}
	return text
}

func outcomeName(o access.Outcome) string {
	return map[access.Outcome]string{access.Denied: "denied", access.Judge: "judge", access.Failed: "failed",
		access.Hidden: "hidden", access.Refused: "refused"}[o]
}

// accessText is an access on one line. What is checked against somebody else ends in
// "within", code to be trusted follows in brackets.
func accessText(a access.Access) string {
	object := a.Resolved.Name
	if a.Resolved.Schema != "" {
		object = a.Resolved.Schema + "." + object
	}
	text := string(a.Action) + " "
	switch {
	case a.Resolved.Kind == access.Function, a.Resolved.Kind == access.Procedure:
		text += string(a.Resolved.Kind) + " " + object + "(" + strings.Join(a.Resolved.Arguments, ", ") + ")"
	case a.Resolved.Kind != access.Table:
		text += string(a.Resolved.Kind) + " " + object
	case a.AllColumns:
		text += object + "(*)"
	case len(a.Columns) > 0:
		text += object + "(" + strings.Join(a.Columns, ", ") + ")"
	default:
		text += object
	}
	for _, action := range a.Or {
		text += " or " + string(action)
	}
	if a.Within {
		text += " within"
	}
	for _, code := range a.Trust {
		text += " [" + strings.TrimSpace(code.Code+" "+code.Extension) + "]"
	}
	return text
}

func readCases(t testing.TB, file string) []testCase { return readYAML[testCase](t, file) }

func readYAML[T any](t testing.TB, file string) []T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.DisallowUnknownField()).Decode(&cases); err != nil {
		t.Fatalf("read %s: %v", file, err)
	}
	if len(cases) == 0 {
		t.Fatalf("%s holds no cases", file)
	}
	return cases
}

// TestCases holds analysis against the case files: bypass.yaml are texts that must
// not come through as something else, legitimate.yaml texts that a naive product
// refuses, statements.yaml the accesses of the rest, errors.yaml PostgreSQL's own
// errors.
func TestCases(t *testing.T) {
	snap := fixture(t).index()
	for _, file := range []string{"statements.yaml", "typed.yaml", "legitimate.yaml", "bypass.yaml", "errors.yaml", "session.yaml", "tables.yaml", "code.yaml", "objects.yaml", "admin.yaml", "migration.yaml"} {
		for i, want := range readCases(t, file) {
			if !want.reads(publicContext().ServerVersionNum) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", file, i), func(t *testing.T) {
				got := want.observed(Analyze(want.input(), snap))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s\n(-want +got)\n%s", want.SQL, diff)
				}
			})
		}
	}
}
