package oracle

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/pgtest"
)

var (
	suiteScripts = flag.String("scripts", "test_setup,boolean,int4,strings,case,insert_conflict", "scripts of the suite to judge, in this order; all runs the whole schedule")
	suiteShow    = flag.String("outcome", "", "an outcome whose statements are printed in full")
)

// TestSuiteJudged has the statements of PostgreSQL's regression suite judged one by one
// while the suite runs: with everything granted nothing that the server accepts is
// denied, but for the reasons of testdata/suite.yaml.
func TestSuiteJudged(t *testing.T) {
	dir, err := SuiteDir()
	if err != nil {
		t.Fatal(err)
	}
	suite := Suite{Dir: dir}
	if !suite.Present() {
		t.Skipf("PostgreSQL's regression suite is not in %s; scripts/oracle-tools fetches it", dir)
	}
	rules, err := LoadRules("testdata/suite.yaml")
	if err != nil {
		t.Fatal(err)
	}
	scripts := strings.Split(*suiteScripts, ",")
	if *suiteScripts == "all" {
		if scripts, err = suite.Judgeable(); err != nil {
			t.Fatal(err)
		}
	}
	server := pgtest.Start(t, pgtest.Setting("max_prepared_transactions", "2"))
	j, err := NewSuiteJudge(t.Context(), server.ConnString(pgtest.NewDatabaseOn(t, server, "")), suite, rules)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, classes, shown := map[Outcome]int{}, map[string]int{}, 0
	start := time.Now()
	for _, script := range scripts {
		err := j.Script(t.Context(), script, func(c SuiteCase) {
			outcomes[c.Outcome]++
			switch c.Outcome {
			case Same, Lost:
			case OtherError:
				classes[string(c.Outcome)+": "+c.Server.State+", "+string(c.Verdict.Reason)]++
			default:
				classes[string(c.Outcome)+": "+c.Rule+": "+string(c.Verdict.Reason)+": "+kindOf(c.Verdict.Detail)]++
			}
			if c.Outcome.Failing() {
				if shown++; shown <= *limit {
					t.Error(c)
				} else {
					t.Fail()
				}
			} else if *suiteShow == string(c.Outcome) {
				t.Log(c)
			}
		})
		if err != nil {
			t.Errorf("%s: %v", script, err)
		}
		t.Logf("%s, after %s", script, time.Since(start).Round(time.Second))
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	for _, o := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%6d %s", outcomes[o], o)
	}
	for _, c := range slices.SortedFunc(maps.Keys(classes), func(a, b string) int { return classes[b] - classes[a] }) {
		t.Logf("%6d %s", classes[c], c)
	}
	if outcomes[Same] == 0 {
		t.Error("nothing was judged")
	}
}
