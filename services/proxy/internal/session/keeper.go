package session

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// The end of a token, by what the session is about when it comes:
//
//   - a statement that runs is cancelled, unless the configuration lets it finish, and
//     the client hears 28000 in place of 57014; so it is with a COPY of either
//     direction;
//   - a transaction that is open is aborted at the server at once, which gives up its
//     locks. The client, which has asked nothing, hears of it with its next statement;
//   - a pipeline that is open, without a Sync behind it, ends with its next message;
//   - an idle session stays.
//
// In grace authz is asked about every statement, and what is let through is ROLLBACK
// and the token's refresh alone. After it the session ends.

// cancelAgain is the time between two cancels of a statement that runs beyond its token: one
// that comes before the server has begun has no effect.
const cancelAgain = 250 * time.Millisecond

// keeper sends cancels to the server, one at a time, keeps the token's life, and watches
// what runs longer than it may and whether a session that is to end is idle.
func (s *Session) keeper(ctx context.Context) End {
	timer := s.System.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ""
		case <-s.cancels.asked:
			s.cancel(ctx)
			continue
		case <-s.life.changed:
		case <-s.watched.changed:
		case <-s.drain.asked:
			if s.drain.since.IsZero() {
				s.drain.since = s.System.Clock.Now()
			}
		case <-timer.C():
			if s.endLife(ctx) {
				return EndTokenExpired
			}
		}
		longer, hung := s.watch(ctx)
		if hung {
			return EndBackendHung
		}
		wait := min(s.life.next(s.System.Clock.Now()), longer, s.watchIdle())
		if s.cutting.Load() {
			wait = min(wait, cancelAgain)
		}
		timer.Reset(wait)
	}
}

// endLife acts upon the phase that the token has come to, and reports whether the session
// is over. What still runs beyond the token is cancelled, again where need be.
func (s *Session) endLife(ctx context.Context) (over bool) {
	s.lapsing.Lock()
	defer s.lapsing.Unlock()
	switch entered, before := s.life.enter(s.System.Clock.Now()); entered {
	case phaseGrace:
		s.recordExpiry()
		s.expire()
	case phaseOver:
		if before == phaseLiving {
			s.recordExpiry() // There was no grace.
		}
		return true
	case phaseLiving:
		// The timer was for another cancel, or for a life that was renewed.
	}
	if s.cutting.Load() && s.names.InFlight() > 0 {
		s.cancelServer(ctx)
	}
	return false
}

// lapse winds up before a message that was read behind the token's end. It is no part of
// what was under way then: no cancel may meet it.
func (s *Session) lapse() error {
	if s.life.phase(s.System.Clock.Now()) == phaseLiving {
		return nil
	}
	s.lapsing.Lock()
	if s.life.lapse(s.System.Clock.Now()) {
		s.recordExpiry()
		s.expire()
	}
	s.lapsing.Unlock()
	if s.wakened() {
		return s.windUp()
	}
	return nil
}

// spare ends the cancelling. One that is on its way is waited for, so that it meets
// nothing that comes after.
func (s *Session) spare() {
	s.lapsing.Lock()
	s.cutting.Store(false)
	s.lapsing.Unlock()
}

func (s *Session) recordExpiry() {
	if err := s.Spool.AppendLast(s.p.Record.Event(auditv1.EventType_EVENT_TYPE_TOKEN_EXPIRED, trace.SpanContext{})); err != nil {
		s.Logger.Error("expiry not recorded", "error", err)
	}
}

// expire wakes the frontend goroutine to abort what is open.
func (s *Session) expire() {
	s.cutting.Store(!s.Expiry.Finish)
	s.wake()
}

// wake interrupts the frontend goroutine where it reads.
func (s *Session) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = true
	if s.end == "" {
		_ = s.p.Client.SetReadDeadline(past())
	}
}

// past is a deadline that has passed on every clock.
func past() time.Time { return time.Unix(1, 0) }

// wakened reports whether reading was interrupted to wind up, and takes the deadline
// away that did it. A session that ends keeps its own.
func (s *Session) wakened() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.woken || s.end != "" {
		return false
	}
	s.woken = false
	_ = s.p.Client.SetReadDeadline(time.Time{})
	return true
}

// windUp ends what is under way of a session whose token has expired. The frontend
// goroutine calls it between two messages.
func (s *Session) windUp() error {
	s.late = false
	if err := s.hurry(); err != nil {
		return err
	}
	defer s.spare()
	if s.life.phase(s.System.Clock.Now()) == phaseLiving {
		return nil
	}
	if reads, err := s.readsData(); err != nil {
		return err
	} else if reads {
		if err := s.cut(s.missingToken()); err != nil {
			return err
		}
	}
	skipping, err := s.await()
	s.spare()
	if err != nil || skipping {
		s.skipping = s.skipping || skipping
		return err
	}
	if s.piped || s.names.Status() != wire.StatusActive || s.names.Failed() {
		return nil
	}
	if s.counted() {
		s.around.unsettled = true
	}
	if err := s.ask(&question{}, s.missingToken().text); err != nil {
		return err
	}
	_, err = s.asked()
	return err
}

// missingToken is the answer to what may not go on without a token.
func (s *Session) missingToken() *answer {
	r := pgerr.Refused(pgerr.RefusalTokenExpired)
	return s.missing(r.Code, r.Message)
}

// concludes reports whether statements may run without a token: they end the
// transaction without effect, or bring another token.
func concludes(statements []*authzv1.Statement) bool {
	for _, st := range statements {
		if len(st.GetAccesses()) > 0 || len(st.GetEffects()) != 1 || st.GetCursor() != "" {
			return false
		}
		switch e := st.GetEffects()[0]; e.GetKind() {
		case authzv1.EffectKind_EFFECT_KIND_REFRESH:
		case authzv1.EffectKind_EFFECT_KIND_ROLLBACK:
			if e.GetChain() {
				return false
			}
		default:
			return false
		}
	}
	return len(statements) > 0
}

// mayConclude reports whether a decision of authz about a statement in grace goes on to be
// looked at. What authz refuses it says why.
func mayConclude(d *decide.Decision, err error) bool {
	return err == nil && (d.Verdict == authzv1.Verdict_VERDICT_REFUSE || d.Allowed() && concludes(d.Statements))
}

// tellOfExpiry sends the notice of a coming end ahead of a ReadyForQuery. The backend
// goroutine calls it.
func (s *Session) tellOfExpiry() error {
	left, tell := s.life.notice(s.System.Clock.Now())
	if !tell {
		return nil
	}
	return s.send(pgerr.ExpiryNotice(left))
}

// expired reports whether an error is that of a statement that was cut short, and makes
// it that of the token.
func (s *Session) expired(f pgerr.Fields) bool {
	return f.SQLState == pgerr.QueryCanceled && s.cutting.Load()
}
