package session_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// tokenLife and grace are what sessions of these tests have.
const (
	tokenLife = 2 * time.Second
	grace     = time.Minute
)

// minder is the judge with what authz says of ROLLBACK and of new tokens. A token names
// its subject up to its first dot, and lives a minute.
type minder struct {
	*judge
	// confirm is after how long a new token is to be confirmed.
	confirm time.Duration
}

var tokenText = regexp.MustCompile(`^SET scopewire\.token = '(.*)'$`)

func (m *minder) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := m.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	effect := &authzv1.Effect{}
	found := tokenText.FindStringSubmatch(string(req.Text))
	switch {
	case found != nil:
		effect.Kind = authzv1.EffectKind_EFFECT_KIND_REFRESH
		subject, _, _ := strings.Cut(found[1], ".")
		d.Refreshed = &decide.Refreshed{Token: secret.FromString(found[1]), Expires: m.clock.Now().Add(time.Minute), ConfirmIn: m.confirm,
			Principal: &authzv1.Principal{Issuer: "https://idp.example.com", Subject: subject, Scopes: []string{"orders.read", "it's\\", "\x00';\n"}}}
	case string(req.Text) == "ROLLBACK":
		effect.Kind = authzv1.EffectKind_EFFECT_KIND_ROLLBACK
	case string(req.Text) == "ROLLBACK AND CHAIN":
		effect.Kind, effect.Chain = authzv1.EffectKind_EFFECT_KIND_ROLLBACK, true
	default:
		return d, nil
	}
	d.Statements = []*authzv1.Statement{{Kind: "set", Effects: []*authzv1.Effect{effect}}}
	return d, nil
}

// newLifeRig is a session whose token lives tokenLife on a clock that the test moves.
func newLifeRig(t *testing.T, database string, rules session.Expiry) (*rig, *manual) {
	t.Helper()
	clock := newManual()
	r := newRig(t, database, func(p *session.Params, deps *session.Deps) {
		deps.System.Clock = clock
		p.Expires = clock.Now().Add(tokenLife)
		p.Record.SetPrincipal(&authzv1.Principal{Issuer: "https://idp.example.com", Subject: "alice"}, "login")
		j, _ := deps.Authorizer.(*judge)
		j.clock = clock
		deps.Authorizer, deps.Expiry = &minder{judge: j}, rules
		deps.Fence = decide.NewFence(clock, time.Hour)
		deps.Fence.Observe(&authzv1.Epoch{Policy: j.policy})
	})
	return r, clock
}

// running sends messages that run for ten minutes and returns when they do.
func (r *rig) running(msgs ...pgproto3.FrontendMessage) []string {
	r.t.Helper()
	r.client.send(msgs...)
	var lines []string
	for {
		line, ok := r.client.receive()
		if !ok {
			r.t.Fatal(line)
		}
		if strings.HasPrefix(line, "NoticeResponse") {
			return lines
		}
		lines = append(lines, line)
	}
}

const (
	work       = "DO $$BEGIN RAISE NOTICE 'at work'; PERFORM pg_sleep(600); END$$"
	tokenEnded = "ErrorResponse ERROR 28000 the access token has expired"
)

// checkGrace: the session takes nothing but ROLLBACK, and ends with its grace.
func (r *rig) checkGrace(clock *manual, status string) {
	r.t.Helper()
	for _, sql := range []string{"SELECT 'late'", "COMMIT", "ROLLBACK AND CHAIN", "SELECT denied", "SELECT undefined"} {
		wantLines(r.t, r.client.run(q(sql)), tokenEnded, "ReadyForQuery "+status)
	}
	wantLines(r.t, r.client.run(prep("", "SELECT 'late'"), bind("", ""), exec(""), syn), tokenEnded, "ReadyForQuery "+status)
	got := r.client.run(q("ROLLBACK"))
	if n := len(got); n < 2 || got[n-2] != "CommandComplete ROLLBACK" || got[n-1] != "ReadyForQuery I" {
		r.t.Errorf("ROLLBACK in grace: %q", got)
	}
	if r.received("'late'") {
		r.t.Error("the server was sent a statement without a token")
	}
	clock.Advance(grace)
	wantLines(r.t, r.client.hold([]talk{say(gone)}), "ErrorResponse FATAL 28000 *", "END")
	if end := <-r.done; end != session.EndTokenExpired {
		r.t.Errorf("ended %q", end)
	}
	if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_TOKEN_EXPIRED)); n != 1 {
		r.t.Errorf("%d expiries recorded", n)
	}
}

