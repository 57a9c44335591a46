package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.opentelemetry.io/otel/trace"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/revocation"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/cancel"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/record"
	"github.com/scopewire/scopewire/services/proxy/internal/registry"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
	"github.com/scopewire/scopewire/services/proxy/internal/startup"
	"github.com/scopewire/scopewire/services/proxy/internal/upstream"
)

// refusal is a login that ends before its session. err is for the log, response
// for the client.
type refusal struct {
	response *pgproto3.ErrorResponse
	outcome  string
	err      error
	// event is recorded before the client is told.
	event *auditv1.Event
	// token says that the token is at fault: a client of the OAUTHBEARER door is told
	// where to get another.
	token bool
}

// connection is a client on its way to a session.
type connection struct {
	*Proxy
	raw    net.Conn
	record *record.Session
	client *startup.Client
	// expires is when the token's life ends.
	expires time.Time
	// principal is whom the token names, once authz has said so.
	principal string
	// counted says that the connection is one of its principal's.
	counted bool
}

// serve takes one connection from accept to close. It never panics.
func (p *Proxy) serve(ctx context.Context, conn net.Conn, cfg startup.Config) {
	c := &connection{Proxy: p, raw: conn, record: record.NewSession(p.system.Clock, p.system.Rand)}
	c.record.ClientAddress = conn.RemoteAddr().String()
	outcome := "internal"
	defer func() {
		if v := recover(); v != nil {
			p.log.Error("connection failed", "panic", v, "stack", string(debug.Stack()))
		}
		_ = conn.Close()
		p.metrics.ended(outcome)
	}()
	if p.open.Add(1) > p.sessions {
		p.open.Add(-1)
		c.tell(pgerr.Fatal(pgerr.TooManyConnections, "the proxy has as many connections as it may"))
		outcome = "limit"
		return
	}
	defer p.open.Add(-1)
	defer func() {
		if c.counted {
			p.perPrincipal.giveBack(c.principal)
		}
	}()
	// A client under way is cut off when the sessions are; an open session ends by its own
	// rule.
	unwatch := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(p.system.Clock.Now()) })
	outcome = c.login(ctx, cfg, unwatch)
}

// login takes the client to its session and runs it. It returns how it ended.
func (c *connection) login(ctx context.Context, cfg startup.Config, unwatch func() bool) string {
	defer unwatch()
	deadline := c.system.Clock.Now().Add(c.Proxy.login)
	_ = c.raw.SetDeadline(deadline)
	ctxLogin, cancelLogin := context.WithDeadline(ctx, deadline)
	defer cancelLogin()

	client, err := startup.Negotiate(ctxLogin, c.raw, cfg)
	if err != nil {
		return c.negotiationFailed(err)
	}
	defer client.Token.Wipe()
	c.client = client
	c.record.Database, c.record.StartupUser = client.Database, client.User
	c.record.ApplicationName = client.Parameters["application_name"]

	server, principal, ref := c.open(ctxLogin)
	if ref != nil {
		return c.refuse(ref)
	}
	return c.run(ctx, server, principal, unwatch)
}

// negotiationFailed handles a client that never came to show a token.
func (c *connection) negotiationFailed(err error) string {
	var cancelled *startup.CancelError
	var refused *startup.RefusedError
	var discovery *startup.DiscoveryError
	switch {
	case errors.As(err, &discovery):
		c.log.Debug("client told where to get a token", "client", c.record.ClientAddress)
		return "discovery"
	case errors.As(err, &cancelled):
		// Hit and miss look alike from outside.
		c.cancels.Request(cancel.Key{ProcessID: cancelled.ProcessID, Secret: cancelled.Secret}, c.raw.RemoteAddr())
		return "closed"
	case errors.As(err, &refused):
		c.record.Database, c.record.StartupUser, c.record.ApplicationName = refused.Database, refused.User, refused.ApplicationName
		ev := c.refusedEvent(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED, refused.Response.Code, refused.Detail)
		if err := c.spool.Append(ev); err != nil {
			c.log.Error("refused login not recorded", "error", err)
		}
		c.log.Info("login refused", "client", c.record.ClientAddress, "reason", refused.Detail)
		return "login_refused"
	default:
		c.log.Info("login not completed", "client", c.record.ClientAddress, "error", err)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return "login_timeout"
		}
		return "client_gone"
	}
}

