package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/id"
	transport "github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/analyze"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
	"github.com/scopewire/scopewire/services/authz/internal/state"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testIssuer = "https://idp.example.com"

const policyHead = `
version: 1
issuers:
  - issuer: https://idp.example.com
    audiences: [postgres]
    jwks_file: unused
logins:
  app:
    default: app_ro
    by_scope:
      orders.write: app_rw
`

const testPolicy = policyHead + `
scopes:
  orders.read:
    - actions: [select]
      objects: [public.orders]
  orders.write:
    - actions: [select, insert, update, delete]
      objects: [public.orders]
  everything:
    - actions: [select]
      objects: ["*.*"]
`

// shiftClock is the machine's clock, set forward by hand.
type shiftClock struct {
	sys.Clock
	by atomic.Int64
}

func (c *shiftClock) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.by.Load())) }

func (c *shiftClock) advance(d time.Duration) { c.by.Add(int64(d)) }

// facts of a test, changed by hand. They implement Policies and Catalogs; a
// refresh calls the hook of the test.
type sources struct {
	clock sys.Clock

	mu       sync.Mutex
	policy   *policy.Policy
	revision uint64
	policyAt time.Time
	earlier  map[uint64]*policy.Policy
	snap     *catalog.Snapshot
	snapAt   time.Time
	refresh  func(what string) error
	asked    []string
}

type testPolicies struct{ *sources }

func (s testPolicies) Current() (*policy.Policy, uint64, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy, s.revision, s.policyAt
}

func (s testPolicies) Revision(n uint64) *policy.Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.earlier[n]
}

func (s testPolicies) Refresh(context.Context) error { return s.refreshed("policy") }

type testCatalogs struct{ *sources }

func (s testCatalogs) Current(database string) (*catalog.Snapshot, time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snap, s.snapAt, s.snap != nil && database == "app"
}

func (s testCatalogs) Refresh(_ context.Context, database string) error {
	return s.refreshed("catalog of " + database)
}

func (s *sources) refreshed(what string) error {
	s.mu.Lock()
	hook := s.refresh
	s.asked = append(s.asked, what)
	s.mu.Unlock()
	if hook == nil {
		return errors.New("nothing to refresh from")
	}
	return hook(what)
}

func (s *sources) setPolicy(t testing.TB, text string, revision uint64) {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy, s.revision, s.policyAt = p, revision, s.clock.Now()
	s.earlier[revision] = p
}

func (s *sources) setCatalog(t testing.TB, version uint64, tables ...string) {
	t.Helper()
	snap := catalogtest.Empty(t, 15)
	snap.Database, snap.Version = "app", version
	for i, name := range tables {
		snap.Relations = append(snap.Relations, catalog.Relation{
			OID: catalog.OID(20000 + i), Schema: "public", Name: name, Kind: catalog.KindTable, Owner: "owner",
			Columns: []catalog.Column{{Number: 1, Name: "id", Type: 23}, {Number: 2, Name: "note", Type: 25}},
		})
	}
	snap.Index()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snap, s.snapAt = snap, s.clock.Now()
}

// world is a server over an in-memory connection, with a real issuer, verifier,
// policy and analyser.
type world struct {
	*sources
	clock  *shiftClock
	issuer *devissuer.Issuer
	server *Server
	client authzv1.AuthorizationServiceClient
	admin  authzv1.AuthorizationAdminServiceClient
	stop   func()
	// analyze, when set, is called in place of the analyser.
	analyze atomic.Pointer[func(Unit, *catalog.Snapshot) access.Analysis]
}

