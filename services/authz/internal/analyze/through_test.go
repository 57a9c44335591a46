package analyze

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestThrough: by way of what an access is reached, nearest first.
func TestThrough(t *testing.T) {
	o := newOracleOf(t, "relations.sql")
	text := func(a access.Access) string {
		var ways []string
		for _, way := range a.Through {
			ways = append(ways, accessText(access.Access{Resolved: way})[1:])
		}
		return strings.TrimSpace(accessText(a) + " by " + strings.Join(ways, ", "))
	}
	for sql, want := range map[string][]string{
		"SELECT id FROM people": {"select public.people(id) by"},
		"SELECT name FROM names": {
			"select public.people(id, name) within by public.names", "select public.names(name) by",
		},
		"SELECT name FROM names_of_names": {
			"select public.people(id, name) within by public.names, public.names_of_names",
			"select public.names(id, name) within by public.names_of_names", "select public.names_of_names(name) by",
		},
		// The statement itself names the table, too.
		"SELECT p.id FROM mine m, people p": {"select public.people(id, name, salary) by public.mine", "select public.mine by"},
		"SELECT number FROM owner_of_invoker": {
			"select public.staff(grade, id, name) by public.my_staff, public.owner_of_invoker",
			"select public.notes(person) by public.my_staff, public.owner_of_invoker",
			"select public.my_staff(name, number) within by public.owner_of_invoker", "select public.owner_of_invoker(number) by",
		},
		"SELECT public.definer(1)": {
			"execute function public.definer(integer) by", "select public.people(id, salary) within by function public.definer(integer)",
		},
		"SELECT public.name_of_boss(1), name_of(1)": {
			"execute function public.name_of_boss(integer) by",
			"select public.people(boss, id, name) by function public.name_of_boss(integer), function public.name_of(integer)",
			"execute function public.name_of(integer) by",
		},
		"UPDATE staff_names SET name = 'x'": {
			"update public.staff_names(name) by", "update public.staff(name) within by public.staff_names",
			"execute function public.positive(integer) by public.staff_names",
		},
		"SELECT name FROM names FOR UPDATE": {
			"select public.people(id, name) within by public.names", "select public.names(name) by", "update public.names by",
			"update public.people within by public.names",
		},
		"INSERT INTO defaults (a, c) VALUES (1, true)": {
			"insert public.defaults(a, c) by", "execute function public.boss_of(integer) by public.defaults",
			"select public.people(boss, id) by function public.boss_of(integer), public.defaults",
		},
	} {
		if o.snap.ServerVersionNum < 150000 && (strings.Contains(sql, "mine") || strings.Contains(sql, "invoker")) {
			// Views with the reader's rights came with 15.
			continue
		}
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, o.snap)
		if got.Outcome != access.Judge {
			t.Errorf("%s: %s", sql, got.Detail)
			continue
		}
		var found []string
		for _, a := range got.Statements[0].Accesses {
			if a.Resolved.Kind != access.Schema {
				found = append(found, text(a))
			}
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("%s:\n%s", sql, diff)
		}
	}
}
