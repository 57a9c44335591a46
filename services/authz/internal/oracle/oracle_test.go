package oracle

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	runs  = flag.Int("n", 5000, "statements to compare")
	seed  = flag.Uint64("seed", 1, "seed of the random worlds, grants and statements")
	first = flag.Int("first", 0, "number of the first world, to have one again that failed late in a long run")
	keep  = flag.Bool("keep", false, "minimise what fails and keep it in testdata/found")
	limit = flag.Int("show", 25, "failures to print in full")
)

// statementsPerWorld is how many statements are written for one database.
const statementsPerWorld = 400

// rolesPerWorld is how many roles share them.
const rolesPerWorld = 8

// generosities are the chances of each right, in percent. Most roles have nearly
// everything: then one thing that is asked for too little or too much decides.
var generosities = []int{96, 93, 90, 85, 80, 60, 30, 100}

// report collects the comparisons of all workers.
type report struct {
	mu     sync.Mutex
	counts map[Class]int
	rules  map[string]int
	states map[string]int
	// details count what the rules explained, by the beginning of the detail.
	details map[string]int
	// exact counts what came of exact grants.
	exact   map[Class]int
	failing []Comparison
	total   int
	start   time.Time
}

func newReport() *report {
	return &report{counts: map[Class]int{}, rules: map[string]int{}, details: map[string]int{}, states: map[string]int{}, exact: map[Class]int{}, start: time.Now()}
}

func (r *report) add(t *testing.T, c Comparison) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[c.Class]++
	r.total++
	if c.Rule != "" {
		r.rules[c.Rule]++
		r.details[c.Rule+": "+kindOf(c.Verdict.Detail)]++
	}
	state := c.Server.State
	if state == "" {
		state = "ran"
	}
	if c.Verdict.Allow {
		state += ", allowed"
	}
	r.states[state]++
	r.fail(t, c)
	if r.total%1000 == 0 {
		t.Logf("%d statements, %d failing, %s", r.total, len(r.failing), time.Since(r.start).Round(time.Second))
	}
}

// addExact adds what became of a statement under exactly the rights that it is said
// to need.
func (r *report) addExact(t *testing.T, c Comparison) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exact[c.Class]++
	c.Origin = strings.TrimSpace("under exact grants " + c.Origin)
	r.fail(t, c)
}

// fail keeps a failure. The caller holds mu.
func (r *report) fail(t *testing.T, c Comparison) {
	if c.Class == Undecided {
		if r.counts[Undecided] <= *limit {
			t.Log(c)
		}
		return
	}
	if !c.Class.Failing() {
		return
	}
	r.failing = append(r.failing, c)
	if len(r.failing) <= *limit {
		t.Errorf("%s\n  grants:     %s", c, grantsText(c.Role.Grants))
	}
}

// grantsText is a short form of few grants, and the number of many.
func grantsText(grants []Grant) string {
	if len(grants) > 12 {
		return fmt.Sprintf("%d of them", len(grants))
	}
	var all []string
	for _, g := range grants {
		all = append(all, g.SQL("r"))
	}
	return strings.Join(all, "; ")
}

// compared is how many statements were compared.
func (r *report) compared() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

func (r *report) log(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range slices.Sorted(maps.Keys(r.counts)) {
		t.Logf("%6d %s", r.counts[c], c)
	}
	for _, c := range slices.Sorted(maps.Keys(r.exact)) {
		t.Logf("%6d %s, under exact grants", r.exact[c], c)
	}
	for _, name := range slices.Sorted(maps.Keys(r.rules)) {
		t.Logf("%6d explained: %s", r.rules[name], name)
		for _, detail := range slices.Sorted(maps.Keys(r.details)) {
			if strings.HasPrefix(detail, name+": ") && r.details[detail]*40 >= r.rules[name] {
				t.Logf("          %6d %s", r.details[detail], detail)
			}
		}
	}
	for _, state := range slices.Sorted(maps.Keys(r.states)) {
		t.Logf("%6d %s", r.states[state], state)
	}
}

// TestRandom compares random statements over random worlds.
func TestRandom(t *testing.T) {
	t.Logf("seed %d", *seed)
	rules, err := LoadRules("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	server := pgtest.Start(t, pgtest.Setting("max_connections", "100"))
	all := newReport()
	// Filled beforehand: nobody waits for workers that a server's end has ended.
	worlds := make(chan int, (*runs+statementsPerWorld-1)/statementsPerWorld)
	for i := range cap(worlds) {
		worlds <- *first + i
	}
	close(worlds)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for i := range worlds {
				if err := compareWorld(t, server, rules, i, all); err != nil {
					t.Errorf("world %d: %v", i, err)
				}
			}
		})
	}
	workers.Wait()
	all.log(t)
	if len(all.failing) > 0 {
		keepFailing(t, server, rules, all.failing)
	}
}

// kept is how many differences one run keeps: later ones are likely the same.
const kept = 12

