package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
)

// setting asks for what setting a setting to a value takes. name is folded.
func (a *analyzer) setting(name, value string) error {
	object := access.Object{Kind: access.Setting, Name: name}
	switch {
	case name == "" || ownSetting(name):
		return deny(access.SettingDenied, "setting "+name)
	case name == "search_path":
		return a.searchPath(value)
	case name == "client_encoding" && harmlessEncoding(value) != "", builtin.Allowed(name, value):
		return nil
	}
	switch builtin.SettingOf(name) {
	case builtin.Plain:
	case builtin.Meaning:
		switch name {
		case "client_encoding", "standard_conforming_strings", "backslash_quote":
			// Pinned: another value changes where literals end.
			return deny(access.SettingDenied, "setting "+name)
		}
		a.ask(access.Set, object)
	case builtin.Guarded, builtin.Identity, builtin.Custom:
		a.ask(access.Set, object)
	case builtin.System:
		a.ask(access.Admin, object)
	default:
		return deny(access.SettingDenied, "setting "+name)
	}
	return nil
}

// searchPath asks for usage of every schema that a path names, whether or not there is
// one. Those that every session may look into are free.
func (a *analyzer) searchPath(value string) error {
	names, ok := splitIdentifiers(value)
	if !ok {
		return deny(access.SettingDenied, "search_path cannot be read")
	}
	for _, name := range names {
		switch name {
		case "", "$user", schemaCatalog, schemaTemp, schemaInformation:
		default:
			a.ask(access.Usage, access.Object{Kind: access.Schema, Name: name})
		}
	}
	return nil
}

// harmlessEncoding is the name of a client encoding that leaves texts as they are: UTF8,
// and SQL_ASCII beside a server in UTF8, which checks them all the same; else empty.
// Names are compared as pg_char_to_encoding does (encnames.c).
func harmlessEncoding(value string) string {
	var clean strings.Builder
	for _, r := range lowerASCII(value) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			clean.WriteRune(r)
		}
	}
	switch clean.String() {
	case "utf8", "unicode":
		return "UTF8"
	case "sqlascii":
		return "SQL_ASCII"
	}
	return ""
}

// show judges SHOW. Scopewire's own settings are informational.
func (a *analyzer) show(v *pg_query.VariableShowStmt) error {
	name := lowerASCII(v.Name)
	switch {
	case name == "scopewire.principal", name == "scopewire.scopes", name == "scopewire.expires_at":
		return nil
	case name == "all" || ownSetting(name):
		return deny(access.SettingDenied, "setting "+name)
	}
	return a.readsSetting(name)
}

// readsSetting asks for what reading a setting takes.
func (a *analyzer) readsSetting(name string) error {
	object := access.Object{Kind: access.Setting, Name: name}
	switch {
	case builtin.Readable(name):
	case builtin.SettingOf(name) == builtin.System:
		a.ask(access.Admin, object)
	default:
		a.ask(access.Set, object)
	}
	return nil
}
