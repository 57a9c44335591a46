package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// Deps are what a Verifier runs on. Clock, Net and FS of the system are used.
type Deps struct {
	System sys.System
	Logger *slog.Logger
}

// Verifier verifies tokens. Safe for concurrent use.
type Verifier struct {
	cfg     Config
	clock   sys.Clock
	fs      sys.FS
	log     *slog.Logger
	fetcher *fetcher

	// issuers are by exact name. The map and the issuers are immutable.
	issuers atomic.Pointer[map[string]*issuer]
	// configure serialises Configure; wake tells Run of it.
	configure sync.Mutex
	wake      chan struct{}
}

// issuer is a configured issuer with its keys.
type issuer struct {
	rules Issuer
	keys  *source
}

// proof is what made a token good: the issuer as it was configured and the key.
type proof struct {
	issuer *issuer
	print  [sha256.Size]byte
}

// New makes a verifier that knows no issuer yet, and so refuses every token. It
// reads CAFile.
func New(cfg Config, deps Deps) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure token verifier: %w", err)
	}
	f, err := newFetcher(cfg, deps.System)
	if err != nil {
		return nil, fmt.Errorf("configure token verifier: %w", err)
	}
	v := &Verifier{
		cfg: cfg, clock: deps.System.Clock, fs: deps.System.FS, log: deps.Logger, fetcher: f,
		wake: make(chan struct{}, 1),
	}
	v.issuers.Store(&map[string]*issuer{})
	return v, nil
}

// Configure replaces the accepted issuers, all at once; on an error, which lists
// every problem, those before stay. An issuer that is as it was keeps its keys,
// and tokens verified under it stay good.
func (v *Verifier) Configure(issuers []Issuer) error {
	v.configure.Lock()
	defer v.configure.Unlock()
	var p config.Problems
	old := *v.issuers.Load()
	next := make(map[string]*issuer, len(issuers))
	for i, is := range issuers {
		path := fmt.Sprintf("issuers[%d]", i)
		is.check(&p, path)
		if _, twice := next[is.Issuer]; twice {
			p.Addf(path+".issuer", "the issuer is listed twice")
		}
		is.Audiences, is.Algorithms = slices.Clone(is.Audiences), slices.Clone(is.Algorithms)
		if len(is.Algorithms) == 0 {
			is.Algorithms = DefaultAlgorithms()
		}
		next[is.Issuer] = v.adopt(old[is.Issuer], is)
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("configure issuers: %w", err)
	}
	v.issuers.Store(&next)
	select {
	case v.wake <- struct{}{}:
	default:
	}
	return nil
}

// adopt returns the issuer before, when nothing changed, or a new one, with the
// keys from before when they come from the same place.
func (v *Verifier) adopt(before *issuer, is Issuer) *issuer {
	if before != nil && before.rules.JWKSURI == is.JWKSURI && before.rules.JWKSFile == is.JWKSFile {
		was := before.rules
		if slices.Equal(was.Audiences, is.Audiences) && slices.Equal(was.Algorithms, is.Algorithms) &&
			was.AcceptTypJWT == is.AcceptTypJWT && was.Skew == is.Skew {
			return before
		}
		return &issuer{rules: is, keys: before.keys}
	}
	return &issuer{rules: is, keys: &source{
		issuer: is.Issuer, clock: v.clock, log: v.log, cfg: v.cfg, load: v.fetcher.loader(is, v.fs),
		unknown: make(map[string]time.Time),
	}}
}

// Run keeps the key sets fresh until ctx ends, and returns when every fetch it
// began has ended. It returns nil.
func (v *Verifier) Run(ctx context.Context) error {
	defer v.fetcher.client.CloseIdleConnections()
	timer := v.clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		case <-v.wake:
		}
		v.refreshDue(ctx)
		timer.Reset(v.untilDue())
	}
}

// refreshDue loads every key set whose time has come, side by side, and waits.
func (v *Verifier) refreshDue(ctx context.Context) {
	var loads sync.WaitGroup
	for _, is := range *v.issuers.Load() {
		if is.keys.due().After(v.clock.Now()) {
			continue
		}
		// A failure is logged and counted where it happens.
		loads.Go(func() { _ = is.keys.refresh(ctx, true) })
	}
	loads.Wait()
}

