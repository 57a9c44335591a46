package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

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
}

// session is a verified token. It is immutable but for grants.
type session struct {
	who verify.Principal
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

// verify verifies a token and remembers it. The error is a *verify.Refusal. The
// token's bytes are overwritten.
func (t *tokens) verify(ctx context.Context, token secret.Bytes) (*session, error) {
	defer token.Wipe()
	h := hash(token.SHA256())
	who, err := t.verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if policy.CheckDetails(detailsOf(who)) != nil {
		return nil, &verify.Refusal{
			Reason: verify.ClaimsInvalid, Detail: "the claim authorization_details grants something that there is not", Unverified: &who,
		}
	}
	s := &session{who: who}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.known[h]; !again && len(t.known) >= t.max {
		t.evictLocked()
	}
	t.known[h] = s
	return s, nil
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

// grantsOf compiles what a policy grants the principal, or returns the last
// result for the same policy.
func (s *session) grantsOf(p *policy.Policy) *policy.Grants {
	if c := s.grants.Load(); c != nil && c.policy == p {
		return c.grants
	}
	g := p.Grants(PrincipalOf(s.who))
	s.grants.Store(&compiled{policy: p, grants: g})
	return g
}

// PrincipalOf is who a token names, as policy sees it.
func PrincipalOf(who verify.Principal) policy.Principal {
	p := policy.Principal{
		Issuer: who.Issuer, Subject: who.Subject, ClientID: who.ClientID, Scopes: who.Scopes, Claims: who.Claims,
		Details: detailsOf(who),
	}
	for _, a := range who.Actors {
		p.Actors = append(p.Actors, policy.Actor{Issuer: a.Issuer, Subject: a.Subject})
	}
	return p
}

func detailsOf(who verify.Principal) []policy.Detail {
	var details []policy.Detail
	for _, d := range who.Details {
		details = append(details, policy.Detail(d))
	}
	return details
}
