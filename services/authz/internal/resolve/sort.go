package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Strategies and support functions of operator classes (access/stratnum.h,
// nbtree.h, hash.h).
const (
	btreeLess, btreeEqual, btreeGreater = 1, 3, 5
	hashEqual                           = 1
	btreeOrder                          = 1
	hashStandard, hashExtended          = 1, 2
)

// Operators of containers, which need as much of what they contain
// (pg_operator.dat, checked by the type cache).
const (
	arrayEqual, arrayLess, arrayGreater    catalog.OID = 1070, 1072, 1073
	recordEqual, recordLess, recordGreater catalog.OID = 2988, 2990, 2991
)

// FoundSort is what sorting, grouping and hashing values of a type uses.
type FoundSort struct {
	// Less, Equal and Greater are the operators of the type's default classes; 0
	// for what the type has not.
	Less, Equal, Greater catalog.OID
	// Hashable says that Equal can be hashed.
	Hashable bool
	// Functions are the OIDs of all that can run: the functions behind the
	// operators, the support functions of the classes, and those of elements,
	// columns and bounds.
	Functions []catalog.OID
}

// Sort finds the operators that ORDER BY, GROUP BY, DISTINCT, UNION and hashing
// use for a type (get_sort_group_operators, lookup_type_cache of typcache.c), and
// what they run. It reports false for a type that has no equality, which can be
// neither sorted nor grouped.
//
// Of Record it assumes, as PostgreSQL does, that the columns can be compared; the
// caller, who knows them, adds what they run.
func (r *Resolver) Sort(oid catalog.OID) (FoundSort, bool) {
	w := sortWalk{r: r, done: make(map[catalog.OID]ability)}
	a := w.ability(oid, maxNesting)
	s := FoundSort{Less: a.less, Equal: a.equal, Greater: a.greater, Hashable: a.hash, Functions: w.functions}
	return s, s.Equal != 0
}

// ability is a type's entry in the type cache.
type ability struct {
	less, equal, greater    catalog.OID
	compare, hash, extended bool
}

// sortWalk collects what comparing a type runs, through what it is made of.
type sortWalk struct {
	r         *Resolver
	done      map[catalog.OID]ability
	functions []catalog.OID
}

func (w *sortWalk) add(functions ...catalog.OID) {
	for _, f := range functions {
		if f != 0 && !slices.Contains(w.functions, f) {
			w.functions = append(w.functions, f)
		}
	}
}

// ability is lookup_type_cache. A type within itself, which only a damaged
// catalog has, can do nothing.
func (w *sortWalk) ability(oid catalog.OID, depth int) ability {
	if a, ok := w.done[oid]; ok || depth == 0 {
		return a
	}
	w.done[oid] = ability{}
	base := w.r.Base(oid)
	t := w.r.snap.TypeByOID(base)
	if t == nil || t.Input == shellInput {
		return ability{}
	}
	btree, hash := w.r.defaultClass(base, "btree"), w.r.defaultClass(base, "hash")
	var a ability
	if btree != nil {
		a.equal = w.member(btree, btreeEqual)
		a.less, a.greater = w.member(btree, btreeLess), w.member(btree, btreeGreater)
		a.compare = support(btree, btreeOrder) != 0
		w.addClass(btree)
	}
	if hash != nil {
		e := w.member(hash, hashEqual)
		if a.equal == 0 {
			a.equal = e
		}
		if a.equal == 0 || a.equal == e {
			a.hash, a.extended = support(hash, hashStandard) != 0, support(hash, hashExtended) != 0
			w.addClass(hash)
		}
	}
	w.contained(t, &a, depth)
	if base != oid && (t.Kind == 'r' || t.Kind == 'm') {
		// The type cache does not look through a domain for what a range is over.
		a.hash, a.extended = false, false
	}
	w.done[oid] = a
	return a
}

// contained takes away what elements and columns cannot do.
func (w *sortWalk) contained(t *catalog.Type, a *ability, depth int) {
	switch {
	case t.OID == Record:
		// PostgreSQL does not know the columns either, and does not claim that they
		// can be hashed.
		if a.equal == recordEqual {
			a.hash, a.extended = false, false
		}
	case a.equal == arrayEqual || a.less == arrayLess || a.greater == arrayGreater:
		// anyarray itself, which some catalogs have columns of, has no element.
		restrict(a, w.ability(t.Element, depth-1))
	case t.Kind == 'c':
		if a.equal != recordEqual && a.less != recordLess && a.greater != recordGreater {
			return
		}
		rel := w.r.snap.RelationByOID(t.Relation)
		if rel == nil {
			*a = ability{}
			return
		}
		all := *a
		for i := range rel.Columns {
			restrict(&all, w.ability(rel.Columns[i].Type, depth-1))
		}
		*a = all
	case t.Kind == 'r', t.Kind == 'm':
		e := w.ability(t.Subtype, depth-1)
		if class := w.r.snap.ClassByOID(t.SubtypeClass); class != nil {
			w.add(class.Functions...)
		}
		a.hash, a.extended = a.hash && e.hash, a.extended && e.extended
	}
}

// restrict leaves a container only what its element can do.
func restrict(a *ability, e ability) {
	if e.equal == 0 {
		a.equal = 0
	}
	if !e.compare {
		a.less, a.greater, a.compare = 0, 0, false
	}
	a.hash, a.extended = a.hash && e.hash && e.equal != 0, a.extended && e.extended && e.equal != 0
}

// addClass adds the functions of a class and those behind its operators.
func (w *sortWalk) addClass(c *catalog.OperatorClass) {
	w.add(c.Functions...)
	for _, oid := range c.Operators {
		if o := w.r.snap.OperatorByOID(oid); o != nil {
			w.add(o.Function)
		}
	}
}

// member is get_opfamily_member for the class's own type; 0 when there is none.
// The snapshot has first what takes the type on both sides.
func (w *sortWalk) member(c *catalog.OperatorClass, strategy int16) catalog.OID {
	oid := numbered(c.Operators, c.Strategies, strategy)
	if o := w.r.snap.OperatorByOID(oid); o == nil || o.Left != c.Input || o.Right != c.Input {
		return 0
	}
	return oid
}

// support is get_opfamily_proc.
func support(c *catalog.OperatorClass, number int16) catalog.OID {
	return numbered(c.Functions, c.Numbers, number)
}

func numbered(oids []catalog.OID, numbers []int16, n int16) catalog.OID {
	if i := slices.Index(numbers, n); i >= 0 && i < len(oids) {
		return oids[i]
	}
	return 0
}

// defaultClass is GetDefaultOpClass of indexcmds.c: the default class for exactly
// the type, else the only one for a type that it is binary-coercible to, a
// preferred one first.
func (r *Resolver) defaultClass(oid catalog.OID, method string) *catalog.OperatorClass {
	if c := r.snap.DefaultClass(method, oid); c != nil {
		return c
	}
	category, _ := r.category(oid)
	var found, foundPreferred *catalog.OperatorClass
	compatible, preferred := 0, 0
	for c := range r.snap.EachClass() {
		if !c.Default || c.Method != method || !r.BinaryCoercible(oid, c.Input) {
			continue
		}
		if cat, pref := r.category(c.Input); pref && cat == category {
			preferred++
			foundPreferred = c
		} else {
			compatible++
			found = c
		}
	}
	switch {
	case preferred == 1:
		return foundPreferred
	case preferred == 0 && compatible == 1:
		return found
	default:
		return nil
	}
}
