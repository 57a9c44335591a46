package builtin

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
)

// everyEmpty runs a test on the catalog of an empty database of each version.
func everyEmpty(t *testing.T, test func(t *testing.T, s *catalog.Snapshot)) {
	for _, m := range majors {
		s := catalogtest.Empty(t, m)
		s.Index()
		t.Run(strconv.Itoa(m), func(t *testing.T) { test(t, s) })
	}
}

func system(schema string) bool { return schema == "pg_catalog" || schema == "information_schema" }

func TestEveryFunctionOfAnEmptyDatabaseIsFound(t *testing.T) {
	everyEmpty(t, func(t *testing.T, s *catalog.Snapshot) {
		major := s.ServerVersionNum / 10000
		n := 0
		for i := range s.Functions {
			f := &s.Functions[i]
			n++
			if Lookup(s, f).Class == Unreviewed {
				t.Errorf("%d: %s.%s (%d) is unreviewed", major, f.Schema, f.Name, f.OID)
			}
		}
		want := 0
		for _, e := range All(major) {
			if minors, late := addedLate()[e.Name]; e.Schema != "" && (!late || minors.In(s.ServerVersionNum)) {
				want++
			}
		}
		if n != want {
			t.Errorf("%d has %d functions, the data %d", major, n, want)
		}
	})
}

func TestEveryOperatorOfAnEmptyDatabaseIsReviewed(t *testing.T) {
	everyEmpty(t, func(t *testing.T, s *catalog.Snapshot) {
		for i := range s.Operators {
			o := &s.Operators[i]
			switch class := Operator(s, o).Class; {
			case class == Harmless:
			case class == Introspection && (o.Left == 1033 || o.Left == 1034): // aclitem and its array
			default:
				t.Errorf("%s (%d): %v", o.Name, o.OID, class)
			}
		}
	})
}

// Every cast of the server is harmless or looks up what a name or number stands for.
func TestEveryCastOfAnEmptyDatabaseIsReviewed(t *testing.T) {
	everyEmpty(t, func(t *testing.T, s *catalog.Snapshot) {
		for i := range s.Casts {
			c := &s.Casts[i]
			if c.Function == 0 {
				continue
			}
			f := s.FunctionByOID(c.Function)
			class := Lookup(s, f).Class
			if class != Harmless && !(class == Introspection && f.Name == "regclass") {
				t.Errorf("%s: %v", f.Name, class)
			}
		}
	})
}

func TestEverySystemRelationIsReviewed(t *testing.T) {
	seen := map[string]bool{}
	everyEmpty(t, func(t *testing.T, s *catalog.Snapshot) {
		for i := range s.Relations {
			r := &s.Relations[i]
			key := r.Schema + "." + r.Name
			if !system(r.Schema) || r.Kind == catalog.KindIndex {
				continue
			}
			seen[key] = true
			if relations().reasons[key] == "" {
				t.Errorf("%s is not in review/relations.txt", key)
			}
			for _, c := range r.Columns {
				seen[key+"."+c.Name] = true
			}
		}
	})
	for key := range relations().reasons {
		if !seen[key] {
			t.Errorf("review/relations.txt has %s, which no version has", key)
		}
	}
	for _, key := range ClosedColumns() {
		if !seen[key] {
			t.Errorf("review/relations.txt closes %s, which no version has", key)
		}
	}
}

func TestEverySettingIsReviewed(t *testing.T) {
	// SHOW ALL leaves these out, or an extension or Debian brings them.
	seen := map[string]bool{
		"role": true, "session_authorization": true, "is_superuser": true, "seed": true, "extension_destdir": true,
	}
	everyEmpty(t, func(t *testing.T, s *catalog.Snapshot) {
		for _, v := range s.Settings {
			name := lower(v.Name)
			seen[name] = true
			class := SettingOf(v.Name)
			if settings().reasons[name] == "" {
				t.Errorf("%s is not in review/settings.txt", v.Name)
			}
			// What the server asks a superuser for is not for everybody, since the login
			// may be one; what no session can set needs no grant to be refused.
			if v.Context != "user" && class != System && class != Guarded {
				t.Errorf("%s of context %s is %v", v.Name, v.Context, class)
			}
		}
	})
	for name := range settings().reasons {
		if !seen[name] && !strings.Contains(name, ".") {
			t.Errorf("review/settings.txt has %s, which no version has", name)
		}
	}
	for pair := range settings().values {
		name, _, _ := strings.Cut(pair, "=")
		if settings().reasons[name] == "" || SettingOf(name) == Plain {
			t.Errorf("a value of %s is allowed", name)
		}
	}
}

// A type is harmless, looks names up, or is on this list, whose values nobody can
// write and which the server reads itself.
func TestEveryTypeIsReviewed(t *testing.T) {
	opaque := strings.Fields(`pg_node_tree pg_ndistinct pg_dependencies pg_mcv_list pg_brin_bloom_summary
		pg_brin_minmax_multi_summary gtsvector pg_ddl_command`)
	everyEmpty(t, func(t *testing.T, s *catalog.Snapshot) {
		for i := range s.Types {
			typ := &s.Types[i]
			if typ.Schema != "pg_catalog" || typ.Kind == 'p' || typ.Kind == 'c' || typ.Element != 0 {
				continue
			}
			_, looks := InputLooksUp(s, typ)
			harmless, listed := HarmlessType(s, typ), slices.Contains(opaque, typ.Name)
			if n := count(looks, harmless, listed); n != 1 {
				t.Errorf("%s: looks names up %v, harmless %v, opaque %v", typ.Name, looks, harmless, listed)
			}
			if looks != OutputLooksUp(s, typ) {
				t.Errorf("%s is read in another way than printed", typ.Name)
			}
			in, out := Lookup(s, s.FunctionByOID(typ.Input)).Class, Lookup(s, s.FunctionByOID(typ.Output)).Class
			generic := typ.Kind == 'r' || typ.Kind == 'm'
			if harmless && !generic && (in != Harmless || out != Harmless) {
				t.Errorf("%s is harmless; its input is %v, its output %v", typ.Name, in, out)
			}
			if !harmless && (in == Harmless || out == Harmless) {
				t.Errorf("%s is not harmless; its input is %v, its output %v", typ.Name, in, out)
			}
		}
	})
}

func count(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}
