package rpc

import (
	"context"
	"fmt"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

// leastLease is how long a proxy that has never said is taken to go on using what it was
// told: the default of its staleness bound.
const leastLease = time.Second

// Keep makes a revocation durable, has every proxy told, and returns its number.
func (s *Server) Keep(r *authzv1.Revocation, by state.Actor) (uint64, error) {
	number, err := s.deps.State.Revoke(r, by)
	if err != nil {
		return 0, fmt.Errorf("revoke: %w", err)
	}
	s.Changed()
	return number, nil
}

// EndDecisions has everything decided again that was decided until now: the facts by which
// tokens were good are not what they were.
func (s *Server) EndDecisions() error {
	if err := s.deps.State.EndDecisions(); err != nil {
		return fmt.Errorf("end decisions: %w", err)
	}
	s.Changed()
	return nil
}

// Revoke makes a revocation durable, tells every proxy, and returns when each has
// applied it or its lease has run out. When ctx ends first it returns ctx's error with
// what is known: the revocation holds. Any other error says that nothing was revoked.
func (s *Server) Revoke(ctx context.Context, r *authzv1.Revocation, by state.Actor) (*authzv1.RevokeResponse, error) {
	number, err := s.Keep(r, by)
	if err != nil {
		return nil, err
	}
	// All that was answered before this moment may be used for a lease from it on.
	since := s.deps.Clock.Now()
	resp := &authzv1.RevokeResponse{Epoch: &authzv1.Epoch{Revocation: number}}
	for {
		s.mu.Lock()
		due := s.awaitedLocked(number, since, resp)
		moved := s.acknowledged
		s.mu.Unlock()
		wait := due.Sub(s.deps.Clock.Now())
		if wait <= 0 {
			return resp, nil
		}
		timer := s.deps.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return resp, ctx.Err()
		case <-s.stopping:
			timer.Stop()
			return resp, context.Canceled
		case <-moved:
		case <-timer.C():
		}
		timer.Stop()
	}
}

// awaitedLocked is until when proxies may go on that have not applied a revocation made at
// a moment. It counts into resp those that have, and those that are waited for.
func (s *Server) awaitedLocked(number uint64, since time.Time, resp *authzv1.RevokeResponse) (due time.Time) {
	resp.Acknowledged, resp.LeasesExpired = 0, 0
	open := 0
	wait := func(end time.Time) {
		resp.LeasesExpired++
		if end.After(due) {
			due = end
		}
	}
	for w := range s.watchers {
		switch {
		case w.left.IsZero():
			open++
			if w.applied >= number {
				resp.Acknowledged++
			} else {
				wait(since.Add(w.lease))
			}
		case w.applied < number && w.left.Add(w.lease).After(since):
			wait(w.left.Add(w.lease))
		}
	}
	// Proxies that ask for decisions and do not watch, and those that watched a server
	// before this one.
	if s.asking > open {
		wait(since.Add(max(leastLease, s.deps.State.Lease())))
	}
	if before := s.started.Add(max(leastLease, s.inherited)); before.After(since) {
		wait(before)
	}
	return due
}
