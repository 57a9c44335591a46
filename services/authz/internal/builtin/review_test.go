package builtin

import (
	"strings"
	"testing"
)

// majors are the major versions that the data covers.
var majors = []int{14, 15, 16, 17, 18}

func table(t *testing.T) functionTable {
	t.Helper()
	table, err := loadFunctions()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func (r reviewed) String() string {
	owner := r.schema
	if r.extension != "" {
		owner = r.extension
	}
	return owner + "." + r.name + "(" + strings.Join(r.arguments, ",") + ")"
}

func TestEveryFunctionIsClassified(t *testing.T) {
	count := map[int]int{}
	for _, r := range table(t).all {
		for _, m := range r.majors {
			count[m]++
		}
		sql := r.extension != "" && r.language == "sql"
		if classified := r.function.Class != Unreviewed; classified == sql {
			t.Errorf("%v of %v: class %v; put it into a file of review/, unless it is SQL of an extension", r, r.majors, r.function.Class)
		}
	}
	for _, m := range majors {
		if count[m] < 3200 {
			t.Errorf("data has %d functions of PostgreSQL %d", count[m], m)
		}
	}
}

func TestEveryItemOfTheReviewIsUsed(t *testing.T) {
	for _, item := range table(t).unused {
		t.Errorf("review/ has %s, which no version has, or each of whose overloads is reviewed by itself", item)
	}
}

// A call is recognised by what it runs, so functions that run the same are of the
// same class, whatever their names.
func TestOneCodeHasOneClass(t *testing.T) {
	for key, rows := range table(t).byCode {
		for _, r := range rows {
			if r.function.Class != rows[0].function.Class || r.function.Runs != rows[0].function.Runs {
				t.Errorf("%v: %v is %v, %v is %v", key, rows[0], rows[0].function, r, r.function)
			}
		}
	}
}

func TestFixedNumbersStandForOneFunctionPerVersion(t *testing.T) {
	for oid, rows := range table(t).byOID {
		seen := map[int]bool{}
		for _, r := range rows {
			for _, m := range r.majors {
				if seen[m] {
					t.Errorf("%d is two functions of PostgreSQL %d", oid, m)
				}
				seen[m] = true
			}
			if oid >= firstUnpinnedOID {
				t.Errorf("%v has %d, which is not fixed", r, oid)
			}
		}
	}
}

func TestReviewFilesAreWellFormed(t *testing.T) {
	if _, err := loadRelations(); err != nil {
		t.Error(err)
	}
	if _, err := loadSettings(); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"  item\n", "harmless\n  x\n", "harmless: \n"} {
		if _, err := parseReview(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, head := range []string{"harmles: x", "harmless runs=jump: x", "named x=relation: x", "named 0=thing: x"} {
		s, err := parseReview(head)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s[0].function(); err == nil {
			t.Errorf("%q is taken", head)
		}
	}
}
