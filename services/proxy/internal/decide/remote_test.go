package decide_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// liar is an authz over a real gRPC stream that answers as the test says.
type liar struct {
	authzv1.UnimplementedAuthorizationServiceServer

	mu sync.Mutex
	// answer makes the answers to a request; none is sent for nil. cut ends the
	// stream instead.
	answer func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse
	cut    func(n int) bool
	asked  []*authzv1.AuthorizeRequest
	watch  func(stream authzv1.AuthorizationService_WatchServer) error
}

func (l *liar) Authorize(stream authzv1.AuthorizationService_AuthorizeServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.asked = append(l.asked, req)
		if l.cut != nil && l.cut(len(l.asked)) {
			l.mu.Unlock()
			return errors.New("cut")
		}
		out := l.answer(req)
		l.mu.Unlock()
		for _, resp := range out {
			if err := stream.Send(resp); err != nil {
				return err
			}
		}
	}
}

func (l *liar) Watch(stream authzv1.AuthorizationService_WatchServer) error { return l.watch(stream) }

func (l *liar) requests() []*authzv1.AuthorizeRequest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*authzv1.AuthorizeRequest(nil), l.asked...)
}

// connect serves l in memory and returns a client of it.
func (l *liar) connect(t *testing.T) authzv1.AuthorizationServiceClient {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	srv := grpc.NewServer(grpc.WaitForHandlers(true))
	authzv1.RegisterAuthorizationServiceServer(srv, l)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:authz", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		srv.Stop()
		<-served
	})
	return authzv1.NewAuthorizationServiceClient(conn)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// remote runs a Remote in front of l.
func remote(t *testing.T, l *liar, fence *decide.Fence) *decide.Remote {
	t.Helper()
	r := decide.NewRemote(l.connect(t), fence, sys.OS().Clock, discard())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

func request(text string) *decide.Request {
	return &decide.Request{Token: secret.FromString("token"), TokenHash: sha256.Sum256([]byte("token")), Kind: decide.UnitQuery,
		Text: []byte(text), Context: &authzv1.SessionContext{Database: "app", Generation: 1}}
}

// allow is a flawless allow.
func allow(req *authzv1.AuthorizeRequest) *authzv1.AuthorizeResponse {
	return &authzv1.AuthorizeResponse{
		RequestId: req.GetRequestId(), UnitSha256: req.GetUnitSha256(), Verdict: authzv1.Verdict_VERDICT_ALLOW,
		Reason: authzv1.Reason_REASON_GRANTED, Cacheability: authzv1.Cacheability_CACHEABILITY_EXACT,
		Age: durationpb.New(0), Ttl: durationpb.New(time.Minute),
		Epoch:       &authzv1.Epoch{Policy: 5, Revocation: 3, Catalog: map[string]uint64{"app": 7}},
		Statements:  []*authzv1.Statement{{Kind: "select", Accesses: []*authzv1.Access{{Action: authzv1.Action_ACTION_SELECT}}}},
		Obligations: &authzv1.Obligations{Audit: authzv1.AuditMode_AUDIT_MODE_RECORD}, Errors: authzv1.ErrorExposure_ERROR_EXPOSURE_CLOSED,
	}
}

// unknownField is a field that no message of the contract has.
func unknownField() []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1999, protowire.VarintType), 1)
}

