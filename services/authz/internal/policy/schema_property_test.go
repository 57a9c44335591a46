package policy

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// junk are values that hardly any key takes.
func junk() *rapid.Generator[any] {
	return rapid.SampledFrom([]any{nil, true, false, 0, 1, 1.5, "", "x", " ", []any{}, []any{nil}, []any{"x"}, []any{[]any{}}, map[string]any{}, map[string]any{"x": 1}, map[string]any{"objects": []any{"a.b"}}})
}

// odd draws whether something is out of order, so seldom that most files are nearly
// right.
func odd(t *rapid.T, label string) bool { return rapid.IntRange(0, 79).Draw(t, label) == 79 }

// anyOfThese draws one of the values, the first more often than not, or junk.
func anyOfThese(values ...any) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch n := rapid.IntRange(0, 9).Draw(t, "which"); {
		case odd(t, "odd"):
			return junk().Draw(t, "junk")
		case n < 8:
			return values[0]
		default:
			return rapid.SampledFrom(values).Draw(t, "value")
		}
	})
}

// listOf draws a list, or junk.
func listOf(item *rapid.Generator[any]) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if odd(t, "odd") {
			return junk().Draw(t, "junk")
		}
		least := 1
		if odd(t, "empty") {
			least = 0
		}
		return rapid.SliceOfN(item, least, 2).Draw(t, "list")
	})
}

// mapping draws some of the keys with their values, sometimes a key too many, or junk.
func mapping(keys map[string]*rapid.Generator[any], usual ...string) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if odd(t, "odd") {
			return junk().Draw(t, "junk")
		}
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			value := keys[key]
			// Keys that are usual are left out seldom.
			if rapid.IntRange(0, 9).Draw(t, key) > 7 {
				out[key] = value.Draw(t, key)
			}
		}
		for _, key := range usual {
			if !odd(t, "without "+key) {
				out[key] = keys[key].Draw(t, key)
			}
		}
		if odd(t, "more") {
			out[rapid.SampledFrom([]string{"rows", "Actions", "x", "", "<<", "versions"}).Draw(t, "key")] = junk().Draw(t, "junk")
		}
		return out
	})
}

// policies draws a policy file as plain values, nearly right.
func policies() *rapid.Generator[any] {
	text := func(values ...any) *rapid.Generator[any] { return anyOfThese(values...) }
	actions := listOf(text("select", "update", "*", "ddl", "SELECT", "{a}", "any"))
	objects := listOf(text("public.orders", "public.*", "schema:public", "function:public.f(integer)", "{o}", "orders", "*", "a b"))
	columns := listOf(text("id", "total", "*", "{c}", `"Mixed"`, "a b"))
	presets := listOf(text("session", "migrations", "root", "{p}"))
	grant := mapping(map[string]*rapid.Generator[any]{
		"actions": actions, "objects": objects, "columns": columns, "presets": presets, "trusted": text(true, false), "when": text("client.tls", "now", "true"),
	}, "actions", "objects")
	named := func(names []string, value *rapid.Generator[any]) *rapid.Generator[any] {
		keys := map[string]*rapid.Generator[any]{}
		for _, name := range names {
			keys[name] = value
		}
		return mapping(keys)
	}
	issuer := mapping(map[string]*rapid.Generator[any]{
		"issuer": text("https://a.example.com", "http://a.example.com", "a"), "audiences": listOf(text("x", "y")),
		"jwks_uri": text("https://a.example.com/k", "HTTPS://a.example.com/k", "http://a.example.com", "https://"), "jwks_file": text("keys", "k"),
		"accept_typ_jwt": text(true, false), "algorithms": listOf(text("ES256", "HS256", "none")),
		"skew":                        text("10s", "31s", "-1s", "+1s", ".5s", "5", "0", "1h", "0s"),
		"max_token_lifetime":          text("12h", "-1s", "0s", "1d"),
		"trust_authorization_details": rapid.OneOf(text("all", "none"), mapping(map[string]*rapid.Generator[any]{"actions": actions, "objects": objects, "presets": presets}, "actions", "objects")),
	}, "issuer", "audiences")
	return mapping(map[string]*rapid.Generator[any]{
		"version": rapid.OneOf(rapid.Just[any](1), text(1, 2, "1")), "issuers": listOf(issuer),
		"scopes":          named([]string{"a", "b c", "", "a\u00a0b", "a\tb", "é"}, listOf(grant)),
		"scope_templates": named([]string{"t:{o}:{a}", "t:{c}", "{o}{a}", "t", "t:{O}", "t {o}", "{o}:{o}"}, listOf(grant)),
		"deny":            listOf(mapping(map[string]*rapid.Generator[any]{"actions": actions, "objects": objects, "columns": columns, "when": text("client.tls")}, "objects")),
		"presets":         presets, "errors": text("granted", "closed", "open", "x"),
		"logins": named([]string{"app", ""}, mapping(map[string]*rapid.Generator[any]{
			"default": text("a"), "by_scope": named([]string{"s", "s t", ""}, text("b")),
			"by_claim": mapping(map[string]*rapid.Generator[any]{"claim": text("tenant"), "logins": named([]string{"a", "b", ""}, text("c"))}, "claim", "logins"),
		})),
		"trusted_extensions": listOf(text("hstore", "uuid-ossp", "*", "hstore")),
	}, "version", "issuers")
}

// TestSchemaAgreesWithTheLoader: what loads is a policy by the schema, and what is one
// by the schema has no finding about its form: keys, kinds of values, what is missing.
func TestSchemaAgreesWithTheLoader(t *testing.T) {
	s := compileSchema(t)
	loaded, formed := 0, 0
	check := func(t *rapid.T) {
		data, err := json.Marshal(policies().Draw(t, "policy"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		bySchema := s.Validate(v)
		_, byLoader := Parse(data)
		if byLoader == nil {
			loaded++
			if bySchema != nil {
				t.Fatalf("%s\nloads, and the schema says: %s", data, bySchema)
			}
		}
		var f file
		r, err := readTree(data, &f)
		if err == nil {
			err = r.Err()
		}
		if bySchema == nil {
			formed++
			if err != nil {
				t.Fatalf("%s\nis a policy by the schema, and the loader says: %s", data, err)
			}
		}
	}
	for range 20 {
		rapid.Check(t, check)
	}
	if loaded < 50 || formed < 50 {
		t.Errorf("%d of the policies loaded, %d were some by the schema", loaded, formed)
	}
}
