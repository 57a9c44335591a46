package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/test/cluster"
)

// Secrets of the introspecting issuer of these tests.
const (
	canaryClient = "canary-client-secret-3b1f"
	canaryOpaque = "canary-opaque-token-77a0c2"
	canaryEcho   = "canary-opaque-echoed-51dd0"
)

// introspecting serves an issuer that knows one token, and answers questions about any
// other with an error that repeats it.
func introspecting(t *testing.T) func(context.Context, *demo.World) (string, error) {
	return func(_ context.Context, w *demo.World) (string, error) {
		files, err := w.Certificate("canary", devca.Options{Name: "canary", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true})
		if err != nil {
			return "", err
		}
		cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			return "", err
		}
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		if err != nil {
			return "", err
		}
		issuer := "https://" + l.Addr().String()
		srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			token := r.PostFormValue("token")
			if token != canaryOpaque {
				rw.Header().Set("Location", "https://127.0.0.1:1/?token="+token)
				rw.WriteHeader(http.StatusFound)
				fmt.Fprintf(rw, "what is %s?", token)
				return
			}
			_ = json.NewEncoder(rw).Encode(map[string]any{"active": true, "sub": "opal", "aud": demo.Audience, "token_type": "Bearer",
				"exp": time.Now().Add(time.Hour).Unix(), "scope": "canary"})
		})}
		var serving sync.WaitGroup
		serving.Go(func() { _ = srv.Serve(l) })
		t.Cleanup(func() {
			_ = srv.Close()
			serving.Wait()
		})
		file := filepath.Join(t.TempDir(), "secret")
		return fmt.Sprintf("  - issuer: %s\n    audiences: [%s]\n    verification: introspect\n"+
				"    introspection: {endpoint: %[1]s/introspect, client_id: scopewire, client_secret_file: %[3]s}\n", issuer, demo.Audience, file),
			os.WriteFile(file, []byte(canaryClient), 0o600)
	}
}

// canaries are what must not be found anywhere, by where it was planted.
type canaries map[string]string

// token plants the parts of a token that say something.
func (c canaries) token(where, token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		c[where] = token
		return token
	}
	c[where+", its claims"], c[where+", its signature"] = parts[1], parts[2]
	return token
}

// in are the places at which any of them stands in a text, in a form in which texts are
// written.
func (c canaries) in(text []byte) (found []string) {
	for _, where := range slices.Sorted(maps.Keys(c)) {
		word := c[where]
		for _, form := range []string{word, hex.EncodeToString([]byte(word)), strings.ToUpper(hex.EncodeToString([]byte(word))),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(word)), "=")} {
			if bytes.Contains(text, []byte(form)) {
				found = append(found, where)
				break
			}
		}
	}
	return found
}

