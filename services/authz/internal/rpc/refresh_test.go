package rpc

import (
	"bytes"
	"strings"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
)

func (w *world) mint(t *testing.T, subject string, life time.Duration, scopes ...string) string {
	t.Helper()
	claims := devissuer.Claims{Subject: subject, Scopes: scopes, Lifetime: life}
	if life < 0 {
		claims.Set = map[string]any{"iat": w.clock.Now().Add(2 * life).Unix()}
	}
	token, err := w.issuer.Mint(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A new token is told with the statement that brings it, however that is written; what
// is recorded of the statement does not hold it.
func TestRefresh(t *testing.T) {
	w := newWorld(t, nil)
	old, fresh := w.mint(t, "alice", time.Minute), w.mint(t, "alice", time.Hour, "orders.read")
	for _, sql := range []string{
		"SET scopewire.token = '" + fresh + "'", "set SESSION scopewire.Token TO E'" + fresh + "'; -- 'x'",
		"/* '' */ SET scopewire.token=$x$" + fresh + "$x$",
	} {
		resp := w.ask(t, request(old, sql))
		r := resp.GetRefreshed()
		if resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW || string(r.GetToken()) != fresh || r.GetPrincipal().GetSubject() != "alice" ||
			r.GetExpiresIn().AsDuration() < 59*time.Minute || resp.GetCacheability() != authzv1.Cacheability_CACHEABILITY_NONE {
			t.Errorf("%.40s: %v %s", sql, resp.GetVerdict(), resp.GetReasonDetail())
		}
		for _, part := range strings.Split(fresh, ".") {
			resp.Refreshed = nil
			if strings.Contains(resp.String(), part) {
				t.Errorf("%.40s: the answer holds a part of the token", sql)
			}
		}
	}
}

func TestRefreshIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	old := w.mint(t, "alice", time.Hour, "orders.read")
	good := w.mint(t, "alice", time.Hour)
	for name, c := range map[string]struct {
		token  string
		reason authzv1.Reason
	}{
		"of another subject":     {w.mint(t, "bob", time.Hour), authzv1.Reason_REASON_TOKEN_INVALID},
		"expired":                {w.mint(t, "alice", -time.Hour), authzv1.Reason_REASON_TOKEN_EXPIRED},
		"no token":               {"x", authzv1.Reason_REASON_TOKEN_INVALID},
		"with a signature amiss": {good[:len(good)-4] + "AAAA", authzv1.Reason_REASON_TOKEN_INVALID},
	} {
		resp := w.ask(t, request(old, "SET scopewire.token = '"+c.token+"'"))
		if resp.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE || resp.GetReason() != c.reason || resp.GetRefreshed() != nil {
			t.Errorf("%s: %v %v %s", name, resp.GetVerdict(), resp.GetReason(), resp.GetReasonDetail())
		}
		if st := resp.GetStatements(); len(st) != 1 || st[0].GetEffects()[0].GetKind() != authzv1.EffectKind_EFFECT_KIND_REFRESH {
			t.Errorf("%s: the answer does not say what was refused: %v", name, st)
		}
	}
	for _, sql := range []string{"SET LOCAL scopewire.token = '" + good + "'", "SET scopewire.token = '" + good + "'; SELECT 1", "SET scopewire.token TO DEFAULT"} {
		if resp := w.ask(t, request(old, sql)); resp.GetVerdict() != authzv1.Verdict_VERDICT_DENY || resp.GetRefreshed() != nil {
			t.Errorf("%.30s: %v", sql, resp.GetVerdict())
		}
	}
}

// TestFault_F11: behind the end of a token ROLLBACK and another token go through, whether
// the replica knows the old token or is given it, and nothing else.
func TestFault_F11_Grace(t *testing.T) {
	w := newWorld(t, nil)
	old := w.mint(t, "alice", 2*time.Second, "everything")
	if resp := w.ask(t, request(old, "SELECT * FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW {
		t.Fatal(resp)
	}
	w.clock.advance(2 * time.Second)
	w.setPolicy(t, testPolicy, 7)
	w.setCatalog(t, 3, "orders", "secrets")
	fresh := w.mint(t, "alice", time.Hour)
	forgotten := w.mint(t, "alice", -time.Second)
	forged := append([]byte(forgotten[:len(forgotten)-8]), bytes.Repeat([]byte("A"), 8)...)
	for _, token := range []string{old, forgotten} {
		for _, sql := range []string{"ROLLBACK", "abort", "SET scopewire.token = '" + fresh + "'"} {
			resp := w.ask(t, request(token, sql))
			if resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW || resp.GetTtl().AsDuration() <= 0 {
				t.Errorf("%.20s: %v %s", sql, resp.GetVerdict(), resp.GetReasonDetail())
			}
		}
		for _, sql := range []string{"SELECT 1", "COMMIT", "BEGIN", "ROLLBACK AND CHAIN", "ROLLBACK TO s", "ROLLBACK; SELECT 1", "SELECT * FROM orders", "SET work_mem = '1MB'", "SELEC"} {
			resp := w.ask(t, request(token, sql))
			if resp.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE || resp.GetReason() != authzv1.Reason_REASON_TOKEN_EXPIRED {
				t.Errorf("%s: %v %v", sql, resp.GetVerdict(), resp.GetReason())
			}
		}
	}
	for _, sql := range []string{"ROLLBACK", "SET scopewire.token = '" + fresh + "'"} {
		if resp := w.ask(t, request(string(forged), sql)); resp.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE || resp.GetReason() != authzv1.Reason_REASON_TOKEN_INVALID {
			t.Errorf("%.20s under a token that nobody signed: %v %v", sql, resp.GetVerdict(), resp.GetReason())
		}
	}
}
