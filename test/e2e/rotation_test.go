package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/test/cluster"
)

// keysPublished is how many keys the issuer publishes: the next one, the one that signs, and
// two that have signed before. A token of the turn before is good whenever it is looked at.
const keysPublished = 4

// rotating is an issuer that changes its keys in turns.
type rotating struct {
	*demo.World
	mu sync.Mutex
	// keys are the names of those published, oldest first.
	keys []string
	turn atomic.Int64
}

// rotate begins a turn.
func (r *rotating) rotate() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.Issuer.Rotate(); err != nil {
		return err
	}
	r.Issuer.Keep(keysPublished)
	r.keys = nil
	for _, k := range r.Issuer.JWKS().Keys {
		if k.Algorithm == "ES256" {
			r.keys = append(r.keys, k.KeyID)
		}
	}
	r.turn.Add(1)
	return nil
}

// mint signs with the key of this turn, or of one before.
func (r *rotating) mint(before int, subject string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Issuer.Mint(devissuer.Claims{Subject: subject, Audience: []string{demo.Audience}, Scopes: []string{"orders.read"},
		Lifetime: time.Hour, KeyID: r.keys[len(r.keys)-2-before]})
}

// login opens a session, and closes it.
func (r *rotating) login(ctx context.Context, token string) error {
	conn, err := cluster.TryConnectWith(ctx, r.ConnString("x"), token)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT id FROM orders")
	return errors.Join(err, conn.Close(ctx))
}

// TestFault_F14_RotationInRealTime: the issuer changes its keys every few seconds, as issuers
// do that publish a key before they sign with it and for a while after. No honest login and no
// statement of a session is refused, which take a new token each turn, and once a withdrawn key
// has been refused nothing that it signed is taken again. With SCOPEWIRE_NIGHTLY set it lasts
// five minutes.
func TestFault_F14_RotationInRealTime(t *testing.T) {
	turn, refresh, turns, sessions := 2*time.Second, 300*time.Millisecond, 7, 4
	if nightly() {
		turn, refresh, turns, sessions = 5*time.Second, 2*time.Second, 60, 30
	}
	// A withdrawn key is known until the set has been read again: after a refresh, and a fetch
	// that takes no longer than its timeout.
	bound := refresh + 4*time.Second
	r := &rotating{World: cluster.Start(t, demo.Config{Keys: fmt.Sprintf(", refresh: %s", refresh)})}
	for range keysPublished {
		if err := r.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var statements, logins, refreshes atomic.Int64
	var wg sync.WaitGroup
	// The set with the first keys is read.
	first, err := r.mint(0, "first")
	for until := time.Now().Add(bound); err == nil && r.login(ctx, first) != nil; {
		if time.Now().After(until) {
			t.Fatal("the issuer's keys are not read")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range sessions {
		subject := fmt.Sprintf("session-%d", i)
		token, err := r.mint(0, subject)
		if err != nil {
			t.Fatal(err)
		}
		conn := cluster.ConnectWith(t, r.ConnString("x"), token)
		wg.Go(func() { r.work(ctx, t, conn, subject, &statements, &refreshes) })
	}
	for before := range 2 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				token, err := r.mint(before, fmt.Sprintf("login-%d-%d", before, n))
				if err == nil {
					err = r.login(ctx, token)
				}
				if err != nil && ctx.Err() == nil {
					t.Errorf("an honest login, its key %d turns old: %v", before, err)
					return
				}
				logins.Add(1)
				pause(ctx, 20*time.Millisecond)
			}
		})
	}
	var gone []string
	var accepted []time.Duration
	next := time.NewTicker(turn)
	defer next.Stop()
	for range turns {
		<-next.C
		token, err := r.mint(keysPublished-2, "withdrawn")
		if err == nil {
			err = r.rotate()
		}
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for r.login(ctx, token) == nil && time.Since(began) < bound {
			pause(ctx, 10*time.Millisecond)
		}
		accepted = append(accepted, time.Since(began))
		gone = append(gone, token)
		for i, token := range gone {
			if err := r.login(ctx, token); sqlState(err) != "28P01" {
				t.Errorf("a key that was withdrawn at turn %d is taken at turn %d: %v", i, len(gone), err)
			}
		}
	}
	stop()
	wg.Wait()
	if statements.Load() == 0 || logins.Load() == 0 || refreshes.Load() < int64(sessions*(turns-1)) {
		t.Errorf("%d statements, %d logins, %d refreshes", statements.Load(), logins.Load(), refreshes.Load())
	}
	slices.Sort(accepted)
	t.Logf("%d turns of %s, keys read every %s: %d statements in %d sessions, %d refreshes and %d logins, none refused; withdrawn keys were taken for %s at the median, %s at most",
		turns, turn, refresh, statements.Load(), sessions, refreshes.Load(), logins.Load(), accepted[len(accepted)/2].Round(time.Millisecond),
		accepted[len(accepted)-1].Round(time.Millisecond))
}

