package authz

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

var update = flag.Bool("update", false, "write what explanations say into testdata/explain")

// explained is the question of a file in testdata/explain.
type explained struct {
	SQL    string         `yaml:"sql"`
	Scopes []string       `yaml:"scopes"`
	Claims map[string]any `yaml:"claims"`
	Client string         `yaml:"client"`
}

// newerThanParser is the first server_version_num whose grammar the parser may not know:
// of what it rejects it is not said that it is wrong.
const newerThanParser = 18_00_00

// explainTime is when the questions are put.
var explainTime = time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)

// unsigned is a token with these claims that nobody signed.
func unsigned(t *testing.T, claims map[string]any) secret.Bytes {
	t.Helper()
	all := map[string]any{"iss": "https://idp.example.com", "aud": "postgres", "exp": explainTime.Add(time.Hour).Unix()}
	for k, v := range claims {
		all[k] = v
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return secret.FromString(b64([]byte(`{"alg":"ES256","typ":"at+jwt"}`)) + "." + b64(body) + "." + b64([]byte("none")))
}

func newExplainer(t *testing.T) *Explainer {
	t.Helper()
	schema, err := os.ReadFile("testdata/explain/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	srv := pgtest.Start(t)
	name := pgtest.NewDatabaseOn(t, srv, string(schema))
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, srv.Password.Expose(), 0o600); err != nil {
		t.Fatal(err)
	}
	database, err := ParseDatabaseURL(fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d", srv.Superuser, name, srv.SocketDir, srv.Port),
		config.Source{File: password})
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExplainer(t.Context(), "testdata/explain/policy.yaml", database, time.Minute, sys.OS())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestExplain compares whole explanations with what a policy author is meant to
// read.
func TestExplain(t *testing.T) {
	e := newExplainer(t)
	files, err := filepath.Glob("testdata/explain/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("nothing to explain", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil || len(a.Files) != 2 {
				t.Fatal("the file holds a question and its explanation", err)
			}
			var in explained
			if err := yaml.UnmarshalWithOptions(a.Files[0].Data, &in, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			q := Question{SQL: []byte(in.SQL), Scopes: in.Scopes, Now: explainTime, Client: in.Client, SearchPath: "public", Login: "app"}
			if in.Claims != nil {
				q.Token = unsigned(t, in.Claims)
			}
			got, err := e.Explain(q)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := got.Print(&text); err != nil {
				t.Fatal(err)
			}
			if *update {
				a.Files[1].Data = []byte(text.String())
				if err := os.WriteFile(name, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := string(a.Files[1].Data)
			if e.snap.ServerVersionNum >= newerThanParser {
				want = strings.ReplaceAll(want, "ERROR: syntax: ", "ERROR: grammar_unknown: ")
			}
			if diff := cmp.Diff(want, text.String()); diff != "" {
				t.Error(diff)
			}
			if len(got.Statements) > 0 && got.Verdict == VerdictAllow != allAllowed(got) {
				t.Errorf("the verdict %s does not follow from the accesses", got.Verdict)
			}
		})
	}
}

func allAllowed(e *Explanation) bool {
	for _, s := range e.Statements {
		for _, a := range s.Accesses {
			if !a.Allowed {
				return false
			}
		}
	}
	return e.Reason == "granted"
}

// TestPrintNamesCode: code that nobody trusts, and what would trust it.
func TestPrintNamesCode(t *testing.T) {
	e := Explanation{
		Verdict: VerdictDeny, Reason: "opaque_code", Detail: "insert on public.orders runs trigger log", PolicyFile: "policy.yaml", Judged: true,
		Statements: []ExplainedStatement{
			{Kind: "insert", Normalised: "INSERT INTO orders\n\tVALUES (?)", Accesses: []ExplainedAccess{{
				Action: "insert", Named: "orders", Object: "public.orders", AllColumns: true, Reason: "opaque_code", Text: "insert on public.orders",
				Code: "trigger log", Needed: "{actions: [insert], objects: [public.orders], trusted: true}",
			}}},
			{Kind: "set", Effects: []ExplainedEffect{{Kind: "set", Name: "search_path"}}},
		},
	}
	var got strings.Builder
	if err := e.Print(&got); err != nil {
		t.Fatal(err)
	}
	want := `DENY: opaque_code: insert on public.orders runs trigger log

1. insert  INSERT INTO orders VALUES (?)
   denied   insert on public.orders, all columns (written orders)
            runs trigger log, which nobody trusts
            needs {actions: [insert], objects: [public.orders], trusted: true}

2. set
   touches nothing that needs a grant
   effect   set search_path
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

// TestExplainRefusesQuestions: what cannot be put is an error, not a verdict.
func TestExplainRefusesQuestions(t *testing.T) {
	e := newExplainer(t)
	good := Question{SQL: []byte("SELECT 1"), Now: explainTime, Login: "app", SearchPath: "public"}
	if _, err := e.Explain(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Question){
		"no token":           func(q *Question) { q.Token = secret.FromString("x.y.z") },
		"a token and scopes": func(q *Question) { q.Token, q.Scopes = unsigned(t, map[string]any{"sub": "a"}), []string{"s"} },
		"another issuer": func(q *Question) {
			q.Token = unsigned(t, map[string]any{"sub": "a", "iss": "https://other.example.com"})
		},
		"expired": func(q *Question) { q.Token = unsigned(t, map[string]any{"sub": "a", "exp": 1}) },
		"malformed details": func(q *Question) {
			q.Token = unsigned(t, map[string]any{"sub": "a", "authorization_details": []any{map[string]any{"type": "postgresql", "presets": []string{"x"}}}})
		},
		"a client that is none": func(q *Question) { q.Client = "localhost" },
		"an unknown role":       func(q *Question) { q.Login, q.SearchPath = "nobody", "" },
	} {
		q := good
		change(&q)
		if got, err := e.Explain(q); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestParseDatabaseURL(t *testing.T) {
	d, err := ParseDatabaseURL("postgresql://app@db.example.com:6000/orders?sslmode=disable", config.Source{Env: "PW"})
	want := Database{Name: "orders", Host: "db.example.com", Port: 6000, User: "app", Password: config.Source{Env: "PW"}}
	want.TLS.Mode = "disable"
	if diff := cmp.Diff(want, d); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, s := range []string{
		"host=x dbname=y", "mysql://app@host/db", "postgres://host/db", "postgres://app:hunter2@host/db", "postgres://app@host/db?sslmode=a&sslmode=b",
		"postgres://app@host/db?options=-c", "postgres://app@host:99999/db", "postgres://app@/db?host=relative", "postgres://app:hunter2@host:x/db",
		"postgres://app@host/db?host=/tmp",
	} {
		if _, err := ParseDatabaseURL(s, config.Source{}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", s, err)
		}
	}
}
