package session

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
)

// lookup finds what a name stands for, after sending what is held back if that
// is what the server waits for.
func (s *Session) lookup(space stmt.Space, name string) (*prepared, bool, error) {
	if s.names.MustWait(space, name) {
		if err := s.flushServer(); err != nil {
			return nil, false, err
		}
	}
	return s.names.Lookup(space, name)
}

// holds reports whether a statement may be used under the decision it has. One that was
// made without the session's own objects is good for its moment only.
func (s *Session) holds(p *prepared) bool {
	return s.lives(p) && !p.naming && s.trouble == nil && p.view.context.GetGeneration() == s.around.context.GetGeneration() && !s.around.blind()
}

// lives reports whether there is a decision that still holds in the context it was made
// in.
func (s *Session) lives(p *prepared) bool {
	return p.decision != nil && s.life.phase(s.System.Clock.Now()) == phaseLiving && s.Fence.Holds(p.decision, s.p.Context.GetDatabase()) &&
		(!s.around.fresh || s.around.altered)
}

// renew judges a statement again, unless its decision still holds.
func (s *Session) renew(u *unit, p *prepared) *answer {
	if p.untold {
		return s.untold(u)
	}
	if s.holds(p) {
		return nil
	}
	d, a := s.judge(u)
	if a == nil {
		p.decision, p.view, p.naming = d, u.view.bare(), len(u.names) > 0
	}
	return a
}

// renewPortal judges what a portal runs again, unless its decision still holds. It was
// planned in the context of its Bind, and what it calls may read names in the
// context of now: both have to allow it. Its plan stays what it was when the catalog
// changes: what its text means now must be what it meant then.
func (s *Session) renewPortal(u *unit, p *prepared) *answer {
	if p.untold {
		return s.untold(u)
	}
	u.view = s.around.view
	if p.view.context.GetGeneration() != u.view.context.GetGeneration() {
		u.bound = p.view.context
		u.view = s.viewOf(u.bound)
	}
	if !s.lives(p) || p.naming || s.trouble != nil || u.view.blind() || u.view.context.GetGeneration() != p.view.context.GetGeneration() {
		d, a := s.judge(u)
		if a == nil && !sameMeaning(p.meaning, d.Statements) && !looksUp(d.Statements) {
			a = s.refuse(u, d, pgerr.RefusalMoved, "context", authzv1.Reason_REASON_CONTEXT, "the portal's names mean something else than when it was bound")
		}
		if a != nil {
			return a
		}
		p.decision, p.view, p.also, p.naming = d, u.view.bare(), 0, len(u.names) > 0
	}
	u.bound, u.view = nil, s.around.view
	generation := u.view.context.GetGeneration()
	if p.view.context.GetGeneration() == generation || p.also == generation && !u.view.blind() {
		return nil
	}
	if _, a := s.judge(u); a != nil {
		return a
	}
	p.also = u.view.context.GetGeneration()
	return nil
}

// viewOf is the view of a context that was, with what is known of the catalog now; that
// of now for nil.
func (s *Session) viewOf(bound *authzv1.SessionContext) view {
	w := &s.around
	if bound == nil {
		return w.view
	}
	c := proto.CloneOf(w.context)
	c.SearchPath, c.Role, c.Settings = bound.GetSearchPath(), bound.GetRole(), bound.GetSettings()
	return w.viewOf(c)
}

// again opens a unit for a message about a statement that was parsed before.
func (s *Session) again(ctx context.Context, message auditv1.MessageKind, p *prepared) *unit {
	u := s.begin(ctx, message, decide.UnitParse, p.text)
	u.types, u.settled = p.types, p.settled
	return u
}

// looksUp reports whether a portal looks up what it runs when it does, and has no plan of
// its own: that of EXECUTE.
func looksUp(statements []*authzv1.Statement) bool {
	return len(statements) == 1 && statements[0].GetKind() == "execute"
}

// settle notes the types that the parameters were found to have.
func (p *prepared) settle(d *decide.Decision) {
	if len(d.Statements) == 1 && !slices.Equal(d.Statements[0].GetParameterTypeOids(), p.types) {
		p.settled = d.Statements[0].GetParameterTypeOids()
	}
}

// full reports whether the session may hold no further name beside made more, or
// none with a text of that many bytes.
func (s *Session) full(made, text int) bool {
	names, weight := s.names.Held()
	return names+made > s.Limits.Prepared || weight+text > s.Limits.PreparedText
}

// tooMany refuses a name beyond the session's limit.
func (s *Session) tooMany(u *unit) *answer {
	return s.refuse(u, nil, pgerr.RefusalResources, "limit", authzv1.Reason_REASON_LIMIT, "too many prepared statements and portals")
}
