package regress

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/scopewire/scopewire/internal/pgtest"
)

var (
	whole = flag.Bool("whole", false, "run the whole suite")
	only  = flag.String("only", "", "run these scripts of the suite, separated by commas")
	keep  = flag.String("output", "", "the folder in which the outputs of scripts that differ are left")
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds one script.
const patience = 5 * time.Minute

// explained are the scripts that cannot be the same, with the reason.
func explained(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	if err := yaml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSuite compares what psql prints for each script of the suite with and without
// Scopewire. A script needs what those before it made, so that all run on both sides,
// and one side's failure does not end the other.
func TestSuite(t *testing.T) {
	if !*whole && *only == "" {
		t.Skip("several minutes; make regress runs it")
	}
	s := prepare(t)
	scripts, err := s.scripts()
	if err != nil {
		t.Fatal(err)
	}
	plain := world(t, false, "")
	scope, err := everything(t.Context(), plain.Postgres.ConnString("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	sides := []side{direct(t, plain, s), proxied(t, world(t, true, scope), s)}
	reasons := explained(t)
	same := 0
	for _, script := range scripts {
		wanted := *only == "" || script == "test_setup" || slices.Contains(strings.Split(*only, ","), script)
		if !wanted {
			continue
		}
		var out [2][]byte
		for i, d := range sides {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			out[i], err = d.run(ctx, s, script)
			cancel()
			if err != nil {
				t.Errorf("%s: %s: %v", d.name, script, err)
			}
		}
		reason, listed := reasons[script]
		switch equal := bytes.Equal(out[0], out[1]); {
		case equal && listed:
			t.Errorf("%s is the same, so it need not be explained: %s", script, reason)
		case equal:
			same++
		case !listed:
			t.Errorf("%s differs: %s", script, first(out[0], out[1]))
		default:
			t.Logf("%s differs: %s", script, reason)
		}
		if *keep != "" && !bytes.Equal(out[0], out[1]) {
			for i, d := range sides {
				if err := os.WriteFile(filepath.Join(*keep, script+"."+d.name), out[i], 0o600); err != nil {
					t.Error(err)
				}
			}
		}
	}
	t.Logf("%d scripts are the same", same)
	if same == 0 {
		t.Error("no script is the same")
	}
}

// first is where two outputs begin to differ.
func first(want, got []byte) string {
	a, b := bytes.Split(want, []byte("\n")), bytes.Split(got, []byte("\n"))
	for i := range a {
		if i >= len(b) || !bytes.Equal(a[i], b[i]) {
			end := func(lines [][]byte) string {
				return string(bytes.Join(lines[min(i, len(lines)):min(i+3, len(lines))], []byte("\n")))
			}
			return "\ndirect:\n" + end(a) + "\nthrough Scopewire:\n" + end(b)
		}
	}
	return "there is more of it"
}
