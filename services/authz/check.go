package authz

import (
	"fmt"
	"slices"

	"github.com/scopewire/scopewire/internal/revocation"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

// Check reads the policy file of a valid configuration as the service would. It says what is
// wrong with it, and what a person should know of the two together.
func Check(fsys sys.FS, cfg Config) (warnings []string, err error) {
	text, err := fsys.ReadFile(cfg.Policy.File)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Policy.File, err)
	}
	return keptForEver(cfg, p), nil
}

// keptForEver warns of issuers whose revocations, when they come as signals, are never
// forgotten, since nobody says how long their tokens live. A bound of our own would let
// revoked tokens come back that live longer.
func keptForEver(cfg Config, p *policy.Policy) (warnings []string) {
	if cfg.Signals.Address == "" {
		return nil
	}
	issuers := p.Issuers()
	for _, t := range cfg.Signals.Transmitters {
		if t.TokenLifetime > 0 {
			continue
		}
		about := t.Subjects
		if len(about) == 0 {
			about = []string{t.Issuer}
		}
		for _, name := range about {
			i := slices.IndexFunc(issuers, func(is policy.Issuer) bool { return is.Issuer == name })
			if i < 0 || issuers[i].MaxTokenLifetime > 0 {
				continue
			}
			warnings = append(warnings, fmt.Sprintf("what %s signals of subjects of %s is kept for ever, and when %d subjects are kept nothing more can be revoked: "+
				"set max_token_lifetime of the issuer in the policy, or token_lifetime of the transmitter", t.Issuer, name, revocation.MaxEntries))
		}
	}
	return warnings
}
