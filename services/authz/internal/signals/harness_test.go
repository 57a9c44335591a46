package signals

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/state"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	idp      = "https://idp.example.com"
	audience = "https://db.example.com/events"
	bearer   = "a-secret-of-the-test-0123"
	skew     = 5 * time.Second
)

// world is a receiver behind HTTPS, with a transmitter of real keys.
type world struct {
	*Receiver
	issuer *devissuer.Issuer
	client *http.Client
	url    string
	bearer string
	state  *state.Memory
	mu     sync.Mutex
	fail   error
	by     []string
	log    bytes.Buffer
	// done is what became of each request. Guarded by mu.
	done []string
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	machine := sys.OS()
	w := &world{state: state.NewMemory(machine.Clock)}
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var err error
	if w.issuer, err = devissuer.New(devissuer.Config{Issuer: idp, Algorithms: []string{"ES256"}}, devissuer.Deps{Clock: machine.Clock, Rand: machine.Rand}); err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(w.issuer.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := devca.New(machine.Clock, machine.Rand)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := ca.Issue(devca.Options{Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	w.bearer = write("bearer", []byte(bearer+"\n"))
	jwks := write("jwks.json", keys)
	cfg := Config{Address: "127.0.0.1:0", CertFile: write("tls.crt", certPEM), KeyFile: write("tls.key", keyPEM), Transmitters: []Transmitter{
		{Issuer: "https://other.example.com", Audiences: []string{audience}, JWKSFile: jwks, BearerFile: write("other", []byte("another-secret-of-the-test"))},
		{Issuer: idp, Audiences: []string{audience}, JWKSFile: jwks, BearerFile: w.bearer, TokenLifetime: config.Duration(time.Hour)},
	}}
	if change != nil {
		change(&cfg)
	}
	w.Receiver, err = New(cfg, Deps{System: machine, Logger: slog.New(slog.NewTextHandler(&w.log, nil)), Skew: func() time.Duration { return skew },
		MaxLifetime: func(issuer string) time.Duration {
			if issuer != idp {
				return 0
			}
			return 2 * time.Hour
		},
		Done: func(result string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.done = append(w.done, result)
		},
		Revoke: func(r *authzv1.Revocation, by, note string) (uint64, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.fail != nil {
				return 0, w.fail
			}
			w.by = append(w.by, by+": "+note)
			return w.state.Revoke(r, state.Actor{})
		}})
	if err != nil {
		t.Fatal(err)
	}
	address, err := w.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.url = "https://" + address.String() + "/events"
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	w.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		running.Wait()
	})
	return w
}

// event is a good session-revoked event, changed; nil takes a member out.
func (w *world) event(t *testing.T, changes map[string]any, header map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{"iss": idp, "aud": audience, "iat": now, "jti": "e-1",
		"sub_id": map[string]any{"format": "iss_sub", "iss": idp, "sub": "alice"},
		"events": map[string]any{verify.SessionRevoked: map[string]any{"event_timestamp": now - 60, "reason_admin": map[string]any{"en": "left"}}}}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	h := map[string]any{"typ": "secevent+jwt"}
	maps.Copy(h, header)
	token, err := w.issuer.Mint(devissuer.Claims{Payload: payload, Header: h})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// push sends a request, changed, and returns status and code of the answer.
func (w *world) push(t *testing.T, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/secevent+jwt")
	req.Header.Set("Authorization", "Bearer "+bearer)
	if change != nil {
		change(req)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Err         string `json:"err"`
		Description string `json:"description"`
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &said); err != nil || said.Description == "" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the answer is no error of RFC 8935: %q", text)
		}
	}
	return resp.StatusCode, said.Err
}
