package verify

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/scopewire/scopewire/internal/secret"
)

// Event is a security event token (RFC 8417) that a transmitter has signed for us.
type Event struct {
	// Issuer is the transmitter, ID its jti.
	Issuer, ID string
	// Types are the URIs of its events.
	Types []string
	// Revoked is whose sessions it says are revoked, nil where it says nothing of that.
	Revoked *RevokedSessions
}

// RevokedSessions are those of a subject, up to a moment.
type RevokedSessions struct {
	Issuer, Subject string
	// At is when it happened, no later than now. Wall clock, UTC.
	At time.Time
}

// SessionRevoked is the event type of OpenID CAEP 1.0 section 3.1.
const SessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

// Event verifies a security event token as Verify does an access token: the configured
// issuers are its transmitters. The error is a *Refusal. Event does not keep the token.
func (v *Verifier) Event(ctx context.Context, token secret.Bytes) (Event, error) {
	e, r := v.event(ctx, token.Expose())
	if r != nil {
		return Event{}, r
	}
	return e, nil
}

func (v *Verifier) event(ctx context.Context, token []byte) (Event, *Refusal) {
	c, r := split(token)
	if r != nil {
		return Event{}, r
	}
	is, ok := (*v.issuers.Load())[c.claims.optional("iss")]
	if !ok {
		return Event{}, refuse(IssuerUnknown, "the transmitter is not configured")
	}
	// RFC 8417 section 2.3: explicit typing keeps other JWTs of the issuer out.
	if typ := strings.ToLower(c.typ); typ != "secevent+jwt" && typ != "application/secevent+jwt" {
		return Event{}, refuse(Type, "the header's typ is not secevent+jwt")
	}
	if !slices.Contains(is.rules.Algorithms, c.alg) {
		return Event{}, refuse(Algorithm, "the algorithm is not allowed for this transmitter")
	}
	k, r := v.keyFor(ctx, is, &c, func() *Refusal {
		_, r := judgeEvent(c.claims, is.rules, v.clock.Now())
		return r
	})
	if r != nil {
		return Event{}, r
	}
	if !signed(c.alg, k.public, c.input, c.signature) {
		return Event{}, refuse(Signature, "the signature does not verify")
	}
	return judgeEvent(c.claims, is.rules, v.clock.Now())
}

// judgeEvent holds the claims against RFC 8417 section 2.2.
func judgeEvent(c value, is Issuer, now time.Time) (Event, *Refusal) {
	e := Event{Issuer: is.Issuer, ID: c.optional("jti")}
	if r := judgeAudience(c, is.Audiences); r != nil {
		return Event{}, r
	}
	if e.ID == "" || len(e.ID) > maxKeyID {
		return Event{}, refuse(ClaimsInvalid, "the event has no jti, or too long a one")
	}
	issued, ok, r := readDate(c, "iat", math.Floor)
	switch {
	case r != nil:
		return Event{}, r
	case !ok:
		return Event{}, refuse(ClaimsInvalid, "the event does not say when it was issued")
	case issued.After(now.Add(is.Skew)):
		return Event{}, refuse(NotYetValid, "the event was issued in the future")
	}
	if exp, ok, r := readDate(c, "exp", math.Floor); r != nil || ok && !exp.After(now) {
		return Event{}, refuse(Expired, "the event has expired, or its expiry is no date")
	}
	events, ok := c.get("events")
	if !ok || events.kind != kindObject || len(events.members) == 0 {
		return Event{}, refuse(ClaimsInvalid, "the claim events names no event")
	}
	for _, m := range events.members {
		if m.value.kind != kindObject {
			return Event{}, refuse(ClaimsInvalid, "an event is no object")
		}
		e.Types = append(e.Types, m.name)
		if m.name != SessionRevoked {
			continue
		}
		if e.Revoked, r = readRevoked(c, m.value, is, issued); r != nil {
			return Event{}, r
		}
	}
	return e, nil
}

// readRevoked reads whose sessions end. Whom the event is about is said by sub_id (RFC
// 9493 section 4.1), by a subject in the event (drafts of CAEP), or by sub; where it is
// said twice it has to be the same.
func readRevoked(c, event value, is Issuer, issued time.Time) (*RevokedSessions, *Refusal) {
	var found *RevokedSessions
	for _, from := range []struct {
		in   value
		name string
	}{{c, "sub_id"}, {event, "subject"}, {c, "sub"}} {
		id, ok := from.in.get(from.name)
		if !ok {
			continue
		}
		said, ok := readSubject(id, is)
		if !ok {
			return nil, refuse(ClaimsInvalid, "the event's subject is in no form that is known here: iss_sub, or complex with such a user")
		}
		if found != nil && *found != said {
			return nil, refuse(ClaimsInvalid, "the event names two subjects")
		}
		found = &said
	}
	if found == nil {
		return nil, refuse(ClaimsInvalid, "the event names no subject")
	}
	found.At = issued
	// A moment that cannot be read, or lies behind the event's own, is that of the event:
	// what it ends is then more, and the same when it comes again.
	if at, ok, r := readDate(event, "event_timestamp", math.Ceil); r == nil && ok && at.Before(issued) {
		found.At = at
	}
	return found, nil
}

// readSubject reads a subject identifier (RFC 9493 section 3.2). Of a complex one (OpenID
// Shared Signals Framework 1.0 section 3.3) it is the user: to end all of a user's sessions
// where one is meant errs on the safe side.
func readSubject(id value, is Issuer) (RevokedSessions, bool) {
	if id.kind == kindString {
		return RevokedSessions{Issuer: is.Issuer, Subject: id.text}, id.text != ""
	}
	format := id.optional("format")
	if format == "" {
		format = id.optional("subject_type") // Drafts of RFC 9493.
	}
	switch format {
	case "iss_sub":
		s := RevokedSessions{Issuer: id.optional("iss"), Subject: id.optional("sub")}
		return s, s.Issuer != "" && s.Subject != ""
	case "complex":
		user, ok := id.get("user")
		if !ok || user.kind != kindObject || user.optional("format") == "complex" {
			return RevokedSessions{}, false
		}
		return readSubject(user, is)
	default:
		return RevokedSessions{}, false
	}
}
