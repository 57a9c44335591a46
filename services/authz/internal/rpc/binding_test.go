package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
)

// TestSec_T38: a token that is bound to a certificate is worth nothing in a session whose
// client has shown another, or none: neither at login, nor for a statement, nor as a new
// token.
func TestSec_T38_BoundTokenElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	own, other := sha256.Sum256([]byte("own")), sha256.Sum256([]byte("other"))
	bound, err := w.issuer.Mint(devissuer.Claims{Subject: "alice", Scopes: []string{"everything"}, Lifetime: time.Hour,
		Set: map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(own[:])}}})
	if err != nil {
		t.Fatal(err)
	}
	free := w.mint(t, "alice", time.Hour, "everything")
	for name, c := range map[string]struct {
		certificate []byte
		good        bool
	}{"its own": {own[:], true}, "another": {other[:], false}, "none": {nil, false}} {
		client := &authzv1.ClientInfo{Address: "127.0.0.1:1", Tls: true, CertificateSha256: c.certificate}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		login, err := w.client.Authenticate(ctx, &authzv1.AuthenticateRequest{Token: []byte(bound), Database: "app", SessionId: newID(), Client: client})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if (login.GetAuthenticated() != nil) != c.good ||
			!c.good && login.GetRefusal().GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_BINDING {
			t.Errorf("login with certificate %s: %v", name, login)
		}
		for what, req := range map[string]*authzv1.AuthorizeRequest{
			"a statement": request(bound, "SELECT * FROM orders"), "a refresh": request(free, "SET scopewire.token = '"+bound+"'"),
		} {
			req.Client = client
			if resp := w.ask(t, req); (resp.GetVerdict() == authzv1.Verdict_VERDICT_ALLOW) != c.good {
				t.Errorf("%s with certificate %s: %v", what, name, resp)
			}
		}
	}
}
