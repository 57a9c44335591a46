package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testIssuer   = "https://idp.example.com"
	testAudience = "postgres"
)

// epoch is the moment at which the test clock starts.
var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// manualClock is a clock that moves by hand.
type manualClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *manualClock { return &manualClock{now: epoch} }

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *manualClock) NewTimer(time.Duration) sys.Timer { panic("no test with this clock waits") }

func (c *manualClock) AfterFunc(time.Duration, func()) sys.Timer {
	panic("no test with this clock waits")
}

// noNet fails the test on any attempt to leave the machine.
type noNet struct{ t *testing.T }

func (n noNet) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	n.t.Errorf("an outbound connection to %s", address)
	return nil, errors.New("refused by the test")
}

func (n noNet) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.New("refused by the test")
}

// pair is a signing key of the test with what its key set says of it.
type pair struct {
	kid    string
	signer crypto.Signer
	extra  map[string]any
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk writes a public key by hand, so that the reader under test is not tested
// against its own library's writer.
func (p pair) jwk() map[string]any {
	m := map[string]any{"kid": p.kid}
	switch k := p.signer.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		m["kty"], m["crv"] = "EC", k.Curve.Params().Name
		m["x"], m["y"] = b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	for name, v := range p.extra {
		if v == nil {
			delete(m, name)
			continue
		}
		m[name] = v
	}
	return m
}

func jwks(t testing.TB, pairs ...pair) []byte {
	t.Helper()
	list := []any{}
	for _, p := range pairs {
		list = append(list, p.jwk())
	}
	doc, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func hashOf(alg string) crypto.Hash {
	switch alg[2:] {
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	default:
		return crypto.SHA256
	}
}

// sign makes a token from any header and payload. Algorithms that start with H
// are HMACs with key.
func sign(t testing.TB, alg string, key any, header, payload string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	var sig []byte
	var err error
	digest := func() []byte {
		h := hashOf(alg).New()
		h.Write([]byte(input))
		return h.Sum(nil)
	}
	switch k := key.(type) {
	case []byte:
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(input))
		sig = mac.Sum(nil)
	case *rsa.PrivateKey:
		if alg[0] == 'P' {
			sig, err = rsa.SignPSS(rand.Reader, k, hashOf(alg), digest(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, hashOf(alg), digest())
		}
	case *ecdsa.PrivateKey:
		r, s, serr := ecdsa.Sign(rand.Reader, k, digest())
		size := (k.Curve.Params().BitSize + 7) / 8
		sig, err = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), serr
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, []byte(input))
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// object writes a JSON object; set replaces members, nil removes them.
func object(t testing.TB, base, set map[string]any) string {
	t.Helper()
	m := map[string]any{}
	for _, from := range []map[string]any{base, set} {
		for name, v := range from {
			m[name] = v
			if v == nil {
				delete(m, name)
			}
		}
	}
	doc, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func goodClaims() map[string]any {
	return map[string]any{
		"iss": testIssuer, "sub": "alice", "aud": testAudience, "client_id": "app", "jti": "t-1",
		"iat": epoch.Unix(), "exp": epoch.Unix() + 600, "scope": "orders.read orders.write",
	}
}

// newVerifier makes a verifier for one issuer with the key set in a file.
func newVerifier(t testing.TB, machine sys.System, rules Issuer, doc []byte) *Verifier {
	t.Helper()
	if doc != nil {
		rules.JWKSFile = filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(rules.JWKSFile, doc, fs.FileMode(0o600)); err != nil {
			t.Fatal(err)
		}
	}
	v, err := New(Config{}, Deps{System: machine, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Configure([]Issuer{rules}); err != nil {
		t.Fatal(err)
	}
	return v
}

func testRules() Issuer { return Issuer{Issuer: testIssuer, Audiences: []string{testAudience}} }

// reasonOf verifies and returns the reason of the refusal, or "" and the
// principal.
func reasonOf(t testing.TB, v *Verifier, token string) (Principal, *Refusal) {
	t.Helper()
	p, err := v.Verify(context.Background(), secret.FromString(token))
	if err == nil {
		return p, nil
	}
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("the error is no refusal: %v", err)
	}
	if p.Issuer != "" || p.Subject != "" || p.Scopes != nil || p.proof.issuer != nil {
		t.Fatalf("a refused token has a principal: %+v", p)
	}
	return p, r
}

// benchToken is a verifier and a good ES256 token for it.
func benchToken(t testing.TB) (*Verifier, string) {
	t.Helper()
	machine := sys.OS()
	machine.Clock = newClock()
	k := pair{kid: "p256", signer: ecKey(t, elliptic.P256())}
	v := newVerifier(t, machine, testRules(), jwks(t, k))
	return v, sign(t, "ES256", k.signer, goodHeader, object(t, goodClaims(), nil))
}
