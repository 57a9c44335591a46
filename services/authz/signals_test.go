package authz

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/signals"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// TestSignals: an issuer reports that a subject's sessions are over, and from its 202 on no
// token of that subject is good, also after a restart.
func TestSignals(t *testing.T) {
	in := install(t)
	machine := sys.OS()
	ca, err := devca.New(machine.Clock, machine.Rand)
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.WriteFiles(machine.FS, t.TempDir(), "signals", devca.Options{Server: true, DNSNames: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	const word = "a-secret-of-the-test-0123"
	in.write(t, filepath.Join(in.dir, "bearer"), word)
	in.cfg.Signals = signals.Config{Address: "127.0.0.1:0", CertFile: files.Cert, KeyFile: files.Key, Transmitters: []signals.Transmitter{
		{Issuer: in.issuer.Issuer(), Audiences: []string{"scopewire"}, BearerFile: filepath.Join(in.dir, "bearer")}}}
	r := in.start(t)
	r.untilReady(t)
	token := in.ask(t, "orders.read")
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), allow, granted)

	payload, err := json.Marshal(map[string]any{"iss": in.issuer.Issuer(), "aud": "scopewire", "iat": time.Now().Unix(), "jti": "1",
		"sub_id": map[string]any{"format": "iss_sub", "iss": in.issuer.Issuer(), "sub": "app"},
		"events": map[string]any{verify.SessionRevoked: map[string]any{}}})
	if err != nil {
		t.Fatal(err)
	}
	event, err := in.issuer.Mint(devissuer.Claims{Payload: payload, Header: map[string]any{"typ": "secevent+jwt"}})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "https://localhost/events", strings.NewReader(event))
	req.Header.Set("Content-Type", "application/secevent+jwt")
	req.Header.Set("Authorization", "Bearer "+word)
	answer := httptest.NewRecorder()
	r.signals.ServeHTTP(answer, req)
	if answer.Code != http.StatusAccepted {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	revoked := authzv1.Reason_REASON_TOKEN_REVOKED
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), refuse, revoked)
	r.stop()
	r = in.start(t)
	r.untilReady(t)
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), refuse, revoked)
}
