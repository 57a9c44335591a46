package analyze

import (
	"context"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/chains"
)

var (
	chainRuns = flag.Int("chains", 40, "random chains to follow")
	chainSeed = flag.Uint64("chainseed", 1, "seed of the random chains")
)

// TestRandomChains: after each statement of a random chain the simulated catalog is the
// server's. A chain ends where analysis says that it cannot follow.
func TestRandomChains(t *testing.T) {
	dsn := pgtest.NewDatabase(t, chains.Schema)
	c := &followed{base: readSnapshot(t, dsn)}
	c.before = describeAll(c.base)
	var err error
	if c.conn, err = pgx.Connect(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close(context.Background()) })
	steps, ended := 0, map[string]int{}
	for i := range *chainRuns {
		r := rand.New(rand.NewPCG(*chainSeed, uint64(i))) //nolint:gosec // G404: repeatable, not secret.
		n, why := c.random(t, r)
		if steps += n; why != "" {
			ended[why]++
		}
		if t.Failed() {
			t.Fatalf("seed %d, chain %d", *chainSeed, i)
		}
	}
	t.Logf("%d steps of %d chains compared; ended by %v", steps, *chainRuns, ended)
	if steps < *chainRuns {
		t.Error("the chains are too short to say anything")
	}
}

// random follows a chain of at most eight statements that the server takes. It says how
// many were compared, and what ended it before.
func (c *followed) random(t *testing.T, r *rand.Rand) (steps int, ended string) {
	t.Helper()
	tx, err := c.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = tx.Rollback(context.Background())
		// Prepared statements outlive it.
		if _, err := c.conn.Exec(context.Background(), "DISCARD ALL"); err != nil {
			t.Fatal(err)
		}
	}()
	text := ""
	length := 2 + r.IntN(7)
	for range 60 {
		sql := chains.Statement(r)
		if !c.takes(t, tx, sql) {
			continue
		}
		text += sql + ";\n"
		a, err := c.simulated(text)
		if err != nil {
			return steps, err.Error()
		}
		if strings.HasPrefix(sql, "RELEASE") || !c.agree(t, a, c.seen(t, tx), "\n"+text) {
			return steps, ""
		}
		if steps++; steps == length {
			break
		}
	}
	return steps, ""
}

// takes runs a statement, and takes it back if it fails.
func (c *followed) takes(t *testing.T, tx pgx.Tx, sql string) bool {
	t.Helper()
	do := func(sql string) error {
		_, err := tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	if strings.Contains(sql, "SAVEPOINT") || strings.HasPrefix(sql, "RELEASE") || strings.HasPrefix(sql, "ROLLBACK") {
		// They would meet the test's own.
		return false
	}
	if err := do("SAVEPOINT test"); err != nil {
		t.Fatal(err)
	}
	if do(sql) == nil {
		return do("RELEASE test") == nil
	}
	if err := do("ROLLBACK TO test"); err != nil {
		t.Fatal(err)
	}
	return false
}
