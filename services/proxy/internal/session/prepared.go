package session

import (
	"context"

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

// holds reports whether a statement may be used under the decision it has.
func (s *Session) holds(p *prepared) bool {
	return s.lives(p) && p.view.context.GetGeneration() == s.around.context.GetGeneration() && !s.around.altered
}

// lives reports whether a decision still holds in the context it was made in.
func (s *Session) lives(p *prepared) bool {
	return s.System.Clock.Now().Before(s.p.Expires) && s.Fence.Holds(p.decision, s.p.Context.GetDatabase()) && !s.around.fresh
}

// renew judges a statement again, unless its decision still holds.
func (s *Session) renew(u *unit, p *prepared) *answer {
	if s.holds(p) {
		return nil
	}
	d, a := s.judge(u)
	if a == nil {
		p.decision, p.view = d, u.view
	}
	return a
}

// renewPortal judges what a portal runs again, unless its decision still holds. It was
// planned in the context of its Bind, and what it calls may read names in the
// context of now: both have to allow it.
func (s *Session) renewPortal(u *unit, p *prepared) *answer {
	now := s.around.view
	if !s.lives(p) || s.around.altered {
		u.view = p.view
		d, a := s.judge(u)
		if a != nil {
			return a
		}
		p.decision, p.also = d, 0
	}
	if generation := now.context.GetGeneration(); p.view.context.GetGeneration() != generation && p.also != generation {
		u.view = now
		if _, a := s.judge(u); a != nil {
			return a
		}
		p.also = generation
	}
	return nil
}

// again opens a unit for a message about a statement that was parsed before.
func (s *Session) again(ctx context.Context, message auditv1.MessageKind, p *prepared) *unit {
	u := s.begin(ctx, message, decide.UnitParse, p.text)
	u.types = p.types
	return u
}

// full reports whether the session may hold no further name beside made more, or
// none with a text of that many bytes.
func (s *Session) full(made, text int) bool {
	names, weight := s.names.Held()
	for _, texts := range []map[string][]byte{s.around.context.GetPreparedStatements(), s.around.context.GetCursors()} {
		names += len(texts)
		for _, t := range texts {
			weight += len(t)
		}
	}
	return names+made >= s.Limits.Prepared || weight+text > s.Limits.PreparedText
}

// tooMany refuses a name beyond the session's limit.
func (s *Session) tooMany(u *unit) *answer {
	return s.refuse(u, nil, pgerr.RefusalResources, "limit", authzv1.Reason_REASON_LIMIT, "too many prepared statements and portals")
}

// missingStatement is what the server says of a statement that does not exist
// (commands/prepare.c, FetchPreparedStatement; exec_bind_message).
func (s *Session) missingStatement(name string) *answer {
	if name == "" {
		return s.missing("26000", "unnamed prepared statement does not exist")
	}
	return s.missing("26000", "prepared statement \""+name+"\" does not exist")
}

// missingTarget is the same for Describe, and for portals
// (exec_describe_portal_message, exec_execute_message).
func (s *Session) missingTarget(kind byte, name string) *answer {
	if stmt.Space(kind) == stmt.Statements {
		return s.missingStatement(name)
	}
	return s.missing("34000", "portal \""+name+"\" does not exist")
}
