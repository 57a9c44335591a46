package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/test/cluster"
)

// hydra is a running Ory Hydra.
type hydra struct {
	client        *http.Client
	public, admin string
}

// startHydra starts the program of SCOPEWIRE_HYDRA with the world's certificate, until the
// end of the test.
func startHydra(ctx context.Context, t *testing.T, w *demo.World, program string) (*hydra, error) {
	files, err := w.Certificate("hydra", devca.Options{Name: "hydra", DNSNames: []string{"localhost"}, Server: true})
	if err != nil {
		return nil, err
	}
	h := &hydra{}
	var ports []string
	for _, address := range []*string{&h.public, &h.admin} {
		l, err := pgboot.Listen(ctx)
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		*address, ports = "https://localhost:"+port, append(ports, port)
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	server := func(port string) string {
		return fmt.Sprintf("{host: 127.0.0.1, port: %s, tls: {enabled: true, cert: {path: %s}, key: {path: %s}}}", port, files.Cert, files.Key)
	}
	file := filepath.Join(t.TempDir(), "hydra.yaml")
	text := fmt.Sprintf("dsn: memory\nurls: {self: {issuer: %q}}\nserve: {public: %s, admin: %s}\nsecrets: {system: [a-secret-of-the-test-only]}\nsqa: {opt_out: true}\n",
		h.public, server(ports[0]), server(ports[1]))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	//nolint:gosec // G204: the program that the person named.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, "serve", "all", "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var log bytes.Buffer
	lines := bufio.NewReader(stderr)
	drained := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		_ = cmd.Wait() // It ends by our signal.
		if t.Failed() {
			t.Logf("hydra:\n%s", log.String())
		}
	})
	// It says of each of its two servers when it is about to listen.
	for listening := 0; listening < 2; {
		line, err := lines.ReadString('\n')
		log.WriteString(line)
		if err != nil {
			close(drained)
			return nil, fmt.Errorf("hydra does not start: %w\n%s", err, log.String())
		}
		if strings.Contains(line, "Setting up http server on") {
			listening++
		}
	}
	go func() {
		defer close(drained)
		_, _ = io.Copy(&log, lines)
	}()
	roots, err := login.Roots(sys.OS().FS, w.CAFile)
	if err != nil {
		return nil, err
	}
	h.client = login.HTTPClient(sys.OS().Net, roots)
	for _, strategy := range []string{"jwt", "opaque"} {
		if err := h.add(ctx, strategy); err != nil {
			return nil, err
		}
	}
	// Hydra makes its keys when they are asked for first, and for two who ask at once it
	// makes two.
	return h, h.makeKeys(ctx)
}

// makeKeys asks for the key set.
func (h *hydra) makeKeys(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.public+"/.well-known/jwks.json", nil)
	if err != nil {
		return err
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("hydra's keys: status %d", resp.StatusCode)
	}
	return nil
}

// hydraSecret is that of the clients of Hydra.
const hydraSecret = "a secret: of & hydra"

// add makes a client whose tokens are of a strategy.
func (h *hydra) add(ctx context.Context, strategy string) error {
	body, err := json.Marshal(map[string]any{"client_id": strategy, "client_secret": hydraSecret, "grant_types": []string{"client_credentials"},
		"scope": "orders.read", "audience": []string{demo.Audience}, "token_endpoint_auth_method": "client_secret_basic", "access_token_strategy": strategy})
	if err != nil {
		return err
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.admin+"/admin/clients", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := h.client.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			continue // It was about to listen.
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusCreated {
			err = fmt.Errorf("client %s: status %d: %s", strategy, resp.StatusCode, text)
		}
		return err
	}
}

// post sends a form as a client, and returns the answer's members.
func (h *hydra) post(t *testing.T, path, client string, form url.Values) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.public+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(hydraSecret))
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d: %s %v", path, resp.StatusCode, text, err)
	}
	var out map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestHydra: Ory Hydra's tokens, JWTs with an array scp and opaque ones, go through the
// proxy, and their sessions end when it takes them back.
func TestHydra(t *testing.T) {
	program := os.Getenv("SCOPEWIRE_HYDRA")
	if program == "" {
		t.Skip("SCOPEWIRE_HYDRA names no Ory Hydra: make hydra builds one")
	}
	var h *hydra
	w := cluster.Start(t, demo.Config{Issuers: func(ctx context.Context, w *demo.World) (string, error) {
		var err error
		if h, err = startHydra(ctx, t, w, program); err != nil {
			return "", err
		}
		file := filepath.Join(w.Dir, "introspection.secret")
		return fmt.Sprintf("  - issuer: %s\n    audiences: [%s]\n    accept_typ_jwt: true\n    verification: both\n"+
				"    introspection: {endpoint: %s/admin/oauth2/introspect, client_id: opaque, client_secret_file: %s, ttl: 1s}\n", h.public, demo.Audience, h.admin, file),
			os.WriteFile(file, []byte(hydraSecret), 0o600)
	}})
	for _, strategy := range []string{"jwt", "opaque"} {
		t.Run(strategy, func(t *testing.T) {
			answer := h.post(t, "/oauth2/token", strategy, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders.read"}, "audience": {demo.Audience}})
			token, _ := answer["access_token"].(string)
			if (strings.Count(token, ".") == 2) != (strategy == "jwt") {
				t.Fatalf("a token of %d bytes is no %s", len(token), strategy)
			}
			conn := cluster.ConnectWith(t, w.ConnString("service"), token)
			var n int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 4 {
				t.Fatalf("%d, %v", n, err)
			}
			if _, err := conn.Exec(t.Context(), "SELECT * FROM customers"); codeOf(err) != "42501" {
				t.Errorf("customers: %v", err)
			}
			h.post(t, "/oauth2/revoke", strategy, url.Values{"token": {token}})
			if err := conn.PgConn().WaitForNotification(t.Context()); codeOf(err) != "28000" {
				t.Errorf("the session: %v", err)
			}
			if again, err := cluster.TryConnectWith(t.Context(), w.ConnString("service"), token); err == nil {
				_ = again.Close(t.Context())
				t.Error("a token that was taken back logs in")
			}
		})
	}
}
