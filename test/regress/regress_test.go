package regress

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
)

var (
	whole = flag.Bool("whole", false, "run the whole suite")
	only  = flag.String("only", "boolean,char,text,int2,float4,enum,txid,numerology,strings,expressions,insert_conflict,create_schema,create_type,constraints,namespace,prepare", "run these scripts of the suite, separated by commas")
	keep  = flag.String("output", "", "the folder in which the outputs of scripts that differ are left")
	show  = flag.Int("show", 3, "how many differences of a script are printed")
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds one script.
const patience = 20 * time.Minute

// TestSuite compares what psql prints for each script of the suite with and without
// Scopewire. A script needs what those before it made, so that all run on both sides,
// and one side's failure does not end the other.
func TestSuite(t *testing.T) {
	s := prepare(t)
	scripts, err := s.scripts()
	if err != nil {
		t.Fatal(err)
	}
	known, err := loadExplanations(explainedFile)
	if err != nil {
		t.Fatal(err)
	}
	if *whole && len(scripts) != known.Schedule {
		t.Errorf("the schedule has %d scripts, and not %d", len(scripts), known.Schedule)
	}
	plain := world(t, false, "")
	scope, err := everything(t.Context(), plain.Postgres.ConnString("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	through := world(t, true, scope)
	sides := []side{direct(t, plain, s), proxied(t, through, s)}
	var same, explained, failed []string
	for _, script := range scripts {
		if !*whole && script != "test_setup" && !slices.Contains(strings.Split(*only, ","), script) {
			continue
		}
		out, took := both(t, s, sides, script)
		t.Logf("%s: %v without Scopewire, %v through it", script, took[0].Round(10*time.Millisecond), took[1].Round(10*time.Millisecond))
		out[1] = reasons(t, through, out[1])
		all, err := hunks(t.Context(), t.TempDir(), out[0], out[1])
		if err != nil {
			t.Fatal(err)
		}
		rest, off := unexplained(all, known.Scripts[script])
		for i, h := range rest {
			if i < *show {
				t.Errorf("%s differs: %s", script, h)
			}
		}
		for _, o := range off {
			t.Errorf("%s is explained otherwise: %s", script, o)
		}
		switch {
		case len(rest)+len(off) > 0:
			failed = append(failed, script)
			t.Errorf("%s: %d differences, %d of them without an explanation", script, len(all), len(rest))
		case len(all) > 0:
			explained = append(explained, script)
		default:
			same = append(same, script)
		}
		if *keep != "" && len(all) > 0 {
			leave(t, script, out)
		}
	}
	t.Logf("%d scripts are the same: %s", len(same), strings.Join(same, " "))
	t.Logf("%d scripts differ where it is explained: %s", len(explained), strings.Join(explained, " "))
	t.Logf("%d scripts differ elsewhere: %s", len(failed), strings.Join(failed, " "))
	if len(same) == 0 {
		t.Error("no script is the same")
	}
}

// both runs a script on both sides at a time: they have nothing in common.
func both(t *testing.T, s suite, sides []side, script string) (out [2][]byte, took [2]time.Duration) {
	t.Helper()
	var wait sync.WaitGroup
	for i, d := range sides {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			defer func() { took[i] = time.Since(start) }()
			var err error
			if out[i], err = d.run(ctx, s, script); err != nil {
				t.Errorf("%s: %s: %v", d.name, script, err)
			}
		})
	}
	wait.Wait()
	return out, took
}

// reasons puts what the audit log says of each denial in its reference's place.
func reasons(t *testing.T, w *demo.World, out []byte) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return reference.ReplaceAllFunc(out, func(found []byte) []byte {
		ev, err := w.Event(ctx, string(bytes.TrimPrefix(found, []byte("Reference: "))))
		if err != nil {
			t.Error(err)
			return found
		}
		reason := strings.ToLower(strings.TrimPrefix(ev.GetEvent().GetReason().String(), "REASON_"))
		return []byte("Reference: " + reason + ": " + ev.GetEvent().GetReasonDetail())
	})
}

// leave writes what both sides gave to a folder.
func leave(t *testing.T, script string, out [2][]byte) {
	t.Helper()
	if err := os.MkdirAll(*keep, 0o755); err != nil { //nolint:gosec // G301: a person reads them.
		t.Error(err)
		return
	}
	for i, name := range []string{"direct", "proxied"} {
		if err := os.WriteFile(filepath.Join(*keep, script+"."+name), out[i], 0o600); err != nil {
			t.Error(err)
		}
	}
}
