package builtin

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

//go:embed data/functions.tsv
var functionData string

//go:embed review/harmless.txt
var reviewHarmless string

//go:embed review/named.txt
var reviewNamed string

//go:embed review/introspection.txt
var reviewIntrospection string

//go:embed review/locks.txt
var reviewLocks string

//go:embed review/code.txt
var reviewCode string

//go:embed review/session.txt
var reviewSession string

//go:embed review/server.txt
var reviewServer string

//go:embed review/internal.txt
var reviewInternal string

//go:embed review/extensions.txt
var reviewExtensions string

// row is a line of data/functions.tsv: an entry of pg_proc as the servers of some
// major versions have it.
type row struct {
	majors []int
	// oid is 0 where initdb or CREATE EXTENSION gives one out by itself.
	oid catalog.OID
	// extension is empty for what belongs to none.
	extension, schema, name string
	arguments               []string
	kind                    byte
	result                  string
	language                string
	volatility              byte
	public                  bool
	library, symbol         string
}

// reviewed is a row with what the review says about it.
type reviewed struct {
	row
	function Function
	reason   string
}

// functionTable finds reviewed functions.
type functionTable struct {
	all []reviewed
	// byOID holds the functions whose OID is fixed; the same OID can stand for
	// something else in another major version.
	byOID map[catalog.OID][]*reviewed
	// byName holds what came with the server and has no fixed OID.
	byName map[string][]*reviewed
	// byCode holds functions of extensions by what they run.
	byCode map[code][]*reviewed
	// aggregates holds those of extensions, which are all the same symbol.
	aggregates map[string][]*reviewed
	// bySymbol holds the server's own functions in C.
	bySymbol map[string][]*reviewed
	// unused are the items of the review that no row matches.
	unused []string
}

// code is what a function of an extension runs.
type code struct{ extension, language, library, symbol string }

// functions makes the table on first use. A fault in the embedded files is a bug
// that the package's tests find; a table without rows denies everything.
var functions = sync.OnceValue(func() functionTable {
	t, err := loadFunctions()
	if err != nil {
		return functionTable{}
	}
	return t
})

func loadFunctions() (functionTable, error) {
	t := functionTable{
		byOID: map[catalog.OID][]*reviewed{}, byName: map[string][]*reviewed{},
		byCode: map[code][]*reviewed{}, aggregates: map[string][]*reviewed{},
		bySymbol: map[string][]*reviewed{},
	}
	rows, err := parseRows(functionData)
	if err != nil {
		return t, err
	}
	review, err := loadReview()
	if err != nil {
		return t, err
	}
	used := map[string]bool{}
	t.all = make([]reviewed, len(rows))
	for i, r := range rows {
		t.all[i] = reviewed{row: r}
		if v, item, ok := review.find(r); ok {
			used[item] = true
			t.all[i].function, t.all[i].reason = v.function, v.reason
		} else if r.supports() {
			t.all[i].function, t.all[i].reason = Function{Class: Internal}, "takes or gives what SQL cannot make"
		}
		t.all[i].function.Lookup = looksUp(r.result)
		t.add(&t.all[i])
	}
	for item := range review {
		if !used[item] {
			t.unused = append(t.unused, item)
		}
	}
	slices.Sort(t.unused)
	return t, nil
}

func (t *functionTable) add(r *reviewed) {
	switch {
	case r.oid != 0:
		t.byOID[r.oid] = append(t.byOID[r.oid], r)
	case r.schema != "":
		t.byName[r.schema+"."+r.name] = append(t.byName[r.schema+"."+r.name], r)
	}
	if r.extension == "" && r.language == "internal" && r.kind != 'a' {
		t.bySymbol[r.symbol] = append(t.bySymbol[r.symbol], r)
	}
	switch {
	case r.extension == "":
	case r.kind == 'a':
		key := r.extension + "." + r.name
		t.aggregates[key] = append(t.aggregates[key], r)
	case r.language == "c" || r.language == "internal":
		key := code{r.extension, r.language, r.library, r.symbol}
		t.byCode[key] = append(t.byCode[key], r)
	}
}

// verdict is what the review says about an item.
type verdict struct {
	function Function
	reason   string
}

// review holds items by extension, a dot and the item as written.
type review map[string]verdict

// loadReview reads all files of the review; an item may stand in them once.
func loadReview() (review, error) {
	all := review{}
	for _, text := range []string{reviewHarmless, reviewNamed, reviewIntrospection, reviewLocks, reviewCode,
		reviewSession, reviewServer, reviewInternal, reviewExtensions} {
		sections, err := parseReview(text)
		if err != nil {
			return nil, err
		}
		for _, s := range sections {
			f, err := s.function()
			if err != nil {
				return nil, err
			}
			for _, item := range s.items {
				key := s.attrs["extension"] + "." + item
				if _, twice := all[key]; twice {
					return nil, fmt.Errorf("%s is reviewed twice", key)
				}
				all[key] = verdict{f, s.reason}
			}
		}
	}
	return all, nil
}

// find looks for the row itself, then for its name. What an extension writes in
// SQL is not reviewed: its body is analysed.
func (v review) find(r row) (verdict, string, bool) {
	if r.extension != "" && r.language == "sql" {
		return verdict{}, "", false
	}
	exact := r.extension + "." + r.name + "(" + strings.Join(r.arguments, ",") + ")"
	if found, ok := v[exact]; ok {
		return found, exact, true
	}
	found, ok := v[r.extension+"."+r.name]
	return found, r.extension + "." + r.name, ok
}

// supports says that SQL cannot call the function, or gets nothing it could use:
// it takes or gives a pointer (internal), or is a trigger or a handler.
func (r *row) supports() bool {
	switch r.result {
	case "internal", "trigger", "event_trigger", "language_handler", "fdw_handler", "index_am_handler",
		"table_am_handler", "tsm_handler":
		return true
	}
	return slices.Contains(r.arguments, "internal")
}

// looksUp says that a value of the type is an object's OID and is read and printed
// as its name (regproc.c), an array of such included.
func looksUp(typ string) bool {
	_, ok := lookupKind(strings.TrimPrefix(strings.TrimPrefix(typ, "setof "), "_"))
	return ok
}

// in says whether the row is one of the major version's.
func (r *row) in(major int) bool { return slices.Contains(r.majors, major) }

const rowFields = 13

func parseRows(text string) ([]row, error) {
	var rows []row
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != rowFields {
			return nil, fmt.Errorf("a line of %d fields: %s", len(f), line)
		}
		for i := range f {
			if f[i] == "-" {
				f[i] = ""
			}
		}
		majors, err := parseMajors(f[0])
		if err != nil {
			return nil, err
		}
		oid, err := strconv.ParseUint(f[1], 10, 32)
		if err != nil {
			return nil, err
		}
		r := row{
			majors: majors, oid: catalog.OID(oid), extension: f[2], schema: f[3], name: f[4], kind: f[6][0],
			result: f[7], language: f[8], volatility: f[9][0], public: f[10] == "public", library: f[11], symbol: f[12],
		}
		if f[5] != "" {
			r.arguments = strings.Split(f[5], ",")
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// parseMajors reads 14, 14-16 and lists of these.
func parseMajors(text string) ([]int, error) {
	var majors []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, ok := strings.Cut(part, "-")
		if !ok {
			high = low
		}
		from, err := strconv.Atoi(low)
		if err != nil {
			return nil, err
		}
		to, err := strconv.Atoi(high)
		if err != nil {
			return nil, err
		}
		for m := from; m <= to; m++ {
			majors = append(majors, m)
		}
	}
	return majors, nil
}
