package proxy

import (
	"strings"
	"time"
	"unicode/utf8"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// The settings that tell the database's own code and people who a session is for. No
// client can set one of this prefix; no decision reads them.
const (
	settingPrincipal = "scopewire.principal"
	settingIssuer    = "scopewire.issuer"
	settingClient    = "scopewire.client"
	settingScopes    = "scopewire.scopes"
	settingExpires   = "scopewire.expires_at"
)

const (
	// maxIdentity bounds a part of an identity that is passed on, in bytes; scopes may
	// have several times that. All of them and the client's own settings go into a
	// startup packet (MAX_STARTUP_PACKET_LENGTH, 10,000 bytes).
	maxIdentity   = 512
	maxScopesText = 4 * maxIdentity
	// maxStartupText is what they may have together. Beyond it the scopes are left out.
	maxStartupText = 9000
)

// identify adds who the session is for to the settings it starts with.
func identify(params map[string]string, who *authzv1.Principal) {
	params[settingPrincipal] = shown(who.GetSubject(), maxIdentity)
	params[settingIssuer] = shown(who.GetIssuer(), maxIdentity)
	params[settingClient] = shown(who.GetClientId(), maxIdentity)
	if t := who.GetExpiresAt(); t != nil {
		params[settingExpires] = t.AsTime().UTC().Format(time.RFC3339)
	}
	scopes := shown(strings.Join(who.GetScopes(), " "), maxScopesText)
	total := len(scopes)
	for name, value := range params {
		total += len(name) + len(value) + 2
	}
	if total <= maxStartupText {
		params[settingScopes] = scopes
	}
}

// shown is s as it can be printed, at most so many bytes of it: a token's own words
// must not end a line of the server's log.
func shown(s string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	if len(clean) <= limit {
		return clean
	}
	for limit > 0 && !utf8.RuneStart(clean[limit]) {
		limit--
	}
	return clean[:limit]
}
