package policy

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

const schemaFile = "../../../../docs/reference/policy.schema.json"

// schemaText is the published schema as plain JSON values.
func schemaText(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy", schemaText(t)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// inSchemaForm reports whether a policy is one by the schema. A file that is no
// YAML document is none.
func inSchemaForm(s *jsonschema.Schema, policy []byte) error {
	text, err := yaml.YAMLToJSON(policy)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// beyondTheSchema are errors that no form can tell: what names mean, what goes
// with what, what YAML hides.
var beyondTheSchema = []string{
	"actions.txtar", "conditions.txtar", "hidden-by-yaml.txtar", "kinds.txtar", "names.txtar", "pairs.txtar", "second-document.txtar",
}

// TestSchemaRefusesWhatParseRefuses goes through the decoder's own corpus.
func TestSchemaRefusesWhatParseRefuses(t *testing.T) {
	s := compileSchema(t)
	files, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no errors to test", err)
	}
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := inSchemaForm(s, a.Files[0].Data); err == nil && !slices.Contains(beyondTheSchema, filepath.Base(name)) {
			t.Errorf("%s: the schema accepts it", name)
		}
	}
}

// TestSchemaAcceptsWhatParseAccepts: a policy that loads is one by the schema.
func TestSchemaAcceptsWhatParseAccepts(t *testing.T) {
	s := compileSchema(t)
	files, err := filepath.Glob("testdata/decide/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no policies to test", err)
	}
	policies := map[string]string{
		"the least": minimal,
		"everything": minimal + `    jwks_file: keys
    accept_typ_jwt: true
    algorithms: [ES256]
    skew: 10s
    max_token_lifetime: 12h
    trust_authorization_details: {actions: ['*'], objects: ['public.*'], presets: [session]}
  - issuer: https://other.example.com
    audiences: [a, b]
    trust_authorization_details: all
scopes:
  a:
    - {actions: [select], objects: [public.t], columns: [a], trusted: true, when: client.tls, presets: [migrations]}
    - presets: [introspection, advisory_locks]
scope_templates:
  "pg:{o}:{a}": [{actions: ["{a}"], objects: ["{o}"]}]
deny: [{objects: ['x.*'], actions: [delete]}, {objects: [public.t], columns: [a], when: now > timestamp('2030-01-01T00:00:00Z')}]
presets: []
logins: {app: {default: a, by_scope: {s: b}}, other: {by_claim: {claim: tenant, logins: {acme: c}}}}
trusted_extensions: [hstore, uuid-ossp]
`,
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d decisions
		if err := yaml.Unmarshal(data, &d); err != nil {
			t.Fatal(err)
		}
		policies[name] = d.Policy
	}
	for name, text := range policies {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%s: %s", name, err)
		}
		if err := inSchemaForm(s, []byte(text)); err != nil {
			t.Errorf("%s: %s", name, err)
		}
	}
}

// TestSchemaHasEveryKey: the schema's words are those of the code, no more and no
// less.
func TestSchemaHasEveryKey(t *testing.T) {
	root := schemaText(t)
	at := func(path ...string) map[string]any {
		v := root
		for _, p := range path {
			v = v[p].(map[string]any)
		}
		return v
	}
	keys := func(typ reflect.Type) []string {
		var names []string
		for i := range typ.NumField() {
			// What is refused by its own sentence is no key to publish.
			if f := typ.Field(i); f.Tag.Get("yaml") != "" && f.Type != reflect.TypeFor[refused]() {
				names = append(names, f.Tag.Get("yaml"))
			}
		}
		slices.Sort(names)
		return names
	}
	for name, typ := range map[string]reflect.Type{
		"": reflect.TypeFor[file](), "issuer": reflect.TypeFor[issuerEntry](), "ceiling": reflect.TypeFor[ceilingEntry](),
		"grant": reflect.TypeFor[grantItem](), "templateGrants": reflect.TypeFor[grantItem](), "deny": reflect.TypeFor[denyItem](),
		"login": reflect.TypeFor[loginEntry](),
	} {
		path := []string{"$defs", name, "properties"}
		switch name {
		case "":
			path = []string{"properties"}
		case "templateGrants":
			path = []string{"$defs", name, "items", "properties"}
		}
		if diff := cmp.Diff(keys(typ), slices.Sorted(maps.Keys(at(path...)))); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
	}
	words := func(name string) string {
		var list []string
		for _, v := range at("$defs", name)["enum"].([]any) {
			list = append(list, v.(string))
		}
		return strings.Join(list, ", ")
	}
	if want := join(append(access.Actions(), anyAction)); words("action") != want {
		t.Errorf("actions are %s, want %s", words("action"), want)
	}
	if want := join(presetNames()); words("preset") != want {
		t.Errorf("presets are %s, want %s", words("preset"), want)
	}
}
