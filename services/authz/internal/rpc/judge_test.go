package rpc

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

const (
	allow        = authzv1.Verdict_VERDICT_ALLOW
	deny         = authzv1.Verdict_VERDICT_DENY
	refuse       = authzv1.Verdict_VERDICT_REFUSE
	failure      = authzv1.Verdict_VERDICT_ERROR
	unknownToken = authzv1.Verdict_VERDICT_UNKNOWN_TOKEN
)

func TestAllowedSelect(t *testing.T) {
	w := newWorld(t, nil)
	req := request(w.token(t, "orders.read"), "SELECT id FROM orders")
	req.RequestId = 1<<63 + 5
	got := w.ask(t, req)
	if age := got.GetAge().AsDuration(); age < 0 || age > time.Second {
		t.Errorf("age %s", age)
	}
	if ttl := got.GetTtl().AsDuration(); ttl != time.Minute {
		t.Errorf("ttl %s", ttl)
	}
	text := sha256.Sum256([]byte("SELECT id FROM orders"))
	orders := &authzv1.ObjectName{Kind: authzv1.ObjectKind_OBJECT_KIND_TABLE, Schema: "public", Name: "orders"}
	want := &authzv1.AuthorizeResponse{
		RequestId: 1<<63 + 5, UnitSha256: req.GetUnitSha256(), Verdict: allow, Reason: authzv1.Reason_REASON_GRANTED,
		ReasonDetail: `scopes["orders.read"][0]`,
		Statements: []*authzv1.Statement{{
			Kind: "select", Normalised: "SELECT id FROM orders", TextSha256: text[:],
			Accesses: []*authzv1.Access{{
				Action: authzv1.Action_ACTION_SELECT, Resolved: orders, Columns: []string{"id"},
				Named: &authzv1.ObjectName{Kind: authzv1.ObjectKind_OBJECT_KIND_TABLE, Name: "orders"},
			}},
		}},
		Cacheability: authzv1.Cacheability_CACHEABILITY_FINGERPRINT,
		Epoch:        &authzv1.Epoch{Policy: 7, Catalog: map[string]uint64{"app": 3}},
		Obligations:  &authzv1.Obligations{Audit: authzv1.AuditMode_AUDIT_MODE_RECORD},
		Errors:       authzv1.ErrorExposure_ERROR_EXPOSURE_OPEN,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(got, "age", "ttl")); diff != "" {
		t.Error(diff)
	}
}

func TestVerdicts(t *testing.T) {
	w := newWorld(t, nil)
	w.refresh = func(string) error { return nil }
	stream := w.open(t)
	for _, tt := range []struct {
		name, scopes, login, sql string
		verdict                  authzv1.Verdict
		reason                   authzv1.Reason
		cache                    authzv1.Cacheability
		sqlstate                 string
	}{
		{"insert", "orders.write", "app_rw", "INSERT INTO orders VALUES (1, 'x')", allow, authzv1.Reason_REASON_GRANTED, authzv1.Cacheability_CACHEABILITY_FINGERPRINT, ""},
		{"two statements", "orders.read", "app_ro", "SELECT id FROM orders; SELECT note FROM orders", allow, authzv1.Reason_REASON_GRANTED, authzv1.Cacheability_CACHEABILITY_FINGERPRINT, ""},
		{"nothing", "", "app_ro", "", allow, authzv1.Reason_REASON_GRANTED, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"transaction", "", "app_ro", "BEGIN", allow, authzv1.Reason_REASON_GRANTED, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"transaction beside a select", "orders.read", "app_ro", "BEGIN; SELECT id FROM orders", allow, authzv1.Reason_REASON_GRANTED, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"no scope", "", "app_ro", "SELECT id FROM orders", deny, authzv1.Reason_REASON_NOT_GRANTED, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"another table", "orders.read", "app_ro", "SELECT id FROM secrets", deny, authzv1.Reason_REASON_NOT_GRANTED, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"one of two denied", "orders.read", "app_ro", "SELECT id FROM orders; SELECT id FROM secrets", deny, authzv1.Reason_REASON_NOT_GRANTED, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"missing table", "orders.read", "app_ro", "SELECT id FROM nowhere", deny, authzv1.Reason_REASON_UNKNOWN_OBJECT, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"missing table under a wildcard", "everything", "app_ro", "SELECT id FROM nowhere", failure, authzv1.Reason_REASON_UNDEFINED, authzv1.Cacheability_CACHEABILITY_NONE, "42P01"},
		{"missing column under a wildcard", "everything", "app_ro", "SELECT nothing FROM orders", failure, authzv1.Reason_REASON_UNDEFINED, authzv1.Cacheability_CACHEABILITY_NONE, "42703"},
		{"syntax", "orders.read", "app_ro", "SELEC 1", failure, authzv1.Reason_REASON_SYNTAX, authzv1.Cacheability_CACHEABILITY_NONE, "42601"},
		{"kind", "everything", "app_ro", "PREPARE TRANSACTION 'x'", deny, authzv1.Reason_REASON_STATEMENT_KIND, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"definition", "everything", "app_ro", "DROP TABLE orders", deny, authzv1.Reason_REASON_NOT_GRANTED, authzv1.Cacheability_CACHEABILITY_NONE, ""},
		{"invalid UTF-8", "everything", "app_ro", "SELECT '\xff'", refuse, authzv1.Reason_REASON_ENCODING, authzv1.Cacheability_CACHEABILITY_NONE, "22021"},
		{"too deep", "everything", "app_ro", "SELECT " + strings.Repeat("(", 5000), refuse, authzv1.Reason_REASON_LIMIT, authzv1.Cacheability_CACHEABILITY_NONE, "54001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(w.token(t, strings.Fields(tt.scopes)...), tt.sql)
			req.Context.Login = tt.login
			got := stream.ask(req)
			if got.GetVerdict() != tt.verdict || got.GetReason() != tt.reason || got.GetCacheability() != tt.cache {
				t.Errorf("%v, %v (%s), %v", got.GetVerdict(), got.GetReason(), got.GetReasonDetail(), got.GetCacheability())
			}
			if got.GetError().GetSqlstate() != tt.sqlstate {
				t.Errorf("error %v", got.GetError())
			}
			if !bytes.Equal(got.GetUnitSha256(), req.GetUnitSha256()) || tt.verdict != allow && got.GetErrors() != authzv1.ErrorExposure_ERROR_EXPOSURE_CLOSED {
				t.Errorf("%v", got)
			}
			if tt.verdict != allow && got.GetTtl() != nil {
				t.Errorf("a ttl of %s for no allow", got.GetTtl().AsDuration())
			}
		})
	}
}

