package rpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/revocation"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
	"github.com/scopewire/scopewire/services/authz/internal/state"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// Config bounds what the server does. Every field must be positive.
type Config struct {
	// TTL is how long a decision may be used, at most.
	TTL time.Duration
	// MaxSourceAge is how old the facts behind an answer may be.
	MaxSourceAge time.Duration
	// RefreshWait bounds the wait for newer facts when the proxy has seen a higher
	// epoch. It counts against the proxy's deadline for a decision.
	RefreshWait time.Duration
	// FreshWait bounds the wait for a catalog that is read after a session's own DDL.
	FreshWait time.Duration
	// Heartbeat is the time between two pushes of a watch.
	Heartbeat time.Duration
	// Analyses bounds the units analysed at once in the process, StreamRequests the
	// requests under way on one stream.
	Analyses, StreamRequests int
	// Tokens bounds the verified tokens remembered.
	Tokens int
	// Databases are the databases served.
	Databases []string
}

// Verifier verifies tokens. Safe for concurrent use.
type Verifier interface {
	// Verify returns who the token names, or a *verify.Refusal. It does not keep
	// the token. It may block for a few seconds while keys are fetched.
	Verify(ctx context.Context, token secret.Bytes) (verify.Principal, error)
	// Confirm is Verify for a token that was verified before: what its issuer was asked
	// of it a while ago is asked anew.
	Confirm(ctx context.Context, token secret.Bytes) (verify.Principal, error)
	// Holds reports whether what made p's token good still does.
	Holds(p verify.Principal) bool
}

// Policies has the policy in force and those before it. Safe for concurrent use.
type Policies interface {
	// Current is the policy in force, its revision, and when the reading started
	// that last found it in force. The policy is nil when there is none.
	Current() (p *policy.Policy, revision uint64, readAt time.Time)
	// Revision is an earlier policy, or nil when it is not remembered.
	Revision(revision uint64) *policy.Policy
	// Refresh reads the policy now, within ctx.
	Refresh(ctx context.Context) error
}

// Catalogs has the catalog snapshots. Safe for concurrent use.
type Catalogs interface {
	// Current is the last good snapshot of the database and when its reading
	// started.
	Current(database string) (snap *catalog.Snapshot, readAt time.Time, ok bool)
	// Refresh reads the database's catalog now, within ctx.
	Refresh(ctx context.Context, database string) error
}

// State keeps revocations and the policy's revisions; package state says how. Safe for
// concurrent use.
type State interface {
	Revoke(r *authzv1.Revocation, by state.Actor) (number uint64, err error)
	EndDecisions() error
	Revocations() *revocation.List
	Lease() time.Duration
	KeepLease(lease time.Duration) error
}

// Unit is what is analysed: a text and the context it is read in.
type Unit struct {
	// Text is the statement's text. The analyser does not keep it.
	Text []byte
	// Parse marks a Parse message; ParameterTypes are its OIDs, SettledTypes those of all
	// its parameters if it was judged before.
	Parse                        bool
	ParameterTypes, SettledTypes []catalog.OID
	// Function makes it a FunctionCall message, which has no text.
	Function *authzv1.FunctionCallUnit
	// Startup are the settings a session is to start with: nothing else is analysed
	// then.
	Startup map[string]string
	// Context is the session's, as the proxy knows it, and Answers what it was asked
	// about names of its own.
	Context *authzv1.SessionContext
	Answers []*authzv1.ProbeAnswer
}

// Deps are what the server works with.
type Deps struct {
	Clock     sys.Clock
	Logger    *slog.Logger
	Telemetry *telemetry.Telemetry
	Verifier  Verifier
	Policies  Policies
	Catalogs  Catalogs
	// State keeps the revocations.
	State State
	// Analyze says what a unit touches. It is pure, and safe for concurrent use.
	Analyze func(Unit, *catalog.Snapshot) access.Analysis
	// NewToken is the token in a text that brings one, as analysis has found it to. It is
	// pure, and safe for concurrent use; the caller owns the bytes.
	NewToken func(text []byte) (token []byte, ok bool)
}

// Server implements authzv1.AuthorizationServiceServer.
type Server struct {
	authzv1.UnimplementedAuthorizationServiceServer

	cfg    Config
	deps   Deps
	tokens *tokens
	// slots has one entry for each unit that is being analysed.
	slots    chan struct{}
	requests telemetry.Counter
	duration telemetry.BoundHistogram

	// mu guards what follows. stopping is closed when the server stops; readers
	// counts the goroutines that read from streams. changed is closed and replaced
	// when an epoch may have moved.
	mu       sync.Mutex
	stopped  bool
	stopping chan struct{}
	readers  sync.WaitGroup
	changed  chan struct{}
	// watchers are the watches that are open, and those that were within their lease; asking
	// is how many decision streams are open. acknowledged is closed and replaced when either
	// moves, or a watch acknowledges. started is when the server was made, inherited the
	// longest lease that was declared before; they do not change.
	watchers     map[*watcher]struct{}
	asking       int
	acknowledged chan struct{}
	started      time.Time
	inherited    time.Duration
}

// New makes a server. It answers as soon as it is registered; what it has no
// facts for, it refuses.
func New(cfg Config, deps Deps) (*Server, error) {
	for _, v := range []int64{int64(cfg.TTL), int64(cfg.MaxSourceAge), int64(cfg.RefreshWait), int64(cfg.FreshWait), int64(cfg.Heartbeat),
		int64(cfg.Analyses), int64(cfg.StreamRequests), int64(cfg.Tokens)} {
		if v <= 0 {
			return nil, errors.New("make authorization service: a bound is not positive")
		}
	}
	return &Server{
		cfg: cfg, deps: deps, tokens: newTokens(cfg.Tokens, deps.Clock, deps.Verifier),
		slots:    make(chan struct{}, cfg.Analyses),
		requests: deps.Telemetry.Counter(telemetry.AuthzRequestsTotal),
		duration: deps.Telemetry.Histogram(telemetry.AuthzAnalysisDuration).With(),
		stopping: make(chan struct{}), changed: make(chan struct{}),
		watchers: make(map[*watcher]struct{}), acknowledged: make(chan struct{}), started: deps.Clock.Now(), inherited: deps.State.Lease(),
	}, nil
}

// Run waits until ctx ends, then ends every stream and returns when nothing of
// the server runs any more but handlers that are about to return. It returns
// nil.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.stopped = true
	close(s.stopping)
	s.mu.Unlock()
	s.readers.Wait()
	return nil
}

// Changed tells the watches that an epoch may have moved. It does not block.
func (s *Server) Changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// change is closed at the next call of Changed.
func (s *Server) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// read runs a goroutine that reads from a stream. Such a goroutine outlives its
// handler by a moment, because what it waits for ends when the handler returns;
// Run waits for it. It reports false when the server stops.
func (s *Server) read(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.readers.Go(f)
	return true
}

// hash is the SHA-256 by which a token is known.
type hash [sha256.Size]byte
