package policy

import (
	"crypto/sha256"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Policy is a checked policy file: immutable and safe for concurrent use.
type Policy struct {
	digest    [sha256.Size]byte
	issuers   []Issuer
	scopes    map[string][]*rule
	templates []*template
	denies    []*rule
	presets   []string
	logins    map[string]loginEntry
	// extensions are those whose code is trusted as a whole.
	extensions map[string]bool
	// base are the rules of the presets, which every principal has.
	base []*rule
	// denyIndex is compiled from denies, once for all principals.
	denyIndex *index
}

// Parse reads a policy file. The error of one that is not YAML, or has unknown
// keys, shows line and place; any other error lists every problem by its path
// in the file. The error quotes the file's own words and nothing else.
func Parse(data []byte) (*Policy, error) {
	f, err := decode(data)
	if err != nil {
		return nil, err
	}
	p, err := f.compile()
	if err != nil {
		return nil, err
	}
	p.digest = sha256.Sum256(data)
	p.denyIndex = newIndex(p.denies, access.Actions())
	return p, nil
}

// Digest is the SHA-256 of the file as it was parsed.
func (p *Policy) Digest() [sha256.Size]byte { return p.digest }

// Issuers lists the issuers whose tokens are accepted, in the file's order. The
// caller owns the slice.
func (p *Policy) Issuers() []Issuer { return cloneIssuers(p.issuers) }

// HasPreset reports whether a preset is on.
func (p *Policy) HasPreset(name string) bool { return slices.Contains(p.presets, name) }

// Principal compiles what a token with these scopes is granted. Order and
// repetition of the scopes do not matter, and scopes that the policy does not
// know grant nothing. The result depends on the policy and the set of scopes
// alone.
func (p *Policy) Principal(scopes []string) *Grants {
	sorted := slices.Compact(slices.Sorted(slices.Values(scopes)))
	rules := slices.Clone(p.base)
	for _, s := range sorted {
		rules = append(rules, p.scopes[s]...)
		for _, t := range p.templates {
			rules = append(rules, t.expand(s)...)
		}
	}
	return &Grants{allow: newIndex(rules, grantable()), deny: p.denyIndex, extensions: p.extensions}
}

// grantable lists the actions a wildcard stands for in a grant.
func grantable() []access.Action {
	return slices.DeleteFunc(access.Actions(), func(a access.Action) bool { return a == access.Admin })
}
