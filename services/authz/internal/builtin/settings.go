package builtin

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed review/settings.txt
var reviewSettings string

// settingTable is the review of settings, by lower-case name.
type settingTable struct {
	classes  map[string]SettingClass
	reasons  map[string]string
	readable map[string]bool
	// values are name=value pairs that anybody may set.
	values map[string]bool
}

var settings = sync.OnceValue(func() settingTable {
	t, err := loadSettings()
	if err != nil {
		return settingTable{} // everything is guarded; the tests find why
	}
	return t
})

func settingWords() map[string]SettingClass {
	return map[string]SettingClass{
		"guarded": Guarded, "plain": Plain, "meaning": Meaning, "identity": Identity, "system": System, "custom": Custom,
	}
}

// String is the word the review file uses for the class.
func (c SettingClass) String() string {
	for word, class := range settingWords() {
		if class == c {
			return word
		}
	}
	return "guarded"
}

func loadSettings() (settingTable, error) {
	t := settingTable{
		classes: map[string]SettingClass{}, reasons: map[string]string{}, readable: map[string]bool{}, values: map[string]bool{},
	}
	sections, err := parseReview(reviewSettings)
	if err != nil {
		return t, err
	}
	for _, s := range sections {
		class, isClass := settingWords()[s.word]
		_, readable := s.attrs["readable"]
		for _, item := range s.items {
			switch {
			case s.word == "values":
				t.values[item] = true
			case s.word == "readable":
				t.readable[item] = true
			case !isClass:
				return t, unknownWord(s.word)
			case t.reasons[item] != "":
				return t, reviewedTwice(item)
			default:
				t.classes[item], t.reasons[item] = class, s.reason
				t.readable[item] = readable || class == Plain || class == Meaning || class == Identity
			}
		}
	}
	return t, nil
}

// ownPrefix begins the settings that are Scopewire's.
const ownPrefix = "scopewire."

// SettingOf classifies a setting by name, in any case. A name with a dot that is
// not reviewed is Custom: the server takes any such name (guc.c,
// assignable_custom_variable_name), and Scopewire's own have rules of their own. Any
// other unknown name is Guarded.
func SettingOf(name string) SettingClass {
	name = lower(name)
	if strings.HasPrefix(name, ownPrefix) {
		return Meaning
	}
	class, ok := settings().classes[name]
	if !ok && strings.Contains(name, ".") {
		return Custom
	}
	return class
}

// Readable says whether SHOW and current_setting may read the setting without a
// grant.
func Readable(name string) bool { return settings().readable[lower(name)] }

// Allowed says whether anybody may set a setting to the value, written as SET has
// it without quotes, although the setting's class says otherwise: what a pinned
// setting is pinned to, values that drivers and dumps send, and text search
// configurations that came with the server. Of a Plain setting every value is.
func Allowed(name, value string) bool {
	name = lower(name)
	if settings().classes[name] == Plain {
		return true
	}
	if name == "default_text_search_config" {
		own, ok := strings.CutPrefix(value, "pg_catalog.")
		return ok && own != "" && strings.Trim(own, "abcdefghijklmnopqrstuvwxyz_") == ""
	}
	return settings().values[name+"="+lower(value)]
}

// lower folds ASCII alone, as guc_name_compare of guc.c does: in other letters two
// names could be one to us and two to the server.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