// TestSec_T40_MalformedRequests: whatever cannot be read is denied, and the next
// request on the stream is judged as ever.
func TestSec_T40_MalformedRequests(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token := w.token(t, "orders.read")
	for name, spoil := range map[string]func(*authzv1.AuthorizeRequest){
		"no session":        func(r *authzv1.AuthorizeRequest) { r.SessionId = nil },
		"short session":     func(r *authzv1.AuthorizeRequest) { r.SessionId = r.SessionId[:15] },
		"zero session":      func(r *authzv1.AuthorizeRequest) { r.SessionId = make([]byte, 16) },
		"long statement id": func(r *authzv1.AuthorizeRequest) { r.StatementId = append(r.StatementId, 0) },
		"no token hash":     func(r *authzv1.AuthorizeRequest) { r.TokenSha256 = nil },
		"long token hash":   func(r *authzv1.AuthorizeRequest) { r.TokenSha256 = append(r.TokenSha256, 0) },
		"no digest":         func(r *authzv1.AuthorizeRequest) { r.UnitSha256 = nil },
		"another digest":    func(r *authzv1.AuthorizeRequest) { r.UnitSha256[0] ^= 1 },
		"another text": func(r *authzv1.AuthorizeRequest) {
			r.Unit = &authzv1.AuthorizeRequest_Query{Query: []byte("SELECT note FROM orders")}
		},
		"no unit":     func(r *authzv1.AuthorizeRequest) { r.Unit = nil },
		"empty parse": func(r *authzv1.AuthorizeRequest) { r.Unit = &authzv1.AuthorizeRequest_Parse{} },
		"call of nothing": func(r *authzv1.AuthorizeRequest) {
			r.Unit = &authzv1.AuthorizeRequest_FunctionCall{FunctionCall: &authzv1.FunctionCallUnit{}}
		},
		"no context":    func(r *authzv1.AuthorizeRequest) { r.Context = nil },
		"no database":   func(r *authzv1.AuthorizeRequest) { r.Context.Database = "" },
		"probe answers": func(r *authzv1.AuthorizeRequest) { r.ProbeAnswers = []*authzv1.ProbeAnswer{{Exists: true}} },
		"everything":    func(r *authzv1.AuthorizeRequest) { proto.Reset(r) },
	} {
		t.Run(name, func(t *testing.T) {
			req := request(token, "SELECT id FROM orders")
			spoil(req)
			got := stream.ask(req)
			if got.GetVerdict() != deny || got.GetReason() != authzv1.Reason_REASON_PROTOCOL || len(got.GetStatements()) != 0 {
				t.Errorf("%v", got)
			}
			if got.GetRequestId() != req.GetRequestId() {
				t.Errorf("request %d", got.GetRequestId())
			}
			if got := stream.ask(request(token, "SELECT id FROM orders")); got.GetVerdict() != allow {
				t.Errorf("afterwards: %v", got)
			}
		})
	}
}

