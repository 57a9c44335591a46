package session_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// effects is an authorizer that allows everything, says what a text does to the
// session as authz would, and remembers the context each text was judged in.
type effects struct {
	*judge
	mu   sync.Mutex
	seen map[string]*authzv1.SessionContext
	// fresh are the texts that were to be judged by a new catalog.
	fresh []string
}

func (e *effects) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := e.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen == nil {
		e.seen = map[string]*authzv1.SessionContext{}
	}
	d.Statements = nil
	for part := range strings.SplitSeq(string(req.Text), ";") {
		st := &authzv1.Statement{Kind: "x", Accesses: []*authzv1.Access{{}}}
		if e := effectOf(strings.TrimSpace(part)); e != nil {
			tellQuery(e, req.Context)
			st.Effects, st.Accesses = []*authzv1.Effect{e}, nil
		}
		d.Statements = append(d.Statements, st)
	}
	e.seen[string(req.Text)] = req.Context
	if req.Fresh {
		e.fresh = append(e.fresh, string(req.Text))
	}
	return d, nil
}

func effectOf(text string) *authzv1.Effect {
	word := func(n int) string { return strings.Fields(text)[n] }
	for prefix, effect := range map[string]*authzv1.Effect{
		"SET search_path":       {Kind: authzv1.EffectKind_EFFECT_KIND_SET, Name: "search_path"},
		"SET LOCAL search_path": {Kind: authzv1.EffectKind_EFFECT_KIND_SET_LOCAL, Name: "search_path"},
		"SET work_mem":          {Kind: authzv1.EffectKind_EFFECT_KIND_SET, Name: "work_mem"},
		"SET ROLE":              {Kind: authzv1.EffectKind_EFFECT_KIND_SET, Name: "role"},
		"RESET ROLE":            {Kind: authzv1.EffectKind_EFFECT_KIND_RESET, Name: "role"},
		"RESET search_path":     {Kind: authzv1.EffectKind_EFFECT_KIND_RESET, Name: "search_path"},
		"RESET ALL":             {Kind: authzv1.EffectKind_EFFECT_KIND_RESET},
		"BEGIN":                 {Kind: authzv1.EffectKind_EFFECT_KIND_BEGIN},
		"COMMIT":                {Kind: authzv1.EffectKind_EFFECT_KIND_COMMIT},
		"ROLLBACK TO":           {Kind: authzv1.EffectKind_EFFECT_KIND_ROLLBACK_TO, Name: "a"},
		"RELEASE":               {Kind: authzv1.EffectKind_EFFECT_KIND_RELEASE, Name: "a"},
		"PREPARE TRANSACTION":   {Kind: authzv1.EffectKind_EFFECT_KIND_OPAQUE},
		"SET LOCAL ROLE":        {Kind: authzv1.EffectKind_EFFECT_KIND_SET_LOCAL, Name: "role"},
		"ROLLBACK":              {Kind: authzv1.EffectKind_EFFECT_KIND_ROLLBACK},
		"SAVEPOINT":             {Kind: authzv1.EffectKind_EFFECT_KIND_SAVEPOINT, Name: "a"},
		"DO":                    {Kind: authzv1.EffectKind_EFFECT_KIND_OPAQUE},
		"CREATE":                {Kind: authzv1.EffectKind_EFFECT_KIND_DDL},
		"DEALLOCATE ALL":        {Kind: authzv1.EffectKind_EFFECT_KIND_DEALLOCATE},
	} {
		if strings.HasPrefix(text, prefix) && (prefix != "ROLLBACK" || !strings.HasPrefix(text, "ROLLBACK TO")) {
			return effect
		}
	}
	switch {
	case strings.HasPrefix(text, "PREPARE"):
		return &authzv1.Effect{Kind: authzv1.EffectKind_EFFECT_KIND_PREPARE, Name: word(1), Value: []byte(text)}
	case strings.HasPrefix(text, "DEALLOCATE"):
		return &authzv1.Effect{Kind: authzv1.EffectKind_EFFECT_KIND_DEALLOCATE, Name: word(1)}
	case strings.HasPrefix(text, "DECLARE"):
		return &authzv1.Effect{Kind: authzv1.EffectKind_EFFECT_KIND_DECLARE, Name: word(1), Value: []byte(text), Hold: strings.Contains(text, "WITH HOLD")}
	case strings.HasPrefix(text, "CLOSE"):
		return &authzv1.Effect{Kind: authzv1.EffectKind_EFFECT_KIND_CLOSE, Name: word(1)}
	}
	return nil
}