// keepFailing minimises differences and keeps them, when asked to.
func keepFailing(t *testing.T, server *pgboot.Server, rules Rules, failing []Comparison) {
	if !*keep {
		t.Logf("run with -keep to minimise them and keep them as files")
		return
	}
	ctx := context.Background()
	empty := func() string { return server.ConnString(pgtest.NewDatabaseOn(t, server, "")) }
	var done []Comparison
	for _, c := range failing {
		if len(done) == kept || slices.ContainsFunc(done, func(other Comparison) bool { return same(c, other) }) {
			continue
		}
		done = append(done, c)
		d, err := Open(ctx, empty(), c.Schema)
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.compareAs(ctx, c.Role.Path, c.Role.Grants, rules, c.Unit)
		if err != nil || again == nil || !same(c, *again) {
			t.Errorf("a difference does not show again: %v\n%s", err, c)
			d.Close(ctx)
			continue
		}
		small, err := d.MinimiseStatement(ctx, rules, *again)
		d.Close(ctx)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := MinimiseSchema(ctx, c.Schema, rules, small, empty)
		if err != nil {
			t.Fatal(err)
		}
		name, err := FoundOf(small, schema).Save("testdata/found")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("kept as %s:\n%s\n  schema: %s", name, small, strings.Join(schema, "; "))
	}
}

// TestFound replays what was found before.
func TestFound(t *testing.T) {
	rules, err := LoadRules("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all, err := LoadFound("testdata/found")
	if err != nil {
		t.Fatal(err)
	}
	server := pgtest.Start(t, pgtest.Setting("max_connections", "100"))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		t.Run(name, func(t *testing.T) {
			d, err := Open(t.Context(), server.ConnString(pgtest.NewDatabaseOn(t, server, "")), f.Schema)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close(context.Background())
			if d.Model.Version < f.Since || f.Before > 0 && d.Model.Version >= f.Before || len(f.Minors) > 0 && !pgtest.Minors(f.Minors).In(d.Snapshot.ServerVersionNum) {
				return
			}
			if len(d.Schema) != len(f.Schema) {
				t.Errorf("%d of %d statements of the schema fail", len(f.Schema)-len(d.Schema), len(f.Schema))
			}
			for i := range f.Grants {
				if f.Grants[i].Kind == access.Database {
					f.Grants[i].Name = d.Model.Database
				}
			}
			c, err := d.compareAs(t.Context(), f.Path, f.Grants, rules, Unit{SQL: f.SQL, Parse: f.Parse, Args: f.Args, Data: f.Data})
			if err != nil || c == nil {
				t.Fatalf("no answer: %v", err)
			}
			if c.Class.Failing() || c.Server.State != f.Server || c.Verdict.Allow != f.Allowed {
				t.Errorf("%s\n%s\nwant SQLSTATE %q, allowed %v", f.About, c, f.Server, f.Allowed)
			}
		})
	}
}

// compareWorld makes one world and compares statements over it.
func compareWorld(t *testing.T, server *pgboot.Server, rules Rules, number int, all *report) error {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(*seed, uint64(number))) //nolint:gosec // G404: repeatable, not secret.
	dsn := server.ConnString(pgtest.NewDatabaseOn(t, server, ""))
	d, err := Open(ctx, dsn, World(random))
	if err != nil {
		return err
	}
	defer d.Close(ctx)
	roles, err := dealRoles(ctx, d, random)
	if err != nil {
		return err
	}
	for i := range statementsPerWorld {
		r := roles[i%len(roles)]
		u := NewWriter(random, d.Model, r.Path).Unit()
		if err := compareOne(ctx, t, random, d, r, rules, u, all); err != nil {
			return err
		}
	}
	return nil
}

// dealRoles makes the roles that share a world's statements.
func dealRoles(ctx context.Context, d *Database, random *rand.Rand) ([]*Role, error) {
	var roles []*Role
	for i := range rolesPerWorld {
		grants := Deal(random, d.Model, generosities[i%len(generosities)])
		if i == rolesPerWorld-1 {
			grants = DealAll(d.Model)
		}
		r, err := d.AddRole(ctx, pathOf(random, grants), grants)
		if err != nil {
			return nil, fmt.Errorf("role %d: %w", i, err)
		}
		roles = append(roles, r)
	}
	return roles, nil
}

// compareOne compares one statement and reports it.
func compareOne(ctx context.Context, t *testing.T, random *rand.Rand, d *Database, r *Role, rules Rules, u Unit, all *report) error {
	c, lost, err := d.Compare(ctx, r, rules, u)
	if err != nil {
		return fmt.Errorf("%s: %w", u, err)
	}
	if lost {
		return nil
	}
	c.Schema, c.Origin = d.Schema, d.Name
	all.add(t, c)
	exact, found, err := d.Exact(ctx, random, rules, c)
	if err != nil {
		return fmt.Errorf("%s: %w", u, err)
	}
	if found {
		all.addExact(t, exact)
	}
	return nil
}

// pathOf is a search_path of schemas in which something is granted: others are
// refused when they are set.
func pathOf(r *rand.Rand, grants []Grant) string {
	schemas := schemasOf(grants)
	options := []string{"", `"$user", public`, "public", "app, public", `"Hr", app`, "public, app", "pg_catalog, public", "public, pg_catalog"}
	path := options[r.IntN(len(options))]
	for _, s := range []string{"public", "app", "Hr"} {
		if !slices.Contains(schemas, s) {
			return ""
		}
	}
	return path
}