// TestSec_T45_Canaries: tokens, secrets, literals, parameters and rows that take every way
// into the product are in no log, spool, audit store, trace, metric, state or error.
func TestSec_T45_Canaries(t *testing.T) {
	recorder := telemetry.NewRecorder()
	admin, err := freeAddress(t)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	more := introspecting(t)
	o := &operator{t: t, dir: dir, binary: filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")}
	o.World = cluster.Start(t, demo.Config{Recorder: recorder, AuthzSocket: filepath.Join(dir, "authz.sock"), AuditSocket: filepath.Join(dir, "audit.sock"),
		Scopes: "  canary:\n    - actions: [select, insert]\n      objects: [public.canaries]\n",
		SQL:    "CREATE TABLE canaries (id text PRIMARY KEY); GRANT ALL ON canaries TO PUBLIC",
		Issuers: func(ctx context.Context, w *demo.World) (string, error) {
			w.ProxyConfig = "admin: {address: " + admin + "}\n"
			return more(ctx, w)
		}})
	planted := canaries{"the client's secret at the issuer": canaryClient}
	heard := planted.plant(t, o)

	for i, text := range heard {
		if found := planted.in([]byte(text)); len(found) > 0 {
			t.Errorf("what a client or operator heard (%d) has %q", i, found)
		}
	}
	for _, span := range recorder.Spans() {
		if found := planted.in(fmt.Appendf(nil, "%s %q", span.Name, span.Attributes)); len(found) > 0 {
			t.Errorf("span %s has %q", span.Name, found)
		}
	}
	if len(recorder.Spans()) < 10 {
		t.Errorf("only %d spans: the search has nothing to look at", len(recorder.Spans()))
	}
	metrics := get(t, "http://"+admin+"/metrics")
	if found := planted.in(metrics); len(found) > 0 || !bytes.Contains(metrics, []byte("scopewire_")) {
		t.Errorf("metrics of %d bytes have %q", len(metrics), found)
	}
	files, size := 0, 0
	err = filepath.WalkDir(o.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files, size = files+1, size+len(text)
		if found := planted.in(text); len(found) > 0 {
			t.Errorf("%s has %q", path, found)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(o.LogFile())
	if err != nil || len(log) == 0 || files < 10 {
		t.Errorf("%d files of %d bytes, a log of %d: the search has nothing to look at (%v)", files, size, len(log), err)
	}
	// The search finds what is there.
	if found := planted.in([]byte("x" + hex.EncodeToString([]byte(canaryOpaque)) + "x")); len(found) != 1 {
		t.Errorf("a canary in hexadecimal is found %d times", len(found))
	}
}

// plant sends canaries every way there is, and returns what was said to whoever sent them.
func (c canaries) plant(t *testing.T, o *operator) (heard []string) {
	hear := func(err error) {
		if err != nil {
			heard = append(heard, fmt.Sprintf("%v %+v", err, err))
		}
	}
	forge := func(token string) string { return token[:len(token)-6] + "AAAAAA" }
	connect := func(more, token string) *pgx.Conn {
		cfg, err := pgx.ParseConfig(o.ConnString("x") + more)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = token
		cfg.OAuthTokenProvider = func(context.Context) (string, error) { return token, nil }
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		hear(err)
		if err != nil {
			return nil
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	const oauth = " options='-c scopewire.auth=oauth' require_auth=oauth"
	good := c.token("the password", mint(t, o.World, "alice", "canary"))
	conn := connect("", good)
	if conn == nil {
		t.Fatal("no session")
	}
	connect(oauth, c.token("OAUTHBEARER", mint(t, o.World, "bob", "canary")))
	connect("", forge(c.token("a forged password", mint(t, o.World, "alice", "canary"))))
	connect(oauth, forge(c.token("a forged token by OAUTHBEARER", mint(t, o.World, "alice", "canary"))))
	connect("", c.token("a password that is no token", "canary-p4ssword typed"))
	expired, err := o.Issuer.Mint(devissuer.Claims{Subject: "alice", Audience: []string{demo.Audience}, Lifetime: -time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	connect("", c.token("an expired password", expired))
	if connect("", c.token("an opaque token", canaryOpaque)) == nil {
		t.Error("the opaque token is refused")
	}
	connect("", c.token("an opaque token that the issuer repeats", canaryEcho))
	connect(" application_name=x search_path='canary-startup-setting'", good)

	run := func(sql string, args ...any) {
		_, err := conn.Exec(t.Context(), sql, args...)
		hear(err)
	}
	word := func(where string) string {
		c[where] = "canary-" + hex.EncodeToString([]byte(where))
		return c[where]
	}
	run("SET scopewire.token = '" + c.token("a new token", mint(t, o.World, "alice", "canary")) + "'")
	run("SET scopewire.token TO E'" + forge(c.token("a new token that is refused", mint(t, o.World, "alice", "canary"))) + "'")
	run("SET scopewire.token = '" + c.token("another's new token", mint(t, o.World, "mallory", "canary")) + "'; SELECT 1")
	_, err = conn.Prepare(t.Context(), "", "SET scopewire.token = '"+c.token("a new token by the extended protocol", mint(t, o.World, "alice", "canary"))+"'")
	hear(err)
	run("SELECT '" + word("a literal") + "' FROM canaries")
	run("SELECT * FROM employees WHERE name = '" + word("a literal of a denied statement") + "'")
	run("SELEC '" + word("a literal of a syntax error") + "'")
	run("SELECT id FROM canaries WHERE id = $1", word("a parameter"))
	run("SELECT * FROM employees WHERE name = $1", word("a parameter of a denied statement"))
	run("SET app.x = '" + word("the value of a setting") + "'")
	run("PREPARE p AS SELECT '" + word("a prepared literal") + "'::text FROM canaries")
	run("INSERT INTO canaries VALUES ($1)", word("an inserted parameter"))
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"canaries"}, []string{"id"}, pgx.CopyFromRows([][]any{{word("a row of a COPY")}}))
	hear(err)

	out, _ := o.run(c.token("a token to revoke", mint(t, o.World, "carol", "canary"))+"\n", "revoke", "--token-file", "-", "--note", "lost")
	heard = append(heard, out)
	file := filepath.Join(o.dir, "token")
	if err := os.WriteFile(file, []byte(c.token("a token in a file", mint(t, o.World, "dave", "canary"))), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"revoke", "--token-file", file}, {"revoke", "--token-file", file, "--address", "127.0.0.1:1"},
		{"audit", "list", "--limit", "1000"}, {"audit", "list", "--limit", "1000", "--json"},
	} {
		out, _ := o.run("", args...)
		heard = append(heard, out)
	}
	admin := administrator(t, filepath.Join(o.dir, "authz.sock"))
	_, err = admin.Revoke(within(t), &authzv1.RevokeRequest{Revocation: &authzv1.Revocation{TokenSha256: []byte(word("no digest"))}})
	hear(err)
	// What is in the spool is in the store by the time that its last event is.
	o.acts("tokens_revoked", 2)
	return heard
}

// get is the body of a page.
func get(t *testing.T, address string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