func (v *Verifier) untilDue() time.Duration {
	wait := v.cfg.Refresh
	for _, is := range *v.issuers.Load() {
		wait = min(wait, is.keys.due().Sub(v.clock.Now()))
	}
	return max(wait, 0)
}

// Ready is nil when at least one issuer has keys that are not too old. One that is
// away is no reason to send the tokens of the others elsewhere: every replica
// misses the same keys.
func (v *Verifier) Ready() error {
	var missing []string
	for name, is := range *v.issuers.Load() {
		if _, ok := is.keys.current(); ok {
			return nil
		}
		missing = append(missing, name)
	}
	slices.Sort(missing)
	return fmt.Errorf("no issuer has keys: %q", missing)
}

// Verify returns who the token names. The error is a *Refusal. Verify does not
// keep the token. It may wait for a key set to be fetched, at most as long as
// Config.FetchTimeout.
func (v *Verifier) Verify(ctx context.Context, token secret.Bytes) (Principal, error) {
	p, c, r := v.verify(ctx, token.Expose())
	if r != nil {
		r.Unverified = claimed(c.claims)
		return Principal{}, r
	}
	return p, nil
}

// Holds reports whether what made p's token good still does: its issuer is
// configured as it was, and the key that signed it is in the issuer's set, which
// is not too old. Expiry is not looked at.
func (v *Verifier) Holds(p Principal) bool {
	if p.proof.issuer == nil || (*v.issuers.Load())[p.Issuer] != p.proof.issuer {
		return false
	}
	set, ok := p.proof.issuer.keys.current()
	return ok && set.holds(p.proof.print)
}

// Skew is the greatest by which an accepted issuer's clock may be ahead.
func (v *Verifier) Skew() time.Duration {
	skew := time.Duration(0)
	for _, is := range *v.issuers.Load() {
		skew = max(skew, is.rules.Skew)
	}
	return skew
}

// verify is the one place that makes a good principal: every return before the
// last is a refusal.
func (v *Verifier) verify(ctx context.Context, token []byte) (Principal, compact, *Refusal) {
	c, r := split(token)
	if r != nil {
		return Principal{}, c, r
	}
	// The issuer comes first: it says which keys and which rules count.
	is, ok := (*v.issuers.Load())[c.claims.optional("iss")]
	if !ok {
		return Principal{}, c, refuse(IssuerUnknown, "the issuer is not configured")
	}
	if r := judgeType(c.typ, c.claims, is.rules.AcceptTypJWT); r != nil {
		return Principal{}, c, r
	}
	if !slices.Contains(is.rules.Algorithms, c.alg) {
		return Principal{}, c, refuse(Algorithm, "the algorithm is not allowed for this issuer")
	}
	k, r := v.keyFor(ctx, is, &c)
	if r != nil {
		return Principal{}, c, r
	}
	if !signed(c.alg, k.public, c.input, c.signature) {
		return Principal{}, c, refuse(Signature, "the signature does not verify")
	}
	p, r := judge(c.claims, is.rules, v.clock.Now())
	if r != nil {
		r.Signed = true
		return Principal{}, c, r
	}
	p.proof, p.payload = proof{issuer: is, print: k.print}, string(c.payload)
	return p, c, nil
}

// keyFor finds the key that the token names in its issuer's set, which it loads
// when it must and may.
func (v *Verifier) keyFor(ctx context.Context, is *issuer, c *compact) (key, *Refusal) {
	set, ok := is.keys.current()
	if ok {
		if k, m := set.find(c); m != missing {
			return k, m.refusal()
		}
	}
	// A fetch costs the issuer; a token that could not be accepted does not cause
	// one.
	if _, r := judge(c.claims, is.rules, v.clock.Now()); r != nil {
		return key{}, r
	}
	is.keys.demand(ctx, c)
	if set, ok = is.keys.current(); !ok {
		return key{}, refuse(Unavailable, "the issuer's keys could not be had, or are too old")
	}
	k, m := set.find(c)
	return k, m.refusal()
}

func (m match) refusal() *Refusal {
	switch m {
	case found:
		return nil
	case unfit:
		return refuse(Algorithm, "the key that the header names is for another algorithm")
	case ambiguous:
		return refuse(Signature, "the header names no key, and several would do")
	default:
		return refuse(Signature, "the issuer has no such key")
	}
}
