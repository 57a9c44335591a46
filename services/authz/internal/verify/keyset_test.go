package verify

import (
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/sys"
)

// idp is a real HTTPS server whose answers a test can spoil.
type idp struct {
	*httptest.Server
	clock *manualClock
	v     *Verifier
	key   pair
	// discoveries and fetches count requests.
	discoveries, fetches atomic.Int32
	// keys and spoil are what is answered now; spoil, when it returns true, has
	// answered by itself.
	mu    sync.Mutex
	keys  []pair
	spoil func(w http.ResponseWriter, r *http.Request) bool
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	s := &idp{clock: newClock(), key: pair{kid: "p256", signer: ecKey(t, elliptic.P256())}}
	s.keys = []pair{s.key}
	ca, err := devca.New(s.clock, sys.OS().Rand)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueTLS(devca.Options{Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.answer(t, w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(discard{}, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	caFile := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(caFile, ca.PEM(), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	machine := sys.OS()
	machine.Clock = s.clock
	// The timeout is real time: long enough for a loaded machine, short enough for
	// the fault that waits for it.
	s.v, err = New(Config{CAFile: caFile, FetchTimeout: time.Second}, Deps{System: machine, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.v.Configure([]Issuer{{Issuer: s.URL, Audiences: []string{testAudience}}}); err != nil {
		t.Fatal(err)
	}
	return s
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (s *idp) answer(t *testing.T, w http.ResponseWriter, r *http.Request) {
	discovery := r.URL.Path == "/.well-known/openid-configuration"
	if discovery {
		s.discoveries.Add(1)
	} else {
		s.fetches.Add(1)
	}
	s.mu.Lock()
	spoil, keys := s.spoil, s.keys
	s.mu.Unlock()
	switch {
	case spoil != nil && spoil(w, r):
	case discovery:
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/jwks")
	default:
		_, _ = w.Write(jwks(t, keys...))
	}
}

func (s *idp) set(spoil func(http.ResponseWriter, *http.Request) bool, keys ...pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil, s.keys = spoil, keys
}

// token is a good one signed by key.
func (s *idp) token(t *testing.T, key pair) string {
	t.Helper()
	now := s.clock.Now().Unix()
	header := object(t, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, nil)
	return sign(t, "ES256", key.signer, header, object(t, goodClaims(), map[string]any{"iss": s.URL, "iat": now, "exp": now + 60}))
}

// tick lets time pass and does what Run would do then.
func (s *idp) tick(d time.Duration) {
	s.clock.advance(d)
	s.v.refreshDue(context.Background())
}

func (s *idp) want(t *testing.T, key pair, want Reason) Principal {
	t.Helper()
	p, r := reasonOf(t, s.v, s.token(t, key))
	switch {
	case r == nil && want != "":
		t.Fatalf("accepted, want %s", want)
	case r != nil && r.Reason != want:
		t.Fatalf("%v, want %q", r, want)
	}
	return p
}

func TestDiscoveryFallsBackToRFC8414(t *testing.T) {
	s := newIDP(t)
	var oauth atomic.Int32
	s.set(func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			http.NotFound(w, r)
			return true
		case "/.well-known/oauth-authorization-server":
			oauth.Add(1)
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/jwks")
			return true
		}
		return false
	}, s.key)
	s.want(t, s.key, "")
	if oauth.Load() != 1 {
		t.Errorf("asked %d times", oauth.Load())
	}
	for issuer, want := range map[string]string{
		"https://idp.example.com/realms/a": "https://idp.example.com/.well-known/oauth-authorization-server/realms/a",
		"https://idp.example.com/":         "https://idp.example.com/.well-known/oauth-authorization-server",
	} {
		if got, err := oauthMetadata(issuer); err != nil || got != want {
			t.Errorf("%s: %s, %v", issuer, got, err)
		}
	}
}

// TestSec_T35_LastGoodSetIsKept spoils the answers in every way. The set from
// before stays in force until it is too old; then tokens are refused, those
// verified before included; and good answers heal it.
func TestSec_T35_LastGoodSetIsKept(t *testing.T) {
	always := func(f http.HandlerFunc) func(*idp) func(http.ResponseWriter, *http.Request) bool {
		return func(*idp) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool { f(w, r); return true }
		}
	}
	meta := func(doc func(s *idp) string) func(*idp) func(http.ResponseWriter, *http.Request) bool {
		return func(s *idp) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/.well-known/") {
					_, _ = w.Write([]byte(doc(s)))
					return true
				}
				return false
			}
		}
	}
	keys := func(f http.HandlerFunc) func(*idp) func(http.ResponseWriter, *http.Request) bool {
		return func(*idp) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/jwks" {
					f(w, r)
					return true
				}
				return false
			}
		}
	}
	for name, spoil := range map[string]func(*idp) func(http.ResponseWriter, *http.Request) bool{
		"500":  always(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }),
		"HTML": always(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>sign in</html>")) }),
		"connection cut": always(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}),
		"blackhole": always(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		"slow body": keys(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[`))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}),
		"cut body": keys(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"keys":[`))
		}),
		"64 KiB and one byte": keys(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[],"x":"` + strings.Repeat("x", maxJWKS-17) + `"}`))
		}),
		"long header": keys(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 2*maxResponseHeader))
			_, _ = w.Write([]byte(`{"keys":[]}`))
		}),
		"redirect": keys(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}),
		"no keys member":      keys(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }),
		"only foreign keys":   keys(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[{"kty":"AKP"}]}`)) }),
		"no content":          keys(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		"another issuer":      meta(func(s *idp) string { return fmt.Sprintf(`{"issuer":"https://x","jwks_uri":%q}`, s.URL+"/jwks") }),
		"issuer with a slash": meta(func(s *idp) string { return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, s.URL+"/", s.URL+"/jwks") }),
		"no issuer":           meta(func(s *idp) string { return fmt.Sprintf(`{"jwks_uri":%q}`, s.URL+"/jwks") }),
		"issuer twice": meta(func(s *idp) string {
			return fmt.Sprintf(`{"issuer":"x","issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/jwks")
		}),
		"keys over plain http": meta(func(s *idp) string { return fmt.Sprintf(`{"issuer":%q,"jwks_uri":"http://127.0.0.1:1/jwks"}`, s.URL) }),
		"keys in a file":       meta(func(s *idp) string { return fmt.Sprintf(`{"issuer":%q,"jwks_uri":"file:///etc/passwd"}`, s.URL) }),
		"no jwks_uri":          meta(func(s *idp) string { return fmt.Sprintf(`{"issuer":%q}`, s.URL) }),
	} {
		t.Run(name, func(t *testing.T) {
			s := newIDP(t)
			old := s.want(t, s.key, "")
			s.set(spoil(s), s.key)
			before := s.fetches.Load() + s.discoveries.Load()
			s.tick(DefaultRefresh)
			if s.fetches.Load()+s.discoveries.Load() == before {
				t.Fatal("nothing was fetched")
			}
			s.want(t, s.key, "")
			if err := s.v.Ready(); err != nil || !s.v.Holds(old) {
				t.Fatalf("not ready before its time: %v", err)
			}
			s.clock.advance(DefaultMaxAge - DefaultRefresh)
			if s.v.Holds(old) || s.v.Ready() == nil {
				t.Error("keys that are too old are still believed")
			}
			s.want(t, s.key, Unavailable)
			s.set(nil, s.key)
			// F13: back within 35 s of the issuer's return.
			s.tick(retryMost)
			s.want(t, s.key, "")
			if err := s.v.Ready(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServerCertificateMustBeOurs(t *testing.T) {
	s := newIDP(t)
	stranger := newIDP(t)
	if err := s.v.Configure([]Issuer{{Issuer: stranger.URL, Audiences: []string{testAudience}}}); err != nil {
		t.Fatal(err)
	}
	_, r := reasonOf(t, s.v, stranger.token(t, stranger.key))
	if r == nil || r.Reason != Unavailable {
		t.Errorf("%v", r)
	}
	if n := stranger.fetches.Load() + stranger.discoveries.Load(); n != 0 {
		t.Errorf("%d requests went to a server nobody vouches for", n)
	}
}