func (c *connection) refusedEvent(reason authzv1.AuthenticateRefusalReason, sqlstate, detail string) *auditv1.Event {
	ev := c.record.Event(auditv1.EventType_EVENT_TYPE_LOGIN_REFUSED, trace.SpanContext{})
	ev.Message, ev.LoginRefusal = auditv1.MessageKind_MESSAGE_KIND_STARTUP, reason
	ev.Sqlstate, ev.ReasonDetail = sqlstate, detail
	return ev
}

// refuse records a refused login, then tells the client.
func (c *connection) refuse(r *refusal) string {
	c.log.Info("login refused", "client", c.record.ClientAddress, "error", r.err)
	if ref, err := id.FromBytes(r.event.GetEventId()); err == nil && r.response.Detail == "" {
		r.response.Detail = "Reference: " + ref.String()
	}
	if err := c.spool.Append(r.event); err != nil {
		c.log.Error("refused login not recorded", "error", err)
		r.response.Detail = ""
	}
	c.metrics.Refused("login")
	if r.token {
		if err := c.client.Challenge(); err != nil {
			return r.outcome
		}
	}
	c.tell(r.response)
	return r.outcome
}

func (c *connection) tell(resp *pgproto3.ErrorResponse) {
	conn := c.raw
	if c.client != nil {
		conn = c.client.Conn
	}
	if b, err := resp.Encode(nil); err == nil {
		_, _ = conn.Write(b)
	}
}

// open authenticates the client and opens its backend session.
func (c *connection) open(ctx context.Context) (*upstream.Conn, *authzv1.Authenticated, *refusal) {
	params, err := backendParameters(c.client.Parameters)
	if p, ok := asParameterError(err); ok {
		resp := pgerr.Fatal(pgerr.InsufficientPrivilege, p.Error())
		return nil, nil, &refusal{response: resp, outcome: "login_refused", err: err,
			event: c.refusedEvent(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_CLAIMS, resp.Code, "startup parameter "+p.name)}
	}
	if c.namesPrincipal(c.client.Database) {
		// The client's own is in the audit log.
		delete(params, applicationName)
	}
	who, ref := c.authenticate(ctx, params)
	if ref != nil {
		return nil, nil, ref
	}
	c.record.SetPrincipal(who.GetPrincipal(), who.GetLogin())
	// Quoted, so that no issuer's name can run into a subject's.
	c.principal = fmt.Sprintf("%q %q", who.GetPrincipal().GetIssuer(), who.GetPrincipal().GetSubject())
	if c.counted = c.perPrincipal.take(c.principal); !c.counted {
		return nil, nil, c.tooMany()
	}
	login := c.credential(c.client.Database, who.GetLogin())
	if login == nil {
		err := fmt.Errorf("authz chose login %q of database %q, which this proxy does not have", who.GetLogin(), c.client.Database)
		return nil, nil, c.unavailable(err, authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_LOGIN)
	}
	if names := unjudged(params, who.GetAcceptedSettings()); len(names) > 0 {
		return nil, nil, c.settingsRefused(names, "not accepted by authz")
	}
	for name, value := range who.GetSessionSettings() {
		params[name] = value
	}
	identify(params, who.GetPrincipal())
	if c.namesPrincipal(c.client.Database) {
		params[applicationName] = params[settingPrincipal]
	}
	ctx, cancel := context.WithTimeout(ctx, backendConnectTimeout)
	defer cancel()
	server, err := upstream.Connect(ctx, c.system.Net, login.target(), params)
	if err != nil {
		if r := c.settingFailed(err); r != nil {
			return nil, nil, r
		}
		r := c.unavailable(err, authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE)
		r.outcome = "backend_unavailable"
		r.response.Message = "the database server cannot be reached now"
		return nil, nil, r
	}
	return server, who, nil
}

// authenticate asks authz who the token names.
func (c *connection) authenticate(ctx context.Context, settings map[string]string) (*authzv1.Authenticated, *refusal) {
	asked := c.system.Clock.Now()
	// A client that waits for what does not come can still be told.
	ctx, cancel := context.WithTimeout(ctx, min(authenticateTimeout, c.Proxy.login/2))
	defer cancel()
	resp, err := c.authz.Authenticate(ctx, &authzv1.AuthenticateRequest{
		Token: c.client.Token.Expose(), Database: c.client.Database, User: c.client.User, SessionId: c.record.ID[:],
		Client: c.clientInfo(), Settings: settings,
	})
	if err != nil {
		return nil, c.unavailable(fmt.Errorf("authenticate: %w", err), authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE)
	}
	ok := resp.GetAuthenticated()
	if r := resp.GetRefusal(); r.GetReason() == authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_SETTING {
		return nil, c.settingsRefused(unjudged(settings, nil), r.GetDetail())
	}
	if ok == nil {
		return nil, c.tokenRefused(resp.GetRefusal())
	}
	life := ok.GetExpiresIn()
	if ok.GetPrincipal().GetSubject() == "" || !life.IsValid() || life.AsDuration() <= 0 {
		return nil, c.unavailable(errors.New("authz accepted a token without a subject or a lifetime"),
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE)
	}
	if ok.GetConfirmIn() != nil && (!ok.GetConfirmIn().IsValid() || ok.GetConfirmIn().AsDuration() <= 0) {
		return nil, c.unavailable(errors.New("authz does not say when a token is to be confirmed"),
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE)
	}
	c.expires = asked.Add(life.AsDuration())
	return ok, nil
}

