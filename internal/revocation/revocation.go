// Package revocation says which tokens a revocation ends. Authz and proxies share it,
// so that both end the same ones.
//
// A revocation is the contract's message. Of the fields that name tokens every one that
// is set must match; none set matches nothing.
package revocation

import (
	"crypto/sha256"
	"errors"
	"time"
	"unicode/utf8"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// Token is what a revocation is held against: a verified token.
type Token struct {
	// SHA256 is the token's.
	SHA256 [sha256.Size]byte
	// Twin is the SHA-256 of its other spelling, zero where it has none.
	Twin [sha256.Size]byte
	// ID, Issuer, Subject and ClientID are empty where the token does not say.
	ID, Issuer, Subject, ClientID string
	// Actor is who acts for the subject now, the outermost of the token's actors (RFC 8693
	// section 4.1), and ActorIssuer whose name that is. Empty where nobody does.
	Actor, ActorIssuer string
	// IssuedAt is zero where it does not say.
	IssuedAt time.Time
}

// Of is the token of a principal.
func Of(p *authzv1.Principal, sum [sha256.Size]byte) Token {
	t := Token{SHA256: sum, ID: p.GetTokenId(), Issuer: p.GetIssuer(), Subject: p.GetSubject(), ClientID: p.GetClientId()}
	if twin := p.GetTokenTwinSha256(); len(twin) == sha256.Size {
		t.Twin = [sha256.Size]byte(twin)
	}
	if actors := p.GetActors(); len(actors) > 0 {
		t.Acted(actors[0].GetIssuer(), actors[0].GetSubject())
	}
	if at := p.GetIssuedAt(); at != nil {
		t.IssuedAt = at.AsTime()
	}
	return t
}

// Acted sets who acts for the subject; the issuer is empty when it is the token's.
func (t *Token) Acted(issuer, subject string) {
	if issuer == "" {
		issuer = t.Issuer
	}
	t.Actor, t.ActorIssuer = subject, issuer
}

// Matches reports whether r ends t.
func Matches(r *authzv1.Revocation, t Token) bool {
	set := len(r.GetTokenSha256()) > 0
	if set && string(r.GetTokenSha256()) != string(t.SHA256[:]) && (t.Twin == [sha256.Size]byte{} || string(r.GetTokenSha256()) != string(t.Twin[:])) {
		return false
	}
	// Whose tokens end, loses those by which they act for others as well: they hold them.
	issuer, subject := t.Issuer, t.Subject
	if r.GetSubject() != "" && t.Actor == r.GetSubject() && (r.GetIssuer() == "" || t.ActorIssuer == r.GetIssuer()) {
		issuer, subject = t.ActorIssuer, t.Actor
	}
	for _, f := range [][2]string{{r.GetTokenId(), t.ID}, {r.GetIssuer(), issuer}, {r.GetSubject(), subject}, {r.GetClientId(), t.ClientID}} {
		if f[0] == "" {
			continue
		}
		if f[0] != f[1] {
			return false
		}
		set = true
	}
	if before := r.GetIssuedBefore(); before != 0 {
		return t.IssuedAt.IsZero() || t.IssuedAt.Unix() < before
	}
	return set
}

// maxField bounds each text of a revocation, in bytes.
const maxField = 2048

// Check says why r cannot be, or nil: it names nothing, or in a form that no token has.
func Check(r *authzv1.Revocation) error {
	if r.GetTokenId() == "" && r.GetIssuer() == "" && r.GetSubject() == "" && r.GetClientId() == "" && len(r.GetTokenSha256()) == 0 && r.GetIssuedBefore() == 0 {
		return errors.New("a revocation names a token, an issuer, a subject, a client or a moment")
	}
	if n := len(r.GetTokenSha256()); n != 0 && n != sha256.Size {
		return errors.New("the digest of a token has 32 bytes")
	}
	if r.GetIssuedBefore() < 0 || r.GetExpiresAt() < 0 {
		return errors.New("a moment is not before 1970")
	}
	for _, s := range []string{r.GetTokenId(), r.GetIssuer(), r.GetSubject(), r.GetClientId()} {
		if len(s) > maxField || !utf8.ValidString(s) {
			return errors.New("a name is too long, or no UTF-8")
		}
	}
	return nil
}

// covers reports whether whatever r ends, by ends as well: they name the same, and by
// reaches as far in time and is kept as long.
func covers(by, r *authzv1.Revocation) bool {
	same := by.GetTokenId() == r.GetTokenId() && by.GetIssuer() == r.GetIssuer() && by.GetSubject() == r.GetSubject() &&
		by.GetClientId() == r.GetClientId() && string(by.GetTokenSha256()) == string(r.GetTokenSha256())
	later := by.GetIssuedBefore() == 0 || r.GetIssuedBefore() != 0 && by.GetIssuedBefore() >= r.GetIssuedBefore()
	longer := by.GetExpiresAt() == 0 || r.GetExpiresAt() != 0 && by.GetExpiresAt() >= r.GetExpiresAt()
	return same && later && longer
}
