package verify

import (
	"crypto/sha256"
	"crypto/subtle"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// maxDate is the last moment of the year 9999, in seconds since 1970. Beyond it
// a date cannot be written in RFC 3339, nor held by a protobuf Timestamp.
const maxDate = 253402300799

// maxLifetime bounds Deadline. Far beyond it, adding to a time would lose the
// monotonic reading.
const maxLifetime = 366 * 24 * time.Hour

// Principal is who a verified token names.
type Principal struct {
	// Issuer and Subject are iss and sub, exactly as the token has them.
	Issuer, Subject string
	// ClientID is client_id, else azp, cid or appid; TokenID is jti. Empty when absent.
	ClientID, TokenID string
	// Actors is the actor chain (RFC 8693 section 4.1), outermost first.
	Actors []Actor
	// Scopes are in the token's order, duplicates removed.
	Scopes []string
	// Details are the grants that the token carries.
	Details []Detail
	// IssuedAt is iat, zero when absent; ExpiresAt is exp. Wall clock, UTC.
	IssuedAt, ExpiresAt time.Time
	// Deadline is ExpiresAt, or a year from now when that is sooner, on the clock
	// that verified it, with its monotonic reading: a step of the wall clock does
	// not move it.
	Deadline time.Time
	// ConfirmBy is when the issuer's word that the token is active is too old, on the same
	// clock and never after Deadline. Zero when the issuer was not asked.
	ConfirmBy time.Time
	// ConfirmAt is when it is time to ask again; zero where the token ends first.
	ConfirmAt time.Time

	// Certificate is the SHA-256 of the certificate that the token is bound to, nil for a
	// token that is bound to none: it is worth nothing without a client that has shown
	// that certificate (RFC 8705 section 3).
	Certificate *[sha256.Size]byte
	// Twin is the SHA-256 of the token's other spelling, nil where it has none. What is said
	// of a token by its digest is said of either.
	Twin *[sha256.Size]byte

	// proof is what made the token good, for Holds.
	proof proof
	// payload is the JSON of the claims, for Claims: one text takes less memory than
	// what is in it, and few policies ask.
	payload string
}

// Claims are all claims of the token as JSON values: string, bool, int64, float64,
// nil, []any and map[string]any. Each call reads them anew; the caller owns them.
// Nil when the principal is not from a token.
func (p *Principal) Claims() map[string]any {
	c, err := parseObject([]byte(p.payload))
	if err != nil {
		return nil
	}
	return claimsOf(c)
}

// Actor is one link of an actor chain.
type Actor struct {
	// Issuer is empty when it is the token's.
	Issuer, Subject string
}

// claimed is what the claims say, nothing proven; what is malformed is left out.
func claimed(c value) *Principal {
	if c.kind != kindObject {
		return nil
	}
	p := &Principal{
		Issuer: c.optional("iss"), Subject: c.optional("sub"), TokenID: c.optional("jti"),
		ClientID: c.optional("client_id"),
	}
	for _, name := range otherClientClaims() {
		if p.ClientID == "" {
			p.ClientID = c.optional(name)
		}
	}
	if scopes, r := readScopes(c); r == nil {
		p.Scopes = scopes
	}
	if actors, r := readActors(c); r == nil {
		p.Actors = actors
	}
	if at, ok, r := readDate(c, "iat", math.Floor); r == nil && ok {
		p.IssuedAt = at
	}
	if at, ok, r := readDate(c, "exp", math.Floor); r == nil && ok {
		p.ExpiresAt = at
	}
	return p
}

// otherClientClaims name the client where client_id does not: OpenID Connect's, Okta's and
// that of Entra's version 1.
func otherClientClaims() []string { return []string{"azp", "cid", "appid"} }

// judge holds the claims against the issuer's rules at the moment now. It is
// called with the signature verified, and once before keys are fetched on behalf
// of a token that could not be accepted anyway.
func judge(c value, is Issuer, now time.Time) (Principal, *Refusal) {
	p := Principal{Issuer: is.Issuer}
	if r := judgeAudience(c, is.Audiences); r != nil {
		return Principal{}, r
	}
	if r := p.judgeTimes(c, is.Skew, now); r != nil {
		return Principal{}, r
	}
	if r := p.judgeLifetime(is.MaxLifetime); r != nil {
		return Principal{}, r
	}
	if r := p.readBinding(c); r != nil {
		return Principal{}, r
	}
	for _, f := range []struct {
		name string
		to   *string
	}{{"sub", &p.Subject}, {"jti", &p.TokenID}, {"client_id", &p.ClientID}} {
		v, ok := c.get(f.name)
		if ok && v.kind != kindString {
			return Principal{}, refuse(ClaimsInvalid, "the claim "+f.name+" is no string")
		}
		*f.to = v.text
	}
	if p.Subject == "" {
		return Principal{}, refuse(ClaimsInvalid, "the token names no subject")
	}
	for _, name := range otherClientClaims() {
		v, ok := c.get(name)
		if ok && v.kind != kindString {
			return Principal{}, refuse(ClaimsInvalid, "the claim "+name+" is no string")
		}
		if p.ClientID == "" {
			p.ClientID = v.text
		}
	}
	var r *Refusal
	if p.Scopes, r = readScopes(c); r != nil {
		return Principal{}, r
	}
	if p.Actors, r = readActors(c); r != nil {
		return Principal{}, r
	}
	if p.Details, r = readDetails(c); r != nil {
		return Principal{}, r
	}
	return p, nil
}

// judgeType compares the header's typ exactly (RFC 9068 section 2.1). For an
// issuer whose access tokens are plain JWTs, of typ JWT or none, the claims that only
// other kinds of token have tell those apart.
func judgeType(typ string, c value, acceptJWT bool) *Refusal {
	switch {
	case typ == "at+jwt" || typ == "application/at+jwt":
		return nil
	case typ != "JWT" && typ != "" || !acceptJWT:
		return refuse(Type, "the header's typ is not at+jwt")
	}
	// OpenID Connect Core section 2 and 3.3.2.11, Back-Channel Logout section 2.4.
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} {
		if c.has(name) {
			return refuse(Type, "the token has the claim "+name+", which no access token has")
		}
	}
	// Some issuers say in a claim of their own what the token is for.
	if use, ok := c.get("token_use"); ok && use.text != "access" {
		return refuse(Type, "the claim token_use says that it is no access token")
	}
	if use, ok := c.get("typ"); ok && use.text != "Bearer" {
		return refuse(Type, "the claim typ says that it is no access token")
	}
	return nil
}

