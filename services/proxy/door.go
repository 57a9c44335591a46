package proxy

import (
	"net/url"
	"strings"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/proxy/internal/startup"
)

// doorParameter is the startup parameter by which a client chooses its door.
const doorParameter = "scopewire.auth"

// wellKnown is where an issuer's discovery document is (OpenID Connect Discovery,
// 4), which libpq takes the issuer's name from.
const wellKnown = "/.well-known/openid-configuration"

// doorWord is the client's choice of a door: a startup parameter, or the last one of
// its options; empty for none.
func doorWord(parameters map[string]string) (string, error) {
	word := ""
	for name, value := range parameters {
		if strings.EqualFold(name, doorParameter) {
			word = value
		}
	}
	settings, err := parseOptions(parameters["options"])
	if err != nil {
		// What is wrong with them is told once the client has shown its token.
		return word, nil //nolint:nilerr // See above.
	}
	for _, s := range settings {
		if strings.EqualFold(s[0], doorParameter) {
			word = s[1]
		}
	}
	return word, nil
}

// door is what the listener's clients are told; nil without an issuer.
func (o OAuthDoor) door() *startup.OAuth {
	if o.Issuer == "" {
		return nil
	}
	return &startup.OAuth{Discovery: strings.TrimSuffix(o.Issuer, "/") + wellKnown, Scope: o.Scope}
}

func (l *ListenerConfig) validateDoor(p *config.Problems, path string) {
	switch l.Door {
	case "", startup.DoorPassword:
	case startup.DoorOAuth:
		if l.OAuth.Issuer == "" {
			p.Addf(path+".oauth.issuer", "is needed for the door oauth")
		}
	default:
		p.Addf(path+".door", "is password or oauth, not %q", l.Door)
	}
	if l.OAuth.Issuer == "" {
		if l.OAuth.Scope != "" || len(l.OAuth.ServerNames) > 0 {
			p.Addf(path+".oauth.issuer", "is needed beside scope and server_names")
		}
		return
	}
	// Clients take no other scheme, and compare what they are told with what they
	// are set to.
	if u, err := url.Parse(l.OAuth.Issuer); err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		p.Addf(path+".oauth.issuer", "is an https URL without query and fragment, not %q", l.OAuth.Issuer)
	}
	for i, name := range l.OAuth.ServerNames {
		if name == "" || strings.ContainsAny(name, " /:") {
			p.Addf(path+".oauth.server_names", "entry %d is no host name: %q", i+1, name)
		}
	}
}