// lies are changes of a flawless allow, none of which may come out as an allow.
func lies() map[string]func(*authzv1.AuthorizeResponse) {
	day := func(d time.Duration) *durationpb.Duration { return durationpb.New(d) }
	type resp = authzv1.AuthorizeResponse
	lies := map[string]func(*resp){
		"digest of another unit": func(r *resp) { r.UnitSha256 = make([]byte, 32) },
		"no digest":              func(r *resp) { r.UnitSha256 = nil },
		"no verdict":             func(r *resp) { r.Verdict = 0 },
		"unknown verdict":        func(r *resp) { r.Verdict = 99 },
		"negative verdict":       func(r *resp) { r.Verdict = -1 },
		"no probe":               func(r *resp) { r.Verdict = authzv1.Verdict_VERDICT_PROBE },
		"unknown reason":         func(r *resp) { r.Reason = 99 },
		"reason of a denial":     func(r *resp) { r.Reason = authzv1.Reason_REASON_NOT_GRANTED },
		"unknown cacheability":   func(r *resp) { r.Cacheability = 99 },
		"unknown exposure":       func(r *resp) { r.Errors = 99 },
		"an error as well":       func(r *resp) { r.Error = &authzv1.StatementError{Sqlstate: "42601", Message: "m"} },
		"an empty error":         func(r *resp) { r.Error = &authzv1.StatementError{} },
		"probes as well":         func(r *resp) { r.Probes = []*authzv1.Probe{{Kind: authzv1.ProbeKind_PROBE_KIND_TYPE}} },
		"edits":                  func(r *resp) { r.Edits = []*authzv1.Edit{{Start: 0, End: 1}} },
		"row limit":              func(r *resp) { r.Obligations.RowLimit = 1 },
		"no statement timeout":   func(r *resp) { r.Obligations.StatementTimeout = day(0) },
		"a negative one":         func(r *resp) { r.Obligations.StatementTimeout = day(-time.Second) },
		"one out of range":       func(r *resp) { r.Obligations.StatementTimeout = &durationpb.Duration{Seconds: 1 << 62} },
		"counted only":           func(r *resp) { r.Obligations.Audit = authzv1.AuditMode_AUDIT_MODE_COUNT },
		"unknown audit mode":     func(r *resp) { r.Obligations.Audit = 99 },
		"no age":                 func(r *resp) { r.Age = nil },
		"negative age":           func(r *resp) { r.Age = day(-1) },
		"age out of range":       func(r *resp) { r.Age = &durationpb.Duration{Seconds: 1 << 62} },
		"age with mixed signs":   func(r *resp) { r.Age = &durationpb.Duration{Seconds: 1, Nanos: -1} },
		"no ttl":                 func(r *resp) { r.Ttl = nil },
		"negative ttl":           func(r *resp) { r.Ttl = day(-time.Second) },
		"ttl out of range":       func(r *resp) { r.Ttl = &durationpb.Duration{Seconds: 1 << 62} },
		"ttl of 2^31 nanos":      func(r *resp) { r.Ttl = &durationpb.Duration{Nanos: 1<<31 - 1} },
		"no epoch":               func(r *resp) { r.Epoch = nil },
		"no policy":              func(r *resp) { r.Epoch.Policy = 0 },
		"policy goes back":       func(r *resp) { r.Epoch.Policy = 4 },
		"revocation goes back":   func(r *resp) { r.Epoch.Revocation = 2 },
		"revocation left out":    func(r *resp) { r.Epoch.Revocation = 0 },
		"catalog goes back":      func(r *resp) { r.Epoch.Catalog["app"] = 6 },
		"catalog left out":       func(r *resp) { delete(r.Epoch.Catalog, "app") },
		"one rises, one goes back": func(r *resp) {
			r.Epoch.Policy, r.Epoch.Revocation = 6, 2
		},
		"unknown field":          func(r *resp) { r.ProtoReflect().SetUnknown(unknownField()) },
		"unknown field, deeper":  func(r *resp) { r.Statements[0].Accesses[0].ProtoReflect().SetUnknown(unknownField()) },
		"unknown field in epoch": func(r *resp) { r.Epoch.ProtoReflect().SetUnknown(unknownField()) },
		"unknown field in ttl":   func(r *resp) { r.Ttl.ProtoReflect().SetUnknown(unknownField()) },
		"unknown enum, deeper":   func(r *resp) { r.Statements[0].Accesses[0].Action = 99 },
		"unknown effect":         func(r *resp) { r.Statements[0].Effects = []*authzv1.Effect{{Kind: 99}} },
		"empty":                  func(r *resp) { id := r.RequestId; proto.Reset(r); r.RequestId = id },
	}
	for n := range authzv1.EffectKind_name {
		switch kind := authzv1.EffectKind(n); kind {
		case authzv1.EffectKind_EFFECT_KIND_UNSPECIFIED, authzv1.EffectKind_EFFECT_KIND_REFRESH:
			lies["effect "+kind.String()] = func(r *resp) {
				r.Statements = append(r.Statements, &authzv1.Statement{Effects: []*authzv1.Effect{{Kind: kind}}})
			}
		}
	}
	probes := map[string]*authzv1.Probe{
		"unspecified": {}, "unknown": {Kind: 99}, "relation without a name": {Kind: authzv1.ProbeKind_PROBE_KIND_RELATION},
		"function of an empty name": {Kind: authzv1.ProbeKind_PROBE_KIND_FUNCTION, Object: &authzv1.ObjectName{Schema: "public"}},
		"session of a name":         {Kind: authzv1.ProbeKind_PROBE_KIND_SESSION, Object: &authzv1.ObjectName{Name: "x"}},
		"objects of a name":         {Kind: authzv1.ProbeKind_PROBE_KIND_OBJECTS, Object: &authzv1.ObjectName{}},
	}
	for name, p := range probes {
		lies["probe "+name] = func(r *resp) { r.Verdict, r.Probes = authzv1.Verdict_VERDICT_PROBE, []*authzv1.Probe{p} }
	}
	lies["too many probes"] = func(r *resp) {
		r.Verdict = authzv1.Verdict_VERDICT_PROBE
		for range 17 {
			r.Probes = append(r.Probes, &authzv1.Probe{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION})
		}
	}
	return lies
}

