package oracle

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
)

var (
	regressRuns = flag.Int("regress", 1000, "statements of PostgreSQL's regression suite, as they are and bent, to compare")
	regressFile = flag.String("file", "", "the only script of the suite to use")
)

// perScript is how many statements one script of the suite gives at most, in a run
// that does not ask for many.
const perScript = 100

// TestRegress compares statements of PostgreSQL's own regression suite, and what
// becomes of them when they are bent.
func TestRegress(t *testing.T) {
	dir, err := SuiteDir()
	if err != nil {
		t.Fatal(err)
	}
	suite := Suite{Dir: dir}
	if !suite.Present() {
		t.Skipf("PostgreSQL's regression suite is not in %s; scripts/oracle-tools fetches it", dir)
	}
	t.Logf("seed %d", *seed)
	rules, err := LoadRules("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	server := pgtest.Start(t, pgtest.Setting("max_connections", "100"))
	template := regressTemplate(t, server, suite)
	files, err := suite.Files()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(*seed, 77)) //nolint:gosec // G404: repeatable, not secret.
	random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	if *regressFile != "" {
		files = []string{*regressFile}
	}
	each := max(perScript, (*regressRuns+len(files)-1)/len(files))
	all := newReport()
	// Filled beforehand: nobody waits for workers that a server's end has ended.
	next := make(chan string, len(files))
	for _, file := range files {
		next <- file
	}
	close(next)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for file := range next {
				if all.compared() >= *regressRuns {
					return
				}
				if err := compareScript(t, server, template, rules, suite, file, each, all); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		})
	}
	workers.Wait()
	all.log(t)
	if all.compared() == 0 {
		t.Error("nothing was compared")
	}
}

// regressTemplate makes the database that the scripts start from.
func regressTemplate(t *testing.T, server *pgboot.Server, suite Suite) string {
	t.Helper()
	base, err := suite.Base()
	if err != nil {
		t.Fatal(err)
	}
	name := pgtest.NewDatabaseOn(t, server, "")
	d, err := Open(t.Context(), server.ConnString(name), base)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d statements make the suite's tables", len(d.Schema), len(base))
	if len(d.Schema) < len(base)*3/4 {
		t.Error("most of the suite's tables are not there")
	}
	d.Close(context.Background())
	return name
}

func compareScript(t *testing.T, server *pgboot.Server, template string, rules Rules, suite Suite, file string, budget int, all *report) error {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(*seed, uint64(len(file))<<8|uint64(file[0]))) //nolint:gosec // G404: repeatable, not secret.
	statements, err := suite.Statements(file)
	if err != nil {
		return err
	}
	name := "r_" + strings.ReplaceAll(file, ".", "_")
	pgtest.Exec(t, server.ConnString("postgres"), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template))
	d, err := Open(ctx, server.ConnString(name), nil)
	if err != nil {
		return err
	}
	d.Name = file
	defer d.Close(ctx)
	replay := &Replay{Database: d, Random: random, Compare: func(r *Role, sql string) error {
		return compareOne(ctx, t, random, d, r, rules, Unit{SQL: sql}, all)
	}}
	return replay.Run(ctx, statements, budget)
}
