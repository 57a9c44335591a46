package verify

import (
	"time"

	"github.com/scopewire/scopewire/internal/secret"
)

// ReadUnverified reads a token as Verify would, but for its signature: nothing is
// proven. It is for explanations, where whoever asks could as well write down the
// scopes. The principal it returns holds nowhere: Holds is false of it. The error
// is a *Refusal.
func ReadUnverified(token secret.Bytes, issuers []Issuer, now time.Time) (Principal, error) {
	c, r := split(token.Expose())
	if r != nil {
		return Principal{}, r
	}
	for _, is := range issuers {
		if is.Issuer != c.claims.optional("iss") {
			continue
		}
		if r := judgeType(c.typ, c.claims, is.AcceptTypJWT); r != nil {
			return Principal{}, r
		}
		p, r := judge(c.claims, is, now)
		if r != nil {
			return Principal{}, r
		}
		p.payload = string(c.payload)
		return p, nil
	}
	return Principal{}, refuse(IssuerUnknown, "the issuer is not configured")
}