// TestFault_F11: whatever a session is about when its token expires ends by the rule.
func TestFault_F11_TokenEndsAmid(t *testing.T) {
	extended := func(sql string, more ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage {
		return append([]pgproto3.FrontendMessage{prep("", sql), bind("", ""), exec("")}, more...)
	}
	for name, c := range map[string]struct {
		// begin brings the session to where the token ends; after is what the client reads or
		// does then, status the transaction's state behind it.
		begin  func(*rig)
		after  func(*rig) []string
		want   []string
		status string
	}{
		"nothing": {func(*rig) {}, func(*rig) []string { return nil }, nil, "I"},
		"a long statement": {func(r *rig) { r.running(q(work)) }, func(r *rig) []string { return r.client.until(1) },
			[]string{tokenEnded, "ReadyForQuery I"}, "I"},
		"a long statement in a transaction": {func(r *rig) { r.client.run(q("BEGIN")); r.running(q(work)) },
			func(r *rig) []string { return r.client.until(1) }, []string{tokenEnded, "ReadyForQuery E"}, "E"},
		"a long statement of the extended protocol": {func(r *rig) { r.running(extended(work, syn)...) },
			func(r *rig) []string { return r.client.until(1) }, []string{tokenEnded, "ReadyForQuery I"}, "I"},
		"a long statement without Sync": {func(r *rig) { r.running(extended(work, flush)...) },
			func(r *rig) []string { return r.client.run(syn) }, []string{tokenEnded, "ReadyForQuery I"}, "I"},
		"an open pipeline": {func(r *rig) { r.client.hold([]talk{say("CommandComplete", extended("DELETE FROM t", flush)...)}) },
			func(r *rig) []string { return r.client.run(append(extended("SELECT 'late'"), syn)...) }, []string{tokenEnded, "ReadyForQuery I"}, "I"},
		"an open cursor": {func(r *rig) { r.client.run(q("BEGIN"), q("DECLARE c CURSOR FOR SELECT 1")) },
			func(r *rig) []string { return r.client.run(q("FETCH c")) }, []string{tokenEnded, "ReadyForQuery E"}, "E"},
		"an open portal": {func(r *rig) {
			r.client.run(q("BEGIN"), prep("", "SELECT generate_series(1, 9)"), bind("", ""), &pgproto3.Execute{MaxRows: 1}, syn)
		}, func(r *rig) []string { return r.client.run(exec(""), syn) }, []string{tokenEnded, "ReadyForQuery E"}, "E"},
		"COPY FROM STDIN": {func(r *rig) {
			r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))})
			r.client.send(data("100\tx\n"))
		}, func(r *rig) []string {
			return r.client.hold([]talk{say(ready), say(ready, data("101\ty\n"), done, syn)})
		},
			[]string{tokenEnded, "ReadyForQuery I", "ReadyForQuery I"}, "I"},
		"COPY FROM STDIN, amid a message": {func(r *rig) {
			r.client.hold([]talk{say(in, q("COPY t FROM STDIN"))})
			if _, err := r.client.conn.Write(append([]byte{'d', 0, 4, 0, 4}, "100\tx"...)); err != nil {
				r.t.Error(err)
			}
		}, func(r *rig) []string {
			if _, err := r.client.conn.Write([]byte(strings.Repeat("x", 256<<10-6) + "\n")); err != nil {
				r.t.Error(err)
			}
			return r.client.hold([]talk{say(ready)})
		}, []string{tokenEnded, "ReadyForQuery I"}, "I"},
		"COPY TO STDOUT": {func(r *rig) {
			r.client.hold([]talk{say("CopyData", q("COPY (SELECT generate_series(1, 1000000000)) TO STDOUT"))})
		}, func(r *rig) []string { return r.untilNoData() }, []string{tokenEnded, "ReadyForQuery I"}, "I"},
	} {
		t.Run(name, func(t *testing.T) {
			database := dbname(t)
			r, clock := newLifeRig(t, database, session.Expiry{Grace: grace})
			c.begin(r)
			clock.Advance(tokenLife)
			if got := c.after(r); len(got) > 0 || len(c.want) > 0 {
				wantLines(t, got, c.want...)
			}
			r.checkGrace(clock, c.status)
			wantLines(t, direct(t, database).run(q("SELECT count(*) FROM t"))[1:2], "DataRow 2")
		})
	}
}

// untilNoData is until, without data.
func (r *rig) untilNoData() []string {
	for {
		line, ok := r.client.receive()
		if ok && strings.HasPrefix(line, "CopyData") {
			continue
		}
		return append([]string{line}, r.client.until(1)...)
	}
}

// TestFault_F11_LocksGoWithTheToken: an open transaction gives up its locks when the
// token ends, though its client asks nothing.
func TestFault_F11_LocksGoWithTheToken(t *testing.T) {
	database := dbname(t)
	r, clock := newLifeRig(t, database, session.Expiry{Grace: grace})
	r.client.run(q("BEGIN"), q("LOCK TABLE t"), q("INSERT INTO t VALUES (9, 'lost')"))
	clock.Advance(tokenLife)
	wantLines(t, direct(t, database).run(q("BEGIN; LOCK TABLE t; SELECT count(*) FROM t"))[3:4], "DataRow 2")
	r.checkGrace(clock, "E")
}

// TestFault_F11_Finish: where the configuration says so, the statement that runs comes to
// its end, and its transaction is lost all the same.
func TestFault_F11_Finish(t *testing.T) {
	database := dbname(t)
	r, clock := newLifeRig(t, database, session.Expiry{Grace: grace, Finish: true})
	other := direct(t, database)
	other.run(q("SELECT pg_advisory_lock(7)"))
	r.client.run(q("BEGIN"), q("INSERT INTO t VALUES (9, 'lost')"))
	r.running(q("DO $$BEGIN RAISE NOTICE 'at work'; PERFORM pg_advisory_lock(7); END$$"))
	clock.Advance(tokenLife)
	other.run(q("SELECT pg_advisory_unlock(7)"))
	wantLines(t, r.client.until(1), "CommandComplete DO", "ReadyForQuery T")
	// The transaction is aborted behind it: its lock on the row's page of t goes.
	wantLines(t, other.run(q("BEGIN; LOCK TABLE t; SELECT count(*) FROM t; COMMIT"))[3:4], "DataRow 2")
	r.checkGrace(clock, "E")
}

func TestExpiryIsTold(t *testing.T) {
	r, clock := newLifeRig(t, dbname(t), session.Expiry{Grace: grace, Notice: time.Second})
	wantLines(t, r.client.run(q("SELECT 1"))[3:], "ReadyForQuery I")
	clock.Advance(tokenLife - time.Second)
	wantLines(t, r.client.run(q("SELECT 1"))[3:], "NoticeResponse NOTICE 00000 the access token expires in 1s", "ReadyForQuery I")
	wantLines(t, r.client.run(q("SELECT 1"))[3:], "ReadyForQuery I")
}
