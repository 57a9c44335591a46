package rpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	transport "github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// judge answers one request. It never fails: what cannot be judged is denied or
// refused.
func (s *Server) judge(ctx context.Context, req *authzv1.AuthorizeRequest) (resp *authzv1.AuthorizeResponse) {
	ctx, span := s.deps.Telemetry.Start(telemetry.Extract(ctx, req.GetTrace().GetTraceparent(), req.GetTrace().GetTracestate()),
		telemetry.SpanAuthorize, telemetry.AttrDBNamespace.String(req.GetContext().GetDatabase()))
	defer func() {
		if r := recover(); r != nil {
			// Its value may quote the statement; its type does not.
			s.deps.Logger.ErrorContext(ctx, "request could not be judged", "panic", fmt.Sprintf("%T", r))
			resp = answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Unavailable, "the request could not be judged")
		}
		verdict, reason := telemetry.VerdictLabel(resp.GetVerdict()), telemetry.ReasonLabel(resp.GetReason())
		s.requests.With(verdict, reason).Add(1)
		span.SetAttributes(telemetry.AttrVerdict.String(verdict), telemetry.AttrReason.String(reason),
			telemetry.AttrPolicyRevision.Int64(int64(resp.GetEpoch().GetPolicy()))) //nolint:gosec // G115: a count.
		span.End()
	}()
	unit, bad := readUnit(req)
	span.SetAttributes(telemetry.AttrSession.String(idText(req.GetSessionId())), telemetry.AttrStatement.String(idText(req.GetStatementId())))
	if bad != "" {
		return answer(req, authzv1.Verdict_VERDICT_DENY, access.Protocol, bad)
	}
	session, refused := s.session(ctx, req)
	if refused != nil {
		return refused
	}
	if req.GetFreshCatalog() {
		if missing := s.readAgain(ctx, req, s.cfg.FreshWait); missing != "" {
			return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Unavailable, missing)
		}
	}
	f, missing := s.gatherFor(ctx, req)
	if missing != "" {
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Unavailable, missing)
	}
	resp, unproven := s.decide(ctx, req, unit, session, f)
	if !unproven || req.GetFreshCatalog() {
		return resp
	}
	// The name may be younger than the snapshot. Only a client that may know
	// whether it exists gets here, so the wait tells nobody anything.
	if missing := s.readAgain(ctx, req, s.cfg.RefreshWait); missing != "" {
		// "does not exist" would be a guess. The proxy has more time for a request that says
		// that it needs it.
		resp = answer(req, authzv1.Verdict_VERDICT_PROBE, access.Unavailable, missing)
		resp.Epoch, resp.Probes = f.epoch, []*authzv1.Probe{{Kind: authzv1.ProbeKind_PROBE_KIND_CATALOG}}
		return resp
	}
	if f, missing = s.gatherFor(ctx, req); missing != "" {
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Unavailable, missing)
	}
	resp, _ = s.decide(ctx, req, unit, session, f)
	return resp
}

// readAgain reads the catalog of a request's database anew, within a time. It says why
// it could not, or "".
func (s *Server) readAgain(ctx context.Context, req *authzv1.AuthorizeRequest, within time.Duration) string {
	wait, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if s.deps.Catalogs.Refresh(wait, req.GetContext().GetDatabase()) != nil {
		return "the catalog could not be read again in time"
	}
	return ""
}

