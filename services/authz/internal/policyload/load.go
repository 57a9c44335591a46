// Package policyload keeps the policy in force: it reads the file again and
// again, keeps the last good policy when the file is broken, and gets every
// policy's revision from the state. A file that changed is read once it stays the
// same for a moment: half of a file that is being written can be a policy as well,
// one without the denies at its end.
package policyload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

// Config says where the policy is.
type Config struct {
	// File is the path of the policy file. Required.
	File string `yaml:"file"`
	// Interval is how often the file is looked at; 0 is 1s. A longer one leaves a
	// changed policy out of force for longer, a shorter one reads the file more
	// often.
	Interval config.Duration `yaml:"interval,omitempty"`
}

// defaultInterval is short against the time in which people expect a saved
// file to matter, and long against reading a file.
const defaultInterval = time.Second

// Validate implements config.Validator.
func (c Config) Validate(p *config.Problems) {
	if c.File == "" {
		p.Addf("file", "name the policy file")
	}
	if c.Interval < 0 {
		p.Addf("interval", "a time span is not negative")
	}
}

// settle is how long a changed file has to stay the same: long against a pause
// between two writes of an editor, short against the time in which people expect a
// saved file to matter.
const settle = 100 * time.Millisecond

// ErrUnsettled is Load's answer while a changed file may still be being written.
var ErrUnsettled = errors.New("the policy file changed a moment ago; it counts once it stays the same")

// Revisions numbers policies by their digest. It may block while it makes a new
// number durable; an error means that there is no number.
type Revisions interface {
	NextPolicy(digest [sha256.Size]byte) (revision uint64, err error)
}

// Deps is what a Loader works with.
type Deps struct {
	FS        sys.FS
	Clock     sys.Clock
	Revisions Revisions
	Log       *slog.Logger
	// Changed is called after every change of what Current or Err returns, by
	// the goroutine that found it. It must not block. May be nil.
	Changed func()
}

// Loader holds the policy in force. Its methods are safe for concurrent use.
type Loader struct {
	cfg     Config
	deps    Deps
	current atomic.Pointer[loaded]
	// mu makes loads one after the other; it guards the fields below.
	mu sync.Mutex
	// seen is the digest of the file as it was last read in full, good or bad;
	// it is compared so that an unchanged file is not parsed again.
	seen [sha256.Size]byte
	// pending is a good policy that has no revision yet.
	pending *policy.Policy
	// candidate is the digest of a changed file that has not settled, since when it
	// was read first.
	candidate [sha256.Size]byte
	since     time.Time
}

// loaded is one answer of Current and Err.
type loaded struct {
	policy   *policy.Policy
	revision uint64
	err      error
}

// New checks the configuration. Nothing is read before Load or Run.
func New(cfg Config, deps Deps) (*Loader, error) {
	var p config.Problems
	cfg.Validate(&p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	if deps.FS == nil || deps.Clock == nil || deps.Revisions == nil || deps.Log == nil {
		return nil, errors.New("a policy loader needs files, clock, revisions and log")
	}
	l := &Loader{cfg: cfg, deps: deps}
	l.current.Store(&loaded{err: errors.New("the policy has not been read yet")})
	return l, nil
}

// Current returns the policy in force and its revision, or nil and 0 when there
// is none yet: then nothing is allowed.
func (l *Loader) Current() (*policy.Policy, uint64) {
	c := l.current.Load()
	return c.policy, c.revision
}

// Err says why the file on disk is not in force, or returns nil when it is.
func (l *Loader) Err() error { return l.current.Load().err }

// Load reads the file now. It returns nil when the file is in force; otherwise
// the policy that was in force still is, and the error says why. A file that has
// changed while a policy is in force is ErrUnsettled at first.
func (l *Loader) Load() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.current.Load()
	after, settled := l.load(before)
	switch {
	case !settled:
		return ErrUnsettled
	case after == before:
		return before.err
	}
	l.current.Store(after)
	l.report(before, after)
	return after.err
}

// settled reports whether a changed file has stayed the same. Called with mu held.
func (l *Loader) settled(digest [sha256.Size]byte) bool {
	now := l.deps.Clock.Now()
	if digest != l.candidate {
		l.candidate, l.since = digest, now
	}
	return now.Sub(l.since) >= settle
}

// load reads and, if it changed, parses the file. It returns before itself when
// nothing is different, and false while a changed file has not settled. Called with
// mu held.
func (l *Loader) load(before *loaded) (after *loaded, settled bool) {
	fail := func(err error) (*loaded, bool) {
		if before.err != nil && before.err.Error() == err.Error() {
			return before, true
		}
		return &loaded{policy: before.policy, revision: before.revision, err: err}, true
	}
	data, err := l.deps.FS.ReadFile(l.cfg.File)
	if err != nil {
		l.seen, l.candidate, l.pending = [sha256.Size]byte{}, [sha256.Size]byte{}, nil
		return fail(fmt.Errorf("read policy: %w", err))
	}
	digest := sha256.Sum256(data)
	if digest != l.seen {
		// With none in force there is nothing to be kept meanwhile, and nothing that
		// was denied before.
		if before.policy != nil && !l.settled(digest) {
			return before, false
		}
		l.seen, l.pending = digest, nil
		p, err := policy.Parse(data)
		if err != nil {
			return fail(fmt.Errorf("policy %s: %w", l.cfg.File, err))
		}
		l.pending = p
	}
	if l.pending == nil {
		return before, true
	}
	revision, err := l.deps.Revisions.NextPolicy(digest)
	if err != nil {
		// The policy stays pending: the next load asks for a number again.
		return fail(fmt.Errorf("number policy: %w", err))
	}
	p := l.pending
	l.pending = nil
	return &loaded{policy: p, revision: revision}, true
}

// report logs a change and passes it on.
func (l *Loader) report(before, after *loaded) {
	switch {
	case after.err == nil && after.revision != before.revision:
		digest := after.policy.Digest()
		l.deps.Log.Info("policy in force", "revision", after.revision, "sha256", fmt.Sprintf("%x", digest[:]))
	case after.err == nil:
		l.deps.Log.Info("policy file is good again", "revision", after.revision)
	default:
		l.deps.Log.Error("policy not in force", "revision_in_force", after.revision, "error", after.err)
	}
	if l.deps.Changed != nil {
		l.deps.Changed()
	}
}

// Run loads the policy at every interval until ctx is done, the first time at
// once. Failed loads do not end it; Err has them. It returns nil.
func (l *Loader) Run(ctx context.Context) error {
	interval := l.cfg.Interval.Or(defaultInterval)
	timer := l.deps.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
			// Failures are reported by Load, once each.
			_ = l.Load()
			timer.Reset(interval)
		}
	}
}
