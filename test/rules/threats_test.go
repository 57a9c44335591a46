package rules

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// threatsFile lists the threats and faults; its last column is derived.
const threatsFile = "docs/threats.md"

// notYet marks a row that no test covers.
const notYet = "not yet"

var (
	threatRow  = regexp.MustCompile(`^\| ([TF][0-9]{2}) \| (.*) \| (.*) \|$`)
	threatTest = regexp.MustCompile(`(?m)^func Test(Sec|Fault)_([TF][0-9]{2})(?:_[A-Za-z0-9_]*)?\(t \*testing\.T\)`)
	namedTest  = regexp.MustCompile(`(?m)^func (Test(?:Sec|Fault)_\w*)\(`)
)

// testedIn finds the packages whose tests name each row.
func testedIn(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, name := range files(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		text := read(t, name)
		matches := threatTest.FindAllStringSubmatch(text, -1)
		if named := namedTest.FindAllString(text, -1); len(named) != len(matches) {
			t.Errorf("%s: of %q some are not of the form TestSec_T01_Name or TestFault_F01_Name", name, named)
		}
		for _, m := range matches {
			if (m[1] == "Sec") != (m[2][0] == 'T') {
				t.Errorf("%s: %s: TestSec_ is for T rows, TestFault_ for F rows", name, m[0])
			}
			if dir := path.Dir(name); !slices.Contains(found[m[2]], dir) {
				found[m[2]] = append(found[m[2]], dir)
			}
		}
	}
	return found
}

// TestThreatsAndTestsAgree holds the table and the tests together: a package in
// the last column has a test that names the row, and every row that a test names
// is in the table. With -update, as make generate runs it, it writes the column.
func TestThreatsAndTestsAgree(t *testing.T) {
	found := testedIn(t)
	lines := strings.Split(read(t, threatsFile), "\n")
	rows := map[string]bool{}
	for i, line := range lines {
		m := threatRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		id, guards, in := m[1], m[2], m[3]
		if rows[id] {
			t.Errorf("%s:%d: %s is there twice", threatsFile, i+1, id)
		}
		rows[id] = true
		if strings.TrimSpace(guards) == "" {
			t.Errorf("%s:%d: %s does not say what it guards against", threatsFile, i+1, id)
		}
		dirs := found[id]
		slices.Sort(dirs)
		if *update {
			by := notYet
			if len(dirs) > 0 {
				by = strings.Join(dirs, ", ")
			}
			lines[i] = "| " + id + " | " + guards + " | " + by + " |"
			continue
		}
		if in == notYet {
			continue
		}
		for dir := range strings.SplitSeq(in, ", ") {
			if !slices.Contains(dirs, dir) {
				t.Errorf("%s:%d: %s has lost its test in %s: a test of a threat is never deleted", threatsFile, i+1, id, dir)
			}
		}
	}
	for id, dirs := range found {
		if !rows[id] {
			t.Errorf("%v test %s, which %s does not list", dirs, id, threatsFile)
		}
	}
	if len(rows) < 80 {
		t.Errorf("%s has %d rows: no row is dropped in silence", threatsFile, len(rows))
	}
	if *update && !t.Failed() {
		name := filepath.Join(repository(t), threatsFile)
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
