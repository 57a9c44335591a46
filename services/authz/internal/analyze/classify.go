package analyze

import (
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// classify says what is known of a function.
func (a *analyzer) classify(f *catalog.Function) builtin.Function {
	return builtin.Lookup(a.snap, f)
}

// nameKind says what a text names that a type reads; false for types that look nothing
// up by themselves. What they are made of is another matter.
func (a *analyzer) nameKind(oid catalog.OID) (builtin.NameKind, bool) {
	t := a.snap.TypeByOID(oid)
	if t == nil || oid >= catalog.FirstNormalOID || t.Kind != 'b' || t.Element != 0 {
		return 0, false
	}
	return builtin.InputLooksUp(a.snap, t)
}

// showSetting judges reading a setting by a function, which takes what SHOW does.
func (a *analyzer) showSetting(name string) error {
	if name = lowerASCII(name); name == "" || name == "all" || ownSetting(name) {
		return deny(access.SettingDenied, "setting "+name)
	}
	return a.readsSetting(name)
}