// TestFault_F14_WithdrawnKeyEndsKeptDecisions: a session works on by what was decided before
// for as long as a minute, but no longer than it takes to hear that the key that has
// signed its token is withdrawn. Others work on.
func TestFault_F14_WithdrawnKeyEndsKeptDecisions(t *testing.T) {
	const refresh, bound = 300 * time.Millisecond, 20 * time.Second
	r := &rotating{World: cluster.Start(t, demo.Config{Keys: fmt.Sprintf(", refresh: %s", refresh)})}
	for range keysPublished {
		if err := r.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	open := func(before int, subject string) *pgx.Conn {
		token, err := r.mint(before, subject)
		if err != nil {
			t.Fatal(err)
		}
		for until := time.Now().Add(bound); r.login(t.Context(), token) != nil; {
			if time.Now().After(until) {
				t.Fatal("the issuer's keys are not read")
			}
		}
		return cluster.ConnectWith(t, r.ConnString("x"), token)
	}
	ask := func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), "SELECT id FROM orders", pgx.QueryExecModeSimpleProtocol)
		return err
	}
	old, young := open(keysPublished-2, "old"), open(0, "young")
	if err := errors.Join(ask(old), ask(young)); err != nil {
		t.Fatal(err)
	}
	if err := r.rotate(); err != nil {
		t.Fatal(err)
	}
	began, n := time.Now(), 0
	var end error
	for ; end == nil && time.Since(began) < bound; n++ {
		end = ask(old)
	}
	if end == nil {
		t.Errorf("%d statements ran in %s after the key was withdrawn", n, bound)
	}
	t.Logf("after %s and %d statements: %v", time.Since(began).Round(time.Millisecond), n, end)
	if err := ask(young); err != nil {
		t.Errorf("a session of another key: %v", err)
	}
}

// work sends statements, and a new token at each turn.
func (r *rotating) work(ctx context.Context, t *testing.T, conn *pgx.Conn, subject string, statements, refreshes *atomic.Int64) {
	seen := r.turn.Load()
	for n := 0; ctx.Err() == nil; n++ {
		if now := r.turn.Load(); now != seen {
			seen = now
			token, err := r.mint(0, subject)
			if err == nil {
				_, err = conn.Exec(ctx, "SET scopewire.token = '"+token+"'", pgx.QueryExecModeSimpleProtocol)
			}
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("%s: a new token is refused: %v", subject, err)
				}
				return
			}
			refreshes.Add(1)
		}
		// Every other statement is one that nobody has judged.
		sql := "SELECT id FROM orders"
		if n%2 == 1 {
			sql = fmt.Sprintf("SELECT id AS %s_%d FROM orders", strings.ReplaceAll(subject, "-", "_"), n)
		}
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			if ctx.Err() == nil {
				t.Errorf("%s: a statement is refused: %v", subject, err)
			}
			return
		}
		statements.Add(1)
		pause(ctx, 50*time.Millisecond)
	}
}

// pause spreads load over time.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
