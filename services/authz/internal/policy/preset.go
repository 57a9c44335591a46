package policy

import (
	"fmt"
	"slices"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// PresetSession is the preset for what pools and drivers ask at connect and
// reset: they read pg_type, pg_range and pg_enum to learn the types they will
// meet. It is on unless the policy gives a list of presets without it.
const PresetSession = "session"

// compilePresets checks the list of presets. None at all is the default; a
// list that is there, even empty, is taken as it stands.
func compilePresets(p *config.Problems, list *[]string) []string {
	if list == nil {
		return []string{PresetSession}
	}
	for i, name := range *list {
		if name != PresetSession {
			p.Addf(fmt.Sprintf("presets[%d]", i), "there is no preset %q; the presets are %s", name, PresetSession)
		}
		if slices.Contains((*list)[:i], name) {
			p.Addf(fmt.Sprintf("presets[%d]", i), "%q stands twice", name)
		}
	}
	return slices.Clone(*list)
}

// presetRules returns the grants of a preset.
func presetRules(name string) []*rule {
	if name != PresetSession {
		return nil
	}
	r := &rule{name: "presets." + PresetSession, actions: []actionItem{{action: access.Select}}}
	for _, table := range []string{"pg_type", "pg_range", "pg_enum"} {
		r.objects = append(r.objects, pattern{kind: access.Table, parts: []part{{ident: "pg_catalog"}, {ident: table}}})
	}
	return []*rule{r}
}