// settingsRefused refuses a login for the settings it was to start with. The client
// hears their names, which are its own words, and nothing of what they name.
func (c *connection) settingsRefused(names []string, detail string) *refusal {
	resp := pgerr.Fatal(pgerr.InsufficientPrivilege, "the access token's scopes do not allow the startup parameters")
	if len(names) > 0 {
		resp.Message += " " + strings.Join(names, ", ")
	}
	return &refusal{response: resp, outcome: "login_refused", err: errors.New("startup settings: " + detail),
		event: c.refusedEvent(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_SETTING, resp.Code, detail)}
}

// settingFailed refuses a login whose settings the server does not take: an unknown
// name, or a value that it cannot read or not now. nil for any other error.
func (c *connection) settingFailed(err error) *refusal {
	var said *upstream.Error
	if !errors.As(err, &said) {
		return nil
	}
	switch code := said.SQLState(); code {
	case "22023", "42704", "55P02":
		return &refusal{response: pgerr.Fatal(code, pgerr.Message(code)), outcome: "login_refused", err: err,
			event: c.refusedEvent(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_SETTING, code, "the server does not take a startup setting")}
	default:
		return nil
	}
}

// clientInfo is what is known of the client. A name that is no UTF-8 could not be
// sent, and is left out.
func (c *connection) clientInfo() *authzv1.ClientInfo {
	return &authzv1.ClientInfo{
		Address: c.record.ClientAddress, ApplicationName: strings.ToValidUTF8(c.record.ApplicationName, ""),
		Tls: c.client.TLS, CertificateSha256: c.client.CertificateSHA256, ServerName: strings.ToValidUTF8(c.client.ServerName, ""),
	}
}

// tooMany refuses a login of a principal that has as many sessions as it may.
func (c *connection) tooMany() *refusal {
	resp := pgerr.Fatal(pgerr.TooManyConnections, "too many connections with tokens of this subject: close some first")
	return &refusal{response: resp, outcome: "limit", err: errors.New("the principal has as many sessions as it may"),
		event: c.refusedEvent(authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_SESSIONS, resp.Code, "sessions of the principal")}
}

// unavailable refuses a login because something behind the proxy is missing.
func (c *connection) unavailable(err error, reason authzv1.AuthenticateRefusalReason) *refusal {
	resp := pgerr.Fatal(pgerr.CannotConnectNow, "no login is possible now: try again later")
	return &refusal{response: resp, outcome: "login_refused", err: err, event: c.refusedEvent(reason, resp.Code, "unavailable")}
}

// tokenRefused is what a client hears of its own token. Nothing in it depends on
// the database.
func (c *connection) tokenRefused(r *authzv1.AuthenticateRefusal) *refusal {
	code, message := pgerr.InvalidPassword, "the access token was refused"
	switch r.GetReason() {
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED:
		message = "the password is not an access token"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_ALGORITHM:
		message = "the access token is not signed with an accepted algorithm"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_SIGNATURE:
		message = "the access token's signature does not verify"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_ISSUER:
		message = "the access token is from an issuer that is not accepted here"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_AUDIENCE:
		message = "the access token is for another audience"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_EXPIRED:
		message = "the access token has expired"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_NOT_YET_VALID:
		message = "the access token is not valid yet"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_TYPE:
		message = "the token is not an access token"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_REVOKED:
		message = "the access token has been revoked"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_DATABASE,
		authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_LOGIN:
		code, message = pgerr.InvalidAuthorization, "the access token gives no access to this database"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE:
		code, message = pgerr.CannotConnectNow, "no login is possible now: try again later"
	case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_INTROSPECTION:
		code, message = pgerr.CannotConnectNow, "the access token's issuer cannot be asked now: try again later"
	default:
		// Claims, binding and whatever is not known: the general sentence.
	}
	ev := c.refusedEvent(r.GetReason(), code, r.GetDetail())
	ev.UnverifiedPrincipal = r.GetUnverified()
	return &refusal{response: pgerr.Fatal(code, message), outcome: "login_refused", token: code != pgerr.CannotConnectNow,
		err: fmt.Errorf("token refused: %s", r.GetReason()), event: ev}
}