// readUnit checks the request's form and takes its unit. It says what is wrong,
// or "".
func readUnit(req *authzv1.AuthorizeRequest) (Unit, string) {
	sessionID, err1 := id.FromBytes(req.GetSessionId())
	statementID, err2 := id.FromBytes(req.GetStatementId())
	switch {
	case errors.Join(err1, err2) != nil || sessionID.IsZero() || statementID.IsZero():
		return Unit{}, "the session's or the statement's id is malformed"
	case len(req.GetTokenSha256()) != sha256.Size || len(req.GetUnitSha256()) != sha256.Size:
		return Unit{}, "a digest is malformed"
	case req.GetContext().GetDatabase() == "":
		return Unit{}, "the session's context is missing"
	}
	if bad := checkAnswers(req.GetProbeAnswers()); bad != "" {
		return Unit{}, bad
	}
	u := Unit{Context: req.GetContext(), Answers: req.GetProbeAnswers()}
	switch unit := req.GetUnit().(type) {
	case *authzv1.AuthorizeRequest_Query:
		u.Text = unit.Query
	case *authzv1.AuthorizeRequest_Parse:
		u.Text, u.Parse = unit.Parse.GetText(), true
		for _, oid := range unit.Parse.GetParameterTypeOids() {
			u.ParameterTypes = append(u.ParameterTypes, catalog.OID(oid))
		}
		for _, oid := range unit.Parse.GetSettledTypeOids() {
			u.SettledTypes = append(u.SettledTypes, catalog.OID(oid))
		}
	case *authzv1.AuthorizeRequest_FunctionCall:
		// Its digest is that of the message's body, arguments included, which authz is
		// not shown.
		u.Function = unit.FunctionCall
		if u.Function.GetFunctionOid() == 0 {
			return Unit{}, "a call of no function"
		}
		return u, ""
	default:
		return Unit{}, "there is no unit"
	}
	if sha256.Sum256(u.Text) != [sha256.Size]byte(req.GetUnitSha256()) {
		return Unit{}, "the unit is not the one of the digest"
	}
	return u, ""
}

// idText is an identifier as people read it, or empty for what is none.
func idText(b []byte) string {
	u, err := id.FromBytes(b)
	if err != nil {
		return ""
	}
	return u.String()
}

// session finds the verified token of a request, or answers.
func (s *Server) session(ctx context.Context, req *authzv1.AuthorizeRequest) (*session, *authzv1.AuthorizeResponse) {
	token := secret.New(req.GetToken())
	defer token.Wipe()
	h := hash(req.GetTokenSha256())
	found := s.tokens.find(h)
	if found == nil && token.Len() == 0 {
		return nil, answer(req, authzv1.Verdict_VERDICT_UNKNOWN_TOKEN, "", "")
	}
	if found == nil {
		if hash(token.SHA256()) != h {
			return nil, answer(req, authzv1.Verdict_VERDICT_REFUSE, access.TokenInvalid, "the token is not the one of the digest")
		}
		// An issuer that does not answer must not hold up the stream: who waits for
		// its keys gives up soon, and the fetch goes on for the next one.
		wait, cancel := context.WithTimeout(ctx, s.cfg.RefreshWait)
		defer cancel()
		var err error
		if found, err = s.tokens.verify(wait, token); err != nil {
			if found = expired(err, h); found != nil {
				return found, nil
			}
			reason, detail := tokenReason(err)
			return nil, answer(req, authzv1.Verdict_VERDICT_REFUSE, reason, detail)
		}
	}
	return found, nil
}

func tokenReason(err error) (access.Reason, string) {
	var r *verify.Refusal
	switch {
	case !errors.As(err, &r):
		return access.TokenInvalid, "the token could not be verified"
	case r.Reason == verify.Expired:
		return access.TokenExpired, r.Detail
	case r.Reason == verify.Unavailable:
		return access.Unavailable, r.Detail
	case r.Reason == verify.Unconfirmed:
		return access.Introspection, r.Detail
	case r.Reason == verify.Revoked:
		return access.TokenRevoked, r.Detail
	default:
		return access.TokenInvalid, r.Detail
	}
}

