package registry

import (
	"sync"
	"testing"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/revocation"
)

// fake counts how often it was ended.
type fake struct {
	mu sync.Mutex
	n  int
	// drained is how often it was asked to end.
	drained int
}

func (f *fake) Drain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drained++
}

func (f *fake) Revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
}

func of(subject string) revocation.Token { return revocation.Token{Subject: subject} }

func rev(number uint64, subject string) *authzv1.Revocation {
	return &authzv1.Revocation{Number: number, Subject: subject}
}

// A revocation ends a session whether it comes while the session is open, was on its way,
// or gets another token, and leaves others alone.
func TestApply(t *testing.T) {
	r := New()
	var alice, bob, carol fake
	a, ok := r.Enter(&alice, of("alice"), 0)
	if !ok {
		t.Fatal("alice may not enter")
	}
	if _, ok := r.Enter(&bob, of("bob"), 0); !ok {
		t.Fatal("bob may not enter")
	}
	r.Apply([]*authzv1.Revocation{rev(1, "nobody"), rev(2, "alice")})
	if alice.n != 1 || bob.n != 0 || r.Applied() != 2 {
		t.Errorf("alice ended %d times, bob %d, up to %d", alice.n, bob.n, r.Applied())
	}
	for asOf, want := range map[uint64]bool{0: false, 1: false, 2: true, 3: true} {
		if _, ok := r.Enter(&fake{}, of("alice"), asOf); ok != want {
			t.Errorf("alice judged as of %d: %v", asOf, ok)
		}
	}
	if a.Renew(of("alice"), 1) || !a.Renew(of("carol"), 1) {
		t.Error("a new token is not held against what was revoked since")
	}
	r.Apply([]*authzv1.Revocation{rev(2, "alice"), rev(3, "carol")})
	if alice.n != 2 || r.Applied() != 3 {
		t.Errorf("under its new token it ended %d times, up to %d", alice.n, r.Applied())
	}
	c, _ := r.Enter(&carol, of("dora"), 3)
	c.Leave()
	r.Apply([]*authzv1.Revocation{rev(4, "dora")})
	if carol.n != 0 {
		t.Error("a session was ended that has left")
	}
}

// What was judged before anybody remembers may have been revoked since.
func TestForgotten(t *testing.T) {
	r := New()
	for n := range uint64(keptRecent + 10) {
		r.Apply([]*authzv1.Revocation{rev(n+1, "x")})
	}
	if len(r.recent) != keptRecent {
		t.Errorf("%d are kept", len(r.recent))
	}
	if _, ok := r.Enter(&fake{}, of("y"), 9); ok {
		t.Error("judged before all that is remembered, and let in")
	}
	if _, ok := r.Enter(&fake{}, of("y"), 10); !ok {
		t.Error("not let in, though all since is remembered")
	}
}

// TestFault_F12_Races: sessions that come and go while revocations do are ended or not let
// in, each of them.
func TestFault_F12_Races(t *testing.T) {
	r := New()
	var number uint64
	for round := range 200 {
		var s fake
		var wg sync.WaitGroup
		var in bool
		asOf := number
		number++
		wg.Go(func() { _, in = r.Enter(&s, of("alice"), asOf) })
		wg.Go(func() { r.Apply([]*authzv1.Revocation{rev(number, "alice")}) })
		wg.Wait()
		if in && s.n == 0 {
			t.Fatalf("round %d: a session of a revoked token is open", round)
		}
	}
}

// Whoever is there is asked to end, and whoever enters behind that; who has left is not.
func TestDrain(t *testing.T) {
	r := New()
	var there, gone, late fake
	r.Enter(&there, of("alice"), 0)
	e, _ := r.Enter(&gone, of("alice"), 0)
	e.Leave()
	r.Drain()
	r.Enter(&late, of("bob"), 0)
	if there.drained != 1 || gone.drained != 0 || late.drained != 1 || there.n+late.n != 0 {
		t.Errorf("asked: %d, %d and %d times", there.drained, gone.drained, late.drained)
	}
}
