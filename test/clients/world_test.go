package clients_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// side is one of the two ways to a server.
type side struct {
	// dsn is the address without a password, as libpq takes it.
	dsn, password string
	// world is nil for the direct side.
	world *demo.World
}

// role is the login, whose name the token's side connects with as well.
const role = "shop_app"

// furtherScopes is what clients need that do more than migrate: pgbench truncates and
// vacuums its tables, Sequelize finds comments by way of a statistics view.
const furtherScopes = `  bench:
    - actions: [truncate, maintain]
      objects: ["public.*"]
  comments:
    - actions: [select]
      objects: [pg_catalog.pg_statio_all_tables]
      columns: [relid, relname]
`

// guide is one of the guide's own examples of scopes, which stands behind a sentence.
func guide(t *testing.T, sentence string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/guides/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), sentence+", say:\n\n")
	if !found {
		t.Fatalf("the guide has no example behind %q", sentence)
	}
	var b strings.Builder
	for line := range strings.Lines(rest) {
		line, inside := strings.CutPrefix(line, "    ")
		if !inside {
			break
		}
		b.WriteString("  " + line)
	}
	return b.String()
}

// sides starts both worlds. The login may make objects, as may the token.
func sides(t *testing.T) (direct, proxied side) {
	t.Helper()
	start := func(services bool) (*demo.World, string) {
		w := cluster.Start(t, demo.Config{
			Schema:          "SELECT 1;",
			SQL:             "GRANT CREATE, USAGE ON SCHEMA public TO " + role,
			Scopes:          guide(t, "A migration user then has") + guide(t, "A token that may take dumps has") + furtherScopes,
			Users:           []demo.User{{Name: "client", Scopes: []string{"migrate", "bench", "comments", "dump"}}},
			WithoutServices: !services,
			// A busy machine is no part of the comparison.
			Limits: "{decision: 10s, fresh: 30s}",
		})
		if !services {
			return w, w.Postgres.Addr
		}
		return w, w.Addr
	}
	address := func(w *demo.World, addr string) string {
		host, port, _ := strings.Cut(addr, ":")
		return fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=verify-full sslrootcert=%s", host, port, demo.Database, role, w.CAFile)
	}
	plain, addr := start(false)
	password, err := os.ReadFile(filepath.Join(plain.Dir, "app.password"))
	if err != nil {
		t.Fatal(err)
	}
	direct = side{dsn: address(plain, addr), password: strings.TrimSpace(string(password))}
	w, addr := start(true)
	token, err := w.Token("client")
	if err != nil {
		t.Fatal(err)
	}
	return direct, side{dsn: address(w, addr), password: token, world: w}
}

// run starts a program on one side and returns what it printed. In its arguments DSN
// stands for the address.
func (s side) run(t *testing.T, command ...string) string {
	t.Helper()
	args := make([]string, len(command))
	for i, a := range command {
		args[i] = strings.ReplaceAll(a, "DSN", s.dsn)
	}
	//nolint:gosec // G204: the table's own programs.
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Env = append(s.environment(), "LC_ALL=C.UTF-8", "TZ=UTC", "PYTHONDONTWRITEBYTECODE=1")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		// What denied it is in the audit log alone.
		t.Errorf("%v of %v: %v\n%s%s", args[0], args[1:], err, s.why(t, out.String()), out.String())
	}
	return out.String()
}

// environment is what programs need, without a developer's PG* variables.
func (s side) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PGPASSWORD=" + s.password}
}

// why says what denied a client whose output tells a reference.
func (s side) why(t *testing.T, output string) string {
	_, reference, found := strings.Cut(output, "Reference: ")
	if !found || s.world == nil {
		return ""
	}
	reference, _, _ = strings.Cut(reference, "\n")
	event, err := s.world.Event(t.Context(), strings.Trim(reference, " \"'"))
	if err != nil {
		return err.Error() + "\n"
	}
	return event.GetEvent().GetReason().String() + ": " + event.GetEvent().GetReasonDetail() + "\n"
}
