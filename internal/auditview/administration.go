package auditview

import (
	"fmt"
	"strings"
	"time"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// administration is the JSON form of what was done to the whole installation.
type administration struct {
	Caller     string         `json:"caller"`
	Note       string         `json:"note,omitempty"`
	Revocation *revocationDoc `json:"revocation,omitempty"`
	Policy     *policyDoc     `json:"policy,omitempty"`
}

type revocationDoc struct {
	Number       uint64 `json:"number"`
	TokenSHA256  string `json:"token_sha256,omitempty"`
	TokenID      string `json:"jti,omitempty"`
	Issuer       string `json:"issuer,omitempty"`
	Subject      string `json:"subject,omitempty"`
	Client       string `json:"client,omitempty"`
	IssuedBefore string `json:"issued_before,omitempty"`
}

type policyDoc struct {
	Revision uint64 `json:"revision"`
	SHA256   string `json:"sha256,omitempty"`
}

func administrationDoc(a *auditv1.Administration) *administration {
	if a == nil {
		return nil
	}
	doc := &administration{Caller: bounded(a.GetCaller()), Note: bounded(a.GetNote())}
	if r := a.GetRevocation(); r != nil {
		doc.Revocation = &revocationDoc{r.GetNumber(), hexText(r.GetTokenSha256()), bounded(r.GetTokenId()), bounded(r.GetIssuer()),
			bounded(r.GetSubject()), bounded(r.GetClientId()), momentText(r.GetIssuedBefore())}
	}
	if p := a.GetPolicy(); p != nil {
		doc.Policy = &policyDoc{p.GetRevision(), hexText(p.GetDigest())}
	}
	return doc
}

// administered are lines of Show.
func administered(a *auditv1.Administration) []field {
	if a == nil {
		return nil
	}
	return []field{{"by", plain(a.GetCaller(), nameLimit)}, {"note", plain(a.GetNote(), nameLimit)}, {"what", administrationText(a)}}
}

// administrationText is what was done, in a few words.
func administrationText(a *auditv1.Administration) string {
	if p := a.GetPolicy(); p != nil {
		return fmt.Sprintf("policy revision %d, sha256 %s", p.GetRevision(), hexText(p.GetDigest()))
	}
	if a.GetRevocation() == nil {
		return ""
	}
	return fmt.Sprintf("revocation %d: %s", a.GetRevocation().GetNumber(), selectorText(a.GetRevocation()))
}

// selectorText says which tokens a revocation ends.
func selectorText(r *authzv1.Revocation) string {
	var words []string
	for _, f := range [][2]string{{"subject", r.GetSubject()}, {"client", r.GetClientId()}, {"jti", r.GetTokenId()}, {"issuer", r.GetIssuer()}} {
		if f[1] != "" {
			words = append(words, f[0]+" "+plain(f[1], nameLimit))
		}
	}
	if sum := hexText(r.GetTokenSha256()); sum != "" {
		words = append(words, "token sha256 "+sum)
	}
	if at := momentText(r.GetIssuedBefore()); at != "" {
		words = append(words, "issued before "+at)
	}
	return strings.Join(words, ", ")
}

// momentText is a moment in seconds since 1970, empty for none.
func momentText(at int64) string {
	if at == 0 {
		return ""
	}
	return time.Unix(at, 0).UTC().Format(time.RFC3339)
}