func TestParseUnits(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token := w.token(t, "orders.read")
	parse := func(sql string, oids ...uint32) *authzv1.AuthorizeRequest {
		req := request(token, sql)
		req.Unit = &authzv1.AuthorizeRequest_Parse{Parse: &authzv1.ParseUnit{Text: []byte(sql), ParameterTypeOids: oids}}
		return req
	}
	for _, tt := range []struct {
		name    string
		req     *authzv1.AuthorizeRequest
		verdict authzv1.Verdict
	}{
		{"one statement", parse("SELECT id FROM orders"), allow},
		{"two statements", parse("SELECT id FROM orders; SELECT id FROM orders"), failure},
		{"a foreign parameter type", parse("SELECT id FROM orders", 2205), deny},
	} {
		if got := stream.ask(tt.req); got.GetVerdict() != tt.verdict {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestSessionContextMustFit(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	for name, spoil := range map[string]func(*authzv1.SessionContext){
		"login of another scope": func(c *authzv1.SessionContext) { c.Login = "app_rw" },
		"unknown login":          func(c *authzv1.SessionContext) { c.Login = "postgres" },
		"no login":               func(c *authzv1.SessionContext) { c.Login = "" },
		"another server":         func(c *authzv1.SessionContext) { c.ServerVersionNum = 160004 },
		"no server":              func(c *authzv1.SessionContext) { c.ServerVersionNum = 0 },
		"strings with escapes":   func(c *authzv1.SessionContext) { c.Settings["standard_conforming_strings"] = "off" },
	} {
		req := request(w.token(t, "orders.read"), "SELECT id FROM orders")
		spoil(req.GetContext())
		if got := stream.ask(req); got.GetVerdict() != deny || got.GetReason() != authzv1.Reason_REASON_CONTEXT {
			t.Errorf("%s: %v", name, got)
		}
	}
	req := request(w.token(t, "orders.read"), "SELECT id FROM orders")
	req.Context.Database = "other"
	if got := stream.ask(req); got.GetVerdict() != refuse || got.GetReason() != authzv1.Reason_REASON_UNAVAILABLE {
		t.Errorf("another database: %v", got)
	}
}

// TestBrokenAnalysisNeverAllows: an analyser that panics, or says what it should
// not, ends in no allow.
func TestBrokenAnalysisNeverAllows(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token := w.token(t, "everything")
	for name, broken := range map[string]func(Unit, *catalog.Snapshot) access.Analysis{
		"panic":         func(Unit, *catalog.Snapshot) access.Analysis { panic("secret literal") },
		"runtime error": func(Unit, *catalog.Snapshot) access.Analysis { panic(errors.New("secret literal")) },
		"zero value":    func(Unit, *catalog.Snapshot) access.Analysis { return access.Analysis{} },
		"denied, but granted by reason": func(Unit, *catalog.Snapshot) access.Analysis {
			return access.Analysis{Outcome: access.Denied, Reason: access.Granted}
		},
		"unknown outcome": func(Unit, *catalog.Snapshot) access.Analysis {
			return access.Analysis{Outcome: 99, Reason: access.Granted}
		},
		"hidden without requirements": func(Unit, *catalog.Snapshot) access.Analysis {
			return access.Analysis{Outcome: access.Hidden, Reason: access.Undefined}
		},
		"unknown effect": func(Unit, *catalog.Snapshot) access.Analysis {
			return access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Kind: "begin", Effects: []access.Effect{{Kind: "levitate"}}}}}
		},
		"unknown action": func(Unit, *catalog.Snapshot) access.Analysis {
			return access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Kind: "select", Accesses: []access.Access{{
				Action: "levitate", Resolved: access.Object{Kind: access.Table, Schema: "public", Name: "orders"}}}}}}
		},
		"more than an answer can carry": func(Unit, *catalog.Snapshot) access.Analysis {
			columns := make([]string, 100_000)
			for i := range columns {
				columns[i] = "a_rather_long_column"
			}
			return access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Kind: "select", Accesses: []access.Access{{
				Action: access.Select, Columns: columns, Resolved: access.Object{Kind: access.Table, Schema: "public", Name: "orders"}}}}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.analyze.Store(&broken)
			got := stream.ask(request(token, "SELECT id FROM orders"))
			if v := got.GetVerdict(); v == allow || v == unknownToken || v == 0 {
				t.Errorf("%v", got)
			}
			if strings.Contains(got.String(), "secret literal") {
				t.Errorf("the answer quotes the panic: %v", got)
			}
			w.analyze.Store(nil)
			if got := stream.ask(request(token, "SELECT id FROM orders")); got.GetVerdict() != allow {
				t.Errorf("afterwards: %v", got)
			}
		})
	}
}

