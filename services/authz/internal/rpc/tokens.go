package rpc

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scopewire/scopewire/internal/revocation"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// tokens remembers verified tokens by their SHA-256, never the tokens
// themselves. Safe for concurrent use.
type tokens struct {
	clock    sys.Clock
	verifier Verifier
	max      int

	mu    sync.Mutex
	known map[hash]*session

	// sharing guards what follows: the grants of sets of scopes under the policy
	// that was last asked about.
	sharing      sync.Mutex
	shared       map[string]*policy.Grants
	sharedPolicy *policy.Policy
}

// session is a verified token. It is immutable but for grants.
type session struct {
	who verify.Principal
	// token is what revocations are held against.
	token revocation.Token
	// ended says that the token has expired, and was never good here: its bearer may roll
	// back and bring another one.
	ended bool
	// grants are what the last policy asked about gives the principal.
	grants atomic.Pointer[compiled]
}

type compiled struct {
	policy *policy.Policy
	grants *policy.Grants
}

func newTokens(most int, clock sys.Clock, verifier Verifier) *tokens {
	return &tokens{clock: clock, verifier: verifier, max: most, known: make(map[hash]*session)}
}

// find returns the token of that hash, nil when it is not known or not trusted
// any more. It may have expired: see session.left.
func (t *tokens) find(h hash) *session {
	t.mu.Lock()
	s := t.known[h]
	t.mu.Unlock()
	if s == nil || t.verifier.Holds(s.who) {
		return s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known[h] == s {
		delete(t.known, h)
	}
	return nil
}

// holds reports whether what made the token good still does.
func (t *tokens) holds(s *session) bool { return s.ended || t.verifier.Holds(s.who) }

// verify verifies a token and remembers it. The error is a *verify.Refusal. The
// token's bytes are overwritten.
func (t *tokens) verify(ctx context.Context, token secret.Bytes) (*session, error) {
	return t.verifyBy(ctx, token, t.verifier.Verify)
}

// confirm verifies a token again that sessions are open with. One that is not good any
// more is forgotten.
func (t *tokens) confirm(ctx context.Context, token secret.Bytes) (*session, error) {
	h := hash(token.SHA256())
	s, err := t.verifyBy(ctx, token, t.verifier.Confirm)
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.known, h)
	}
	return s, err
}

func (t *tokens) verifyBy(ctx context.Context, token secret.Bytes, by func(context.Context, secret.Bytes) (verify.Principal, error)) (*session, error) {
	defer token.Wipe()
	h := hash(token.SHA256())
	who, err := by(ctx, token)
	if err != nil {
		return nil, err
	}
	if policy.CheckDetails(DetailsOf(who)) != nil {
		return nil, &verify.Refusal{
			Reason: verify.ClaimsInvalid, Detail: "the claim authorization_details grants something that there is not", Unverified: &who,
		}
	}
	s := newSession(who, h)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.known[h]; !again && len(t.known) >= t.max {
		t.evictLocked()
	}
	t.known[h] = s
	return s, nil
}

func newSession(who verify.Principal, h hash) *session {
	t := revocation.Token{SHA256: h, ID: who.TokenID, Issuer: who.Issuer, Subject: who.Subject, ClientID: who.ClientID, IssuedAt: who.IssuedAt}
	if len(who.Actors) > 0 {
		t.Acted(who.Actors[0].Issuer, who.Actors[0].Subject)
	}
	if who.Twin != nil {
		t.Twin = *who.Twin
	}
	return &session{who: who, token: t}
}

// evictSample is how many entries are looked at to find one to forget.
const evictSample = 8

// evictLocked forgets the one that ends first among a few: to forget a token
// costs its next user one round trip.
func (t *tokens) evictLocked() {
	var victim hash
	var first time.Time
	n := 0
	for h, s := range t.known {
		if n == 0 || s.who.Deadline.Before(first) {
			victim, first = h, s.who.Deadline
		}
		if n++; n == evictSample {
			break
		}
	}
	delete(t.known, victim)
}

// left is how long the token is still valid, on the monotonic clock.
func (s *session) left(now time.Time) time.Duration { return s.who.Deadline.Sub(now) }

// stands is how long what is said of the token now may be used: until it ends, or its
// issuer has to be asked again.
func (s *session) stands(now time.Time) time.Duration {
	if s.who.ConfirmBy.IsZero() {
		return s.left(now)
	}
	return min(s.left(now), s.who.ConfirmBy.Sub(now))
}

// grantsOf compiles what a policy grants a session's principal, or returns the
// last result for the same policy.
func (t *tokens) grantsOf(s *session, p *policy.Policy) *policy.Grants {
	if c := s.grants.Load(); c != nil && c.policy == p {
		return c.grants
	}
	g := t.compile(s, p)
	s.grants.Store(&compiled{policy: p, grants: g})
	return g
}

// maxShared bounds the sets of scopes whose grants are shared.
const maxShared = 4096

// compile compiles grants. Where they depend on the scopes alone, tokens with the
// same scopes share them: they are far larger than a token, and most principals
// of an installation have one of a few sets.
func (t *tokens) compile(s *session, p *policy.Policy) *policy.Grants {
	if p.HasConditions() || len(s.who.Details) > 0 {
		return p.Grants(PrincipalOf(s.who, p))
	}
	// No scope holds a space.
	key := strings.Join(slices.Sorted(slices.Values(s.who.Scopes)), " ")
	t.sharing.Lock()
	defer t.sharing.Unlock()
	if t.shared == nil || t.sharedPolicy != p || len(t.shared) >= maxShared {
		t.shared, t.sharedPolicy = make(map[string]*policy.Grants), p
	}
	g := t.shared[key]
	if g == nil {
		g = p.Grants(policy.Principal{Scopes: s.who.Scopes})
		t.shared[key] = g
	}
	return g
}

// PrincipalOf is who a token names, as a policy sees it: all claims are read only
// where the policy asks for any.
func PrincipalOf(who verify.Principal, p *policy.Policy) policy.Principal {
	out := policy.Principal{
		Issuer: who.Issuer, Subject: who.Subject, ClientID: who.ClientID, Scopes: who.Scopes,
		Details: DetailsOf(who),
	}
	for _, a := range who.Actors {
		out.Actors = append(out.Actors, policy.Actor{Issuer: a.Issuer, Subject: a.Subject})
	}
	if p.HasConditions() {
		out.Claims = who.Claims()
	}
	return out
}

// DetailsOf are the grants that a token carries, as policy sees them.
func DetailsOf(who verify.Principal) []policy.Detail {
	var details []policy.Detail
	for _, d := range who.Details {
		details = append(details, policy.Detail(d))
	}
	return details
}
