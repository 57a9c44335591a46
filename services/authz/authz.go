package authz

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	// Conditions of a policy name time zones; without the machine's own files they
	// would be answered otherwise on one machine than on another.
	_ "time/tzdata"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/analyze"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/journal"
	"github.com/scopewire/scopewire/services/authz/internal/rpc"
	"github.com/scopewire/scopewire/services/authz/internal/signals"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
	"github.com/scopewire/scopewire/services/authz/internal/state"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// Deps are what the service runs on.
type Deps struct {
	System sys.System
	// Telemetry takes log, spans and metrics. It belongs to the caller.
	Telemetry *telemetry.Telemetry
	// Audit takes what operators did; nil reports it nowhere but in the log. It belongs to
	// the caller.
	Audit grpc.ClientConnInterface
}

// Authz is the service.
type Authz struct {
	cfg       Config
	clock     sys.Clock
	telemetry *telemetry.Telemetry
	store     state.Store
	// closeStore gives the state up.
	closeStore func() error
	verifier   *verify.Verifier
	policies   *policies
	catalogs   *snapshotter.Snapshotter
	server     *rpc.Server
	// audit is nil where nothing is reported.
	audit auditv1.AuditIngestServiceClient
	// signals is nil where none are taken.
	signals *signals.Receiver
	maxAge  time.Duration
}

// New builds the service and opens its state. The caller runs it, or closes it.
func New(cfg Config, deps Deps) (*Authz, error) {
	var problems config.Problems
	cfg.Validate(&problems)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("configure authz: %w", err)
	}
	a := &Authz{cfg: cfg, clock: deps.System.Clock, telemetry: deps.Telemetry, maxAge: cfg.maxSourceAge(), closeStore: func() error { return nil }}
	if deps.Audit != nil {
		a.audit = auditv1.NewAuditIngestServiceClient(deps.Audit)
	}
	if err := a.build(deps.System); err != nil {
		return nil, errors.Join(fmt.Errorf("make authz: %w", err), a.Close())
	}
	return a, nil
}