// run records the login, greets the client and runs the session.
func (c *connection) run(ctx context.Context, server *upstream.Conn, who *authzv1.Authenticated, unwatch func() bool) string {
	// The session's span is not the parent of its statements': each of those is a
	// trace of its own.
	_, span := c.metrics.Start(ctx, telemetry.SpanSession, telemetry.AttrDBSystem.String("postgresql"),
		telemetry.AttrDBNamespace.String(c.client.Database), telemetry.AttrSession.String(c.record.ID.String()))
	defer span.End()
	ev := c.record.Event(auditv1.EventType_EVENT_TYPE_LOGIN, span.SpanContext())
	ev.Message, ev.Epoch = auditv1.MessageKind_MESSAGE_KIND_STARTUP, who.GetEpoch()
	if err := c.spool.Append(ev); err != nil {
		_ = server.Close()
		c.log.Error("login not recorded", "error", err)
		c.metrics.Refused("spool_failed")
		c.tell(pgerr.Fatal(pgerr.DiskFull, pgerr.Refused(pgerr.RefusalSpoolFull).Message))
		return "limit"
	}
	log := c.log.With("session", c.record.ID.String())
	asked, left := c.misses.enter(c.principal, c.system.Clock.Now())
	defer left()
	denied, left := c.denials.enter(c.principal, c.system.Clock.Now())
	defer left()
	var entry *registry.Entry
	s := session.New(session.Params{Client: c.client.Conn, Server: server, Record: c.record, Context: server.Context, ClientInfo: c.clientInfo(),
		Token: c.client.Token, Expires: c.expires, ConfirmIn: who.GetConfirmIn().AsDuration(), Principal: c.principal,
		Renew: func(p *authzv1.Principal, sum [32]byte, asOf uint64) bool {
			return entry.Renew(revocation.Of(p, sum), asOf)
		}},
		session.Deps{System: c.system, Logger: log, Authorizer: c.decisions, Fence: c.fence, Spool: c.spool,
			Confirm: c.confirm, Observer: c.metrics, Limits: c.limits, Buffers: &c.buffers, Expiry: c.cfg.Expiry.rules(), Pace: session.Pace{Asked: asked, Denied: denied}})
	entry, stands := c.registry.Enter(s, revocation.Of(who.GetPrincipal(), c.client.Token.SHA256()), who.GetEpoch().GetRevocation())
	defer entry.Leave()
	if !stands {
		// It would run to its end at once.
		s.Revoke()
	}
	length := cancel.ShortSecret
	if c.client.LongKeys() {
		length = cancel.LongSecret
	}
	key := c.cancels.Add(s.Cancel, length)
	defer c.cancels.Remove(key)
	if err := c.greet(server.Parameters, key); err != nil {
		_ = server.Close()
		log.Info("login not completed", "error", err)
		return "client_gone"
	}
	unwatch()
	c.metrics.active.Add(1)
	defer c.metrics.active.Add(-1)
	log.Info("session started", "subject", who.GetPrincipal().GetSubject(), "database", c.client.Database,
		"login", who.GetLogin(), "client", c.record.ClientAddress)
	end := s.Run(ctx)
	log.Info("session ended", "end", string(end))
	out := c.record.Event(auditv1.EventType_EVENT_TYPE_LOGOUT, span.SpanContext())
	out.ReasonDetail = string(end)
	if err := c.spool.AppendLast(out); err != nil {
		log.Error("logout not recorded", "error", err)
	}
	return string(end)
}

// greet tells the client that its session is open.
func (c *connection) greet(parameters map[string]string, key cancel.Key) error {
	messages := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		messages = append(messages, &pgproto3.ParameterStatus{Name: name, Value: parameters[name]})
	}
	messages = append(messages, &pgproto3.BackendKeyData{ProcessID: key.ProcessID, SecretKey: key.Secret},
		&pgproto3.ReadyForQuery{TxStatus: 'I'})
	var out []byte
	for _, m := range messages {
		var err error
		if out, err = m.Encode(out); err != nil {
			return fmt.Errorf("encode greeting: %w", err)
		}
	}
	if _, err := c.client.Conn.Write(out); err != nil {
		return fmt.Errorf("greet the client: %w", err)
	}
	return nil
}
