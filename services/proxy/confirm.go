package proxy

import (
	"context"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// confirmAgain is when to ask again whose answer could not be had. Authz judges no
// statement by an answer that is too old, so that nothing hangs on how long it is.
const confirmAgain = 2 * time.Second

// confirm asks authz whether the token of an open session is still good.
func (c *connection) confirm(ctx context.Context, token secret.Bytes) session.Standing {
	ctx, cancel := context.WithTimeout(ctx, authenticateTimeout)
	defer cancel()
	asked := c.system.Clock.Now()
	resp, err := c.authz.Confirm(ctx, &authzv1.ConfirmRequest{Token: token.Expose(), SessionId: c.record.ID[:], Client: c.clientInfo()})
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("token not confirmed", "session", c.record.ID.String(), "error", err)
		}
		return session.Standing{Next: confirmAgain}
	}
	return standing(resp, asked)
}

// standing reads an answer to a question that was sent at a moment. Whatever authz refuses a token for ends the session, but for
// an answer that it does not have; the end of the token's time is the session's to keep.
func standing(resp *authzv1.ConfirmResponse, asked time.Time) session.Standing {
	switch out := resp.GetOutcome().(type) {
	case *authzv1.ConfirmResponse_Confirmed:
		next, left := out.Confirmed.GetConfirmIn(), out.Confirmed.GetExpiresIn()
		if next != nil && (!next.IsValid() || next.AsDuration() <= 0) || left != nil && !left.IsValid() {
			return session.Standing{Next: confirmAgain}
		}
		st := session.Standing{Next: next.AsDuration()}
		if left != nil {
			st.Expires = asked.Add(left.AsDuration())
		}
		return st
	case *authzv1.ConfirmResponse_Refusal:
		switch out.Refusal.GetReason() {
		case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNSPECIFIED,
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE,
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_INTROSPECTION:
			return session.Standing{Next: confirmAgain}
		case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_EXPIRED:
			return session.Standing{}
		default:
			return session.Standing{Ended: true}
		}
	default:
		return session.Standing{Next: confirmAgain}
	}
}
