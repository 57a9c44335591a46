package session_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// asker is an authorizer that allows what it would allow anyway once its questions are
// answered.
type asker struct {
	*judge
	mu sync.Mutex
	// probes are what it asks about a text, endless texts again and again.
	probes  map[string][]*authzv1.Probe
	endless string
	// requests are those it was sent.
	requests []*decide.Request
}

func (a *asker) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := a.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	text := string(req.Text)
	kept := *req
	kept.Text = []byte(text)
	a.requests = append(a.requests, &kept)
	if probes := a.probes[text]; len(probes) > 0 && (len(req.Answers) == 0 || text == a.endless) {
		d.Verdict, d.Probes = authzv1.Verdict_VERDICT_PROBE, probes
		return d, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		d.Statements = append(d.Statements, ownStatement(strings.TrimSpace(part)))
	}
	return d, nil
}

// last is the last request for a text, and how many there were.
func (a *asker) last(text string) (*decide.Request, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var last *decide.Request
	n := 0
	for _, req := range a.requests {
		if string(req.Text) == text {
			last, n = req, n+1
		}
	}
	return last, n
}

func newAsker(t *testing.T, probes map[string][]*authzv1.Probe) (*rig, *asker, string) {
	t.Helper()
	a := &asker{probes: probes}
	database := dbname(t)
	r := newRig(t, database, func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			a.judge = j
		}
		deps.Authorizer = a
	})
	return r, a, database
}

