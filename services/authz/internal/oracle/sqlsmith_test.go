package oracle

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
)

var (
	smithRuns = flag.Int("sqlsmith", 600, "statements of sqlsmith to compare")
	smithSeed = flag.Uint64("sqlsmith.seed", 2, "seed of sqlsmith's statements and of the worlds it reads")
)

// smithPerWorld is how many statements sqlsmith makes for one database.
const smithPerWorld = 300

// smithTimeout bounds one run of sqlsmith.
const smithTimeout = 2 * time.Minute

// TestSqlsmith compares what sqlsmith, a generator of others' making, thinks of.
func TestSqlsmith(t *testing.T) {
	program, err := exec.LookPath("sqlsmith")
	if err != nil {
		t.Skip("sqlsmith is not installed; scripts/oracle-tools installs it")
	}
	t.Logf("seed %d", *smithSeed)
	rules, err := LoadRules("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	server := pgtest.Start(t, pgtest.Setting("max_connections", "100"))
	all := newReport()
	for i := range (*smithRuns + smithPerWorld - 1) / smithPerWorld {
		if err := compareSmith(t, server, program, rules, i, all); err != nil {
			t.Errorf("world %d: %v", i, err)
		}
	}
	all.log(t)
	if all.compared() == 0 {
		t.Error("nothing was compared")
	}
	if len(all.failing) > 0 {
		keepFailing(t, server, rules, all.failing)
	}
}

func compareSmith(t *testing.T, server *pgboot.Server, program string, rules Rules, number int, all *report) error {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(*smithSeed, uint64(number)+1<<32)) //nolint:gosec // G404: repeatable, not secret.
	dsn := server.ConnString(pgtest.NewDatabaseOn(t, server, ""))
	d, err := Open(ctx, dsn, PlainWorld(random))
	if err != nil {
		return err
	}
	defer d.Close(ctx)
	roles, err := dealRoles(ctx, d, random)
	if err != nil {
		return err
	}
	statements, err := smith(ctx, program, dsn, random.Int32(), smithPerWorld)
	if err != nil {
		return err
	}
	for i, sql := range statements {
		if err := compareOne(ctx, t, random, d, roles[i%len(roles)], rules, Unit{SQL: sql}, all); err != nil {
			return err
		}
	}
	return nil
}

// smith has sqlsmith make statements over a database, without running them.
func smith(ctx context.Context, program, dsn string, seed int32, n int) ([]string, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, smithTimeout)
	defer cancel()
	target := fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s", cfg.Host, cfg.Port, cfg.User, cfg.Password, cfg.Database)
	cmd := exec.CommandContext(ctx, program, "--target="+target, "--dry-run", "--exclude-catalog", //nolint:gosec // G204: found in PATH.
		fmt.Sprintf("--max-queries=%d", n), fmt.Sprintf("--seed=%d", seed))
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	// It ends with a code of its own when it has made enough.
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		return nil, fmt.Errorf("sqlsmith: %w", err)
	}
	statements := Script(out.String())
	if len(statements) < n/2 {
		return nil, fmt.Errorf("sqlsmith made %d statements: %s", len(statements), strings.TrimSpace(messages.String()))
	}
	return statements, nil
}
