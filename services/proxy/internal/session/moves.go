package session

import (
	"context"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// What one session changes of the catalog the others' next statements are judged by: a
// table that is dropped uncovers another of its name further down the path, which the
// server reads at once. So the moment in which a change is committed goes into the fence
// before the client hears of it, and no decision is used that may be older (ADR 0030).

// moves is what statements do to the catalog: whether they change it, and whether a
// transaction ends among them.
type moves struct{ changes, ends bool }

func movesOf(statements []*authzv1.Statement) (m moves) {
	for _, st := range statements {
		for _, e := range st.GetEffects() {
			switch e.GetKind() {
			case authzv1.EffectKind_EFFECT_KIND_DDL:
				m.changes = true
			case authzv1.EffectKind_EFFECT_KIND_COMMIT, authzv1.EffectKind_EFFECT_KIND_ROLLBACK:
				m.ends = true
			default:
				// What code does that is trusted is seen when the catalog is read again.
			}
		}
	}
	return m
}

// decideAgain asks until the catalog has not changed while the decision was made, within
// the deadline of those that wait for it to be read.
func (s *Session) decideAgain(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Fresh)
	defer cancel()
	again := *req
	again.Fresh = true
	for {
		d, err := s.Authorizer.Authorize(ctx, &again)
		if err != nil || !d.Allowed() || !s.Fence.Outrun(d, s.p.Context.GetDatabase()) {
			return d, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// completed takes an answer to a message. These methods belong to the goroutine that
// reads the server.
func (s *Session) completed(o *op, typ byte) {
	att, ok := o.Attachment.(*attachment)
	if !ok || typ != wire.CommandComplete {
		return
	}
	s.moving = s.moving || att.moves.changes
	if att.moves.ends {
		s.committed()
	}
}

// committed notes that what the transaction has changed may be there for all.
func (s *Session) committed() {
	if s.moving {
		s.Fence.Move(s.p.Context.GetDatabase())
	}
}