// TestProbe: a question is asked in the client's session, in its transaction, and the
// client hears nothing of it; its answer goes with the request and the next one.
func TestProbe(t *testing.T) {
	r, asked, _ := newAsker(t, map[string][]*authzv1.Probe{"SELECT 1": {relation("pg_temp", "own"), relation("public", "t"), relation("public", "none")}})
	c := r.client
	wantLines(t, c.run(q("CREATE TEMP TABLE own (id int)")), "CommandComplete CREATE TABLE", "ReadyForQuery I")
	wantLines(t, c.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	req, n := asked.last("SELECT 1")
	if n != 2 || len(req.Answers) != 3 || req.AnswersKey == "" {
		t.Fatalf("%d requests, answers %v", n, req.Answers)
	}
	if diff := cmp.Diff([]string{"_own", "own"}, req.Context.GetTemporaryRelations()); diff != "" {
		t.Error(diff)
	}
	for i, want := range []string{`"Name" : "own"`, `"Name" : "t"`, ""} {
		if a := req.Answers[i]; a.GetExists() != (want != "") || !strings.Contains(string(a.GetDescription()), want) {
			t.Errorf("answer %d: %v", i, a)
		}
	}
	generation := req.Context.GetGeneration()
	// Kept through a transaction that changes nothing.
	c.run(q("BEGIN"), q("SELECT 2"), q("ROLLBACK"), prep("", "SELECT 1"), bind("", ""), exec(""), syn)
	if req, n = asked.last("SELECT 1"); n != 3 || len(req.Answers) != 3 || req.Context.GetGeneration() != generation {
		t.Errorf("%d requests, %v", n, req)
	}
	// Each of these may have changed what the answers say.
	for _, text := range []string{"CREATE TEMP TABLE more (id int)", "CREATE TABLE own2 (id int)", "DO 'BEGIN END'", "DROP TABLE more", "DISCARD TEMP"} {
		_, before := asked.last("SELECT 1")
		c.run(q("SELECT 1"), q(text), q("SELECT 'after'"), q("SELECT 1"))
		if req, _ := asked.last("SELECT 'after'"); len(req.Answers) > 0 {
			t.Errorf("%s: answered before it", text)
		}
		if req, n := asked.last("SELECT 1"); n != before+3 || len(req.Answers) != 3 {
			t.Errorf("%s: %d requests, %v", text, n-before, req.Answers)
		}
	}
}

// TestProbeInTransactions: a question sees what the transaction has done, and its
// answer goes with the savepoint it was given behind.
func TestProbeInTransactions(t *testing.T) {
	r, asked, _ := newAsker(t, map[string][]*authzv1.Probe{"SELECT 1": {relation("public", "made")}})
	c := r.client
	exists := func(what string, want bool, script ...string) {
		t.Helper()
		for _, text := range append(script, "SELECT 1") {
			if got := c.run(q(text)); strings.Contains(strings.Join(got, " "), "ErrorResponse") {
				t.Errorf("%s: %v", what, got)
			}
		}
		req, _ := asked.last("SELECT 1")
		if len(req.Answers) != 1 || req.Answers[0].GetExists() != want {
			t.Errorf("%s: %v", what, req.Answers)
		}
	}
	exists("before", false)
	exists("made", true, "BEGIN", "SAVEPOINT a", "CREATE TABLE made (id int)")
	exists("rolled back to", false, "ROLLBACK TO a")
	exists("made again", true, "CREATE TABLE made (id int)")
	exists("ended", false, "ROLLBACK")
	exists("committed", true, "BEGIN", "CREATE TABLE made (id int)", "COMMIT")
	exists("dropped", false, "BEGIN", "DROP TABLE made")
	exists("not dropped", true, "ROLLBACK")
	// In one pipeline; with an error behind it nothing of it has been.
	c.run(prep("", "DROP TABLE made"), bind("", ""), exec(""), prep("", "SELECT 1"), bind("", ""), exec(""), prep("", "SELECT 1/0"), bind("", ""), exec(""), syn)
	if req, _ := asked.last("SELECT 1"); len(req.Answers) != 1 || req.Answers[0].GetExists() {
		t.Errorf("in the pipeline: %v", req.Answers)
	}
	exists("behind the pipeline", true)
}

// TestProbesThatCannotBeAnswered: whatever is wrong with a question or its answer, the
// statement is refused and does not reach the server, and the session lives on.
func TestProbesThatCannotBeAnswered(t *testing.T) {
	own := []*authzv1.Probe{relation("pg_temp", "own")}
	r, asked, database := newAsker(t, map[string][]*authzv1.Probe{
		"SELECT 'endless'": own, "SELECT 'wrong'": {{Kind: authzv1.ProbeKind_PROBE_KIND_UNSPECIFIED}}, "SELECT 'failing'": own, "SELECT 'long'": {relation("pg_temp", "long")},
	})
	asked.endless = "SELECT 'endless'"
	c := r.client
	refused := func(text, sqlstate string) {
		t.Helper()
		wantLines(t, c.run(q(text)), "ErrorResponse ERROR "+sqlstate+" *", "ReadyForQuery I")
		wantLines(t, c.run(prep("", text), bind("", ""), exec(""), syn), "ErrorResponse ERROR "+sqlstate+" *", "ReadyForQuery I")
		c.run(q("BEGIN"), q("SELECT 'snapshot'"))
		wantLines(t, c.run(q(text)), "ErrorResponse ERROR "+sqlstate+" *", "ReadyForQuery E")
		wantLines(t, c.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
		if r.received(text) {
			t.Errorf("the server was sent %s", text)
		}
		wantLines(t, c.run(q("SELECT 2")), "RowDescription 1", "DataRow 2", "CommandComplete SELECT 1", "ReadyForQuery I")
	}
	refused("SELECT 'endless'", "57P03")
	if _, n := asked.last("SELECT 'endless'"); n != 3*4 {
		t.Errorf("%d requests for one that authz asks about without end", n)
	}
	refused("SELECT 'wrong'", "57P03")
	// Longer than authz would take.
	c.run(q("DO $$BEGIN EXECUTE 'CREATE TEMP TABLE long (a int)'; FOR i IN 1..9 LOOP " +
		"EXECUTE format('ALTER TABLE long ADD COLUMN c%s text DEFAULT repeat(%L, 1)', i, repeat('a', 500000)); END LOOP; END$$"))
	refused("SELECT 'long'", "54000")
	c.run(q("DISCARD TEMP"))
	// An error in the question: a role that may not read the catalog.
	plain := direct(t, database)
	plain.run(q("DO 'BEGIN CREATE ROLE context_other; EXCEPTION WHEN duplicate_object THEN NULL; END'"), q("REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC"))
	c.run(q("SET ROLE context_other"))
	refused("SELECT 'failing'", "57P03")
	wantLines(t, c.run(prep("", "SELECT 3"), bind("", ""), exec(""), prep("", "SELECT 'failing'"), bind("", ""), exec(""), syn),
		"ParseComplete", "BindComplete", "DataRow 3", "CommandComplete SELECT 1", "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
	c.run(q("RESET ROLE"))
	wantLines(t, c.run(q("SELECT 'failing'")), "RowDescription 1", "DataRow failing", "CommandComplete SELECT 1", "ReadyForQuery I")
}

// TestCancelHitsProbe: a client's cancel that finds the server busy with a question ends
// the question, and the statement that waits for it.
func TestCancelHitsProbe(t *testing.T) {
	r, _, database := newAsker(t, map[string][]*authzv1.Probe{"SELECT 'held'": {relation("pg_temp", "v")}})
	c := r.client
	c.run(q("CREATE TEMP VIEW v AS SELECT id FROM t"))
	locker, watcher := direct(t, database), direct(t, database)
	locker.run(q("BEGIN"), q("LOCK TABLE t"))
	c.send(q("SELECT 'held'"))
	for waiting := false; !waiting; {
		waiting = strings.Contains(strings.Join(watcher.run(q("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")), " "), "DataRow 1")
	}
	r.session.Cancel()
	wantLines(t, c.until(1), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
	locker.run(q("ROLLBACK"))
	wantLines(t, c.run(q("SELECT 'held'")), "RowDescription 1", "DataRow held", "CommandComplete SELECT 1", "ReadyForQuery I")
}

// TestProbeBeforeTheFirstSnapshot: in a transaction block that has taken no snapshot
// nothing is asked for what takes none; what was asked before it began serves there.
func TestProbeBeforeTheFirstSnapshot(t *testing.T) {
	probes := map[string][]*authzv1.Probe{}
	for _, text := range []string{"BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT 1", "LOCK TABLE pg_temp.own"} {
		probes[text] = []*authzv1.Probe{relation("pg_temp", "own")}
	}
	r, asked, database := newAsker(t, probes)
	c := r.client
	c.run(q("CREATE TEMP TABLE own (id int)"))
	script := []pgproto3.FrontendMessage{q("BEGIN"), q("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), q("SELECT 1"), q("COMMIT")}
	wantLines(t, c.run(script...), "CommandComplete BEGIN", "ReadyForQuery T", "CommandComplete SET", "ReadyForQuery T",
		"RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery T", "CommandComplete COMMIT", "ReadyForQuery I")
	if _, n := asked.last("SELECT 1"); n != 1 {
		t.Errorf("asked %d times for what was known", n)
	}
	// Somebody changes the catalog in between: what was asked holds no longer.
	c.run(q("BEGIN"))
	r.fence.Observe(&authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{database: 1}})
	wantLines(t, c.run(q("LOCK TABLE pg_temp.own")), "CommandComplete LOCK TABLE", "ReadyForQuery T")
	wantLines(t, c.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
	// A question would take the one snapshot there is before the lock.
	for i, begin := range []string{"BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"} {
		c.run(q(begin))
		r.fence.Observe(&authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{database: 10 + uint64(i)}})
		wantLines(t, c.run(q("LOCK TABLE pg_temp.own")), "ErrorResponse ERROR 40001 *", "ReadyForQuery E")
		wantLines(t, c.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
	}
	// A query takes the snapshot itself, so that it can be asked for.
	c.run(q("BEGIN"), q("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
	r.fence.Observe(&authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{database: 20}})
	wantLines(t, c.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery T")
	wantLines(t, c.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
	wantLines(t, c.run(script...)[:2], "CommandComplete BEGIN", "ReadyForQuery T")
	// Behind the first snapshot it can be asked again.
	c.run(q("BEGIN"), q("SELECT 2"))
	r.fence.Observe(&authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{database: 30}})
	wantLines(t, c.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery T")
}

// TestProbeOfTheSession: what the whole session sees is asked without a name.
func TestProbeOfTheSession(t *testing.T) {
	r, asked, _ := newAsker(t, map[string][]*authzv1.Probe{"SELECT 1": {{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION}}})
	r.client.run(q("CREATE TEMP TABLE own (id int)"))
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	if req, _ := asked.last("SELECT 1"); len(req.Answers) != 1 || !req.Answers[0].GetExists() || !strings.Contains(string(req.Answers[0].GetDescription()), "own") {
		t.Errorf("%v", req.Answers)
	}
}

// TestProbesLeaveCompilation: questions are asked without JIT, and the client's setting is
// what it was, at each moment of its transaction and behind it.
func TestProbesLeaveCompilation(t *testing.T) {
	r, _, _ := newAsker(t, map[string][]*authzv1.Probe{"SELECT 1": {relation("public", "none")}})
	c := r.client
	for _, tt := range []struct {
		want   string
		script []string
	}{
		{"on", []string{"SELECT 1"}},
		{"on", []string{"BEGIN", "CREATE TABLE made1 (id int)", "SELECT 1"}},
		{"on", []string{"COMMIT"}},
		{"off", []string{"BEGIN", "SET LOCAL jit = off", "CREATE TABLE made2 (id int)", "SELECT 1"}},
		{"on", []string{"COMMIT"}},
		{"off", []string{"SET jit = off", "BEGIN", "SET jit = on", "CREATE TABLE made3 (id int)", "SELECT 1", "ROLLBACK"}},
		{"on", []string{"BEGIN", "SET jit = on", "CREATE TABLE made4 (id int)", "SELECT 1"}},
		{"on", []string{"SAVEPOINT s", "CREATE TABLE made5 (id int)", "SELECT 1", "ROLLBACK TO s", "COMMIT"}},
	} {
		for _, text := range tt.script {
			if got := c.run(q(text)); strings.Contains(strings.Join(got, " "), "ErrorResponse") {
				t.Errorf("%s: %v", text, got)
			}
		}
		wantLines(t, c.run(q("SHOW jit")), "RowDescription 1", "DataRow "+tt.want, "CommandComplete SHOW", "ReadyForQuery "+string(status(tt.script)))
	}
}

// status is the transaction's state behind a script.
func status(script []string) byte {
	state := byte('I')
	for _, text := range script {
		switch text {
		case "BEGIN", "SAVEPOINT s":
			state = 'T'
		case "COMMIT", "ROLLBACK":
			state = 'I'
		}
	}
	return state
}
