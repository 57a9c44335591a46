package rpc

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// login asks for a session.
func (w *world) login(t *testing.T, token, database, user string) *authzv1.AuthenticateResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	resp, err := w.client.Authenticate(ctx, &authzv1.AuthenticateRequest{
		Token: []byte(token), Database: database, User: user, SessionId: newID(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func byHash(token, sql string) *authzv1.AuthorizeRequest {
	req := request(token, sql)
	req.Token = nil
	return req
}

func TestTokenByHash(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token := w.token(t, "orders.read")
	const sql = "SELECT id FROM orders"
	if got := stream.ask(byHash(token, sql)); got.GetVerdict() != unknownToken || got.GetRequestId() != 1 || got.GetUnitSha256() == nil {
		t.Fatalf("%v", got)
	}
	if got := stream.ask(request(token, sql)); got.GetVerdict() != allow {
		t.Fatalf("%v", got)
	}
	// From any stream, and after a login as well.
	if got := w.ask(t, byHash(token, sql)); got.GetVerdict() != allow {
		t.Fatalf("%v", got)
	}
	other := w.token(t, "orders.read")
	if w.login(t, other, "app", "x").GetAuthenticated() == nil {
		t.Fatal("no login")
	}
	if got := stream.ask(byHash(other, sql)); got.GetVerdict() != allow {
		t.Fatalf("%v", got)
	}
}

func TestWrongTokens(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	good := w.token(t, "orders.read")
	mint := func(c devissuer.Claims) string {
		t.Helper()
		c.Scopes = []string{"orders.read"}
		token, err := w.issuer.Mint(c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	foreign := request(good, "SELECT id FROM orders")
	foreign.Token = []byte(w.token(t, "everything"))
	for _, tt := range []struct {
		name   string
		req    *authzv1.AuthorizeRequest
		reason authzv1.Reason
	}{
		{"not the one of the hash", foreign, authzv1.Reason_REASON_TOKEN_INVALID},
		{"garbage", request("garbage", "SELECT id FROM orders"), authzv1.Reason_REASON_TOKEN_INVALID},
		{"changed", request(good[:len(good)-4]+"AAAA", "SELECT id FROM orders"), authzv1.Reason_REASON_TOKEN_INVALID},
		{"for another audience", request(mint(devissuer.Claims{Audience: []string{"payroll"}}), "SELECT id FROM orders"), authzv1.Reason_REASON_TOKEN_INVALID},
		{"expired", request(mint(devissuer.Claims{Lifetime: -time.Second, Set: map[string]any{"iat": 1}}), "SELECT id FROM orders"), authzv1.Reason_REASON_TOKEN_EXPIRED},
	} {
		got := stream.ask(tt.req)
		if got.GetVerdict() != refuse || got.GetReason() != tt.reason {
			t.Errorf("%s: %v", tt.name, got)
		}
		for i := 0; i+12 <= len(tt.req.GetToken()); i++ {
			if strings.Contains(got.String(), string(tt.req.GetToken()[i:i+12])) {
				t.Fatalf("%s: the answer quotes the token", tt.name)
			}
		}
		if again := stream.ask(byHash(string(tt.req.GetToken()), "SELECT id FROM orders")); again.GetVerdict() != unknownToken {
			t.Errorf("%s: a refused token is remembered: %v", tt.name, again)
		}
	}
}

// TestFault_F15_ExpiryIsMonotonic: a token ends when its time has passed, and
// what counts that time does not follow the wall clock.
func TestFault_F15_ExpiryIsMonotonic(t *testing.T) {
	w := newWorld(t, nil)
	stream := w.open(t)
	token, err := w.issuer.Mint(devissuer.Claims{Lifetime: 30 * time.Second, Scopes: []string{"orders.read"}})
	if err != nil {
		t.Fatal(err)
	}
	got := stream.ask(request(token, "SELECT id FROM orders"))
	if ttl := got.GetTtl().AsDuration(); ttl <= 28*time.Second || ttl > 30*time.Second {
		t.Errorf("ttl %s of a token with 30 s left", ttl)
	}
	known := w.server.tokens.find(hash(sha256.Sum256([]byte(token))))
	if known == nil || !strings.Contains(known.who.Deadline.String(), " m=") {
		t.Fatal("the deadline has no monotonic reading")
	}
	w.clock.advance(31 * time.Second)
	w.setPolicy(t, testPolicy, 7)
	w.setCatalog(t, 3, "orders")
	got = stream.ask(byHash(token, "SELECT id FROM orders"))
	if got.GetVerdict() != refuse || got.GetReason() != authzv1.Reason_REASON_TOKEN_EXPIRED {
		t.Errorf("%v", got)
	}
	if resp := w.login(t, token, "app", "x"); resp.GetRefusal().GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_EXPIRED {
		t.Errorf("%v", resp)
	}
}

func TestAuthenticate(t *testing.T) {
	w := newWorld(t, nil)
	token, err := w.issuer.Mint(devissuer.Claims{
		Subject: "alice", ClientID: "reports", Scopes: []string{"orders.read", "orders.write"}, Lifetime: 5 * time.Minute,
		Set: map[string]any{"jti": "t-1", "act": map[string]any{"sub": "gateway", "iss": "https://other.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for user, login := range map[string]string{"app_rw": "app_rw", "app_ro": "app_ro", "somebody": "app_ro", "": "app_ro"} {
		ok := w.login(t, token, "app", user).GetAuthenticated()
		if ok.GetLogin() != login {
			t.Errorf("user %q runs as %q", user, ok.GetLogin())
		}
		if left := ok.GetExpiresIn().AsDuration(); left <= 4*time.Minute+58*time.Second || left > 5*time.Minute {
			t.Errorf("expires in %s", left)
		}
		p := ok.GetPrincipal()
		if p.GetIssuer() != testIssuer || p.GetSubject() != "alice" || p.GetClientId() != "reports" || p.GetTokenId() != "t-1" ||
			len(p.GetScopes()) != 2 || p.GetActors()[0].GetIssuer() != "https://other.example" || p.GetActors()[0].GetSubject() != "gateway" ||
			p.GetExpiresAt().AsTime().Sub(p.GetIssuedAt().AsTime()) != 5*time.Minute {
			t.Errorf("principal %v", p)
		}
		if e := ok.GetEpoch(); e.GetPolicy() != 7 || e.GetCatalog()["app"] != 3 {
			t.Errorf("epoch %v", e)
		}
	}
	wrong, err := w.issuer.Mint(devissuer.Claims{Subject: "alice", Audience: []string{"payroll"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token, database string
		reason                authzv1.AuthenticateRefusalReason
		who                   string
	}{
		{"audience", wrong, "app", authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_AUDIENCE, "alice"},
		{"garbage", "garbage", "app", authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED, ""},
		{"empty", "", "app", authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED, ""},
		{"database", token, "other", authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_DATABASE, "alice"},
		{"garbage for no database", "garbage", "other", authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED, ""},
	} {
		resp := w.login(t, tt.token, tt.database, "x")
		r := resp.GetRefusal()
		if r.GetReason() != tt.reason || r.GetUnverified().GetSubject() != tt.who || r.GetDetail() == "" {
			t.Errorf("%s: %v", tt.name, resp)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	resp, err := w.client.Authenticate(ctx, &authzv1.AuthenticateRequest{Token: []byte(token), Database: "app", SessionId: []byte("short")})
	if err != nil || resp.GetRefusal().GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED {
		t.Errorf("%v, %v", resp, err)
	}
	w.setPolicy(t, strings.Replace(testPolicy, "\n  app:\n", "\n  elsewhere:\n", 1), 8)
	if r := w.login(t, token, "app", "x").GetRefusal(); r.GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_DATABASE {
		t.Errorf("%v", r)
	}
}

// stubVerifier accepts everything until the moment in until.
type stubVerifier struct {
	until time.Time
	gone  bool
}

func (v *stubVerifier) Verify(_ context.Context, token secret.Bytes) (verify.Principal, error) {
	return verify.Principal{Subject: string(token.Expose()), Deadline: v.until}, nil
}

func (v *stubVerifier) Confirm(ctx context.Context, token secret.Bytes) (verify.Principal, error) {
	return v.Verify(ctx, token)
}

func (v *stubVerifier) Holds(verify.Principal) bool { return !v.gone }

func TestSec_T39_TokensAreBoundedAndWiped(t *testing.T) {
	clock := sys.OS().Clock
	v := &stubVerifier{until: clock.Now().Add(time.Hour)}
	known := newTokens(100, clock, v)
	for i := range 1000 {
		token := []byte("token-" + string(rune('a'+i%26)) + strings.Repeat("x", i))
		h := hash(sha256.Sum256(token))
		if _, err := known.verify(t.Context(), secret.New(token)); err != nil {
			t.Fatal(err)
		}
		if strings.Trim(string(token), "\x00") != "" {
			t.Fatalf("the token is still there: %q", token)
		}
		if known.find(h) == nil {
			t.Fatal("the newest token is not known")
		}
		if len(known.known) > 100 {
			t.Fatalf("%d tokens are remembered", len(known.known))
		}
	}
	v.gone = true
	for h := range known.known {
		if known.find(h) != nil {
			t.Fatal("a token is known whose key is not trusted any more")
		}
	}
	if len(known.known) != 0 {
		t.Errorf("%d of them are kept", len(known.known))
	}
}

func TestEvictionPrefersWhatEndsFirst(t *testing.T) {
	clock := sys.OS().Clock
	v := &stubVerifier{until: clock.Now().Add(time.Second)}
	known := newTokens(evictSample, clock, v)
	short := []byte("short")
	h := hash(sha256.Sum256(short))
	if _, err := known.verify(t.Context(), secret.New(short)); err != nil {
		t.Fatal(err)
	}
	v.until = clock.Now().Add(time.Hour)
	for i := range evictSample {
		if _, err := known.verify(t.Context(), secret.New([]byte{byte(i)})); err != nil {
			t.Fatal(err)
		}
	}
	if known.find(h) != nil || len(known.known) != evictSample {
		t.Errorf("%d tokens are left, the short one among them", len(known.known))
	}
}

func TestRequestIsNotChangedButForItsToken(t *testing.T) {
	w := newWorld(t, nil)
	req := request(w.token(t, "orders.read"), "SELECT id FROM orders")
	before := proto.CloneOf(req)
	w.server.judge(t.Context(), req)
	before.Token = make([]byte, len(before.GetToken()))
	if !proto.Equal(before, req) {
		t.Error("the request was changed")
	}
}

// TestGrantsAreShared: tokens with the same scopes have one index between them,
// unless something else of the token counts.
func TestGrantsAreShared(t *testing.T) {
	parse := func(text string) *policy.Policy {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	plain := parse(testPolicy)
	tokens := newTokens(16, sys.OS().Clock, nil)
	of := func(p *policy.Policy, details []verify.Detail, scopes ...string) *policy.Grants {
		return tokens.grantsOf(&session{who: verify.Principal{Issuer: testIssuer, Scopes: scopes, Details: details}}, p)
	}
	first := of(plain, nil, "orders.read", "orders.write")
	if of(plain, nil, "orders.write", "orders.read") != first {
		t.Error("the same scopes have other grants")
	}
	for name, other := range map[string]*policy.Grants{
		"other scopes":      of(plain, nil, "orders.read"),
		"details":           of(plain, []verify.Detail{{Presets: []string{"session"}}}, "orders.read", "orders.write"),
		"another policy":    of(parse(testPolicy+"deny: [{objects: ['x.*']}]\n"), nil, "orders.read", "orders.write"),
		"after another one": of(plain, nil, "orders.read", "orders.write"),
	} {
		if other == first {
			t.Errorf("%s: the grants are shared", name)
		}
	}
	conditional := parse(conditionalPolicy)
	one, two := of(conditional, nil, "plain"), of(conditional, nil, "plain")
	if one == two {
		t.Error("grants are shared under a policy that looks at claims")
	}
}