// decide analyses the unit and judges it by policy. The answer is unproven when
// it is an error about objects that may have come into being since the catalog
// was read.
func (s *Server) decide(ctx context.Context, req *authzv1.AuthorizeRequest, unit Unit, session *session, f facts,
) (resp *authzv1.AuthorizeResponse, unproven bool) {
	// After the epoch was read: what is answered with it was judged by all revocations up
	// to it.
	if s.deps.State.Revocations().Ended(session.token) {
		resp = answer(req, authzv1.Verdict_VERDICT_REFUSE, access.TokenRevoked, "the token has been revoked")
		resp.Epoch = f.epoch
		return resp, false
	}
	// So was its key, or the issuer's word, which may have gone since the token was found:
	// the number that ends older decisions is given out after them.
	if !s.tokens.holds(session) {
		return answer(req, authzv1.Verdict_VERDICT_UNKNOWN_TOKEN, "", ""), false
	}
	if !session.who.ShownBy(req.GetClient().GetCertificateSha256()) {
		resp = answer(req, authzv1.Verdict_VERDICT_REFUSE, access.TokenInvalid, "the client has not shown the certificate that the token is bound to")
		resp.Epoch = f.epoch
		return resp, false
	}
	if why := checkContext(req.GetContext(), session, f); why != "" {
		resp = answer(req, authzv1.Verdict_VERDICT_DENY, access.Context, why)
		resp.Epoch = f.epoch
		return resp, false
	}
	if resp = s.look(ctx, req, unit, &f); resp != nil {
		return resp, false
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Unavailable, "the request was given up"), false
	}
	defer func() { <-s.slots }()
	start := s.deps.Clock.Now()
	analysis := s.deps.Analyze(unit, f.snap)
	if len(analysis.Unknown) > 0 {
		return askNames(req, f, analysis.Unknown), false
	}
	if session.left(start) <= 0 && !concludes(analysis) {
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.TokenExpired, "the token has expired"), false
	}
	grants := s.tokens.grantsOf(session, f.policy)
	asked := requestOf(req.GetContext().GetDatabase(), req.GetClient(), start)
	d := grants.DecideIn(asked, analysis)
	now := s.deps.Clock.Now()
	s.duration.Observe(now.Sub(start))

	if d.Allow && goesBack(req.GetContext(), f.made, analysis.Statements) {
		resp = answer(req, authzv1.Verdict_VERDICT_DENY, access.Context, "what the transaction's end changes back is not known before it has ended")
		resp.Epoch = f.epoch
		return resp, false
	}
	resp = answer(req, verdictOf(d, analysis), d.Reason, d.Detail)
	resp.Epoch = f.epoch
	resp.Age = durationpb.New(max(0, now.Sub(f.oldest)))
	resp.Statements = statementsProto(analysis.Statements)
	if d.Failed != nil && !d.Allow {
		resp.Error = errorProto(*d.Failed)
	}
	if !fits(resp) {
		resp = answer(req, authzv1.Verdict_VERDICT_DENY, access.Limit, "the statement touches more than an answer can carry")
		resp.Epoch = f.epoch
	}
	if resp.Verdict != authzv1.Verdict_VERDICT_ALLOW {
		return resp, resp.Verdict == authzv1.Verdict_VERDICT_ERROR && analysis.Outcome == access.Hidden && len(analysis.Requires) > 0
	}
	ttl := min(s.cfg.TTL, session.stands(now))
	if concludes(analysis) {
		// Such a statement runs without a token as well.
		ttl = conditionalTTL
	}
	if session.left(now) > 0 && ttl <= 0 {
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.Introspection, "what the issuer has said of the token is too old"), false
	}
	if ttl <= 0 {
		return answer(req, authzv1.Verdict_VERDICT_REFUSE, access.TokenExpired, "the token has expired"), false
	}
	if !effectsKnown(resp.Statements) {
		return answer(req, authzv1.Verdict_VERDICT_DENY, access.Construct, "analysis found an effect that the contract does not have"), false
	}
	if refreshes(analysis.Statements) {
		if refused := s.refresh(ctx, req, unit, session, f, resp); refused != nil {
			return refused, false
		}
	}
	resp.Errors, d.Conditional = exposureOf(grants, asked, analysis.Statements, f, d.Conditional)
	if d.Conditional {
		ttl = min(ttl, conditionalTTL)
	}
	resp.Ttl = durationpb.New(ttl)
	if !d.Conditional {
		resp.Cacheability = cacheability(analysis)
	}
	return resp, false
}

// conditionalTTL is how long a session may go on using an answer that hung on the
// time or its client, for a statement that it has prepared. No other session is
// given it.
const conditionalTTL = time.Second

// requestOf is what conditions may ask about. What is malformed is unknown.
func requestOf(database string, c *authzv1.ClientInfo, now time.Time) policy.Request {
	r := policy.Request{Now: now, Database: database}
	if c != nil {
		r.Client = &policy.Client{TLS: c.GetTls(), ApplicationName: c.GetApplicationName()}
		if peer, err := netip.ParseAddrPort(c.GetAddress()); err == nil {
			r.Client.Address = peer.Addr()
		}
	}
	return r
}

// maxAnswer bounds an answer, in bytes. One that the proxy could not receive
// would end the stream for all of its sessions.
const maxAnswer = transport.StatementLimit