func (a *Authz) build(machine sys.System) error {
	log := a.telemetry.Log()
	if err := a.openState(machine); err != nil {
		return err
	}
	if a.audit != nil {
		if err := a.store.KeepActs(state.ActEpoch(id.New(machine.Clock, machine.Rand))); err != nil {
			return err
		}
	}
	var err error
	keys := verify.Config{
		Refresh: time.Duration(a.cfg.Keys.Refresh), MaxAge: time.Duration(a.cfg.Keys.MaxAge),
		FetchTimeout: time.Duration(a.cfg.Keys.FetchTimeout), CAFile: a.cfg.Keys.CAFile,
	}
	introspections := a.telemetry.Counter(telemetry.IntrospectionsTotal)
	a.verifier, err = verify.New(keys, verify.Deps{System: machine, Logger: log, Asked: func(answer string) { introspections.With(answer).Add(1) },
		Withdrawn: func() error { return a.server.EndDecisions() }})
	if err != nil {
		return err
	}
	// The sources tell the server of changes, and the server is there once they
	// run.
	a.policies, err = newPolicies(a.cfg.Policy, machine, a.store, a.verifier, log, func() {
		if a.server != nil {
			a.server.Changed()
		}
	})
	if err != nil {
		return err
	}
	// Later a broken file leaves the last good policy in force; at the start there
	// is none, and a person waits for a word.
	if err := a.policies.load(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	a.catalogs, err = snapshotter.New(a.cfg.Catalog, snapshotter.Deps{
		Sys: machine, Versions: a.store, Log: log, Changed: func(string) { a.server.Changed() },
	})
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	d := a.cfg.Decisions
	a.server, err = rpc.New(rpc.Config{
		TTL: d.TTL.Or(defaultTTL), MaxSourceAge: a.maxAge, RefreshWait: d.RefreshWait.Or(defaultRefreshWait), FreshWait: d.FreshWait.Or(defaultFreshWait),
		Heartbeat: d.Heartbeat.Or(defaultHeartbeat), Analyses: or(d.Analyses, defaultAnalyses),
		StreamRequests: or(d.StreamRequests, defaultStreamRequests), Tokens: or(d.Tokens, defaultTokens),
		Databases: a.databases(),
	}, rpc.Deps{
		Clock: machine.Clock, Logger: log, Telemetry: a.telemetry, Verifier: a.verifier, Policies: a.policies,
		Catalogs: a.catalogs, State: a.store, Analyze: analyzeUnit, NewToken: analyze.NewToken,
	})
	if err != nil {
		return err
	}
	events := a.telemetry.Counter(telemetry.SignalsTotal)
	a.signals, err = signals.New(a.cfg.Signals, signals.Deps{System: machine, Logger: log, Verifier: keys, Skew: a.verifier.Skew,
		MaxLifetime: a.verifier.MaxLifetime,
		Done:        func(result string) { events.With(result).Add(1) },
		Revoke: func(r *authzv1.Revocation, by, note string) (uint64, error) {
			return a.server.Keep(r, state.Actor{Caller: by, Note: note})
		}})
	return err
}

func (a *Authz) openState(machine sys.System) error {
	if a.cfg.State.Memory {
		a.store = state.NewMemory(machine.Clock)
		return nil
	}
	f, err := state.Open(machine.FS, machine.Clock, a.cfg.State.File)
	if err != nil {
		return err
	}
	a.store, a.closeStore = f, f.Close
	return nil
}

// Register puts the service on a gRPC server.
func (a *Authz) Register(r grpc.ServiceRegistrar) {
	authzv1.RegisterAuthorizationServiceServer(r, a.server)
	a.RegisterAdmin(r)
}

// RegisterAdmin puts administration alone on a gRPC server.
func (a *Authz) RegisterAdmin(r grpc.ServiceRegistrar) {
	authzv1.RegisterAuthorizationAdminServiceServer(r, rpc.NewAdmin(a.server, rpc.AdminDeps{
		Reload: a.policies.reload, Revisions: a.store.Policies, Skew: a.verifier.Skew,
	}))
}

// Run works until ctx ends, and gives up the state. It returns when nothing of
// the service runs any more but handlers that are about to return; whoever
// serves them waits for those. It returns nil after ctx ended.
func (a *Authz) Run(ctx context.Context) error {
	stopAge := a.telemetry.Gauge(telemetry.CatalogAge, a.catalogAge)
	defer stopAge()
	stopRevision := a.telemetry.Gauge(telemetry.PolicyRevision, func() float64 {
		_, revision, _ := a.policies.Current()
		return float64(revision)
	})
	defer stopRevision()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.policies.Run(ctx) })
	g.Go(func() error { return a.catalogs.Run(ctx) })
	g.Go(func() error { return a.verifier.Run(ctx) })
	g.Go(func() error { return a.server.Run(ctx) })
	if a.audit != nil {
		g.Go(func() error {
			return journal.Run(ctx, journal.Deps{Clock: a.clock, Logger: a.telemetry.Log(), Acts: a.store, Audit: a.audit,
				Instance: cmp.Or(a.cfg.Audit.Instance, "authz")})
		})
	}
	if a.signals != nil {
		g.Go(func() error { return a.signals.Run(ctx) })
	}
	return errors.Join(g.Wait(), a.Close())
}

// catalogAge is the age of the oldest snapshot, in seconds; without one it is
// infinite.
func (a *Authz) catalogAge() float64 {
	oldest := 0.0
	for _, database := range a.databases() {
		_, readAt, ok := a.catalogs.Current(database)
		if !ok {
			return math.Inf(1)
		}
		oldest = max(oldest, a.clock.Now().Sub(readAt).Seconds())
	}
	return oldest
}