// tellQuery says what an effect gives a name to.
func tellQuery(e *authzv1.Effect, c *authzv1.SessionContext) {
	for kind, word := range map[authzv1.EffectKind]string{authzv1.EffectKind_EFFECT_KIND_PREPARE: " AS ", authzv1.EffectKind_EFFECT_KIND_DECLARE: " FOR "} {
		if _, query, ok := strings.Cut(string(e.GetValue()), word); ok && e.GetKind() == kind {
			e.Query, e.SearchPath = &authzv1.ParseUnit{Text: []byte(query)}, c.GetSearchPath()
		}
	}
}

// context is what a text was judged in.
func (e *effects) context(text string) *authzv1.SessionContext {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[text]
}

func newEffects(t *testing.T) (*rig, *effects) {
	t.Helper()
	e := &effects{}
	r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			e.judge = j
		}
		deps.Authorizer = e
	})
	return r, e
}

// TestContextIsTheServers sends random statements in random pipelines. Whatever they
// do to search_path and the role, and however transactions end, each statement is
// judged in the context that the server reads it in, and the client hears what it
// would hear from the server itself.
func TestContextIsTheServers(t *testing.T) {
	rounds := 400
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		rounds = 20_000
	}
	r, judged := newEffects(t)
	plain := direct(t, dbname(t))
	for _, c := range []*wireClient{r.client, plain} {
		c.run(q("DO 'BEGIN CREATE ROLE context_other; EXCEPTION WHEN duplicate_object THEN NULL; END'"), q("CREATE SCHEMA IF NOT EXISTS other"))
	}
	random := rand.New(rand.NewPCG(7, 7))
	statements := []string{
		"BEGIN", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "SET search_path = other", "SET search_path = public, other",
		"SET search_path = nowhere", "SET LOCAL search_path = other", "RESET search_path", "RESET ALL", "SET ROLE context_other", "RESET ROLE",
		"SELECT 1/0", "SET work_mem = 100", "DO 'BEGIN SET search_path = other, pg_catalog; END'", "SELECT 1", "SET search_path = other; SELECT 1/0",
		"SET search_path = public; SET LOCAL search_path = other", "BEGIN; SET search_path = other", "SET search_path = other; ROLLBACK",
		"COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "RELEASE a", "SET LOCAL ROLE context_other", "SAVEPOINT a; SET LOCAL search_path = other; ROLLBACK TO a",
		"DO 'BEGIN SET LOCAL search_path = other; END'", "DO 'BEGIN SET search_path = other; RAISE division_by_zero; END'",
		"PREPARE x AS SELECT 1", "DEALLOCATE x", "DEALLOCATE ALL", "DECLARE c CURSOR FOR SELECT 1", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c",
		"PREPARE TRANSACTION 'none'",
	}
	checked := 0
	for round := range rounds {
		var msgs []pgproto3.FrontendMessage
		var tags []string
		// later are probes that were parsed and wait for their Bind.
		var later []string
		for range 2 + random.IntN(7) {
			text := statements[random.IntN(len(statements))]
			if random.IntN(3) == 0 {
				tag := fmt.Sprintf("tag %d %d", round, len(tags))
				tags = append(tags, tag)
				text = probe(tag)
			}
			if random.IntN(2) == 0 || strings.Contains(text, ";") && !strings.HasPrefix(text, "DO") {
				// A simple query inside a pipeline that failed is skipped on both sides, so a Sync
				// comes first.
				msgs = append(msgs, syn, q(text))
				continue
			}
			if strings.Contains(text, "tag") && random.IntN(2) == 0 {
				later = append(later, fmt.Sprintf("later %d", len(later)))
				msgs = append(msgs, closeS(later[len(later)-1]), prep(later[len(later)-1], text))
				continue
			}
			msgs = append(msgs, prep("", text), bind("", ""), exec(""))
			if random.IntN(3) == 0 {
				msgs = append(msgs, syn)
			}
		}
		msgs = append(msgs, syn)
		for _, name := range later {
			msgs = append(msgs, bind("", name), exec(""))
		}
		msgs = append(msgs, syn)
		want, got := plain.run(msgs...), r.client.run(msgs...)
		if diff := cmp.Diff(normalise(want), normalise(got)); diff != "" {
			t.Fatalf("%s\ndirect (-) and through the session (+):\n%s", spell(msgs), diff)
		}
		for _, tag := range tags {
			row := ""
			for _, line := range got {
				if strings.HasPrefix(line, "DataRow "+tag+"|") {
					row = line
				}
			}
			if row == "" {
				continue
			}
			checked++
			c := judged.context(probe(tag))
			if seen := "DataRow " + tag + "|" + c.GetSearchPath() + "|" + c.GetRole(); seen != row {
				t.Fatalf("%s\njudged in %s\nread in   %s", spell(msgs), seen, row)
			}
		}
	}
	if checked < rounds/4 {
		t.Errorf("only %d contexts were compared", checked)
	}
}

