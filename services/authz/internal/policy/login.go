package policy

import (
	"maps"
	"slices"
)

// loginEntry says which logins of a database sessions may run under. Logins
// are names; their secrets are in the proxy's configuration.
type loginEntry struct {
	// Default is for every token that ByClaim says nothing of. Without it such a token
	// has no session in the database.
	Default string `yaml:"default"`
	// ByClaim chooses by a claim of the token.
	ByClaim *claimLogins `yaml:"by_claim"`
	// ByScope maps a scope to a further login that tokens with it may choose by
	// the startup user.
	ByScope map[string]string `yaml:"by_scope"`
}

// claimLogins chooses a login by a claim.
type claimLogins struct {
	// Claim is the claim's name: a string, or a list of them such as groups.
	Claim string `yaml:"claim"`
	// Logins maps a value of it to a login.
	Logins map[string]string `yaml:"logins"`
}

func compileLogins(c *compiler, logins map[string]loginEntry) map[string]loginEntry {
	for _, database := range slices.Sorted(maps.Keys(logins)) {
		path := keyPath("logins", database)
		if database == "" || len(database) > maxIdentifier {
			c.Addf(path, "the name of a database has 1 to %d bytes", maxIdentifier)
		}
		e := logins[database]
		if e.Default == "" && e.ByClaim == nil {
			c.Addf(path+".default", "name the login that sessions run under by default")
		}
		if e.ByClaim != nil {
			e.ByClaim.compile(c, path+".by_claim")
		}
		for _, scope := range slices.Sorted(maps.Keys(e.ByScope)) {
			at := keyPath(path+".by_scope", scope)
			if err := checkScope(scope); err != nil {
				c.Addf(at, "%s", err)
			}
			if e.ByScope[scope] == "" {
				c.Addf(at, "name a login")
			}
		}
	}
	return logins
}

func (l *claimLogins) compile(c *compiler, path string) {
	if l.Claim == "" {
		c.Addf(path+".claim", "name the claim that says which login")
	}
	if len(l.Logins) == 0 {
		c.Addf(path+".logins", "name a login for a value of the claim")
	}
	for _, value := range slices.Sorted(maps.Keys(l.Logins)) {
		if value == "" || l.Logins[value] == "" {
			c.Addf(keyPath(path+".logins", value), "name a value and a login")
		}
	}
}

// choose returns the login that the claim's value has. It is false where its values
// have different ones: which of them is meant nobody has said.
func (l *claimLogins) choose(value any) (login string, ok bool) {
	values, list := value.([]any)
	if !list {
		values = []any{value}
	}
	for _, v := range values {
		s, isText := v.(string)
		name := l.Logins[s]
		switch {
		case !isText || name == "" || name == login:
		case login != "":
			return "", false
		default:
			login = name
		}
	}
	return login, true
}

// Login chooses the login of a session. The user of the startup packet chooses
// a login of the database that it names, if the scopes let the principal use
// it; any other user gets that of the token's claim, else the default. claims gives
// the token's claims, and is called where the policy asks for one. It is false where
// the policy has no login: such a session is refused.
func (p *Policy) Login(database, user string, scopes []string, claims func() map[string]any) (login string, ok bool) {
	e, ok := p.logins[database]
	if !ok {
		return "", false
	}
	for _, s := range scopes {
		if name := e.ByScope[s]; name != "" && name == user {
			return name, true
		}
	}
	if e.ByClaim != nil {
		login, ok = e.ByClaim.choose(claims()[e.ByClaim.Claim])
		if !ok || login != "" {
			return login, ok
		}
	}
	return e.Default, e.Default != ""
}
