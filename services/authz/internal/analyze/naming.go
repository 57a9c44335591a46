package analyze

import (
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// invokeNaming judges a built-in function one of whose arguments names an object, by
// the literals that name it. With any other value the function itself must be granted
// by name.
func (a *analyzer) invokeNaming(f *catalog.Function, known builtin.Function, args []value) error {
	if len(known.Names) == 0 || !allLiterals(known.Names, args) {
		a.needs(access.Execute, a.functionObject(f))
		return nil
	}
	err := a.nameLiterals(known.Names, args)
	if err != nil && !limited(err) && strings.HasPrefix(f.Name, "to_reg") {
		// For what is not there the answer is NULL, which tells as much as a catalog.
		a.needs(access.Execute, a.functionObject(f))
		return nil
	}
	return err
}

// invokeChannel judges pg_notify by the channel that a literal names.
func (a *analyzer) invokeChannel(f *catalog.Function, args []value) error {
	switch {
	case len(args) == 0 || args[0].kind != constant && args[0].kind != null:
		a.needs(access.Execute, a.functionObject(f))
	case args[0].kind == constant:
		a.needs(access.Notify, access.Object{Kind: access.Channel, Name: a.says(args[0].literal)})
	}
	return nil
}

func allLiterals(names []builtin.Name, args []value) bool {
	for _, name := range names {
		if name.Argument >= len(args) || args[name.Argument].kind != constant && args[name.Argument].kind != null {
			return false
		}
	}
	return true
}

func (a *analyzer) nameLiterals(names []builtin.Name, args []value) error {
	for _, name := range names {
		v := args[name.Argument]
		if v.kind == null {
			continue
		}
		if err := a.nameLiteral(a.says(v.literal), name); err != nil {
			return err
		}
	}
	return nil
}

// invokeSetting judges current_setting and set_config by the setting that a literal
// names. What changes the meaning of statements is left to where set_config is as good as
// SET.
func (a *analyzer) invokeSetting(f *catalog.Function, args []value) error {
	if len(args) == 0 || args[0].kind != constant && args[0].only == "" {
		a.needs(access.Execute, a.functionObject(f))
		// Which setting it is shows only when it has run.
		a.current.opaque = a.current.opaque || f.Name == "set_config"
		return nil
	}
	name := lowerASCII(a.says(args[0].literal))
	if args[0].kind != constant {
		// pg_dump: SELECT set_config(name, …) FROM pg_settings WHERE name = '…', which runs
		// once or not at all, and sets nothing else.
		name = lowerASCII(args[0].only)
	}
	if f.Name != "set_config" {
		return a.showSetting(name)
	}
	if done, err := a.setConfig(name, args); done || err != nil {
		return err
	}
	switch builtin.SettingOf(name) {
	case builtin.Plain:
	case builtin.Custom:
		a.needs(access.Set, access.Object{Kind: access.Setting, Name: name})
	default:
		return deny(access.SettingDenied, "setting "+name)
	}
	a.current.opaque = true
	return nil
}
