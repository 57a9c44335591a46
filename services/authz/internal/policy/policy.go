package policy

import (
	"crypto/sha256"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Policy is a checked policy file: immutable and safe for concurrent use.
type Policy struct {
	digest  [sha256.Size]byte
	issuers []Issuer
	// ceilings bound what tokens grant by themselves, by issuer; an issuer without
	// one is not here.
	ceilings  map[string]*ceiling
	scopes    map[string][]*rule
	templates []*template
	denies    []*rule
	logins    map[string]loginEntry
	// extensions are those whose code is trusted as a whole.
	extensions map[string]bool
	// errors is never empty.
	errors  ErrorRule
	presets presets
	// base are the presets that every principal has.
	base []*rule
	// conditions is set when there is any.
	conditions bool
	// denyIndex is compiled from denies, once for all principals.
	denyIndex *index
}

// Parse reads a policy file. The error lists every problem with its path, line
// and place in the file; that of a file which is no YAML is the parser's. It
// quotes the file's own words and nothing else.
func Parse(data []byte) (*Policy, error) {
	f, r, err := decode(data)
	if err != nil {
		return nil, err
	}
	c := &compiler{report: r, presets: sharedPresets()}
	p, err := f.compile(c)
	if err != nil {
		return nil, err
	}
	p.conditions = c.environment != nil
	p.digest = sha256.Sum256(data)
	p.denyIndex = newIndex(p.denies, access.Actions())
	return p, nil
}

// Digest is the SHA-256 of the file as it was parsed.
func (p *Policy) Digest() [sha256.Size]byte { return p.digest }

// Issuers lists the issuers whose tokens are accepted, in the file's order. The
// caller owns the slice.
func (p *Policy) Issuers() []Issuer { return cloneIssuers(p.issuers) }

// HasConditions reports whether any rule has a condition, so that a principal's
// claims matter.
func (p *Policy) HasConditions() bool { return p.conditions }

// grantable lists the actions a wildcard stands for in a grant.
func grantable() []access.Action {
	return slices.DeleteFunc(access.Actions(), func(a access.Action) bool { return a == access.Admin })
}
