package oracle

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
)

var ranRuns = flag.Int("ran", 2000, "statements whose calls to look at")

// ranPerWorld is how many statements share a world of code.
const ranPerWorld = 400

// TestRan: what the server calls while it plans and runs a statement, analysis has asked
// for.
func TestRan(t *testing.T) {
	t.Logf("seed %d", *seed)
	server := pgtest.Start(t)
	var statements, judged, calls int
	leaks := map[string]int{}
	for i := range (*ranRuns + ranPerWorld - 1) / ranPerWorld {
		if err := ranWorld(t, server, i, func(found []Ran, ran int, wasJudged bool) {
			statements++
			if !wasJudged {
				return
			}
			judged++
			calls += ran
			for _, f := range found {
				leaks[f.What]++
				if leaks[f.What] <= 2 && len(leaks) <= *limit {
					t.Errorf("world %d: %s", i, f)
				}
			}
		}); err != nil {
			t.Fatalf("world %d: %v", i, err)
		}
	}
	for name, n := range leaks {
		t.Errorf("%s: %d times", name, n)
	}
	t.Logf("%d statements, %d judged, %d calls of functions", statements, judged, calls)
	if judged < statements/2 || calls < judged/2 {
		t.Errorf("too little ran to show anything")
	}
}

// ranWorld makes one world and looks at statements over it.
func ranWorld(t *testing.T, server *pgboot.Server, number int, each func(found []Ran, ran int, judged bool)) error {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(*seed, uint64(number)<<32)) //nolint:gosec // G404: repeatable, not secret.
	schema := RanWorld(random)
	d, err := Open(ctx, server.ConnString(pgtest.NewDatabaseOn(t, server, "")), schema)
	if err != nil {
		return err
	}
	defer d.Close(ctx)
	covered, err := d.readCoverage(ctx)
	if err != nil {
		return err
	}
	w, plain := newRanWriter(random, d.Model), NewWriter(random, d.Model, "")
	for range ranPerWorld {
		u := w.unit()
		if random.IntN(4) == 0 {
			u = plain.Unit()
		}
		if random.IntN(15) == 0 {
			// A new session builds what a session keeps of relations.
			d.login.close()
		}
		found, ran, judged, err := d.Unasked(ctx, covered, planSettings(random), u, random.IntN(3) == 0)
		if err != nil {
			return fmt.Errorf("%s: %w", u, err)
		}
		each(found, ran, judged)
	}
	return nil
}
