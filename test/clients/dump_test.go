package clients_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDumps takes a database apart and puts it together again: as one text, as an archive
// and as a directory by two jobs, whose sessions share a snapshot. What comes out through
// Scopewire is what comes out without, and goes in again either way.
func TestDumps(t *testing.T) {
	installed(t, client{name: "pg_dump", command: []string{"pg_dump"}})
	direct, proxied := sides(t)
	dump := func(s side, further ...string) string {
		t.Helper()
		command := []string{"pg_dump", "--no-sync", "--no-owner", "--no-privileges", "-d", "DSN"}
		if !slices.ContainsFunc(further, func(option string) bool { return strings.HasPrefix(option, "-F") }) {
			// The key is random otherwise.
			command = append(command, "--restrict-key=x")
		}
		return s.run(t, append(command, further...)...)
	}
	steps := func(s side) []string {
		t.Helper()
		dir := t.TempDir()
		archive, directory, text := filepath.Join(dir, "archive"), filepath.Join(dir, "directory"), filepath.Join(dir, "text.sql")
		drop := func() { s.run(t, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "scripts/drop.sql", "DSN") }
		s.run(t, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "scripts/dump.sql", "DSN")
		out := []string{dump(s), dump(s, "--schema-only"), dump(s, "--data-only", "--inserts"), dump(s, "-t", "public.people"), dump(s, "--serializable-deferrable", "--column-inserts")}
		dump(s, "-Fc", "-f", archive)
		dump(s, "-Fd", "-j2", "-f", directory)
		if err := os.WriteFile(text, []byte(out[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		drop()
		for _, restore := range [][]string{
			{"pg_restore", "--no-owner", "--no-privileges", "-1", "-d", "DSN", archive},
			{"pg_restore", "--no-owner", "--no-privileges", "-j2", "-d", "DSN", directory},
			{"pg_restore", "--no-owner", "--no-privileges", "--clean", "--if-exists", "-d", "DSN", archive},
			{"psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", text, "DSN"},
		} {
			out = append(out, s.run(t, restore...), dump(s))
			if restore[3] != "-j2" {
				drop()
			}
		}
		return out
	}
	want, got := steps(direct), steps(proxied)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("PostgreSQL (-) and Scopewire (+):\n%s", diff)
	}
	for _, dumped := range []int{6, 8, 10, 12} {
		if diff := cmp.Diff(want[0], want[dumped]); diff != "" {
			t.Errorf("restored (+) is not what was dumped (-):\n%s", diff)
		}
	}
}
