package rpc

import (
	"strings"
	"testing"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/probe"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// saw is a request of a session whose backend was asked.
func saw(t *testing.T, w *world, sql, document string) *authzv1.AuthorizeRequest {
	t.Helper()
	req := request(w.token(t, "orders.read"), sql)
	req.Context.Altered = true
	req.ProbeAnswers = []*authzv1.ProbeAnswer{{
		Probe: &authzv1.Probe{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION}, Exists: true, Description: []byte(document),
	}}
	return req
}

// described is a document of a session of the test's server; version is its
// server_version_num.
func (w *world) described(rest string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	roles := w.snap.RolesDigest()
	return `{"Database":"app","ServerVersionNum":` + number(w.snap) + `,"Wrote":true,"Roles":"` + roles + `"` + rest + `}`
}

func number(s *catalog.Snapshot) string {
	n := s.ServerVersionNum
	digits := ""
	for ; n > 0; n /= 10 {
		digits = string(rune('0'+n%10)) + digits
	}
	return digits
}

const renamed = `,"Relations":[{"OID":20000,"Schema":"public","Name":"secrets2","Kind":114,"Owner":"owner","Columns":[{"Number":1,"Name":"id","Type":23,"Modifier":-1}]},
	{"OID":20001,"Schema":"public","Name":"orders","Kind":114,"Owner":"owner","Columns":[{"Number":1,"Name":"id","Type":23,"Modifier":-1}]}]`

// TestSessionIsAsked: where a session sees more than a snapshot shows, nothing is
// judged before its backend was asked, and nobody hears of it without a token.
func TestSessionIsAsked(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	for name, change := range map[string]func(*authzv1.SessionContext){
		"temporary": func(c *authzv1.SessionContext) { c.TemporaryRelations = []string{"orders"} },
		"altered":   func(c *authzv1.SessionContext) { c.Altered = true },
	} {
		req := request(w.token(t, "orders.read"), "SELECT id FROM orders")
		change(req.Context)
		got := stream.ask(req)
		if got.GetVerdict() != authzv1.Verdict_VERDICT_PROBE || len(got.GetProbes()) != 1 || len(got.GetStatements()) != 0 || got.GetTtl() != nil ||
			got.GetProbes()[0].GetKind() != authzv1.ProbeKind_PROBE_KIND_SESSION || got.GetProbes()[0].GetObject() != nil ||
			got.GetCacheability() != authzv1.Cacheability_CACHEABILITY_NONE || got.GetEpoch().GetCatalog()["app"] != 3 {
			t.Errorf("%s: %v", name, got)
		}
		req.Token, req.TokenSha256 = nil, make([]byte, 32)
		if got := stream.ask(req); got.GetVerdict() != unknownToken {
			t.Errorf("%s, without a token: %v", name, got)
		}
		req = request(w.token(t, "orders.read"), "SELECT id FROM orders")
		change(req.Context)
		req.Context.Login = "app_rw"
		if got := stream.ask(req); got.GetVerdict() != deny {
			t.Errorf("%s, with another login: %v", name, got)
		}
	}
}

// TestEndsNeedNoAnswer: what names nothing is judged without asking the session, which may
// not be able to answer any more.
func TestEndsNeedNoAnswer(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	for sql, want := range map[string]authzv1.Verdict{
		"COMMIT": allow, "ROLLBACK": allow, "ROLLBACK TO a": allow, "DISCARD ALL": allow, "RESET ALL": allow, "SET statement_timeout = 0": allow,
		"BEGIN":                           authzv1.Verdict_VERDICT_PROBE,
		"COMMIT; BEGIN":                   authzv1.Verdict_VERDICT_PROBE,
		"SET search_path = public":        authzv1.Verdict_VERDICT_PROBE,
		"SET CONSTRAINTS ALL DEFERRED":    authzv1.Verdict_VERDICT_PROBE,
		"SELECT 1":                        authzv1.Verdict_VERDICT_PROBE,
		"ROLLBACK; SELECT id FROM orders": authzv1.Verdict_VERDICT_PROBE,
	} {
		req := request(w.token(t, "orders.read"), sql)
		req.Context.Altered = true
		if got := stream.ask(req); got.GetVerdict() != want {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

// TestAnswersAreJudgedBy: a statement is judged by what its session sees, and by
// nothing that cannot be relied on.
func TestAnswersAreJudgedBy(t *testing.T) {
	w := newWorld(t, nil)
	w.refresh = func(string) error { return nil }
	stream := w.open(t)
	good := w.described("")
	for _, c := range []struct {
		name, sql, document string
		verdict             authzv1.Verdict
		reason              authzv1.Reason
		state               string
	}{
		{"nothing", "SELECT id FROM orders", good, allow, authzv1.Reason_REASON_GRANTED, ""},
		{"the column is gone", "SELECT note FROM orders", w.described(renamed), failure, authzv1.Reason_REASON_UNDEFINED, ""},
		{"another table has the name", "SELECT id FROM orders", w.described(renamed), allow, authzv1.Reason_REASON_GRANTED, ""},
		{"the table has another name", "SELECT id FROM secrets2", w.described(renamed), deny, authzv1.Reason_REASON_NOT_GRANTED, ""},
		{"dropped", "SELECT id FROM orders", w.described(`,"Dropped":{"Relations":[20000]}`), failure, authzv1.Reason_REASON_UNDEFINED, ""},
		{"no document", "SELECT id FROM orders", "", deny, authzv1.Reason_REASON_PROTOCOL, ""},
		{"null", "SELECT id FROM orders", "null", deny, authzv1.Reason_REASON_PROTOCOL, ""},
		{"another database", "SELECT id FROM orders", strings.Replace(good, `"app"`, `"apps"`, 1), deny, authzv1.Reason_REASON_PROTOCOL, ""},
		{"another server", "SELECT id FROM orders", strings.Replace(good, `"ServerVersionNum":1`, `"ServerVersionNum":2`, 1), deny, authzv1.Reason_REASON_PROTOCOL, ""},
		{"too long", "SELECT id FROM orders", `{"TooLong":true}`, refuse, authzv1.Reason_REASON_LIMIT, "54000"},
		{"over the limit", "SELECT id FROM orders", good + strings.Repeat(" ", probe.AnswerLimit-len(good)+1), refuse, authzv1.Reason_REASON_LIMIT, "54000"},
		{"hidden", "SELECT id FROM orders", w.described(`,"Hidden":["system"]`), refuse, authzv1.Reason_REASON_CONTEXT, "0A000"},
		{"hidden by what is not known", "SELECT id FROM orders", w.described(`,"Hidden":["moon"]`), deny, authzv1.Reason_REASON_PROTOCOL, ""},
		{"other roles", "SELECT id FROM orders", strings.Replace(good, `"Roles":"`, `"Roles":"0`, 1), refuse, authzv1.Reason_REASON_CONTEXT, "0A000"},
		{"a renamed schema", "SELECT id FROM orders", w.described(`,"Schemas":[{"OID":2200,"Name":"private"}]`), refuse, authzv1.Reason_REASON_CONTEXT, "0A000"},
		{"two of a name", "SELECT id FROM orders",
			w.described(`,"Relations":[{"OID":30000,"Schema":"public","Name":"orders","Kind":114,"Owner":"owner"}]`), refuse, authzv1.Reason_REASON_CONTEXT, "0A000"},
	} {
		got := stream.ask(saw(t, w, c.sql, c.document))
		if got.GetVerdict() != c.verdict || got.GetReason() != c.reason || c.state != "" && got.GetError().GetSqlstate() != c.state {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for name, spoil := range map[string]func(*authzv1.AuthorizeRequest){
		"two answers": func(r *authzv1.AuthorizeRequest) { r.ProbeAnswers = append(r.ProbeAnswers, r.ProbeAnswers[0]) },
		"of a name": func(r *authzv1.AuthorizeRequest) {
			r.ProbeAnswers[0].Probe.Object = &authzv1.ObjectName{Name: "orders"}
		},
		"of another kind": func(r *authzv1.AuthorizeRequest) {
			r.ProbeAnswers[0].Probe.Kind = authzv1.ProbeKind_PROBE_KIND_RELATION
		},
		"of nothing": func(r *authzv1.AuthorizeRequest) { r.ProbeAnswers[0].Exists = false },
	} {
		req := saw(t, w, "SELECT id FROM orders", good)
		spoil(req)
		if got := stream.ask(req); got.GetVerdict() != deny || got.GetReason() != authzv1.Reason_REASON_PROTOCOL {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestSnapshotCatchesUpWithAnswers: what contradicts the snapshot may be younger; it is
// read again before the request is refused.
func TestSnapshotCatchesUpWithAnswers(t *testing.T) {
	w := newWorld(t, nil)
	old := w.described(`,"Schemas":[{"OID":2200,"Name":"public"}],"Relations":[{"OID":30000,"Schema":"public","Name":"orders","Kind":114,"Owner":"owner","Columns":[{"Number":1,"Name":"id","Type":23}]}]`)
	w.refresh = func(string) error {
		w.setCatalog(t, 4, "others")
		return nil
	}
	got := w.ask(t, saw(t, w, "SELECT id FROM orders", old))
	if got.GetVerdict() != allow || got.GetEpoch().GetCatalog()["app"] != 4 {
		t.Error(got)
	}
}

// TestAnswersAboutNames: answers stand in their order, and are about names.
func TestAnswersAboutNames(t *testing.T) {
	about := func(kind authzv1.ProbeKind, name string) *authzv1.ProbeAnswer {
		return &authzv1.ProbeAnswer{Probe: &authzv1.Probe{Kind: kind, Object: &authzv1.ObjectName{Name: name}}, Exists: true, Unit: &authzv1.ParseUnit{}}
	}
	session := &authzv1.ProbeAnswer{Probe: &authzv1.Probe{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION}, Exists: true}
	statement, portal := about(authzv1.ProbeKind_PROBE_KIND_STATEMENT, "x"), about(authzv1.ProbeKind_PROBE_KIND_PORTAL, "x")
	empty := about(authzv1.ProbeKind_PROBE_KIND_PORTAL, "x")
	empty.Unit = nil
	for i, tc := range []struct {
		answers []*authzv1.ProbeAnswer
		good    bool
	}{
		{[]*authzv1.ProbeAnswer{statement, portal}, true},
		{[]*authzv1.ProbeAnswer{session, statement}, true},
		{[]*authzv1.ProbeAnswer{statement, session}, false},
		{[]*authzv1.ProbeAnswer{session, session}, false},
		{[]*authzv1.ProbeAnswer{about(authzv1.ProbeKind_PROBE_KIND_STATEMENT, "")}, false},
		{[]*authzv1.ProbeAnswer{empty}, false},
		{[]*authzv1.ProbeAnswer{about(authzv1.ProbeKind_PROBE_KIND_RELATION, "x")}, false},
	} {
		if bad := checkAnswers(tc.answers); (bad == "") != tc.good {
			t.Errorf("%d: %q", i, bad)
		}
	}
	if sessionAnswer([]*authzv1.ProbeAnswer{statement}) != nil || sessionAnswer([]*authzv1.ProbeAnswer{session, statement}) != session {
		t.Error("what the session sees is taken from another answer")
	}
}