// What is not exactly an allow never comes out as one, and the stream serves on.
func TestSec_T43_SurprisingAnswers(t *testing.T) {
	for name, lie := range lies() {
		t.Run(name, func(t *testing.T) {
			fence := decide.NewFence(sys.OS().Clock, time.Hour)
			honest := true
			l := &liar{}
			l.answer = func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
				resp := allow(req)
				if !honest {
					lie(resp)
				}
				return []*authzv1.AuthorizeResponse{resp}
			}
			r := remote(t, l, fence)
			set := func(v bool) {
				l.mu.Lock()
				defer l.mu.Unlock()
				honest = v
			}
			if d, err := r.Authorize(t.Context(), request("SELECT 1")); err != nil || !d.Allowed() || !fence.Holds(d, "app") {
				t.Fatalf("the honest answer: %v, %v", d, err)
			}
			set(false)
			if d, err := r.Authorize(t.Context(), request("SELECT 1")); err == nil {
				t.Errorf("came out as %v", d.Verdict)
			}
		})
	}
}

// Verdicts that forward nothing are what they are, whatever else is missing.
func TestVerdicts(t *testing.T) {
	for verdict, ok := range map[authzv1.Verdict]bool{authzv1.Verdict_VERDICT_DENY: true, authzv1.Verdict_VERDICT_REFUSE: true, authzv1.Verdict_VERDICT_ERROR: false} {
		l := &liar{answer: func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
			return []*authzv1.AuthorizeResponse{{RequestId: req.GetRequestId(), UnitSha256: req.GetUnitSha256(), Verdict: verdict}}
		}}
		d, err := remote(t, l, decide.NewFence(sys.OS().Clock, time.Hour)).Authorize(t.Context(), request("SELECT 1"))
		if (err == nil) != ok || err == nil && (d.Verdict != verdict || d.Allowed()) {
			t.Errorf("%v: %v, %v", verdict, d, err)
		}
	}
}

// Of a function call authz is told the function and how many arguments there are; the
// arguments stay here, but for the digest that the answer must echo.
func TestFunctionCallsKeepTheirArguments(t *testing.T) {
	var asked []byte
	var call *authzv1.FunctionCallUnit
	l := &liar{answer: func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		asked, _ = proto.Marshal(req)
		call = req.GetFunctionCall()
		return []*authzv1.AuthorizeResponse{allow(req)}
	}}
	req := request("body with an argument")
	req.Kind, req.FunctionOID, req.Arguments = decide.UnitFunctionCall, 89, 2
	d, err := remote(t, l, decide.NewFence(sys.OS().Clock, time.Hour)).Authorize(t.Context(), req)
	if err != nil || !d.Allowed() {
		t.Fatalf("%v, %v", d, err)
	}
	if call.GetFunctionOid() != 89 || call.GetArgumentCount() != 2 || bytes.Contains(asked, []byte("argument")) {
		t.Errorf("authz was asked %q", asked)
	}
	if sum := sha256.Sum256(req.Text); !bytes.Contains(asked, sum[:]) {
		t.Error("the digest is not the body's")
	}
}

