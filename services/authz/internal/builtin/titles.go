package builtin

// classTitle is the heading of a class of functions in the reference.
func classTitle(c Class) string {
	switch c {
	case Harmless:
		return "Harmless: needs nothing"
	case Named:
		return "Named: needs the right on the object that a literal names"
	case Setting:
		return "Setting: goes by the setting that a literal names"
	case Channel:
		return "Channel: needs `notify` on the channel"
	case Introspection:
		return "Introspection: preset `introspection`"
	case Advisory:
		return "Advisory: preset `advisory_locks`"
	case Code:
		return "Code: needs `execute`, granted on the function by name"
	case Session:
		return "Session: needs `execute`, granted on the function by name"
	case Server:
		return "Server: needs `admin`, granted on the function by name"
	case Internal:
		return "Internal: never called by name"
	default:
		return "Unreviewed: denied"
	}
}

// classText says in the reference what is judged beside the class.
func classText(c Class) string {
	switch c {
	case Harmless:
		return "A call computes from its arguments. Where it runs code of their types, that code is judged as well."
	case Named:
		return "An argument that is no literal is denied."
	case Introspection:
		return "Where the arguments that name objects are literals, the objects can be judged instead of the preset."
	case Internal:
		return "The place that runs the function is judged: a cast, an index, a trigger. Triggers of PostgreSQL and of " +
			"extensions that are here do nothing to other objects."
	default:
		return "No other right covers it."
	}
}

// relationTitle is the heading of a class of relations in the reference.
func relationTitle(c RelationClass) string {
	switch c {
	case Drivers:
		return "Presets `session` and `introspection`"
	case Definitions:
		return "Preset `introspection`"
	default:
		return "Closed, whatever the preset"
	}
}

// settingTitle is the heading of a class of settings in the reference.
func settingTitle(c SettingClass) string {
	switch c {
	case Plain:
		return "Plain: anybody may set"
	case Meaning:
		return "Meaning: by rules of its own"
	case Identity:
		return "Identity: `set` by name"
	case System:
		return "System: `admin` by name"
	default:
		return "Guarded: `set` by name"
	}
}