func realAnalyze(u Unit, snap *catalog.Snapshot) access.Analysis {
	return analyze.Analyze(analyze.Input{
		Text: u.Text, Parse: u.Parse, ParameterTypes: u.ParameterTypes, Context: analyze.Context{
			SearchPath: u.Context.GetSearchPath(), Role: u.Context.GetRole(), Settings: u.Context.GetSettings(),
			ServerVersionNum: int(u.Context.GetServerVersionNum()),
		},
	}, snap)
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	machine := sys.OS()
	w := &world{clock: &shiftClock{Clock: machine.Clock}}
	machine.Clock = w.clock
	w.sources = &sources{clock: w.clock, earlier: map[uint64]*policy.Policy{}}
	w.setPolicy(t, testPolicy, 7)
	w.setCatalog(t, 3, "orders", "secrets")

	var err error
	w.issuer, err = devissuer.New(devissuer.Config{Issuer: testIssuer, Algorithms: []string{"ES256"}},
		devissuer.Deps{Clock: w.clock, Rand: machine.Rand})
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "jwks.json")
	doc, err := json.Marshal(w.issuer.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys, doc, fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	verifier, err := verify.New(verify.Config{}, verify.Deps{System: machine, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Configure([]verify.Issuer{{Issuer: testIssuer, Audiences: []string{"postgres"}, JWKSFile: keys}}); err != nil {
		t.Fatal(err)
	}
	tel, err := telemetry.Setup(telemetry.Config{}, telemetry.Deps{Service: "test", Rand: machine.Rand})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		TTL: time.Minute, MaxSourceAge: 1500 * time.Millisecond, RefreshWait: time.Second, FreshWait: time.Second, Heartbeat: 250 * time.Millisecond,
		Analyses: 8, StreamRequests: 4, Tokens: 16, Databases: []string{"app"},
	}
	if change != nil {
		change(&cfg)
	}
	w.server, err = New(cfg, Deps{
		Clock: w.clock, Logger: log, Telemetry: tel, Verifier: verifier, Policies: testPolicies{w.sources},
		Catalogs: testCatalogs{w.sources}, State: state.NewMemory(w.clock),
		NewToken: analyze.NewToken, Analyze: func(u Unit, snap *catalog.Snapshot) access.Analysis {
			if f := w.analyze.Load(); f != nil {
				return (*f)(u, snap)
			}
			return realAnalyze(u, snap)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.serve(t, machine, tel)
	return w
}

// serve connects a client to the server until the test ends or stop is called.
func (w *world) serve(t testing.TB, machine sys.System, tel *telemetry.Telemetry) {
	t.Helper()
	pipe := transport.NewPipe()
	grpcServer, err := transport.NewServer(transport.ServerConfig{}, transport.ServerDeps{Clock: machine.Clock, Net: machine.Net, FS: machine.FS,
		ReceiveLimit: transport.AuthorizeLimit})
	if err != nil {
		t.Fatal(err)
	}
	authzv1.RegisterAuthorizationServiceServer(grpcServer, w.server)
	authzv1.RegisterAuthorizationAdminServiceServer(grpcServer, NewAdmin(w.server, AdminDeps{
		Reload: func(context.Context) error { return nil }, Revisions: func() []state.Revision { return nil }, Skew: func() time.Duration { return 0 },
	}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := grpcServer.Serve(ctx, pipe); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	running.Go(func() {
		if err := w.server.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	conn, err := transport.Dial(transport.ClientConfig{}, transport.ClientDeps{Pipe: pipe, SendLimit: transport.AuthorizeLimit})
	if err != nil {
		t.Fatal(err)
	}
	w.client, w.admin = authzv1.NewAuthorizationServiceClient(conn), authzv1.NewAuthorizationAdminServiceClient(conn)
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
}

// token mints a token with these scopes.
func (w *world) token(t testing.TB, scopes ...string) string {
	t.Helper()
	token, err := w.issuer.Mint(devissuer.Claims{Subject: "alice", Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newID() []byte {
	u := id.New(sys.OS().Clock, sys.OS().Rand)
	return u[:]
}

// request asks for a Query with the token's hash and the token itself.
func request(token, sql string) *authzv1.AuthorizeRequest {
	tokenSum, unitSum := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(sql))
	return &authzv1.AuthorizeRequest{
		RequestId: 1, SessionId: newID(), StatementId: newID(), TokenSha256: tokenSum[:], Token: []byte(token),
		UnitSha256: unitSum[:], Unit: &authzv1.AuthorizeRequest_Query{Query: []byte(sql)},
		Context: &authzv1.SessionContext{
			Generation: 1, Database: "app", ServerVersionNum: 150018, Login: "app_ro", Role: "app_ro",
			SearchPath: `"$user", public`, Settings: map[string]string{"standard_conforming_strings": "on"},
		},
	}
}

// asker is an open Authorize stream.
type asker struct {
	t      *testing.T
	stream authzv1.AuthorizationService_AuthorizeClient
}

func (w *world) open(t *testing.T) *asker {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := w.client.Authorize(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return &asker{t, stream}
}

func (a *asker) send(req *authzv1.AuthorizeRequest) {
	a.t.Helper()
	if err := a.stream.Send(req); err != nil {
		a.t.Fatal(err)
	}
}

func (a *asker) recv() *authzv1.AuthorizeResponse {
	a.t.Helper()
	resp, err := a.stream.Recv()
	if err != nil {
		a.t.Fatal(err)
	}
	return resp
}

func (a *asker) ask(req *authzv1.AuthorizeRequest) *authzv1.AuthorizeResponse {
	a.t.Helper()
	a.send(req)
	return a.recv()
}

// ask asks on a stream of its own.
func (w *world) ask(t *testing.T, req *authzv1.AuthorizeRequest) *authzv1.AuthorizeResponse {
	t.Helper()
	return w.open(t).ask(req)
}