func judgeAudience(c value, want []string) *Refusal {
	aud, ok := c.get("aud")
	if !ok {
		return refuse(Audience, "the token names no audience")
	}
	if aud.kind == kindString {
		aud.items = []value{aud}
	} else if aud.kind != kindArray {
		return refuse(ClaimsInvalid, "the claim aud is neither a string nor an array")
	}
	found := false
	for _, a := range aud.items {
		if a.kind != kindString {
			return refuse(ClaimsInvalid, "the claim aud holds something that is no string")
		}
		found = found || slices.Contains(want, a.text)
	}
	if !found {
		return refuse(Audience, "the token is for another audience")
	}
	return nil
}

// judgeTimes reads exp, iat and nbf. The skew helps a token whose issuer's clock
// is ahead; an end is an end, so that no session outlives exp.
func (p *Principal) judgeTimes(c value, skew time.Duration, now time.Time) *Refusal {
	exp, ok, r := readDate(c, "exp", math.Floor)
	if r != nil {
		return r
	}
	if !ok {
		return refuse(ClaimsInvalid, "the token has no expiry")
	}
	iat, hasIat, r := readDate(c, "iat", math.Floor)
	if r != nil {
		return r
	}
	nbf, hasNbf, r := readDate(c, "nbf", math.Ceil)
	if r != nil {
		return r
	}
	if hasIat && !exp.After(iat) || hasNbf && !exp.After(nbf) {
		return refuse(ClaimsInvalid, "the token ends before it begins")
	}
	left := exp.Sub(now)
	if left <= 0 {
		return refuse(Expired, "the token has expired")
	}
	if hasIat && iat.After(now.Add(skew)) {
		return refuse(NotYetValid, "the token was issued in the future")
	}
	if hasNbf && nbf.After(now.Add(skew)) {
		return refuse(NotYetValid, "the token is not valid yet")
	}
	if hasIat {
		p.IssuedAt = iat
	}
	p.ExpiresAt, p.Deadline = exp, now.Add(min(left, maxLifetime))
	return nil
}

