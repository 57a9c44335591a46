package analyze

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestExecuteFunction: what a call asks for, by the function's security, language
// and body.
func TestExecuteFunction(t *testing.T) {
	o := newOracleOf(t, "relations.sql")
	want := map[string][]string{
		"plus":            {"execute function public.plus(integer)"},
		"name_of":         {"execute function public.name_of(integer)", "select public.people(id, name)"},
		"name_of_boss":    {"execute function public.name_of_boss(integer)", "select public.people(boss, id, name)"},
		"shadowed":        {"execute function public.shadowed(integer)", "select public.people(id)"},
		"unqualified":     {"execute function public.unqualified() [function public.unqualified]", "opaque"},
		"with_path":       {"execute function public.with_path()", "select hr.secrets"},
		"with_setting":    {"execute function public.with_setting() [function public.with_setting]", "opaque"},
		"standard":        {"execute function public.standard(integer)", "insert public.people(id)", "select hr.secrets"},
		"returned":        {"execute function public.returned(integer)", "select public.people(id)"},
		"writer":          {"execute function public.writer(integer)", "update public.people(salary)", "select public.people(id)", "delete public.notes", "select public.notes(person)"},
		"raised":          {"execute function public.raised(integer) [function public.raised]", "opaque"},
		"definer":         {"execute function public.definer(integer)", "select public.people(id, salary) within"},
		"plpgsql_definer": {"execute function public.plpgsql_definer()", "opaque"},
		"settings":        {"execute function public.settings() [function public.settings]", "opaque"},
		"any_of":          {"execute function public.any_of(anyelement) [function public.any_of]", "opaque"},
		"Loud":            {"execute function public.Loud(text, numeric[])"},
		"empty_body":      {"execute function public.empty_body()"},
		"hire":            {"execute procedure public.hire(integer)", "insert public.people(id)", "select public.people(id)"},
		"total_plus":      {"execute function public.total_plus(integer)"},
		// Bypass: a built-in function inside an aggregate ran with the login's rights.
		"rewritten":   {"execute function public.rewritten(text) [function pg_catalog.ts_rewrite]", "opaque"},
		"read_from":   {"execute function public.read_from(text) [function pg_catalog.pg_read_file]", "opaque"},
		"joined":      {"execute function public.joined(text)"},
		"linked":      {"execute function public.linked(text)"},
		"linked_file": {"execute function public.linked_file(text) [function public.linked_file]", "opaque"},
		"stepwise":    {"execute function public.stepwise(integer) [function public.steps]", "opaque"},
	}
	for name, want := range want {
		t.Run(name, func(t *testing.T) {
			functions := o.snap.FunctionsNamed(name)
			if len(functions) != 1 {
				t.Fatalf("%d functions", len(functions))
			}
			a := analyzer{literally: new(bool), in: Input{Context: Context{SearchPath: "public", Role: "analyze_login"}}, snap: o.snap,
				limits: Limits{}.withDefaults(), version: o.snap.ServerVersionNum, current: &recorder{}}
			if err := a.prepare(); err != nil {
				t.Fatal(err)
			}
			if err := a.executeFunction(functions[0], access.Object{Name: name}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, found := range a.current.accesses() {
				got = append(got, accessText(found))
			}
			if a.current.opaque {
				got = append(got, "opaque")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if a.texts != 0 || slices.ContainsFunc(a.statements, func(access.Statement) bool { return true }) {
				t.Error("the body left something behind")
			}
		})
	}
}