// Close gives up the state of a service that is not run.
func (a *Authz) Close() error { return a.closeStore() }

// Ready is nil when this replica should get work: there is a policy, keys of at
// least one issuer and the catalog of at least one database, none too old. Else
// it says what is missing. What only some tokens or databases need is logged
// where it fails, and refused request by request: every other replica misses it
// as well. It does not block.
func (a *Authz) Ready(context.Context) error {
	errs := []error{a.policies.Err(), a.verifier.Ready()}
	now := a.clock.Now()
	if p, _, readAt := a.policies.Current(); p == nil || now.Sub(readAt) > a.maxAge {
		errs = append(errs, errors.New("the policy is missing or could not be read for too long"))
	}
	var stale []error
	for _, database := range a.databases() {
		if _, readAt, ok := a.catalogs.Current(database); !ok || now.Sub(readAt) > a.maxAge {
			stale = append(stale, fmt.Errorf("no catalog of %s: %w", database, cmp.Or(a.catalogs.Err(database), errNotRead)))
		}
	}
	if len(stale) == len(a.cfg.Catalog.Databases) {
		errs = append(errs, stale...)
	}
	return errors.Join(errs...)
}

// errNotRead says that a catalog is missing though nothing failed yet.
var errNotRead = errors.New("it has not been read yet")

func (a *Authz) databases() []string {
	names := make([]string, len(a.cfg.Catalog.Databases))
	for i, d := range a.cfg.Catalog.Databases {
		names[i] = d.Name
	}
	return names
}

// analyzeUnit gives analysis the part of the session's context that changes what
// a text means.
func analyzeUnit(u rpc.Unit, snap *catalog.Snapshot) access.Analysis {
	in := analyze.Input{
		Text: u.Text, Parse: u.Parse, ParameterTypes: u.ParameterTypes, SettledTypes: u.SettledTypes,
		Context: analyze.Context{
			SearchPath: u.Context.GetSearchPath(), Role: u.Context.GetRole(),
			ServerVersionNum: int(u.Context.GetServerVersionNum()), Settings: u.Context.GetSettings(),
			PreparedStatements: texts(u.Context.GetPreparedStatements()), Cursors: texts(u.Context.GetCursors()),
			Named: named(u.Answers), Uncommitted: u.Context.GetUncommitted(),
		},
	}
	if f := u.Function; f != nil {
		in.Function = &analyze.FunctionCall{OID: catalog.OID(f.GetFunctionOid()), Arguments: int(f.GetArgumentCount())}
	}
	in.Startup = u.Startup
	return analyze.Analyze(in, snap)
}

// named is what a session's proxy has said of names of the protocol.
func named(answers []*authzv1.ProbeAnswer) map[access.Name]analyze.Named {
	names := map[access.Name]analyze.Named{}
	for _, a := range answers {
		cursor := a.GetProbe().GetKind() == authzv1.ProbeKind_PROBE_KIND_PORTAL
		if !cursor && a.GetProbe().GetKind() != authzv1.ProbeKind_PROBE_KIND_STATEMENT {
			continue
		}
		n := analyze.Named{Exists: a.GetExists(), Text: string(a.GetUnit().GetText()), SearchPath: a.GetSearchPath(), PathKnown: a.SearchPath != nil}
		types := a.GetUnit().GetSettledTypeOids()
		if len(types) == 0 {
			types = a.GetUnit().GetParameterTypeOids()
		}
		for _, oid := range types {
			n.ParameterTypes = append(n.ParameterTypes, catalog.OID(oid))
		}
		names[access.Name{Cursor: cursor, Name: a.GetProbe().GetObject().GetName()}] = n
	}
	return names
}

// texts are the texts behind names.
func texts(from map[string][]byte) map[string]string {
	if len(from) == 0 {
		return nil
	}
	to := make(map[string]string, len(from))
	for name, text := range from {
		to[name] = string(text)
	}
	return to
}

// or is n, or def when n is zero.
func or(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}
