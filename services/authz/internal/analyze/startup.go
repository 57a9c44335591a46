package analyze

import (
	"maps"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// startup judges the settings that a session is to start with (process_startup_options
// of postinit.c) as SET is judged. Who the session is, it does not choose there: its
// login is what it goes back to at RESET ROLE.
func (a *analyzer) startup(settings map[string]string) error {
	a.current = &recorder{}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name != lowerASCII(name) || !settingName(name) {
			return deny(access.SettingDenied, "a startup setting's name")
		}
		switch name {
		case "role", "session_authorization":
			return deny(access.SettingDenied, "startup setting "+name)
		}
		if err := a.setting(name, settings[name]); err != nil {
			return err
		}
	}
	a.statements = append(a.statements, access.Statement{Kind: "set", Accesses: a.current.accesses()})
	return nil
}

// settingName reports whether a name is one that a setting can have (guc.c,
// valid_custom_variable_name), in ASCII.
func settingName(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || c != '.' && c != '$' && !isDigit(c)) {
			return false
		}
	}
	return name != ""
}
