package policy

import (
	"maps"
	"slices"
)

// loginEntry says which logins of a database sessions may run under. Logins
// are names; their secrets are in the proxy's configuration.
type loginEntry struct {
	// Default is for every token.
	Default string `yaml:"default"`
	// ByScope maps a scope to a further login that tokens with it may choose by
	// the startup user.
	ByScope map[string]string `yaml:"by_scope"`
}

func compileLogins(c *compiler, logins map[string]loginEntry) map[string]loginEntry {
	for _, database := range slices.Sorted(maps.Keys(logins)) {
		path := keyPath("logins", database)
		if database == "" || len(database) > maxIdentifier {
			c.Addf(path, "the name of a database has 1 to %d bytes", maxIdentifier)
		}
		e := logins[database]
		if e.Default == "" {
			c.Addf(path+".default", "name the login that sessions run under by default")
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

// Login chooses the login of a session. The user of the startup packet chooses
// a login of the database that it names, if the scopes let the principal use
// it; any other user gets the default. It is false for a database the policy
// has no logins for: such a session is refused.
func (p *Policy) Login(database, user string, scopes []string) (login string, ok bool) {
	e, ok := p.logins[database]
	if !ok {
		return "", false
	}
	for _, s := range scopes {
		if name := e.ByScope[s]; name != "" && name == user {
			return name, true
		}
	}
	return e.Default, true
}