// fits makes the answer fit, without the normalised texts when it must, and
// reports whether it does. A text that is left out is recorded by its digest.
func fits(resp *authzv1.AuthorizeResponse) bool {
	if proto.Size(resp) <= maxAnswer {
		return true
	}
	for _, st := range resp.GetStatements() {
		st.Normalised = ""
	}
	return proto.Size(resp) <= maxAnswer
}

// checkContext compares the session's context with token and facts. It says
// what does not fit, or "".
func checkContext(c *authzv1.SessionContext, session *session, f facts) string {
	login, ok := f.policy.Login(c.GetDatabase(), c.GetLogin(), session.who.Scopes, session.who.Claims)
	switch {
	case !ok || login != c.GetLogin():
		return "the principal may not use the session's login"
	case int(c.GetServerVersionNum())/10000 != f.snap.ServerVersionNum/10000:
		return "the session's server is of another major version than the catalog's"
	default:
		return ""
	}
}

// goesBack reports whether a statement stands behind the end of a transaction, or of
// part of one, in which the session's context was changed: it would be read in a
// context that the request does not hold. So it is with a catalog that the transaction
// has changed: what it drops at its end may be a temporary table that has hidden
// another one. made says that it has made temporary objects.
func goesBack(c *authzv1.SessionContext, made bool, statements []access.Statement) bool {
	ended, moved := false, c.GetUncommitted() || c.GetAltered() || made
	for _, st := range statements {
		if ended && (len(st.Accesses) > 0 || len(st.Effects) == 0) {
			return true
		}
		for _, e := range st.Effects {
			switch e.Kind {
			case access.EffectCommit, access.EffectRollback, access.EffectRollbackTo:
				ended = ended || moved
			case access.EffectBegin, access.EffectSavepoint, access.EffectRelease:
			default:
				if ended {
					return true
				}
			}
		}
	}
	return false
}

// verdictOf turns policy's decision into the contract's verdict. An allow has
// to come with an analysis that is complete.
func verdictOf(d policy.Decision, a access.Analysis) authzv1.Verdict {
	switch {
	case d.Allow && !d.Refused && d.Failed == nil && d.Reason == access.Granted && a.Outcome == access.Judge:
		return authzv1.Verdict_VERDICT_ALLOW
	case d.Allow:
		return authzv1.Verdict_VERDICT_DENY
	case d.Refused:
		return authzv1.Verdict_VERDICT_REFUSE
	case d.Failed != nil:
		return authzv1.Verdict_VERDICT_ERROR
	default:
		return authzv1.Verdict_VERDICT_DENY
	}
}

// cacheability says under which key a decision may be kept: under none unless all
// statements read or write rows and none touches the session; for the text alone where
// a literal was looked at, or a statement could be recorded by the digest of its text only.
func cacheability(a access.Analysis) authzv1.Cacheability {
	found := authzv1.Cacheability_CACHEABILITY_FINGERPRINT
	if a.Literal {
		found = authzv1.Cacheability_CACHEABILITY_EXACT
	}
	for _, st := range a.Statements {
		switch st.Kind {
		case "select", "insert", "update", "delete":
		default:
			return authzv1.Cacheability_CACHEABILITY_NONE
		}
		if len(st.Effects) > 0 {
			return authzv1.Cacheability_CACHEABILITY_NONE
		}
		if st.Normalised == "" {
			found = authzv1.Cacheability_CACHEABILITY_EXACT
		}
	}
	if len(a.Statements) == 0 {
		return authzv1.Cacheability_CACHEABILITY_NONE
	}
	return found
}

// answer begins an answer: nothing is kept, errors stay closed, everything is
// recorded.
func answer(req *authzv1.AuthorizeRequest, verdict authzv1.Verdict, reason access.Reason, detail string) *authzv1.AuthorizeResponse {
	return &authzv1.AuthorizeResponse{
		RequestId:    req.GetRequestId(),
		UnitSha256:   req.GetUnitSha256(),
		Verdict:      verdict,
		Reason:       reasonProto(reason),
		ReasonDetail: valid(detail),
		Cacheability: authzv1.Cacheability_CACHEABILITY_NONE,
		Obligations:  &authzv1.Obligations{Audit: authzv1.AuditMode_AUDIT_MODE_RECORD},
		Errors:       authzv1.ErrorExposure_ERROR_EXPOSURE_CLOSED,
	}
}

// until is a deadline as the contract's Duration.
func until(deadline, now time.Time) *durationpb.Duration { return durationpb.New(deadline.Sub(now)) }
