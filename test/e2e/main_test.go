package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
	"github.com/scopewire/scopewire/test/drivers"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// driverWorld is a world with what the driver scripts expect.
func driverWorld(t *testing.T) *demo.World {
	return cluster.Start(t, demo.Config{
		Schema: drivers.Schema(t),
		// The login may do anything: what is denied is denied by Scopewire.
		SQL: "GRANT USAGE ON SCHEMA private TO shop_app; GRANT ALL ON ALL TABLES IN SCHEMA public, private TO shop_app;",
		Scopes: `  orders:
    - actions: [select, insert]
      objects: [public.orders]
`,
		Users: []demo.User{{Name: "driver", Scopes: []string{"orders"}}},
	})
}

// psql runs psql in the C locale and returns what it printed, both streams as
// they came.
func psql(t *testing.T, dsn, token string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		t.Fatalf("psql is needed (on Debian: apt-get install postgresql-client): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-X", "-d", dsn}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + token, "LC_ALL=C", "PSQLRC=/dev/null"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // A denied statement makes psql's exit status 1.
	return out.String()
}

// token mints a token of a user of the world.
func token(t *testing.T, w *demo.World, user string) string {
	t.Helper()
	tok, err := w.Token(user)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// expect fails when out has a part missing, in order.
func expect(t *testing.T, out string, parts ...string) {
	t.Helper()
	rest := out
	for _, p := range parts {
		_, after, found := strings.Cut(rest, p)
		if !found {
			t.Fatalf("missing, or not in its place: %q\n%s", p, out)
		}
		rest = after
	}
}
