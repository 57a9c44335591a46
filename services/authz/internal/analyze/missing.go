package analyze

import (
	"errors"
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What PostgreSQL says of a table or column that a reference does not find, its hints
// included (errorMissingRTE and errorMissingColumn of parse_relation.c). They name what
// stands in the statement's own range tables, and the error is told only to whom all of
// that is granted.

// detailedSince is the first server_version_num that says as a detail why a name is not
// in view, and what would bring it there as a hint.
const detailedSince = 160000

// missingItem is errorMissingRTE. Its text depends on whether an invisible entry
// matches (searchRangeTableForRel).
func (a *analyzer) missingItem(s *scope, schema, name string, location int32) error {
	entry, err := a.searchRanges(s, schema, name)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("missing FROM-clause entry for table \"%s\"", name)
	if entry != nil {
		message = fmt.Sprintf("invalid reference to FROM-clause entry for table \"%s\"", name)
	}
	v := &verdict{outcome: access.Hidden, reason: access.Undefined, detail: "state " + stateUndefinedTable, hidesUnit: true,
		err: access.Error{SQLState: stateUndefinedTable, Message: message, Position: errorPosition(a.text, location)}}
	if entry == nil {
		return v
	}
	if entry.name != name {
		it, _, err := a.findItem(s, "", entry.name, location)
		if err != nil {
			return err
		}
		if it != nil && it.entry == entry {
			v.err.Hint = fmt.Sprintf("Perhaps you meant to reference the table alias \"%s\".", entry.name)
			return v
		}
	}
	there := fmt.Sprintf("There is an entry for table \"%s\", but it cannot be referenced from this part of the query.", entry.name)
	if a.version < detailedSince {
		v.err.Hint = there
		return v
	}
	v.err.Detail = there
	if a.visibleIfLateral(s, entry) {
		v.err.Hint = "To reference that table, you must mark this subquery with LATERAL."
	}
	return v
}

// searchRanges is searchRangeTableForRel: the first entry, in view or not, that a name
// could mean.
func (a *analyzer) searchRanges(s *scope, schema, name string) (*rangeEntry, error) {
	var relation *catalog.Relation
	var with *cte
	if schema == "" {
		var err error
		if with, err = a.findCTE(s, name); err != nil {
			return nil, err
		}
		if with == nil {
			relation = a.lookUp(name)
		}
	} else {
		relation = a.snap.RelationByName(schema, name)
	}
	for level := s; level != nil; level = level.parent {
		if err := a.spend(len(level.ranges)); err != nil {
			return nil, err
		}
		for _, entry := range level.ranges {
			if relation != nil && entry.relation != nil && entry.relation.OID == relation.OID ||
				with != nil && entry.cte == with || entry.name == name {
				return entry, nil
			}
		}
	}
	return nil, nil //nolint:nilnil // No entry and no error: another message.
}

// itemOf is findNSItemForRTE.
func itemOf(s *scope, entry *rangeEntry) *item {
	for level := s; level != nil; level = level.parent {
		for _, it := range level.namespace {
			if it.entry == entry {
				return it
			}
		}
	}
	return nil
}

// visibleIfLateral is rte_visible_if_lateral.
func (a *analyzer) visibleIfLateral(s *scope, entry *rangeEntry) bool {
	it := itemOf(s, entry)
	return !s.lateral && it != nil && it.lateralOnly && it.lateralOK
}

// futureCTE adds to the error about a missing relation that an entry of WITH has the name
// (parserOpenTable).
func futureCTE(s *scope, rv *pg_query.RangeVar, err error) error {
	var v *verdict
	if !errors.As(err, &v) || v.err.SQLState != stateUndefinedTable || rv.Schemaname != "" {
		return err
	}
	for ; s != nil; s = s.parent {
		for _, c := range s.future {
			if c.name == rv.Relname {
				v.err.Detail = fmt.Sprintf("There is a WITH item named \"%s\", but it cannot be referenced from this part of the query.", c.name)
				v.err.Hint = "Use WITH RECURSIVE, or re-order the WITH items to remove forward references."
			}
		}
	}
	return err
}

// outOfReach is check_lateral_ref_ok: the error about an item that LATERAL brings into
// view and that may not be referred to.
func (a *analyzer) outOfReach(it *item, location int32) error {
	v := &verdict{outcome: access.Hidden, reason: access.Undefined, detail: "state " + stateInvalidColumn, hidesUnit: true,
		err: access.Error{SQLState: stateInvalidColumn, Position: errorPosition(a.text, location),
			Message: fmt.Sprintf("invalid reference to FROM-clause entry for table \"%s\"", it.name)}}
	if it.entry.inFrom || it.entry.join {
		v.err.Detail = "The combining JOIN type must be INNER or LEFT for a LATERAL reference."
	} else {
		v.err.Hint = fmt.Sprintf("There is an entry for table \"%s\", but it cannot be referenced from this part of the query.", it.name)
	}
	return v
}

// missingColumn is errorMissingColumn, of relation.name, or of name alone.
func (a *analyzer) missingColumn(s *scope, relation, name string, location int32) error {
	message := fmt.Sprintf("column \"%s\" does not exist", name)
	if relation != "" {
		message = fmt.Sprintf("column %s.%s does not exist", relation, name)
	}
	v := hideColumn(stateUndefinedColumn, message, errorPosition(a.text, location))
	found, err := a.searchColumns(s, relation, name, location)
	if err != nil {
		return err
	}
	switch exact := found.exact; {
	case len(exact) == 0 && found.second.entry != nil:
		v.err.Hint = fmt.Sprintf("Perhaps you meant to reference the column \"%s\" or the column \"%s\".", found.first, found.second)
	case len(exact) == 0 && found.first.entry != nil:
		v.err.Hint = fmt.Sprintf("Perhaps you meant to reference the column \"%s\".", found.first)
	case len(exact) == 0:
	case a.version < detailedSince:
		v.err.Hint = fmt.Sprintf("There is a column named \"%s\" in table \"%s\", but it cannot be referenced from this part of the query.", name, exact[0].name)
	case len(exact) > 1:
		v.err.Detail = fmt.Sprintf("There are columns named \"%s\", but they are in tables that cannot be referenced from this part of the query.", name)
		if relation == "" {
			v.err.Hint = "Try using a table-qualified name."
		}
	default:
		v.err.Detail = fmt.Sprintf("There is a column named \"%s\" in table \"%s\", but it cannot be referenced from this part of the query.", name, exact[0].name)
		it := itemOf(s, exact[0])
		switch {
		case a.visibleIfLateral(s, exact[0]):
			v.err.Hint = "To reference that column, you must mark this subquery with LATERAL."
		case relation == "" && it != nil && it.nameVisible && !it.columnsVisible:
			v.err.Hint = "To reference that column, you must use a table-qualified name."
		}
	}
	return v
}

// maxFuzzyDistance is MAX_FUZZY_DISTANCE.
const maxFuzzyDistance = 3

// rangeColumn is a column of a range table entry.
type rangeColumn struct {
	entry  *rangeEntry
	column string
}

func (c rangeColumn) String() string { return c.entry.name + "." + c.column }

// fuzzy is FuzzyAttrMatchState.
type fuzzy struct {
	distance      int
	first, second rangeColumn
	// exact are the entries that have the very name, at most one before detailedSince.
	exact []*rangeEntry
}

// searchColumns is searchRangeTableForCol.
func (a *analyzer) searchColumns(s *scope, relation, name string, location int32) (fuzzy, error) {
	f := fuzzy{distance: maxFuzzyDistance + 1}
	for level := s; level != nil; level = level.parent {
		for _, entry := range level.ranges {
			if entry.join {
				// Its columns are those of others.
				continue
			}
			// A distance costs what comparing that many names does.
			if err := a.spend(len(name) * (len(entry.columns) + 1)); err != nil {
				return f, err
			}
			penalty := 0
			if relation != "" {
				penalty = levenshtein(relation, entry.name, maxFuzzyDistance+1)
			}
			found := false
			for _, c := range entry.columns {
				if c.name == name && found {
					return f, hideColumn(stateAmbiguousColumn, fmt.Sprintf("column reference \"%s\" is ambiguous", name), errorPosition(a.text, location))
				}
				found = found || c.name == name
				f.consider(penalty, rangeColumn{entry, c.name}, name)
			}
			if penalty > 0 || !found && (!entry.system || !isSystemColumn(name)) {
				continue
			}
			f.exact = append(f.exact, entry)
			if a.version < detailedSince {
				return f, nil
			}
		}
	}
	return f, nil
}

// consider is updateFuzzyAttrMatchState.
func (f *fuzzy) consider(penalty int, c rangeColumn, name string) {
	if penalty > f.distance {
		return
	}
	distance := levenshtein(c.column, name, f.distance+1-penalty)
	if distance > len(name)/2 {
		return
	}
	switch distance += penalty; {
	case distance < f.distance:
		f.distance, f.first, f.second = distance, c, rangeColumn{}
	case distance > f.distance:
	case f.second.entry != nil:
		// Too many: the bar is too low for any of them.
		f.distance, f.first, f.second = distance-1, rangeColumn{}, rangeColumn{}
	case f.first.entry != nil:
		f.second = c
	case f.distance <= maxFuzzyDistance:
		f.first = c
	}
}

// levenshtein is varstr_levenshtein_less_equal with costs of one: how many characters
// have to be changed, or one more than most.
func levenshtein(source, target string, most int) int {
	from, to := []rune(source), []rune(target)
	previous, row := make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range previous {
		previous[j] = j
	}
	for i, c := range from {
		row[0] = i + 1
		for j, d := range to {
			change := previous[j]
			if c != d {
				change++
			}
			row[j+1] = min(change, previous[j+1]+1, row[j]+1)
		}
		previous, row = row, previous
	}
	return min(previous[len(to)], most+1)
}
