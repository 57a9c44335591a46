package verify

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// TestClientAuthentication: the files are read for each question.
func TestClientAuthentication(t *testing.T) {
	a := newAsker(t, Introspect, nil)
	a.answer(nil)
	n := 0
	refused := func() bool {
		n++
		_, r := a.verify(t, fmt.Sprintf("%040d", n))
		return r != nil
	}
	if refused() {
		t.Error("the right secret is refused")
	}
	for _, text := range []string{"another", " \n", ""} {
		if err := os.WriteFile(a.secretFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if !refused() {
			t.Errorf("%q: accepted", text)
		}
	}
	if err := os.WriteFile(a.secretFile, []byte(clientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if refused() {
		t.Error("the secret is not read again")
	}
	for name, key := range map[jwa.SignatureAlgorithm]any{
		jwa.ES256: ecKey(t, elliptic.P256()), jwa.ES384: ecKey(t, elliptic.P384()), jwa.ES512: ecKey(t, elliptic.P521()),
		jwa.RS256: rsaKey(t, 2048), jwa.EdDSA: edKey(t),
	} {
		t.Run(name.String(), func(t *testing.T) { checkAssertion(t, name, key) })
	}
	if _, _, err := clientKey([]byte("no PEM")); err == nil {
		t.Error("text is a key")
	}
	if _, _, err := clientKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})); err == nil {
		t.Error("bytes are a key")
	}
}

func checkAssertion(t *testing.T, alg jwa.SignatureAlgorithm, key any) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	var public any
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		public = k.Public()
	case *rsa.PrivateKey:
		public = k.Public()
	case ed25519.PrivateKey:
		public = k.Public()
	}
	a := newAsker(t, Introspect, func(is *Issuer) {
		is.Introspection.SecretFile, is.Introspection.KeyFile, is.Introspection.KeyID = "", file, "k1"
	})
	a.answer(nil)
	seen := map[any]bool{}
	a.mu.Lock()
	a.authorize = func(r *http.Request) bool {
		form := r.PostForm
		if form.Get("client_id") != clientName || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" ||
			r.Header.Get("Authorization") != "" {
			t.Errorf("%v", form)
		}
		payload, err := jws.Verify([]byte(form.Get("client_assertion")), jws.WithKey(alg, public))
		if err != nil {
			t.Error(err)
			return false
		}
		var c map[string]any
		if err := json.Unmarshal(payload, &c); err != nil {
			t.Error(err)
		}
		now := float64(a.clock.Now().Unix())
		if c["iss"] != clientName || c["sub"] != clientName || c["aud"] != a.URL || c["exp"] != now+60 || seen[c["jti"]] {
			t.Errorf("%v", c)
		}
		seen[c["jti"]] = true
		return true
	}
	a.mu.Unlock()
	for i := range 2 {
		if _, r := a.verify(t, fmt.Sprintf("%040d", i)); r != nil {
			t.Error(r)
		}
	}
}
