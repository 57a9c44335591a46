package authz

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
	"github.com/scopewire/scopewire/services/authz/internal/policyload"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// rememberedRevisions is how many earlier policies are kept for transactions
// that are pinned to one. A pin lasts a minute; a policy changes seldom.
const rememberedRevisions = 16

// policies has the policy in force. It reads the file through a policyload
// loader and adds when it was last known to be what the file says, which issuers
// that makes acceptable, and the policies before it. Safe for concurrent use.
type policies struct {
	clock    sys.Clock
	log      *slog.Logger
	interval time.Duration
	loader   *policyload.Loader
	source   *source
	verifier *verify.Verifier
	changed  func()

	current atomic.Pointer[inForce]

	// mu makes loads one after the other, and guards what follows: earlier
	// policies by revision, oldest first in order.
	mu      sync.Mutex
	earlier map[uint64]*policy.Policy
	order   []uint64
}

// inForce is one answer of Current.
type inForce struct {
	policy   *policy.Policy
	revision uint64
	readAt   time.Time
	// issuers says why the policy's issuers could not be configured.
	issuers error
}

// source stands between the loader and what it reads, and remembers whether the
// last look was complete: the file read, and the policy numbered if it was new.
// What the file held does not matter; a broken one leaves the last good policy
// in force for as long as it can be seen to be broken.
type source struct {
	sys.FS
	revisions policyload.Revisions
	failed    atomic.Bool
}

// ReadFile reads the policy file.
func (s *source) ReadFile(name string) ([]byte, error) {
	b, err := s.FS.ReadFile(name)
	if err != nil {
		s.failed.Store(true)
	}
	return b, err
}

// NextPolicy numbers a policy.
func (s *source) NextPolicy(digest [sha256.Size]byte) (uint64, error) {
	n, err := s.revisions.NextPolicy(digest)
	if err != nil {
		s.failed.Store(true)
	}
	return n, err
}

func newPolicies(cfg PolicyConfig, machine sys.System, revisions policyload.Revisions, verifier *verify.Verifier,
	log *slog.Logger, changed func(),
) (*policies, error) {
	p := &policies{
		clock: machine.Clock, log: log, interval: cfg.Interval.Or(defaultPolicyInterval),
		source: &source{FS: machine.FS, revisions: revisions}, verifier: verifier, changed: changed,
		earlier: make(map[uint64]*policy.Policy),
	}
	var err error
	p.loader, err = policyload.New(policyload.Config{File: cfg.File},
		policyload.Deps{FS: p.source, Clock: machine.Clock, Revisions: p.source, Log: log})
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p.current.Store(&inForce{})
	return p, nil
}

// Current implements rpc.Policies.
func (p *policies) Current() (*policy.Policy, uint64, time.Time) {
	c := p.current.Load()
	return c.policy, c.revision, c.readAt
}

// Revision implements rpc.Policies.
func (p *policies) Revision(revision uint64) *policy.Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.earlier[revision]
}

// Refresh implements rpc.Policies. Reading a file cannot be cancelled; it is
// short.
func (p *policies) Refresh(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("refresh policy: %w", err)
	}
	return p.load()
}

// Run reads the file at every interval until ctx ends. It returns nil.
func (p *policies) Run(ctx context.Context) error {
	timer := p.clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
			// The loader logs a failure once, and Err has it.
			_ = p.load()
			timer.Reset(p.interval)
		}
	}
}

// load reads the file and brings what it holds into force: first its issuers,
// so that no token is judged by a policy that does not accept its issuer.
func (p *policies) load() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := p.clock.Now()
	p.source.failed.Store(false)
	err := p.loader.Load()
	before := p.current.Load()
	next := *before
	next.policy, next.revision = p.loader.Current()
	// While a changed file settles, what is in force is no more what the file says.
	if !p.source.failed.Load() && !errors.Is(err, policyload.ErrUnsettled) {
		next.readAt = start
	}
	isNew := next.revision != before.revision
	if isNew {
		next.issuers = p.accept(next.policy)
		p.remember(next)
	}
	p.current.Store(&next)
	if isNew {
		p.changed()
	}
	return err
}

// reload is load for somebody who waits: a file that has changed a moment ago is read
// again until it has settled, within ctx.
func (p *policies) reload(ctx context.Context) error {
	for {
		err := p.load()
		if !errors.Is(err, policyload.ErrUnsettled) {
			return err
		}
		timer := p.clock.NewTimer(reloadAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C():
		}
	}
}

// reloadAgain is the time between two looks at a file that settles.
const reloadAgain = 50 * time.Millisecond

// accept makes the policy's issuers those whose tokens are verified. When that
// fails, no issuer is accepted.
func (p *policies) accept(in *policy.Policy) error {
	err := p.verifier.Configure(issuersOf(in))
	if err != nil {
		p.log.Error("issuers of the policy cannot be accepted, every token is refused", "error", err)
		// No issuers are always acceptable.
		err = errors.Join(err, p.verifier.Configure(nil))
	}
	return err
}

// remember keeps a policy for transactions that are pinned to it. Called with mu
// held.
func (p *policies) remember(c inForce) {
	if _, again := p.earlier[c.revision]; !again {
		p.order = append(p.order, c.revision)
	}
	p.earlier[c.revision] = c.policy
	if len(p.order) > rememberedRevisions {
		delete(p.earlier, p.order[0])
		p.order = p.order[1:]
	}
}

// Err says why the file on disk is not in force, or its issuers are not.
func (p *policies) Err() error { return errors.Join(p.loader.Err(), p.current.Load().issuers) }
