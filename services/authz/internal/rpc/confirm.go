package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// Where an issuer is asked about its tokens, what it says counts for a while. A proxy
// has the tokens of its sessions confirmed ahead of the end of that while, so that no
// statement waits for the issuer, and a session ends whose token is not active any more.

// leastConfirm bounds how often one session is confirmed.
const leastConfirm = 250 * time.Millisecond

// confirmIn is when a proxy is to ask again, nil for never.
func confirmIn(who *verify.Principal, now time.Time) *durationpb.Duration {
	if who.ConfirmAt.IsZero() {
		return nil
	}
	return durationpb.New(max(leastConfirm, who.ConfirmAt.Sub(now)))
}

// Confirm implements authzv1.AuthorizationServiceServer. A refusal is an answer; the error
// is always nil.
func (s *Server) Confirm(ctx context.Context, req *authzv1.ConfirmRequest) (resp *authzv1.ConfirmResponse, err error) {
	token := secret.New(req.GetToken())
	defer token.Wipe()
	defer func() {
		if r := recover(); r != nil {
			s.deps.Logger.ErrorContext(ctx, "token could not be confirmed", "panic", fmt.Sprintf("%T", r))
			resp, err = unconfirmed(refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE,
				"the token could not be judged", nil)), nil
		}
	}()
	return s.confirm(ctx, req, token), nil
}

func (s *Server) confirm(ctx context.Context, req *authzv1.ConfirmRequest, token secret.Bytes) *authzv1.ConfirmResponse {
	if sessionID, err := id.FromBytes(req.GetSessionId()); err != nil || sessionID.IsZero() {
		return unconfirmed(refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE, "the session's id is malformed", nil))
	}
	session, err := s.tokens.confirm(ctx, token)
	if err != nil {
		return unconfirmed(refusalOf(err))
	}
	who := &session.who
	switch {
	case !who.ShownBy(req.GetClient().GetCertificateSha256()):
		return unconfirmed(refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_BINDING,
			"the client has not shown the certificate that the token is bound to", who))
	case s.deps.State.Revocations().Ended(session.token):
		return unconfirmed(refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_REVOKED, "the token has been revoked", who))
	}
	now := s.deps.Clock.Now()
	return &authzv1.ConfirmResponse{Outcome: &authzv1.ConfirmResponse_Confirmed{
		Confirmed: &authzv1.Confirmed{ConfirmIn: confirmIn(who, now), ExpiresIn: until(who.Deadline, now)},
	}}
}

// unconfirmed is a login's refusal as that of a confirmation.
func unconfirmed(r *authzv1.AuthenticateResponse) *authzv1.ConfirmResponse {
	return &authzv1.ConfirmResponse{Outcome: &authzv1.ConfirmResponse_Refusal{Refusal: r.GetRefusal()}}
}
