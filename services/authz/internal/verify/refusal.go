package verify

// Reason is why a token was refused. The names are those of the contract's enum
// AuthenticateRefusalReason, lower case.
type Reason string

// The reasons.
const (
	// Malformed: not a token, too long, too deep, or with a critical extension.
	Malformed Reason = "malformed"
	// Algorithm: signed with an algorithm that is not allowed, or not signed.
	Algorithm Reason = "algorithm"
	// Signature: it does not verify, or no key is known for it.
	Signature Reason = "signature"
	// IssuerUnknown: not a configured one.
	IssuerUnknown Reason = "issuer"
	// Audience: the token is for somebody else.
	Audience Reason = "audience"
	// Expired: exp has passed.
	Expired Reason = "expired"
	// NotYetValid: nbf or iat lies in the future.
	NotYetValid Reason = "not_yet_valid"
	// Type: a token of another kind, an ID token say.
	Type Reason = "type"
	// ClaimsInvalid: a required claim is missing, or one is malformed.
	ClaimsInvalid Reason = "claims"
	// Binding: the token is bound to a key or certificate that was not shown.
	Binding Reason = "binding"
	// Unavailable: the issuer's keys could not be had.
	Unavailable Reason = "unavailable"
	// Revoked: the issuer says that the token is not active.
	Revoked Reason = "revoked"
	// Unconfirmed: the issuer was to say whether the token is active, and did not.
	Unconfirmed Reason = "introspection"
)

// Refusal is the error of Verify. It holds no part of the token's text.
type Refusal struct {
	Reason Reason
	// Detail is one constant line for the operator.
	Detail string
	// Unverified is what the token claims, unproven; nil when it could not be read.
	Unverified *Principal
	// Signed says that the token's signature was verified, and Unverified is what the
	// issuer wrote.
	Signed bool
}

// Error names reason and detail.
func (r *Refusal) Error() string { return "token refused: " + string(r.Reason) + ": " + r.Detail }

func refuse(reason Reason, detail string) *Refusal {
	return &Refusal{Reason: reason, Detail: detail}
}
