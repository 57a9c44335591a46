package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// Authenticate implements authzv1.AuthorizationServiceServer. A refusal is an
// answer; the error is always nil.
func (s *Server) Authenticate(ctx context.Context, req *authzv1.AuthenticateRequest) (resp *authzv1.AuthenticateResponse, err error) {
	token := secret.New(req.GetToken())
	defer token.Wipe()
	defer func() {
		if r := recover(); r != nil {
			s.deps.Logger.ErrorContext(ctx, "token could not be judged", "panic", fmt.Sprintf("%T", r))
			resp, err = refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE,
				"the token could not be judged", nil), nil
		}
	}()
	return s.authenticate(ctx, req, token), nil
}

func (s *Server) authenticate(ctx context.Context, req *authzv1.AuthenticateRequest, token secret.Bytes) *authzv1.AuthenticateResponse {
	const (
		malformed   = authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED
		expired     = authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_EXPIRED
		noDatabase  = authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_DATABASE
		unavailable = authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE
	)
	if sessionID, err := id.FromBytes(req.GetSessionId()); err != nil || sessionID.IsZero() {
		return refusal(malformed, "the session's id is malformed", nil)
	}
	session, err := s.tokens.verify(ctx, token)
	if err != nil {
		return refusalOf(err)
	}
	who := session.who
	if !who.ShownBy(req.GetClient().GetCertificateSha256()) {
		return refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_BINDING,
			"the client has not shown the certificate that the token is bound to", &who)
	}
	// The facts come after the token: who has none learns nothing of databases.
	if !slices.Contains(s.cfg.Databases, req.GetDatabase()) {
		return refusal(noDatabase, "the database is not served", &who)
	}
	f, missing := s.gather(req.GetDatabase())
	if missing != "" {
		return refusal(unavailable, missing, &who)
	}
	if s.deps.State.Revocations().Ended(session.token) {
		return refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_REVOKED, "the token has been revoked", &who)
	}
	login, ok := f.policy.Login(req.GetDatabase(), req.GetUser(), who.Scopes, who.Claims)
	if !ok {
		return refusal(noDatabase, "policy has no login for the token in the database", &who)
	}
	now := s.deps.Clock.Now()
	if !s.tokens.grantsOf(session, f.policy).MayConnect(requestOf(req.GetDatabase(), req.GetClient(), now)) {
		return refusal(noDatabase, "policy denies connect on the database", &who)
	}
	if session.left(now) <= 0 {
		return refusal(expired, "the token has expired", &who)
	}
	if refused := s.startup(ctx, req, session, f, now); refused != nil {
		return refused
	}
	return &authzv1.AuthenticateResponse{Outcome: &authzv1.AuthenticateResponse_Authenticated{
		Authenticated: &authzv1.Authenticated{
			Principal: principalProto(&who), Login: login, ExpiresIn: until(who.Deadline, now), Epoch: f.epoch,
			AcceptedSettings: slices.Sorted(maps.Keys(req.GetSettings())), ConfirmIn: confirmIn(&who, now),
		},
	}}
}

// startup judges the settings that the client gives at startup; nil accepts them all.
func (s *Server) startup(ctx context.Context, req *authzv1.AuthenticateRequest, session *session, f facts, now time.Time) *authzv1.AuthenticateResponse {
	if len(req.GetSettings()) == 0 {
		return nil
	}
	const setting = authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_SETTING
	if len(req.GetSettings()) > maxStartupSettings {
		return refusal(setting, "too many startup settings", &session.who)
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE, "the request was given up", &session.who)
	}
	defer func() { <-s.slots }()
	analysis := s.deps.Analyze(Unit{Startup: req.GetSettings(), Context: &authzv1.SessionContext{Database: req.GetDatabase()}}, f.snap)
	grants, asked := s.tokens.grantsOf(session, f.policy), requestOf(req.GetDatabase(), req.GetClient(), now)
	if name := grants.MayStart(asked, slices.Sorted(maps.Keys(req.GetSettings()))); name != "" {
		return refusal(setting, "policy denies setting "+name, &session.who)
	}
	d := grants.DecideIn(asked, analysis)
	if verdictOf(d, analysis) != authzv1.Verdict_VERDICT_ALLOW {
		return refusal(setting, d.Detail, &session.who)
	}
	return nil
}

// maxStartupSettings bounds the settings of one startup: a packet of PostgreSQL's
// longest (MAX_STARTUP_PACKET_LENGTH) holds no more.
const maxStartupSettings = 2500

// refusalOf is the refusal by which a token was not verified.
func refusalOf(err error) *authzv1.AuthenticateResponse {
	var r *verify.Refusal
	if !errors.As(err, &r) {
		return refusal(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE, "the token could not be verified", nil)
	}
	return refusal(refusalProto(r.Reason), r.Detail, r.Unverified)
}

func refusal(reason authzv1.AuthenticateRefusalReason, detail string, who *verify.Principal) *authzv1.AuthenticateResponse {
	return &authzv1.AuthenticateResponse{Outcome: &authzv1.AuthenticateResponse_Refusal{
		Refusal: &authzv1.AuthenticateRefusal{Reason: reason, Detail: detail, Unverified: principalProto(who)},
	}}
}
