package introspection_test

import (
	"bytes"
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

// lines reads a file of testdata without comments and empty lines.
func lines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

func start(t *testing.T) *demo.World {
	t.Helper()
	schema, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return cluster.Start(t, demo.Config{
		Schema: string(schema),
		// Django reads a row of each relation.
		Scopes: "  sales:\n    - {actions: [select], objects: [\"sales.*\"]}\n",
		SQL: "GRANT USAGE ON SCHEMA sales TO shop_app; GRANT ALL ON ALL TABLES IN SCHEMA sales TO shop_app; " +
			"GRANT ALL ON ALL SEQUENCES IN SCHEMA sales TO shop_app; ALTER ROLE shop_app SET search_path = sales, public",
		Policy: "presets: [session, introspection]\n",
		Users:  []demo.User{{Name: "carol", Scopes: []string{"sales"}}},
	})
}

// psql runs a backslash command and returns all that it prints.
func psql(t *testing.T, dsn, password, command string) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), "psql", "-X", "-q", "--pset", "pager=off", "-d", dsn, "-f", "-")
	run.Stdin = strings.NewReader(command + "\n")
	run.Env = append(os.Environ(), "PGPASSWORD="+password, "LC_ALL=C.UTF-8")
	var out bytes.Buffer
	run.Stdout, run.Stderr = &out, &out
	_ = run.Run() // What went wrong is in the output, which is compared.
	return out.String()
}

// TestPsqlBackslashCommands compares each command with what it prints for the login
// itself, straight at the server.
func TestPsqlBackslashCommands(t *testing.T) {
	w := start(t)
	token, err := w.Token("carol")
	if err != nil {
		t.Fatal(err)
	}
	server, password := direct(t, w)
	for _, command := range lines(t, "psql.txt") {
		t.Run(command, func(t *testing.T) {
			want := psql(t, server, password, command)
			got := psql(t, w.ConnString("carol"), token, command)
			if command == `\conninfo` {
				// It tells where one is connected to.
				want, got = "connected", strings.TrimSpace(strings.Split(got, " as ")[0])
				if strings.Contains(got, "connected") {
					got = "connected"
				}
			}
			if got != want {
				t.Errorf("%sthrough Scopewire:\n%s\ndirect:\n%s", why(t, w, got), got, want)
			}
		})
	}
}

// why looks up what denied a command.
func why(t *testing.T, w *demo.World, output string) string {
	_, reference, ok := strings.Cut(output, "Reference: ")
	if !ok {
		return ""
	}
	reference, _, _ = strings.Cut(reference, "\n")
	event, err := w.Event(t.Context(), strings.TrimSpace(reference))
	if err != nil {
		return err.Error() + "\n"
	}
	return event.GetEvent().GetReason().String() + ": " + event.GetEvent().GetReasonDetail() + "\n"
}
