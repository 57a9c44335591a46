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
	// Asked is told of each question to an issuer how it was answered: active, inactive or
	// failed; nil for nobody. It must be safe for concurrent use.
	Asked func(answer string)
	// Withdrawn is told after a key has gone from an issuer's set: what was decided by it
	// is not to be used any more. After an error it is told again. Nil for nobody; it must be
	// safe for concurrent use, and may block.
	Withdrawn func() error
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
	machine   sys.System
	answered  func(answer string)
	withdrawn func() error
	// questions counts what is asked of issuers.
	questions sync.WaitGroup
}

// issuer is a configured issuer with its keys, and with whom to ask about its tokens, nil
// where nobody is asked.
type issuer struct {
	rules Issuer
	keys  *source
	ask   *introspector
}

// proof is what made a token good: the issuer as it was configured and, where the token
// was signed, the key.
type proof struct {
	issuer *issuer
	signed bool
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
		wake: make(chan struct{}, 1), machine: deps.System, answered: deps.Asked, withdrawn: deps.Withdrawn,
	}
	if v.withdrawn == nil {
		v.withdrawn = func() error { return nil }
	}
	if v.answered == nil {
		v.answered = func(string) {}
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
	asked := ""
	for i, is := range issuers {
		path := fmt.Sprintf("issuers[%d]", i)
		if is.Mode == "" {
			is.Mode = Local
		}
		is.check(&p, path)
		if is.Mode.asks() {
			if asked != "" {
				p.Addf(path+".verification", "an opaque token does not say whose it is: tokens of %s are asked about already", asked)
			}
			asked = is.Issuer
		}
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
			was.AcceptTypJWT == is.AcceptTypJWT && was.Skew == is.Skew && was.MaxLifetime == is.MaxLifetime && was.Mode == is.Mode && was.Introspection == is.Introspection {
			return before
		}
		return &issuer{rules: is, keys: before.keys, ask: v.introspector(is)}
	}
	return &issuer{rules: is, ask: v.introspector(is), keys: &source{
		issuer: is.Issuer, clock: v.clock, log: v.log, cfg: v.cfg, load: v.fetcher.loader(is, v.fs),
		unknown: make(map[string]time.Time), withdrawn: v.withdrawn,
	}}
}

func (v *Verifier) introspector(is Issuer) *introspector {
	if !is.Mode.asks() {
		return nil
	}
	return &introspector{
		rules: is.Introspection, issuer: is.Issuer, clock: v.clock, log: v.log, timeout: v.cfg.FetchTimeout, answered: v.answered,
		question: v.fetcher.asker(is, v.cfg, v.machine), flights: &v.questions, slots: make(chan struct{}, maxQuestions),
		known: make(map[[sha256.Size]byte]opinion), asking: make(map[[sha256.Size]byte]*inquiry),
	}
}

// usesKeys reports whether the issuer's keys are of any use.
func (is *issuer) usesKeys() bool { return is.rules.Mode != Introspect }

// Run keeps the key sets fresh until ctx ends, and returns when every fetch it
// began has ended. It returns nil.
func (v *Verifier) Run(ctx context.Context) error {
	defer v.fetcher.asking.CloseIdleConnections()
	defer v.questions.Wait()
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
		if !is.usesKeys() || is.keys.due().After(v.clock.Now()) {
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
		if !is.usesKeys() {
			continue
		}
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
		if _, ok := is.keys.current(); ok || !is.usesKeys() {
			return nil
		}
		missing = append(missing, name)
	}
	slices.Sort(missing)
	return fmt.Errorf("no issuer has keys: %q", missing)
}

// Verify returns who the token names. The error is a *Refusal. Verify does not
// keep the token. It may wait for a key set to be fetched, at most as long as
// Config.FetchTimeout, or for its issuer to say that it is active.
func (v *Verifier) Verify(ctx context.Context, token secret.Bytes) (Principal, error) {
	return v.principal(ctx, token, 1)
}

