package analyze

import (
	"slices"
	"strconv"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// held is what a stored text was resolved to, and what binding it has met of that. A
// text that is bound again means what it meant: nothing that was made since is taken
// for what it calls, and what it calls is all found again, or it was not understood.
type held struct {
	refs catalog.References
	// functions, operators, relations and types are those that the text was bound to.
	functions, operators, relations, types map[catalog.OID]bool
	// writing is set while a text is stored: nothing is known of it yet.
	writing *writing
}

// holding is the record of a text, nil where nothing was recorded.
func holding(refs catalog.References) *held {
	if !refs.Recorded {
		return nil
	}
	return &held{refs: refs, functions: map[catalog.OID]bool{}, operators: map[catalog.OID]bool{},
		relations: map[catalog.OID]bool{}, types: map[catalog.OID]bool{}}
}

// references is the record as the resolver takes it.
func (h *held) references() *catalog.References {
	if h == nil || h.writing != nil {
		return nil
	}
	return &h.refs
}

func (h *held) meetFunction(oid catalog.OID) {
	if h != nil {
		h.functions[oid] = true
	}
}

func (h *held) meetOperator(oid catalog.OID) {
	if h != nil {
		h.operators[oid] = true
	}
}

func (h *held) meetType(oid catalog.OID) {
	if h != nil && oid >= catalog.FirstUnpinnedOID {
		h.types[oid] = true
	}
}

// meetRelation notes a relation that the text names. It reports false for one that the
// text was not resolved to, own the relation that the text belongs to.
func (h *held) meetRelation(oid, own catalog.OID) bool {
	if h == nil {
		return true
	}
	h.relations[oid] = true
	if h.writing != nil {
		return true
	}
	_, found := slices.BinarySearch(h.refs.Relations, oid)
	return found || oid == own || oid < catalog.FirstUnpinnedOID
}

// origin is where a text of the catalog comes from.
type origin struct {
	refs catalog.References
	// owner is the relation that it belongs to, else 0.
	owner catalog.OID
	// to is the type of the column that takes the text's value, else 0: casts to it are not
	// in the text, they are implicit ones (build_column_default, cookDefault).
	to catalog.OID
	// besides are functions that its row depends on for another reason than the text.
	besides []catalog.OID
	// relationless says that the row depends on relations for other reasons, and the text
	// reads none.
	relationless bool
	// others binds the further texts of the same row, if there are any: what a row
	// depends on is recorded for all of them together.
	others func(*held) error
	// shared is the record of a text that this one is bound as one of the others of; what
	// is missing there is for that text to say.
	shared *held
	// columns, unless it is nil, gets the columns that the text names.
	columns *columnSet
	// computed, unless it is nil, says whether planning computes a call in the text.
	computed *bool
}

// held is the record that a text is bound with.
func (o origin) held() *held {
	if o.shared != nil {
		return o.shared
	}
	return holding(o.refs)
}

// understood compares what a text was resolved to with what binding has met.
func (a *analyzer) understood(o origin, h *held) error {
	if h == nil || o.shared != nil || a.unmet(o, h) == "" {
		return nil
	}
	if o.others != nil {
		if err := o.others(h); err != nil {
			return err
		}
	}
	if what := a.unmet(o, h); what != "" {
		return deny(access.OpaqueCode, "a text that was stored with "+what)
	}
	return nil
}

// unmet says what a text was resolved to and binding has not met.
func (a *analyzer) unmet(t origin, h *held) string {
	for _, oid := range h.refs.Functions {
		if !h.functions[oid] && !slices.Contains(t.besides, oid) && !a.supportsSort(oid) {
			return "function " + strconv.FormatUint(uint64(oid), 10)
		}
	}
	for _, oid := range h.refs.Operators {
		if !h.operators[oid] && !a.sorts(oid) {
			return "operator " + strconv.FormatUint(uint64(oid), 10)
		}
	}
	if t.relationless {
		return ""
	}
	for _, oid := range h.refs.Relations {
		if !h.relations[oid] && oid != t.owner && !a.madeRows(h, oid) {
			return "relation " + strconv.FormatUint(uint64(oid), 10)
		}
	}
	return ""
}

// sorts reports whether an operator is that of an operator class: sorting, grouping and
// set operations refer to those without naming them (SortGroupClause).
func (a *analyzer) sorts(oid catalog.OID) bool {
	for c := range a.snap.EachClass() {
		if slices.Contains(c.Operators, oid) {
			return true
		}
	}
	return false
}

// supportsSort reports whether a function is one that frames of windows refer to without
// naming it (in_range).
func (a *analyzer) supportsSort(oid catalog.OID) bool {
	for c := range a.snap.EachClass() {
		if i := slices.Index(c.Functions, oid); i >= 0 && i < len(c.Numbers) && c.Method == "btree" && c.Numbers[i] == btreeInRange {
			return true
		}
	}
	return false
}

// madeRows reports whether a relation is one whose row type the text has values of:
// taking a column of one refers to the relation (FieldSelect).
func (a *analyzer) madeRows(h *held, oid catalog.OID) bool {
	rel := a.snap.RelationByOID(oid)
	if rel == nil {
		return false
	}
	if h.types[rel.RowType] {
		return true
	}
	for typ := range h.types {
		if base := a.names().Base(typ); base == rel.RowType || a.names().Base(a.names().ElementOf(base)) == rel.RowType {
			return true
		}
	}
	return false
}

// unheld binds what does not belong to the text that is stored, though it follows from
// it: by the names of today.
func (a *analyzer) unheld(bind func() error) error {
	outer := a.held
	a.held, a.resolver = nil, nil
	err := bind()
	a.held, a.resolver = outer, nil
	return err
}

// implying binds what uses an operator without naming it. A stored text does not show
// which that was: ruleutils.c prints it with no schema. It is looked for among those
// that the text was resolved to first, wherever they are.
func (a *analyzer) implying(operator string, bind func() error) error {
	path := a.path
	if a.held != nil {
		for _, o := range a.snap.OperatorsNamed(operator) {
			_, refers := slices.BinarySearch(a.held.refs.Operators, o.OID)
			if refers && !slices.Contains(a.path, o.Schema) {
				a.path = append(searchPath{o.Schema}, a.path...)
			}
		}
	}
	err := bind()
	a.path = path
	return err
}
