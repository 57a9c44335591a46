package verify

import (
	"context"
	"crypto/elliptic"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// TestSec_T35_UnknownKidStorm: however many tokens name unknown keys, the issuer
// is asked once in thirty seconds.
func TestSec_T35_UnknownKidStorm(t *testing.T) {
	s := newIDP(t)
	s.want(t, s.key, "")
	start := s.fetches.Load()
	var callers sync.WaitGroup
	const each = 25_000
	for g := range 4 {
		tokens := make([]string, 100)
		for i := range tokens {
			tokens[i] = s.token(t, pair{kid: fmt.Sprintf("storm-%d-%d", g, i), signer: s.key.signer})
		}
		callers.Go(func() {
			for i := range each {
				if _, r := reasonOf(t, s.v, tokens[i%len(tokens)]); r == nil || r.Reason != Signature {
					t.Errorf("%v", r)
					return
				}
			}
		})
	}
	callers.Wait()
	if n := s.fetches.Load() - start; n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	// A known key is judged all the while, and the next interval brings one more.
	s.want(t, s.key, "")
	s.clock.advance(demandInterval)
	s.want(t, pair{kid: "another", signer: s.key.signer}, Signature)
	s.want(t, pair{kid: "a third", signer: s.key.signer}, Signature)
	if n := s.fetches.Load() - start; n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	// The kid that was just not found does not use up the next interval.
	s.clock.advance(demandInterval)
	s.want(t, pair{kid: "another", signer: s.key.signer}, Signature)
	if n := s.fetches.Load() - start; n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	src := (*s.v.issuers.Load())[s.URL].keys
	for i := range 3 * maxUnknown {
		s.clock.advance(demandInterval)
		src.mu.Lock()
		src.rememberLocked(fmt.Sprint(i), s.clock.Now())
		n := len(src.unknown)
		src.mu.Unlock()
		if n > maxUnknown {
			t.Fatalf("%d kids are remembered", n)
		}
	}
}

func TestUselessTokensCauseNoFetch(t *testing.T) {
	s := newIDP(t)
	now := s.clock.Now().Unix()
	header := `{"alg":"ES256","typ":"at+jwt","kid":"p256"}`
	for _, claims := range []map[string]any{{"exp": now - 1}, {"aud": "payroll"}, {"cnf": 1}, {"sub": ""}} {
		claims["iss"] = s.URL
		if _, r := reasonOf(t, s.v, sign(t, "ES256", s.key.signer, header, object(t, goodClaims(), claims))); r == nil || r.Reason == Unavailable {
			t.Errorf("%v: %v", claims, r)
		}
	}
	if n := s.fetches.Load() + s.discoveries.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestFault_F14_Rotation: a new key is accepted after one fetch, and a withdrawn
// one refused after the regular refresh, for tokens verified before too.
func TestFault_F14_Rotation(t *testing.T) {
	s := newIDP(t)
	held := s.want(t, s.key, "")
	fresh := pair{kid: "fresh", signer: ecKey(t, elliptic.P256())}
	s.set(nil, s.key, fresh)
	before := s.fetches.Load()
	s.want(t, fresh, "")
	if n := s.fetches.Load() - before; n != 1 {
		t.Errorf("%d fetches for a new key", n)
	}
	if !s.v.Holds(held) {
		t.Error("a rotation broke a token whose key is still there")
	}
	s.set(nil, fresh)
	s.tick(DefaultRefresh)
	s.want(t, s.key, Signature)
	if s.v.Holds(held) {
		t.Error("a withdrawn key is still believed")
	}
	// Another key under a known name is another key.
	held = s.want(t, fresh, "")
	s.set(nil, pair{kid: "fresh", signer: ecKey(t, elliptic.P256())})
	s.tick(DefaultRefresh)
	if s.v.Holds(held) {
		t.Error("a replaced key is still believed")
	}
	s.want(t, fresh, Signature)
	// An explicit empty set withdraws everything.
	s.set(nil)
	s.tick(DefaultRefresh)
	s.want(t, fresh, Signature)
}

// TestFault_F13_NoLoginWaits: while the issuer is away, one login in a second
// asks, and every other one is refused at once.
func TestFault_F13_NoLoginWaits(t *testing.T) {
	s := newIDP(t)
	s.set(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}, s.key)
	for range 50 {
		s.want(t, s.key, Unavailable)
	}
	// Both well-known addresses, once.
	if n := s.discoveries.Load() + s.fetches.Load(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	s.set(nil, s.key)
	s.clock.advance(retryFirst)
	s.want(t, s.key, "")
}

// TestRunRefreshes runs the background refresh over a file in simulated time.
func TestRunRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machine := sys.OS()
		machine.Net = noNet{t}
		old, fresh := pair{kid: "old", signer: ecKey(t, elliptic.P256())}, pair{kid: "fresh", signer: ecKey(t, elliptic.P256())}
		v := newVerifier(t, machine, testRules(), jwks(t, old))
		file := (*v.issuers.Load())[testIssuer].rules.JWKSFile
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		synctest.Wait()
		set := func() *keySet {
			set, _ := (*v.issuers.Load())[testIssuer].keys.current()
			return set
		}
		if s := set(); s == nil || len(s.keys) != 1 || s.keys[0].id != "old" {
			t.Fatalf("%+v", s)
		}
		write := func(doc []byte) {
			t.Helper()
			if err := os.WriteFile(file, doc, fs.FileMode(0o600)); err != nil {
				t.Fatal(err)
			}
		}
		write([]byte("half writ"))
		time.Sleep(DefaultRefresh)
		synctest.Wait()
		if s := set(); s.keys[0].id != "old" {
			t.Error("a broken file replaced the good set")
		}
		write(jwks(t, fresh))
		time.Sleep(retryFirst)
		synctest.Wait()
		if s := set(); s.keys[0].id != "fresh" {
			t.Error("the repaired file was not read")
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultMaxAge + DefaultRefresh)
		synctest.Wait()
		if s := set(); s != nil {
			t.Error("a set is in force that nobody could read for an hour")
		}
		// A new issuer is fetched without waiting for the next refresh.
		other := Issuer{Issuer: "https://other.example", Audiences: []string{testAudience}, JWKSFile: file + ".other"}
		if err := os.WriteFile(other.JWKSFile, jwks(t, old), fs.FileMode(0o600)); err != nil {
			t.Fatal(err)
		}
		if err := v.Configure([]Issuer{other}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := v.Ready(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestKnownKeysAreNotFetched: neither tokens with a known key nor refreshes
// before their time ask the issuer.
func TestKnownKeysAreNotFetched(t *testing.T) {
	s := newIDP(t)
	for range 10 {
		s.want(t, s.key, "")
		s.tick(demandInterval / 10)
	}
	if n := s.fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	s.tick(DefaultRefresh)
	if n := s.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

// TestFault_F14: the issuer rotates every five seconds for ten minutes, and publishes each
// key one turn before it signs and one after. No honest token is refused, tokens that were
// accepted stand until their key is withdrawn, and then no longer than a refresh.
func TestFault_F14_RotationForMinutes(t *testing.T) {
	s := newIDP(t)
	const turn, refresh = 5 * time.Second, 2 * time.Second
	s.v.cfg.Refresh = refresh
	for _, is := range *s.v.issuers.Load() {
		is.keys.cfg.Refresh = refresh
	}
	key := func(n int) pair { return pair{kid: "k" + strconv.Itoa(n), signer: ecKey(t, elliptic.P256())} }
	before, now, next := key(-1), key(0), key(1)
	s.set(nil, before, now, next)
	type accepted struct {
		p         Principal
		withdrawn int
	}
	var held []accepted
	old := pair{}
	for n := range 120 {
		for second := range int(turn / time.Second) {
			s.tick(time.Second)
			p, r := reasonOf(t, s.v, s.token(t, now))
			if r != nil {
				t.Fatalf("turn %d, second %d: an honest token is refused: %v", n, second, r)
			}
			if _, r := reasonOf(t, s.v, s.token(t, before)); r != nil {
				t.Fatalf("turn %d: a token of the turn before is refused: %v", n, r)
			}
			if second == 0 {
				held = append(held, accepted{p, n + 2})
			}
			if old.kid == "" || second < int(refresh/time.Second) {
				continue
			}
			if _, r := reasonOf(t, s.v, s.token(t, old)); r == nil {
				t.Fatalf("turn %d, second %d: a withdrawn key is accepted", n, second)
			}
			for _, a := range held {
				if stands := s.v.Holds(a.p); stands != (n < a.withdrawn) {
					t.Fatalf("turn %d: a token of a key that is withdrawn at turn %d stands: %v", n, a.withdrawn, stands)
				}
			}
		}
		old, before, now, next = before, now, next, key(n+2)
		s.set(nil, before, now, next)
	}
	if n := s.fetches.Load(); n > 400 {
		t.Errorf("the issuer was asked %d times in ten minutes", n)
	}
}

// TestFault_F14: a key that the issuer has made while its set was being read is found by
// another reading.
func TestFault_F14_KeysMadeMeanwhile(t *testing.T) {
	s := newIDP(t)
	late := pair{kid: "late", signer: ecKey(t, elliptic.P256())}
	var first sync.Once
	entered, release := make(chan struct{}), make(chan struct{})
	s.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/jwks" {
			return false
		}
		old := false
		first.Do(func() {
			old = true
			close(entered)
			<-release
			_, _ = w.Write(jwks(t, s.key))
		})
		return old
	}, s.key, late)
	var both sync.WaitGroup
	both.Go(func() { s.v.refreshDue(context.Background()) })
	<-entered
	both.Go(func() {
		if _, err := s.v.Verify(context.Background(), secret.FromString(s.token(t, late))); err != nil {
			t.Errorf("an honest token: %v", err)
		}
	})
	close(release)
	both.Wait()
}
