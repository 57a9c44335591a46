package rpc

import (
	"context"
	"errors"
	"slices"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/probe"
	transport "github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// A session sees more than a snapshot of the catalog has when it has temporary
// objects, or a transaction that has changed the catalog. Its proxy says so in the
// context, and is asked for what its backend sees (VERDICT_PROBE); the answer comes
// with the request again and is laid over the snapshot.
//
// The snapshot may be older or newer than the answer by what others have committed
// in between. What the session's own transaction has changed nobody else can change
// before it ends, since it holds the locks; what others change is as old as it may be
// in any decision. Where the two contradict each other, the snapshot is read again,
// and if that does not help, the request is refused.

// An answer to a probe fits into what the transport has room for, and can be read.
const (
	_ = uint(transport.AuthorizeLimit - transport.DefaultReceiveLimit - probe.AnswerLimit)
	_ = uint(catalog.MaxDescription - probe.AnswerLimit)
)

// SQLSTATEs of a request that is refused because of what its session sees.
const (
	stateTooLong      = "54000" // program_limit_exceeded
	stateNotSupported = "0A000" // feature_not_supported
)

// namesNothing reports whether a unit looks nothing up: what ends a transaction or takes
// the session back to where it started works whether or not its backend can be asked.
// BEGIN is none of it: inside, before the first snapshot, nothing can be asked any more.
func (s *Server) namesNothing(ctx context.Context, unit Unit, f facts) bool {
	if unit.Function != nil {
		return false
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-s.slots }()
	found := s.deps.Analyze(unit, f.snap)
	if found.Outcome != access.Judge || len(found.Statements) == 0 {
		return false
	}
	for _, st := range found.Statements {
		switch st.Kind {
		case "commit", "rollback", "savepoint", "release", "rollback to", "reset", "show", "deallocate", "close",
			"unlisten", "discard all", "discard plans", "discard sequences", "discard temp":
		case "set":
			// A path is read with the schemas that there are.
			if slices.ContainsFunc(st.Effects, func(e access.Effect) bool { return e.Name == "" || e.Name == "search_path" }) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// seesMore reports whether a request needs to be told what its session sees.
func seesMore(c *authzv1.SessionContext) bool {
	return c.GetAltered() || len(c.GetTemporaryRelations()) > 0
}

// checkAnswers says what is wrong with the answers to probes, or "".
func checkAnswers(answers []*authzv1.ProbeAnswer) string {
	for i, a := range answers {
		switch a.GetProbe().GetKind() {
		case authzv1.ProbeKind_PROBE_KIND_SESSION:
			if i > 0 || a.GetProbe().GetObject() != nil {
				return "an answer to what was not asked"
			}
			if !a.GetExists() {
				return "a session that is not there"
			}
		case authzv1.ProbeKind_PROBE_KIND_STATEMENT, authzv1.ProbeKind_PROBE_KIND_PORTAL:
			if a.GetProbe().GetObject().GetName() == "" || a.GetExists() && a.GetUnit() == nil {
				return "an answer about no name"
			}
		default:
			return "an answer to what was not asked"
		}
	}
	return ""
}

// sessionAnswer is what the session's backend sees, nil when nobody has said it.
func sessionAnswer(answers []*authzv1.ProbeAnswer) *authzv1.ProbeAnswer {
	if len(answers) > 0 && answers[0].GetProbe().GetKind() == authzv1.ProbeKind_PROBE_KIND_SESSION {
		return answers[0]
	}
	return nil
}

// maxNames bounds the names of the protocol that are asked for at once.
const maxNames = 16

// askNames asks the proxy what names stand for that its messages have made.
func askNames(req *authzv1.AuthorizeRequest, f facts, names []access.Name) *authzv1.AuthorizeResponse {
	resp := answer(req, authzv1.Verdict_VERDICT_PROBE, access.Context, "what names of the protocol stand for has to be asked")
	resp.Epoch = f.epoch
	for _, name := range names[:min(len(names), maxNames)] {
		kind := authzv1.ProbeKind_PROBE_KIND_STATEMENT
		if name.Cursor {
			kind = authzv1.ProbeKind_PROBE_KIND_PORTAL
		}
		resp.Probes = append(resp.Probes, &authzv1.Probe{Kind: kind, Object: &authzv1.ObjectName{Name: valid(name.Name)}})
	}
	return resp
}

// look lays what the session sees over the facts' snapshot. It answers when it
// cannot.
func (s *Server) look(ctx context.Context, req *authzv1.AuthorizeRequest, unit Unit, f *facts) *authzv1.AuthorizeResponse {
	if sessionAnswer(req.GetProbeAnswers()) == nil {
		if !seesMore(req.GetContext()) || s.namesNothing(ctx, unit, *f) {
			return nil
		}
		resp := answer(req, authzv1.Verdict_VERDICT_PROBE, access.Context, "what the session's backend sees has to be asked")
		resp.Epoch = f.epoch
		resp.Probes = []*authzv1.Probe{{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION}}
		return resp
	}
	refused := s.lay(req, f)
	if refused == nil || refused.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE || refused.GetReason() != authzv1.Reason_REASON_CONTEXT {
		return refused
	}
	// The snapshot may be the older of the two.
	if missing := s.readAgain(ctx, req, s.cfg.FreshWait); missing != "" {
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Unavailable, missing)
	}
	again, missing := s.gatherFor(ctx, req)
	if missing != "" {
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Unavailable, missing)
	}
	*f = again
	return s.lay(req, f)
}

func (s *Server) lay(req *authzv1.AuthorizeRequest, f *facts) *authzv1.AuthorizeResponse {
	seen, err := catalog.DescribeSession(sessionAnswer(req.GetProbeAnswers()).GetDescription())
	if err == nil {
		f.made = seen.Made
		f.snap, err = seen.Over(f.snap, req.GetContext().GetAltered())
	}
	if err == nil {
		return nil
	}
	refuse := func(reason access.Reason, state, why string) *authzv1.AuthorizeResponse {
		resp := answer(req, authzv1.Verdict_VERDICT_REFUSE, reason, why)
		resp.Epoch, resp.Error = f.epoch, &authzv1.StatementError{Sqlstate: state, Message: why}
		return resp
	}
	switch {
	case errors.Is(err, catalog.ErrTooLong):
		return refuse(access.Limit, stateTooLong, "the session has changed more than can be described")
	case errors.Is(err, catalog.ErrHidden), errors.Is(err, catalog.ErrRoles):
		return refuse(access.Context, stateNotSupported, "the transaction has changed what cannot be followed before its end")
	default:
		return answer(req, authzv1.Verdict_VERDICT_DENY, access.Protocol, "what the session's backend sees is malformed")
	}
}
