package session

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

// A client gives the session a new token by `SET scopewire.token = '…'`. Authz
// recognises the statement, verifies the token and returns it. The server is sent a SET
// of the proxy's own in its place, so that what fails before it, and what it fails by
// (a transaction that has failed), decides whether it counts. When that SET has
// completed the token takes the old one's place, whatever becomes of the transaction.
// Everything is judged anew then: no decision was made for the new token.

// refreshText is what the server is sent in place of a statement that brings a token:
// when the session ends now. It is information for people; nothing reads it back.
func refreshText(r *decide.Refreshed) string {
	at := ""
	if t := r.Principal.GetExpiresAt(); t != nil {
		at = t.AsTime().UTC().Format(time.RFC3339)
	}
	return "SET scopewire.expires_at = '" + at + "'"
}

// brings reports whether statements bring a token.
func brings(statements []*authzv1.Statement) bool {
	for _, st := range statements {
		for _, e := range st.GetEffects() {
			if e.GetKind() == authzv1.EffectKind_EFFECT_KIND_REFRESH {
				return true
			}
		}
	}
	return false
}

// sameSubject reports whether a new token is of the one whose session this is.
func (s *Session) sameSubject(p *authzv1.Principal) bool {
	now := s.p.Record.Principal()
	return p.GetIssuer() == now.GetIssuer() && p.GetSubject() == now.GetSubject()
}

// refreshed waits for what the server says to a statement that brings a token, which
// was just forwarded: its life must not end before the next message comes.
func (s *Session) refreshed(d *decide.Decision) error {
	if d.Refreshed == nil {
		return nil
	}
	drop, trouble, err := s.settle()
	s.skipping, s.trouble = s.skipping || drop, trouble
	if err != nil || s.skipping || s.tokenHash != decide.TokenHash(d.Refreshed.Token.SHA256()) {
		return err
	}
	// Its scopes may be others. SET takes no snapshot, and one statement sets one setting.
	if err := s.ask(&question{piped: s.piped}, scopesText(d.Refreshed)); err != nil {
		return err
	}
	_, err = s.asked()
	return err
}

// scopesText tells the server the scopes of a new token, for people, as at login.
func scopesText(r *decide.Refreshed) string {
	// A scope holds printable ASCII (RFC 6749 section 3.3); an authorizer of somebody else's
	// may say anything. Backslashes mean nothing: standard_conforming_strings is pinned.
	clean := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, strings.Join(r.Principal.GetScopes(), " "))
	return "SET scopewire.scopes = '" + strings.ReplaceAll(clean, "'", "''") + "'"
}

// adopt makes a new token the session's.
func (s *Session) adopt(r *decide.Refreshed) {
	old := s.p.Token
	s.p.Token, s.tokenHash = r.Token, decide.TokenHash(r.Token.SHA256())
	old.Wipe()
	s.p.Record.SetToken(r.Principal)
	// In this order: see confirmer.
	s.confirming.renew(r.Token, r.ConfirmIn)
	s.life.renew(r.Expires)
	if r.ConfirmIn > 0 {
		s.confirms()
	}
	if !s.p.Renew(r.Principal, s.tokenHash, r.Revocation) {
		s.Revoke()
	}
	// No context that was decided in before is this one.
	clear(s.around.generations)
	s.around.enter(s.around.context)
	if err := s.Spool.Append(s.p.Record.Event(auditv1.EventType_EVENT_TYPE_TOKEN_REFRESHED, trace.SpanContext{})); err != nil {
		s.Logger.Error("refresh not recorded", "error", err)
	}
}