// Answers with other ids, and second answers to one request, reach nobody.
func TestAnswersToNobody(t *testing.T) {
	l := &liar{answer: func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		wrong, zero, right, second := allow(req), allow(req), allow(req), allow(req)
		wrong.RequestId += 1000
		zero.RequestId = 0
		right.Verdict, right.Reason = authzv1.Verdict_VERDICT_DENY, authzv1.Reason_REASON_NOT_GRANTED
		return []*authzv1.AuthorizeResponse{wrong, zero, right, second, second}
	}}
	r := remote(t, l, decide.NewFence(sys.OS().Clock, time.Hour))
	for range 20 {
		if d, err := r.Authorize(t.Context(), request("SELECT 1")); err != nil || d.Verdict != authzv1.Verdict_VERDICT_DENY {
			t.Fatalf("%v, %v", d, err)
		}
	}
	// With wrong ids alone the request ends by its deadline.
	l.mu.Lock()
	l.answer = func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		wrong := allow(req)
		wrong.RequestId++
		return []*authzv1.AuthorizeResponse{wrong}
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if d, err := r.Authorize(ctx, request("SELECT 1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", d, err)
	}
}

// Two requests under way whose answers are swapped are errors, not each other's.
func TestSwappedAnswers(t *testing.T) {
	var held *authzv1.AuthorizeRequest
	l := &liar{}
	l.answer = func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		if held == nil {
			held = req
			return nil
		}
		a, b := allow(req), allow(held)
		a.RequestId, b.RequestId = b.RequestId, a.RequestId
		held = nil
		return []*authzv1.AuthorizeResponse{a, b}
	}
	r := remote(t, l, decide.NewFence(sys.OS().Clock, time.Hour))
	var wg sync.WaitGroup
	for _, text := range []string{"SELECT 1", "SELECT 2"} {
		wg.Go(func() {
			if d, err := r.Authorize(t.Context(), request(text)); err == nil {
				t.Errorf("%s came out as %v", text, d.Verdict)
			}
		})
	}
	wg.Wait()
}

// The token is sent only when it is asked for, once.
func TestTokenOnDemand(t *testing.T) {
	stubborn := false
	l := &liar{answer: func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		resp := allow(req)
		if len(req.GetToken()) == 0 || stubborn {
			resp.Verdict = authzv1.Verdict_VERDICT_UNKNOWN_TOKEN
		}
		return []*authzv1.AuthorizeResponse{resp}
	}}
	r := remote(t, l, decide.NewFence(sys.OS().Clock, time.Hour))
	if d, err := r.Authorize(t.Context(), request("SELECT 1")); err != nil || !d.Allowed() {
		t.Fatalf("%v, %v", d, err)
	}
	asked := l.requests()
	if len(asked) != 2 || len(asked[0].GetToken()) != 0 || string(asked[1].GetToken()) != "token" || asked[0].GetRequestId() == asked[1].GetRequestId() {
		t.Errorf("asked %v", asked)
	}
	l.mu.Lock()
	stubborn = true
	l.mu.Unlock()
	if d, err := r.Authorize(t.Context(), request("SELECT 1")); err == nil {
		t.Errorf("%v", d.Verdict)
	}
	if n := len(l.requests()); n != 4 {
		t.Errorf("%d requests", n)
	}
}

// A stream that is cut while a request is under way is opened again, and the
// request asked again, within its deadline.
func TestStreamCutMidRequest(t *testing.T) {
	l := &liar{cut: func(n int) bool { return n <= 2 }, answer: func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		return []*authzv1.AuthorizeResponse{allow(req)}
	}}
	r := remote(t, l, decide.NewFence(sys.OS().Clock, time.Hour))
	if d, err := r.Authorize(t.Context(), request("SELECT 1")); err != nil || !d.Allowed() {
		t.Errorf("%v, %v", d, err)
	}
	if n := len(l.requests()); n != 3 {
		t.Errorf("asked %d times", n)
	}
	l.mu.Lock()
	l.cut = func(int) bool { return true }
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if d, err := r.Authorize(ctx, request("SELECT 1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", d, err)
	}
}

// Without a stream there is no decision, and the caller is not kept.
func TestNoStream(t *testing.T) {
	r := decide.NewRemote((&liar{}).connect(t), decide.NewFence(sys.OS().Clock, time.Hour), sys.OS().Clock, discard())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if d, err := r.Authorize(ctx, request("SELECT 1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", d, err)
	}
}