// Confirm is Verify for a token that was verified some time ago: where its issuer is asked
// about it, a word that has been used for half of its time is not taken.
func (v *Verifier) Confirm(ctx context.Context, token secret.Bytes) (Principal, error) {
	return v.principal(ctx, token, 2)
}

// principal verifies by what issuers have said within a share of the time for which it
// counts.
func (v *Verifier) principal(ctx context.Context, token secret.Bytes, share time.Duration) (Principal, error) {
	p, c, r := v.verify(ctx, token.Expose(), share)
	if r != nil {
		// It may be one that others are given, too.
		own := *r
		own.Unverified = claimed(c.claims)
		return Principal{}, &own
	}
	return p, nil
}

// Holds reports whether what made p's token good still does: its issuer is
// configured as it was, the key that signed it is in the issuer's set, which
// is not too old, and so is the issuer's word where it was asked. Expiry is not looked at,
// and who has expired needs nobody's word for it.
func (v *Verifier) Holds(p Principal) bool {
	if p.proof.issuer == nil || (*v.issuers.Load())[p.Issuer] != p.proof.issuer {
		return false
	}
	if now := v.clock.Now(); !p.ConfirmBy.IsZero() && !now.Before(p.ConfirmBy) && now.Before(p.Deadline) {
		return false
	}
	if !p.proof.signed {
		return true
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

// MaxLifetime is the longest that tokens of an issuer live, 0 where nothing bounds it.
func (v *Verifier) MaxLifetime(name string) time.Duration {
	is, ok := (*v.issuers.Load())[name]
	if !ok {
		return 0
	}
	return is.rules.MaxLifetime
}

// verify is the one place that makes a good principal: every return before the
// last is a refusal.
func (v *Verifier) verify(ctx context.Context, token []byte, share time.Duration) (Principal, compact, *Refusal) {
	if is := v.opaque(token); is != nil {
		p, r := v.asked(ctx, is, token, share)
		return p, compact{}, r
	}
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
	if is.rules.Mode == Introspect {
		p, r := v.asked(ctx, is, token, share)
		if r == nil {
			p.Twin = twin(&c)
		}
		return p, c, r
	}
	if !slices.Contains(is.rules.Algorithms, c.alg) {
		return Principal{}, c, refuse(Algorithm, "the algorithm is not allowed for this issuer")
	}
	// A fetch costs the issuer; a token that could not be accepted does not cause
	// one.
	k, r := v.keyFor(ctx, is, &c, func() *Refusal {
		_, r := judge(c.claims, is.rules, v.clock.Now())
		return r
	})
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
	if is.rules.Mode == Both {
		if r := p.narrow(is.ask.ask(ctx, token, is.rules.Introspection.TTL/share), is.rules, v.clock.Now()); r != nil {
			return Principal{}, c, r
		}
	}
	p.proof, p.payload, p.Twin = proof{issuer: is, signed: true, print: k.print}, string(c.payload), twin(&c)
	return p, c, nil
}

// opaque is the issuer that is asked about a token which has the form of no JWT, nil for
// any other token and where no issuer is asked.
func (v *Verifier) opaque(token []byte) *issuer {
	if isJWT(token) || !isOpaque(token) {
		return nil
	}
	for _, is := range *v.issuers.Load() {
		if is.ask != nil {
			return is
		}
	}
	return nil
}

// asked verifies a token by its issuer's word alone.
func (v *Verifier) asked(ctx context.Context, is *issuer, token []byte, share time.Duration) (Principal, *Refusal) {
	p, r := judgeOpinion(is.ask.ask(ctx, token, is.rules.Introspection.TTL/share), is.rules, v.clock.Now())
	if r != nil {
		return Principal{}, r
	}
	p.proof = proof{issuer: is}
	return p, nil
}

// keyFor finds the key that the token names in its issuer's set, which it loads
// when it must and may, and precheck does not refuse the token.
func (v *Verifier) keyFor(ctx context.Context, is *issuer, c *compact, precheck func() *Refusal) (key, *Refusal) {
	set, ok := is.keys.current()
	if ok {
		if k, m := set.find(c); m != missing {
			return k, m.refusal()
		}
	}
	if r := precheck(); r != nil {
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
