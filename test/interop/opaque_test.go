package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/test/cluster"
	"github.com/scopewire/scopewire/test/interop"
)

// clientAuth prepares how Scopewire shows the issuer who asks about tokens: the key set
// that the issuer knows it by, and lines of the policy.
type clientAuth func(w *demo.World) (keys, lines string, err error)

// asks are the lines of the policy, but for the client's credential. The issuer knows
// nothing of its own JWTs.
const asks = "    verification: by_form\n    introspection: {ttl: 1s, client_id: %s, %s: %s}\n"

func bySecret(w *demo.World) (keys, lines string, err error) {
	file := filepath.Join(w.Dir, "introspection.secret")
	return `{"keys":[]}`, fmt.Sprintf(asks, interop.Asker, "client_secret_file", file), os.WriteFile(file, []byte(interop.AskerSecret+"\n"), 0o600)
}

func byKey(w *demo.World) (keys, lines string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return "", "", err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	keys = fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","use":"sig","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	file := filepath.Join(w.Dir, "introspection.pem")
	return keys, fmt.Sprintf(asks, interop.KeyedAsker, "client_key_file", file),
		os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// opaqueTokens: a token that nobody but its issuer can read is good for what the issuer
// says, and for as long as it says so.
func (s *world) opaqueTokens(t *testing.T) {
	token := strings.TrimSpace(s.must(t, "token", "--token-url", s.issuer+"/token", "--client-id", interop.Service, "--secret-env", "SERVICE_SECRET",
		"--scope", "orders.read", "--resource", interop.OpaqueResource, "--ca-file", s.CAFile))
	if strings.Contains(token, ".") {
		t.Fatalf("the token of %d bytes is not opaque", len(token))
	}
	working, idle := cluster.ConnectWith(t, s.ConnString("service"), token), cluster.ConnectWith(t, s.ConnString("service"), token)
	var n int
	if err := working.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 4 {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := working.Exec(t.Context(), "SELECT * FROM customers"); err == nil {
		t.Error("customers were read")
	}
	// Longer than an answer counts: asked again, without the client noticing.
	if _, err := idle.Exec(t.Context(), "SELECT pg_sleep(1.5)"); err != nil {
		t.Error(err)
	}
	// Sessions end where they are: the one at work amid its statement, which would take ten
	// minutes, the other without having asked anything.
	ended := make(chan error)
	go func() {
		_, err := working.Exec(context.Background(), "SELECT pg_sleep(600)")
		ended <- err
	}()
	s.withdraw(t, token)
	if err := <-ended; codeOf(err) != "28000" {
		t.Errorf("the session at work: %v", err)
	}
	if err := idle.PgConn().WaitForNotification(t.Context()); codeOf(err) != "28000" {
		t.Errorf("the idle session: %v", err)
	}
	if conn, err := cluster.TryConnectWith(t.Context(), s.ConnString("service"), token); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a token that was withdrawn logs in")
	} else if codeOf(err) != "28P01" || !strings.Contains(err.Error(), "revoked") {
		t.Error(err)
	}
}

func codeOf(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	return pg.Code
}

// withdraw tells the issuer to take a token back (RFC 7009).
func (s *world) withdraw(t *testing.T, token string) {
	t.Helper()
	roots, err := login.Roots(sys.OS().FS, s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"token": {token}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+"/token/revocation", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(interop.Service, interop.ServiceSecret)
	resp, err := login.HTTPClient(sys.OS().Net, roots).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the issuer does not take the token back: status %d", resp.StatusCode)
	}
}
