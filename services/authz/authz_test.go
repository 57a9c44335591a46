package authz

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/pgtest"
	transport "github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const schema = `
CREATE TABLE orders (id int, note text);
CREATE TABLE secrets (id int, note text);
`

// installation is everything authz needs: a server with a database, an issuer
// over HTTPS, a policy file, and the configuration that names them.
type installation struct {
	dir, policy, database, dsn string
	issuer                     *devissuer.Issuer
	cfg                        Config
}

const policyText = `
version: 1
issuers:
  - issuer: %s
    audiences: [postgres]
scopes:
  orders.read:
    - actions: [select]
      objects: [public.orders]
  everything:
    - actions: [select]
      objects: ["public.*"]
logins:
  %s:
    default: app
`

func install(t *testing.T) *installation {
	t.Helper()
	srv := pgtest.Start(t)
	in := &installation{dir: t.TempDir(), database: pgtest.NewDatabaseOn(t, srv, schema)}
	in.dsn = srv.ConnString(in.database)
	ca := in.startIssuer(t)
	in.policy = filepath.Join(in.dir, "policy.yaml")
	in.write(t, in.policy, fmt.Sprintf(policyText, in.issuer.Issuer(), in.database))
	in.write(t, filepath.Join(in.dir, "ca.crt"), string(ca.PEM()))
	in.write(t, filepath.Join(in.dir, "password"), string(srv.Password.Expose()))
	text := fmt.Sprintf(`
policy: {file: %[1]s/policy.yaml, interval: 20ms}
state: {file: %[1]s/state.json}
catalog:
  interval: 50ms
  databases:
    - {name: %[2]s, host: %[3]s, port: %[4]d, user: %[5]s, password: {file: %[1]s/password}}