// probe is a statement that tells the context it is read in.
func probe(tag string) string {
	return fmt.Sprintf("SELECT '%s', pg_catalog.current_setting('search_path'), CURRENT_USER", tag)
}

// TestPreparedUnderAnotherContext: a statement that was judged under one search_path is
// judged again under another before it runs, and a portal under both.
func TestPreparedUnderAnotherContext(t *testing.T) {
	r, judged := newEffects(t)
	r.client.run(q("CREATE SCHEMA other"))
	text := probe("p")
	r.client.run(prep("p", text), syn)
	r.client.run(bind("", "p"), exec(""), syn)
	before := judged.count()
	r.client.run(bind("", "p"), exec(""), syn)
	if judged.count() != before {
		t.Error("a statement was judged again although nothing has moved")
	}
	r.client.run(q("SET search_path = other"))
	got := r.client.run(bind("", "p"), exec(""), syn)
	if c := judged.context(text); c.GetSearchPath() != "other" || !strings.Contains(strings.Join(got, "\n"), "DataRow p|other|") {
		t.Errorf("judged under %q, answered %v", c.GetSearchPath(), got)
	}
	// The portal is open while the path changes back.
	before = judged.count()
	r.client.run(q("BEGIN"), bind("open", "p"), syn, q("SET search_path = public"), exec("open"), syn, q("COMMIT"))
	if c := judged.context(text); c.GetSearchPath() != "public" {
		t.Errorf("the portal was judged under %q", c.GetSearchPath())
	}
	if judged.count() == before {
		t.Error("the portal was not judged again")
	}
}

// TestNamesOfSQL follows PREPARE, DEALLOCATE, DECLARE and CLOSE, and the names that the
// protocol shares with them.
func TestNamesOfSQL(t *testing.T) {
	r, judged := newEffects(t)
	c := r.client
	names := func() (prepared, cursors []string) {
		c.run(q("SELECT 'names'"))
		seen := judged.context("SELECT 'names'")
		for name := range maps.Keys(seen.GetPreparedStatements()) {
			prepared = append(prepared, name)
		}
		for name := range maps.Keys(seen.GetCursors()) {
			cursors = append(cursors, name)
		}
		return prepared, cursors
	}
	check := func(what, wantPrepared, wantCursors string) {
		t.Helper()
		prepared, cursors := names()
		if strings.Join(prepared, " ") != wantPrepared || strings.Join(cursors, " ") != wantCursors {
			t.Errorf("%s: prepared %v, cursors %v; want %q and %q", what, prepared, cursors, wantPrepared, wantCursors)
		}
	}
	c.run(q("PREPARE one AS SELECT 1"))
	check("prepared", "one", "")
	c.run(q("PREPARE one AS SELECT 2"))
	check("an error leaves what there is", "one", "")
	c.run(q("DEALLOCATE one"), q("PREPARE one AS SELECT 1"), q("DEALLOCATE ALL"))
	check("dropped", "", "")
	c.run(q("PREPARE one AS SELECT 1"), closeS("one"), syn)
	check("closed by the protocol", "", "")
	// A statement of the protocol whose name SQL takes over.
	c.run(prep("two", "SELECT 'of the protocol'"), syn, q("DEALLOCATE two"), q("PREPARE two AS SELECT 'of SQL'"))
	if got := c.run(bind("", "two"), exec(""), syn); !strings.Contains(strings.Join(got, "\n"), "DataRow of SQL") {
		t.Errorf("the name does not stand for what SQL made of it: %v", got)
	}
	check("taken over", "two", "")
	c.run(q("DEALLOCATE ALL"))
	c.run(q("BEGIN"), q("DECLARE c CURSOR FOR SELECT 1"))
	check("declared", "", "c")
	c.run(q("COMMIT"))
	check("ended with its transaction", "", "")
	c.run(q("BEGIN"), q("DECLARE h CURSOR WITH HOLD FOR SELECT 1"), q("COMMIT"))
	check("held", "", "h")
	c.run(q("CLOSE h"))
	check("closed", "", "")
}