// TestSec_T40_AnswersCanBeSent: bytes that are not UTF-8, wherever analysis may
// put them, end neither the request nor the stream.
func TestSec_T40_AnswersCanBeSent(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token := w.token(t, "everything")
	const bad = "a\xff\xc3"
	object := access.Object{Kind: access.Table, Schema: "public", Name: bad, Arguments: []string{bad}}
	st := access.Statement{
		Kind: bad, Normalised: bad, Effects: []access.Effect{{Kind: access.EffectSavepoint, Name: bad}},
		Accesses: []access.Access{{Action: access.Select, Named: object, Resolved: object, Columns: []string{bad}}},
	}
	for name, analysis := range map[string]access.Analysis{
		"allowed": {Outcome: access.Judge, Statements: []access.Statement{st}},
		"denied":  {Outcome: access.Denied, Reason: access.Construct, Detail: bad, Statements: []access.Statement{st}},
		"failed":  {Outcome: access.Failed, Reason: access.Syntax, Detail: bad, Error: access.Error{SQLState: "42601", Message: bad}},
		"hidden": {Outcome: access.Hidden, Reason: access.Undefined, Detail: bad, Error: access.Error{SQLState: "42703", Message: bad},
			Requires: st.Accesses},
		"refused": {Outcome: access.Refused, Reason: access.Limit, Error: access.Error{SQLState: bad, Message: bad}},
	} {
		f := func(Unit, *catalog.Snapshot) access.Analysis { return analysis }
		w.analyze.Store(&f)
		if got := stream.ask(request(token, "SELECT id FROM orders")); got.GetVerdict() == 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestLongTextsAreAnswered: what an answer cannot carry in full is recorded by
// its digest, and the stream survives.
func TestLongTextsAreAnswered(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token := w.token(t, "orders.read")
	long := func(Unit, *catalog.Snapshot) access.Analysis {
		return access.Analysis{Outcome: access.Judge, Statements: []access.Statement{
			{Kind: "select", Normalised: strings.Repeat("x", maxAnswer/2)}, {Kind: "select", Normalised: strings.Repeat("x", maxAnswer)},
		}}
	}
	w.analyze.Store(&long)
	got := stream.ask(request(token, "SELECT id FROM orders"))
	if got.GetVerdict() != allow || len(got.GetStatements()) != 2 || got.GetStatements()[1].GetNormalised() != "" {
		t.Errorf("%v", got.GetVerdict())
	}
}

// Behind the end of a transaction that changed the context nothing is judged in the
// context from before its end.
func TestContextThatGoesBack(t *testing.T) {
	read := access.Statement{Kind: "select", Accesses: []access.Access{{Action: access.Select}}}
	constant := access.Statement{Kind: "select"}
	effect := func(kinds ...access.EffectKind) access.Statement {
		st := access.Statement{Kind: "x"}
		for _, k := range kinds {
			st.Effects = append(st.Effects, access.Effect{Kind: k})
		}
		return st
	}
	rollback, begin := effect(access.EffectRollback), effect(access.EffectBegin)
	for _, c := range []struct {
		statements        []access.Statement
		want, uncommitted bool
	}{
		{[]access.Statement{rollback, read}, true, true},
		{[]access.Statement{rollback, read}, false, false},
		{[]access.Statement{rollback, constant}, true, true},
		{[]access.Statement{read, rollback}, false, true},
		{[]access.Statement{rollback, begin}, false, true},
		{[]access.Statement{rollback, begin, read}, true, true},
		{[]access.Statement{effect(access.EffectRollbackTo), effect(access.EffectSet)}, true, true},
		{[]access.Statement{effect(access.EffectCommit), effect(access.EffectPrepare)}, true, true},
		{[]access.Statement{read, read}, false, true},
	} {
		if got := goesBack(&authzv1.SessionContext{Uncommitted: c.uncommitted}, false, c.statements); got != c.want {
			t.Errorf("%+v, uncommitted %v: %v", c.statements, c.uncommitted, got)
		}
	}
}
