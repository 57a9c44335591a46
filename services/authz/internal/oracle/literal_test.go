package oracle

import (
	"context"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scopewire/scopewire/internal/fingerprint/printtest"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/analyze"
)

var pairRuns = flag.Int("pairs", 2000, "pairs of statements of one fingerprint to compare")

// pairsPerWorld is how many pairs share a world, pairsPerText how many a statement.
const pairsPerWorld, pairsPerText = 5000, 5

// TestSec_T22_PairsOverWorlds: statements over random worlds, with casts, domains, views,
// rules and functions of users', are analysed as all with their fingerprints are,
// where analysis says that it has looked at no literal.
func TestSec_T22_PairsOverWorlds(t *testing.T) {
	t.Logf("seed %d", *seed)
	server := pgtest.Start(t)
	pairs, texts := 0, 0
	for world := 0; pairs < *pairRuns && !t.Failed(); world++ {
		p, n, err := pairWorld(t, server, world, min(pairsPerWorld, *pairRuns-pairs))
		if err != nil {
			t.Fatalf("world %d: %v", world, err)
		}
		pairs, texts = pairs+p, texts+n
	}
	t.Logf("%d pairs of %d statements", pairs, texts)
}

// keptKinds are the kinds of statement whose decisions are kept.
var keptKinds = []string{"select", "insert", "update", "delete"}

// pairWorld compares so many pairs over one world.
func pairWorld(t *testing.T, server *pgboot.Server, number, want int) (pairs, texts int, err error) {
	t.Helper()
	ctx := context.Background()
	random := rand.New(rand.NewPCG(*seed, uint64(number)<<32+22)) //nolint:gosec // G404: repeatable, not secret.
	d, err := Open(ctx, server.ConnString(pgtest.NewDatabaseOn(t, server, "")), World(random))
	if err != nil {
		return 0, 0, err
	}
	defer d.Close(ctx)
	const path = `"Hr", app, public`
	j, err := newJudge(d.Snapshot, path, "postgres", nil)
	if err != nil {
		return 0, 0, err
	}
	analysis := func(u Unit, text []byte) access.Analysis {
		return analyze.Analyze(analyze.Input{Text: text, Parse: u.Parse, Context: j.context}, j.snap)
	}
	for pairs < want && !t.Failed() {
		u := NewWriter(random, d.Model, path).Unit()
		base := analysis(u, []byte(u.SQL))
		if base.Outcome != access.Judge || base.Literal || slices.ContainsFunc(base.Statements, func(st access.Statement) bool { return !slices.Contains(keptKinds, st.Kind) }) {
			continue
		}
		texts++
		for range pairsPerText {
			other, ok := printtest.Vary(random.IntN, []byte(u.SQL))
			if !ok {
				break
			}
			pairs++
			if diff := cmp.Diff(base, analysis(u, other), cmpopts.IgnoreFields(access.Statement{}, "TextSHA256", "Normalised")); diff != "" {
				t.Errorf("%s\n%s\nhave one fingerprint and two analyses:\n%s", u.SQL, other, diff)
				break
			}
		}
	}
	return pairs, texts, nil
}
