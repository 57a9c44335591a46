package rpc

import (
	"bytes"
	"context"
	"errors"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// A session whose token has expired may still be rolled back, and be given another
// token. Neither needs a right, so that a replica which does not know the old token any
// more may answer as well as one that does.

// expired is the session of a token that is refused because it has expired, and for no
// other reason that was looked at: its issuer has signed it. nil for any other error.
// It is not remembered.
func expired(err error, h hash) *session {
	var r *verify.Refusal
	if !errors.As(err, &r) || r.Reason != verify.Expired || !r.Signed || r.Unverified == nil {
		return nil
	}
	s := newSession(*r.Unverified, h)
	s.ended = true
	return s
}

// concludes reports whether statements may run without a token: they roll the
// transaction back, or bring another token.
func concludes(a access.Analysis) bool {
	if a.Outcome != access.Judge {
		return false
	}
	for _, st := range a.Statements {
		if len(st.Accesses) > 0 || len(st.Effects) != 1 || st.Cursor != "" {
			return false
		}
		switch e := st.Effects[0]; e.Kind {
		case access.EffectRefresh:
		case access.EffectRollback:
			if e.Chain {
				return false
			}
		default:
			return false
		}
	}
	return len(a.Statements) > 0
}

// refreshes reports whether statements bring a token.
func refreshes(statements []access.Statement) bool {
	for _, st := range statements {
		for _, e := range st.Effects {
			if e.Kind == access.EffectRefresh {
				return true
			}
		}
	}
	return false
}

// refresh verifies the token that a unit brings and puts it into the answer. An answer
// that it returns stands in that one's place: the new token is refused.
func (s *Server) refresh(ctx context.Context, req *authzv1.AuthorizeRequest, unit Unit, old *session, f facts, resp *authzv1.AuthorizeResponse) *authzv1.AuthorizeResponse {
	refuse := func(reason access.Reason, detail string) *authzv1.AuthorizeResponse {
		refused := answer(req, authzv1.Verdict_VERDICT_REFUSE, reason, "the new token: "+detail)
		refused.Epoch, refused.Statements = f.epoch, resp.Statements
		return refused
	}
	kept, ok := s.deps.NewToken(unit.Text)
	if !ok {
		return refuse(access.TokenInvalid, "it could not be read")
	}
	wait, cancel := context.WithTimeout(ctx, s.cfg.RefreshWait)
	defer cancel()
	fresh, err := s.tokens.verify(wait, secret.New(bytes.Clone(kept)))
	if err != nil {
		secret.New(kept).Wipe()
		reason, detail := tokenReason(err)
		return refuse(reason, detail)
	}
	now := s.deps.Clock.Now()
	switch {
	case fresh.who.Issuer != old.who.Issuer || fresh.who.Subject != old.who.Subject:
		return refuse(access.TokenInvalid, "it is another subject's")
	case !fresh.who.ShownBy(req.GetClient().GetCertificateSha256()):
		return refuse(access.TokenInvalid, "the client has not shown the certificate that it is bound to")
	case checkContext(req.GetContext(), fresh, f) != "":
		return refuse(access.Context, "its principal may not use the session's login")
	case !s.tokens.grantsOf(fresh, f.policy).MayConnect(requestOf(req.GetContext().GetDatabase(), req.GetClient(), now)):
		return refuse(access.NotGranted, "policy denies connect on the database")
	case s.deps.State.Revocations().Ended(fresh.token):
		return refuse(access.TokenRevoked, "it has been revoked")
	case fresh.left(now) <= 0:
		return refuse(access.TokenExpired, "it has expired")
	}
	resp.Refreshed = &authzv1.Refreshed{Token: kept, Principal: principalProto(&fresh.who), ExpiresIn: until(fresh.who.Deadline, now),
		ConfirmIn: confirmIn(&fresh.who, now)}
	return nil
}
