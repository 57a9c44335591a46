package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"google.golang.org/grpc"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/filelock"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/audit/internal/ingest"
	"github.com/scopewire/scopewire/services/audit/internal/query"
	"github.com/scopewire/scopewire/services/audit/internal/store"
)

// ReceiveLimit is the receive limit that a server hosting the service needs, in
// bytes.
const ReceiveLimit = ingest.ReceiveLimit

// QueryReceiveLimit is the receive limit that a client of the query service
// needs, in bytes.
const QueryReceiveLimit = query.ReceiveLimit

// Deps is what a Service is made with. All are needed.
type Deps struct {
	// System is the machine; Net is not used.
	System sys.System
	// Telemetry is the process's.
	Telemetry *telemetry.Telemetry
}

// Service is the audit service: register it with a server, and run it for as
// long as that serves.
type Service struct {
	store  *store.Store
	ingest *ingest.Server
	query  *query.Server
	stop   []func()
	// lock keeps other processes off the store.
	lock sys.File
}

// New opens the store, which takes time and memory with its size. Of cfg only
// Store is used. Without Run the service answers queries and stores nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	var problems config.Problems
	cfg.Store.Validate(&problems, "store")
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("make audit service: %w", err)
	}
	if deps.Telemetry == nil {
		return nil, errors.New("make audit service: telemetry is missing")
	}
	size := cfg.Store.SegmentBytes
	if size == 0 {
		size = defaultSegment
	}
	log := deps.Telemetry.Log()
	if err := deps.System.FS.MkdirAll(cfg.Store.Directory, 0o700); err != nil {
		return nil, fmt.Errorf("make audit service: %w", err)
	}
	lock, err := filelock.Take(deps.System.FS, filepath.Join(cfg.Store.Directory, "lock"))
	if err != nil {
		return nil, fmt.Errorf("make audit service: %w", err)
	}
	st, err := store.Open(store.Config{Directory: cfg.Store.Directory, SegmentBytes: size},
		store.Deps{Clock: deps.System.Clock, FS: deps.System.FS, Rand: deps.System.Rand, Log: log})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make audit service: %w", err), lock.Close())
	}
	s := &Service{store: st, query: query.New(st), lock: lock}
	s.ingest = ingest.New(ingest.Deps{Store: st, Clock: deps.System.Clock, Log: log, Telemetry: deps.Telemetry})
	s.stop = []func(){
		deps.Telemetry.Gauge(telemetry.AuditStoreBytes, func() float64 { return float64(st.Bytes()) }),
		deps.Telemetry.Gauge(telemetry.AuditStoreProblems, func() float64 { return float64(len(st.Problems())) }),
	}
	sequence, _ := st.Head()
	log.Info("audit store is open", "events", sequence, "bytes", st.Bytes(), "problems", len(st.Problems()))
	return s, nil
}

// Register registers AuditIngestService and AuditQueryService.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	auditv1.RegisterAuditIngestServiceServer(r, s.ingest)
	s.RegisterQuery(r)
}

// RegisterQuery registers AuditQueryService alone.
func (s *Service) RegisterQuery(r grpc.ServiceRegistrar) {
	auditv1.RegisterAuditQueryServiceServer(r, s.query)
}

// Run stores events until ctx ends. What was acknowledged is durable; streams
// that are open then end with UNAVAILABLE. Call it once. When the server has
// stopped too, Wait.
func (s *Service) Run(ctx context.Context) error {
	err := errors.Join(s.store.Run(ctx), s.Close())
	if err != nil {
		return fmt.Errorf("run audit service: %w", err)
	}
	return nil
}

// Close gives up a service that is not run.
func (s *Service) Close() error {
	for _, stop := range s.stop {
		stop()
	}
	return s.lock.Close()
}

// Wait returns when no goroutine of the service's streams is left. Call it
// after the server that hosts it has stopped.
func (s *Service) Wait() { s.ingest.Wait() }