// readDate reads a NumericDate (RFC 7519 section 2): seconds since 1970, perhaps
// with a fraction, which round removes.
func readDate(c value, name string, round func(float64) float64) (time.Time, bool, *Refusal) {
	v, ok := c.get(name)
	if !ok {
		return time.Time{}, false, nil
	}
	f, ok := v.float()
	if !ok || !(f >= 0 && f <= maxDate) {
		return time.Time{}, false, refuse(ClaimsInvalid, "the claim "+name+" is no date")
	}
	return time.Unix(int64(round(f)), 0).UTC(), true, nil
}

// readScopes reads `scope` (RFC 9068 section 2.2.3, a string) or `scp`, as some
// issuers write it, an array or a string. A token with two different lists is
// refused: whoever issued it and whoever reads it would disagree.
func readScopes(c value) ([]string, *Refusal) {
	scope, hasScope := c.get("scope")
	scp, hasScp := c.get("scp")
	var list []string
	if hasScope {
		if scope.kind != kindString {
			return nil, refuse(ClaimsInvalid, "the claim scope is no string")
		}
		list = unique(strings.SplitSeq(scope.text, " "))
	}
	if hasScp {
		var other []string
		switch scp.kind {
		case kindString:
			other = unique(strings.SplitSeq(scp.text, " "))
		case kindArray:
			items := make([]string, len(scp.items))
			for i, item := range scp.items {
				if item.kind != kindString {
					return nil, refuse(ClaimsInvalid, "the claim scp holds something that is no string")
				}
				items[i] = item.text
			}
			other = unique(slices.Values(items))
		default:
			return nil, refuse(ClaimsInvalid, "the claim scp is neither a string nor an array")
		}
		if hasScope && !sameScopes(list, other) {
			return nil, refuse(ClaimsInvalid, "the claims scope and scp differ")
		}
		if !hasScope {
			list = other
		}
	}
	for _, s := range list {
		if !isScope(s) {
			return nil, refuse(ClaimsInvalid, "a scope holds a character that no scope may have")
		}
	}
	return list, nil
}

// unique collects what is not empty, without duplicates, in order.
func unique(scopes iter.Seq[string]) []string {
	var list []string
	seen := make(map[string]struct{})
	for s := range scopes {
		if _, twice := seen[s]; s == "" || twice {
			continue
		}
		seen[s] = struct{}{}
		list = append(list, s)
	}
	return list
}

func sameScopes(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// isScope checks the characters of a scope-token (RFC 6749 section 3.3).
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// readBinding reads cnf (RFC 7800 section 3.1). A certificate's thumbprint is the one
// confirmation that a client can show here (RFC 8705 section 3.1); a key (jwk, jkt) has no
// place in PostgreSQL's protocol, and what is not known confirms nothing.
func (p *Principal) readBinding(c value) *Refusal {
	cnf, ok := c.get("cnf")
	if !ok {
		return nil
	}
	thumb, ok := cnf.get("x5t#S256")
	if cnf.kind != kindObject || len(cnf.members) != 1 || !ok || thumb.kind != kindString {
		return refuse(Binding, "the token is bound to something else than a certificate, and no proof of it can be shown here")
	}
	sum, err := decodeSegment([]byte(thumb.text))
	if err != nil || len(sum) != sha256.Size {
		return refuse(Binding, "the thumbprint of the token's certificate is none")
	}
	p.Certificate = (*[sha256.Size]byte)(sum)
	return nil
}

// ShownBy reports whether a client may show the token that has shown a certificate with
// this SHA-256, empty for none.
func (p *Principal) ShownBy(certificate []byte) bool {
	return p.Certificate == nil || subtle.ConstantTimeCompare(p.Certificate[:], certificate) == 1
}

// readActors follows the nested act claims. The depth of the JSON bounds it.
func readActors(c value) ([]Actor, *Refusal) {
	var chain []Actor
	for act, ok := c.get("act"); ok; act, ok = act.get("act") {
		sub, _ := act.get("sub")
		iss, hasIss := act.get("iss")
		if sub.kind != kindString || sub.text == "" || hasIss && iss.kind != kindString {
			return nil, refuse(ClaimsInvalid, "a link of the claim act names no subject")
		}
		chain = append(chain, Actor{Issuer: iss.text, Subject: sub.text})
	}
	return chain, nil
}

// optional is the string member of that name, or empty.
func (v value) optional(name string) string {
	m, ok := v.get(name)
	if !ok || m.kind != kindString {
		return ""
	}
	return m.text
}
