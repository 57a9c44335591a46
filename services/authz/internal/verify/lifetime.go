package verify

import "time"

// judgeLifetime holds the token's life against the longest that it may have: what is kept
// about revoked tokens until they have expired is forgotten then.
func (p *Principal) judgeLifetime(most time.Duration) *Refusal {
	switch {
	case most == 0:
		return nil
	case p.IssuedAt.IsZero():
		return refuse(ClaimsInvalid, "the token does not say when it was issued, and its life is bounded")
	case p.ExpiresAt.Sub(p.IssuedAt) > most:
		return refuse(ClaimsInvalid, "the token lives longer than policy lets it")
	default:
		return nil
	}
}