// TestCatalogChanges: after DDL the next decision is made from a new catalog; inside
// the transaction that made it requests say that it was changed.
func TestCatalogChanges(t *testing.T) {
	r, judged := newEffects(t)
	c := r.client
	c.run(q("CREATE TABLE made (id int)"))
	c.run(q("SELECT 'after'"), q("SELECT 'later'"))
	if diff := cmp.Diff([]string{"SELECT 'after'"}, judged.fresh); diff != "" {
		t.Errorf("fresh decisions: %s", diff)
	}
	c.run(q("BEGIN"), q("CREATE TABLE more (id int)"))
	c.run(q("SELECT * FROM more"))
	if in := judged.context("SELECT * FROM more"); !in.GetAltered() || !in.GetUncommitted() {
		t.Errorf("judged in %v", in)
	}
	if got := c.run(q("ROLLBACK")); got[0] != "CommandComplete ROLLBACK" {
		t.Errorf("%v", got)
	}
	if got := c.run(q("SELECT 'again'")); got[0] != "RowDescription 1" {
		t.Errorf("%v", got)
	}
	if in := judged.context("SELECT 'again'"); in.GetAltered() || in.GetUncommitted() {
		t.Errorf("judged in %v", in)
	}
}

// TestTemporaryObjectsOfCode: what code that ran has left in the session's temporary
// schema is in the context of what follows.
func TestTemporaryObjectsOfCode(t *testing.T) {
	r, judged := newEffects(t)
	r.client.run(q("DO 'BEGIN CREATE TEMP TABLE t (id int); END'"))
	r.client.run(q("SELECT 'after'"))
	if got := judged.context("SELECT 'after'").GetTemporaryRelations(); !strings.Contains(strings.Join(got, " "), "t") {
		t.Errorf("temporary relations %v", got)
	}
}

// TestValuesOfEffectsAreNotRecorded: what a setting is set to, and what a prepared
// statement says, is in no event.
func TestValuesOfEffectsAreNotRecorded(t *testing.T) {
	r, _ := newEffects(t)
	r.client.run(q("PREPARE secret AS SELECT 'canary'"))
	intents := r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT)
	if len(intents) != 1 || len(intents[0].GetStatements()) != 1 || len(intents[0].GetStatements()[0].GetEffects()) != 1 {
		t.Fatalf("%v", intents)
	}
	if strings.Contains(intents[0].String(), "canary") {
		t.Errorf("a literal was recorded: %v", intents[0])
	}
}

// TestCatalogChangesInTransactions: the catalog is read again after the transaction that
// changed it, not before; a pipeline's transaction ends with its Sync.
func TestCatalogChangesInTransactions(t *testing.T) {
	r, judged := newEffects(t)
	c := r.client
	c.run(q("BEGIN"), q("CREATE TABLE made (id int)"), q("COMMIT"), q("SELECT 'after'"), q("SELECT 'later'"))
	if diff := cmp.Diff([]string{"SELECT 'after'"}, judged.fresh); diff != "" {
		t.Errorf("fresh decisions: %s", diff)
	}
	c.run(prep("", "CREATE TABLE more (id int)"), bind("", ""), exec(""), closeS("x"), syn)
	if got := c.run(q("SELECT 'piped'")); got[0] != "RowDescription 1" {
		t.Errorf("%v", got)
	}
}

// TestNamesThatCodeTakes: after code has run, a name stands for nothing when the code
// may have given it another text, and for what it did when not.
func TestNamesThatCodeTakes(t *testing.T) {
	r, judged := newEffects(t)
	c := r.client
	const code = "DO 'BEGIN EXECUTE ''DEALLOCATE taken''; EXECUTE ''PREPARE taken AS SELECT 2''; END'"
	c.run(q("PREPARE taken AS SELECT 1"), q("PREPARE kept AS SELECT 1"), prep("of the protocol", "SELECT 3"), syn, q(code), q("SELECT 'names'"))
	names := judged.context("SELECT 'names'").GetPreparedStatements()
	if _, ok := names["taken"]; ok || len(names) != 1 {
		t.Errorf("names %v", names)
	}
	if got := c.run(bind("", "of the protocol"), exec(""), syn); !strings.Contains(strings.Join(got, " "), "DataRow 3") {
		t.Errorf("%v", got)
	}
	c.run(q("DEALLOCATE ALL"), prep("taken", "SELECT 1"), syn, q(code))
	if got := c.run(bind("", "taken"), exec(""), syn); !strings.Contains(strings.Join(got, " "), " 26000 ") {
		t.Errorf("%v", got)
	}
	c.run(q("BEGIN"), q("SAVEPOINT a"), q("DECLARE gone CURSOR FOR SELECT 1"), q("ROLLBACK TO a"), q("DECLARE stays CURSOR FOR SELECT 1"),
		q("DO 'BEGIN END'"), q("SELECT 'cursors'"), q("COMMIT"))
	if cursors := judged.context("SELECT 'cursors'").GetCursors(); len(cursors) != 1 || cursors["stays"] == nil {
		t.Errorf("cursors %v", cursors)
	}
}