keys: {ca_file: %[1]s/ca.crt}
decisions: {refresh_wait: 20s, max_source_age: 4s}
`, in.dir, in.database, srv.SocketDir, srv.Port, srv.Superuser)
	if err := config.Decode([]byte(text), &in.cfg); err != nil {
		t.Fatal(err)
	}
	return in
}

// startIssuer serves tokens over HTTPS until the test ends.
func (in *installation) startIssuer(t *testing.T) *devca.CA {
	t.Helper()
	machine := sys.OS()
	ca, err := devca.New(machine.Clock, machine.Rand)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.IssueTLS(devca.Options{Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := machine.Net.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in.issuer, err = devissuer.New(devissuer.Config{Algorithms: []string{"ES256", "RS256"}, Clients: []devissuer.Client{{
		ID: "app", Secret: secret.FromString("app-secret"), Scopes: []string{"orders.read", "everything"}, Audiences: []string{"postgres"},
	}}}, devissuer.Deps{Clock: machine.Clock, Rand: machine.Rand, Listener: ln, Certificate: cert})
	if err != nil {
		t.Fatal(err)
	}
	background(t, in.issuer.Run)
	return ca
}

// background runs f until the test ends.
func background(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (in *installation) write(t *testing.T, file, text string) {
	t.Helper()
	if err := sys.WriteFileAtomic(sys.OS().FS, file, []byte(text), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
}

// ask gets a token from the issuer's token endpoint, as any client would.
func (in *installation) ask(t *testing.T, scope string) string {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(in.dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := newPool(t, pem)
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
		Timeout:   10 * time.Second,
	}
	resp, err := client.PostForm(in.issuer.TokenEndpoint(), url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"app-secret"}, "scope": {scope},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no token: %v", err)
	}
	return answer.AccessToken
}

// running is a running service and a client of it.
type running struct {
	*Authz
	client authzv1.AuthorizationServiceClient
	stop   func()
}

func (in *installation) start(t *testing.T) *running {
	t.Helper()
	machine := sys.OS()
	tel, err := telemetry.Setup(telemetry.Config{}, telemetry.Deps{Service: "test", Rand: machine.Rand})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(in.cfg, Deps{System: machine, Telemetry: tel})
	if err != nil {
		t.Fatal(err)
	}
	server, err := transport.NewServer(transport.ServerConfig{}, transport.ServerDeps{Clock: machine.Clock, Net: machine.Net, FS: machine.FS})
	if err != nil {
		t.Fatal(err)
	}
	a.Register(server)
	pipe := transport.NewPipe()
	stopServer := background(t, func(ctx context.Context) error { return server.Serve(ctx, pipe) })
	stopService := background(t, a.Run)
	conn, err := transport.Dial(transport.ClientConfig{}, transport.ClientDeps{Pipe: pipe})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Authz: a, client: authzv1.NewAuthorizationServiceClient(conn)}
	r.stop = sync.OnceFunc(func() {
		stopService()
		stopServer()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// until receives pushes of a watch until one fits.
func (r *running) until(t *testing.T, what string, fits func(*authzv1.WatchResponse) bool) *authzv1.WatchResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := r.client.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatalf("waiting for %s: %v; ready: %v", what, err, r.Ready(ctx))
		}
		if fits(resp) {
			return resp
		}
	}
}

func (r *running) untilReady(t *testing.T) *authzv1.WatchResponse {
	t.Helper()
	// A heartbeat may be older than what makes the service ready.
	return r.until(t, "readiness", func(resp *authzv1.WatchResponse) bool {
		return r.Ready(t.Context()) == nil && len(resp.GetEpoch().GetCatalog()) > 0
	})
}

func (r *running) login(t *testing.T, in *installation, token string) *authzv1.AuthenticateResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	session := id.New(sys.OS().Clock, sys.OS().Rand)
	resp, err := r.client.Authenticate(ctx, &authzv1.AuthenticateRequest{
		Token: []byte(token), Database: in.database, User: "whoever", SessionId: session[:],
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func (r *running) judge(t *testing.T, in *installation, token, sql string) *authzv1.AuthorizeResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := r.client.Authorize(ctx)
	if err != nil {
		t.Fatal(err)
	}
	session, statement := id.New(sys.OS().Clock, sys.OS().Rand), id.New(sys.OS().Clock, sys.OS().Rand)
	tokenSum, unitSum := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(sql))
	snap, _, _ := r.catalogs.Current(in.database)
	version := uint32(0)
	if snap != nil {
		version = uint32(snap.ServerVersionNum)
	}
	if err := stream.Send(&authzv1.AuthorizeRequest{
		RequestId: 1, SessionId: session[:], StatementId: statement[:], TokenSha256: tokenSum[:], Token: []byte(token),
		UnitSha256: unitSum[:], Unit: &authzv1.AuthorizeRequest_Query{Query: []byte(sql)},
		Context: &authzv1.SessionContext{
			Database: in.database, ServerVersionNum: version, Login: "app", Role: "app", SearchPath: `"$user", public`,
			Settings: map[string]string{"standard_conforming_strings": "on"},
		},
	}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func want(t *testing.T, resp *authzv1.AuthorizeResponse, verdict authzv1.Verdict, reason authzv1.Reason) {
	t.Helper()
	if resp.GetVerdict() != verdict || resp.GetReason() != reason {
		t.Errorf("%v, want %v, %v", resp, verdict, reason)
	}
}

const (
	allow       = authzv1.Verdict_VERDICT_ALLOW
	deny        = authzv1.Verdict_VERDICT_DENY
	refuse      = authzv1.Verdict_VERDICT_REFUSE
	granted     = authzv1.Reason_REASON_GRANTED
	notGranted  = authzv1.Reason_REASON_NOT_GRANTED
	unavailable = authzv1.Reason_REASON_UNAVAILABLE
)

// TestFromTokenToVerdict runs the whole service: a token from a real issuer, a
// catalog from a real server, a policy from a file.
func TestFromTokenToVerdict(t *testing.T) {
	in := install(t)
	r := in.start(t)
	first := r.untilReady(t)
	if e := first.GetEpoch(); e.GetPolicy() != 1 || e.GetCatalog()[in.database] != 1 || e.GetRevocation() != 0 {
		t.Errorf("first epoch %v", e)
	}
	token := in.ask(t, "orders.read")
	ok := r.login(t, in, token).GetAuthenticated()
	if ok.GetLogin() != "app" || ok.GetPrincipal().GetSubject() != "app" || ok.GetPrincipal().GetIssuer() != in.issuer.Issuer() {
		t.Fatalf("%v", ok)
	}
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), allow, granted)
	want(t, r.judge(t, in, token, "SELECT id FROM secrets"), deny, notGranted)
	want(t, r.judge(t, in, token, "SELECT id FROM orders; SELECT id FROM secrets"), deny, notGranted)
	want(t, r.judge(t, in, token, "SELECT id FROM nowhere"), deny, authzv1.Reason_REASON_UNKNOWN_OBJECT)
	want(t, r.judge(t, in, token, "DROP TABLE orders"), deny, notGranted)
	all := in.ask(t, "everything")
	want(t, r.judge(t, in, all, "SELECT id FROM secrets"), allow, granted)

	// A table made from outside a moment ago is found at once.
	pgtest.Exec(t, in.dsn, "CREATE TABLE fresh (id int)")
	got := r.judge(t, in, all, "SELECT id FROM fresh")
	want(t, got, allow, granted)
	if got.GetEpoch().GetCatalog()[in.database] != 2 {
		t.Errorf("epoch %v", got.GetEpoch())
	}
	pgtest.Exec(t, in.dsn, "DROP TABLE fresh")
	r.until(t, "the dropped table", func(w *authzv1.WatchResponse) bool { return w.GetEpoch().GetCatalog()[in.database] == 3 })
	if got := r.judge(t, in, all, "SELECT id FROM fresh"); got.GetError().GetSqlstate() != "42P01" {
		t.Errorf("%v", got)
	}

	// Rotation: a token signed with a key of a minute ago and one with the newest.
	if err := in.issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	want(t, r.judge(t, in, in.ask(t, "orders.read"), "SELECT id FROM orders"), allow, granted)
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), allow, granted)
}

// TestPolicyChanges: each change of the file is a revision, takes effect for
// tokens that are known already, and changes the accepted issuers with it.
func TestPolicyChanges(t *testing.T) {
	in := install(t)
	r := in.start(t)
	r.untilReady(t)
	token := in.ask(t, "orders.read")
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), allow, granted)

	good, err := os.ReadFile(in.policy)
	if err != nil {
		t.Fatal(err)
	}
	revision := func(n uint64) {
		t.Helper()
		r.until(t, "a new revision", func(w *authzv1.WatchResponse) bool { return w.GetEpoch().GetPolicy() == n })
	}
	in.write(t, in.policy, strings.Replace(string(good), "public.orders", "public.others", 1))
	revision(2)
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), deny, notGranted)

	// A broken file leaves the policy before it in force, however long.
	in.write(t, in.policy, string(good)+"\nscopes: {}\n")
	r.until(t, "the broken policy", func(*authzv1.WatchResponse) bool { return r.policies.Err() != nil })
	want(t, r.judge(t, in, token, "SELECT id FROM secrets"), deny, notGranted)
	if r.Ready(t.Context()) == nil {
		t.Error("ready with a broken policy")
	}

	// Another issuer: its tokens are the only ones, and known ones are known no more.
	in.write(t, in.policy, strings.Replace(string(good), in.issuer.Issuer(), "https://idp.example.com", 1))
	revision(3)
	refusal := r.login(t, in, token).GetRefusal()
	if refusal.GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_ISSUER {
		t.Errorf("%v", refusal)
	}
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), refuse, authzv1.Reason_REASON_TOKEN_INVALID)

	in.write(t, in.policy, string(good))
	revision(4)
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), allow, granted)

	// A file that is gone: the policy is refused once it is too old.
	if err := os.Remove(in.policy); err != nil {
		t.Fatal(err)
	}
	r.until(t, "the policy's age", func(w *authzv1.WatchResponse) bool { return w.GetAge().AsDuration() > r.maxAge })
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), refuse, unavailable)
	in.write(t, in.policy, string(good))
	r.untilReady(t)
	want(t, r.judge(t, in, token, "SELECT id FROM orders"), allow, granted)
}

// TestRestartKeepsTheEpoch: numbers do not begin again, and a second process
// cannot have the same state.
func TestRestartKeepsTheEpoch(t *testing.T) {
	in := install(t)
	r := in.start(t)
	r.untilReady(t)
	pgtest.Exec(t, in.dsn, "CREATE TABLE more (id int)")
	before := r.until(t, "the new table", func(w *authzv1.WatchResponse) bool { return w.GetEpoch().GetCatalog()[in.database] == 2 })
	if _, err := New(in.cfg, Deps{System: sys.OS(), Telemetry: r.telemetry}); err == nil {
		t.Fatal("two services have one state")
	}
	r.stop()
	again := in.start(t).untilReady(t)
	if b, a := before.GetEpoch(), again.GetEpoch(); a.GetPolicy() != b.GetPolicy() || a.GetCatalog()[in.database] != b.GetCatalog()[in.database] {
		t.Errorf("epoch %v after %v", a, b)
	}
}

// TestRefusesUntilItKnows: before the catalog has been read, nothing is allowed.
func TestRefusesUntilItKnows(t *testing.T) {
	in := install(t)
	in.cfg.Catalog.Databases[0].Port = 1 // Nobody listens there.
	r := in.start(t)
	if r.Ready(t.Context()) == nil {
		t.Error("ready without a catalog")
	}
	token := in.ask(t, "orders.read")
	if got := r.judge(t, in, token, "SELECT id FROM orders"); got.GetVerdict() != refuse {
		t.Errorf("%v", got)
	}
}

// TestNeedsAPolicyToStart: a file that is missing or broken at the start is told
// to whoever starts the service.
func TestNeedsAPolicyToStart(t *testing.T) {
	tel, err := telemetry.Setup(telemetry.Config{}, telemetry.Deps{Service: "test", Rand: sys.OS().Rand})
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(in *installation) error{
		"missing": func(in *installation) error { return os.Remove(in.policy) },
		"broken":  func(in *installation) error { return os.WriteFile(in.policy, []byte("version: 1\nscops: {}\n"), 0o600) },
	} {
		in := install(t)
		if err := spoil(in); err != nil {
			t.Fatal(err)
		}
		if _, err := New(in.cfg, Deps{System: sys.OS(), Telemetry: tel}); err == nil || !strings.Contains(err.Error(), "policy") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
