package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// The bits of WindowDef.frameOptions (nodes/parsenodes.h).
const (
	frameRange = 0x00002
)

// btreeInRange is the number of the support function in_range (BTINRANGE_PROC of
// access/nbtree.h).
const btreeInRange = 3

// windows binds WINDOW and the definitions of OVER clauses
// (transformWindowDefinitions). A window takes the order of the one it refers to.
func (a *analyzer) windows(s *scope, clause []*pg_query.Node) error {
	named := map[string]catalog.OID{}
	for _, node := range clause {
		def := node.GetWindowDef()
		if def == nil {
			return deny(access.Construct, "a window")
		}
		order, err := a.window(s, def, named)
		if err != nil {
			return err
		}
		if def.Name != "" {
			named[def.Name] = order
		}
	}
	for _, def := range s.windows {
		if _, err := a.window(s, def, named); err != nil {
			return err
		}
	}
	s.windows = nil
	return nil
}

// window binds one definition and returns the type of its only ORDER BY item, 0 when
// there is not exactly one.
func (a *analyzer) window(s *scope, w *pg_query.WindowDef, named map[string]catalog.OID) (catalog.OID, error) {
	order := named[w.Refname]
	if len(w.OrderClause) > 0 {
		order = 0
	}
	for _, node := range w.OrderClause {
		sort := node.GetSortBy()
		if sort == nil {
			return 0, deny(access.Construct, "an ORDER BY")
		}
		v, err := a.windowItem(s, sort.Node)
		if err != nil {
			return 0, err
		}
		if err := a.sortBy(sort, v); err != nil {
			return 0, err
		}
		if len(w.OrderClause) == 1 {
			order = v.typ
		}
	}
	for _, node := range w.PartitionClause {
		if _, err := a.windowItem(s, node); err != nil {
			return 0, err
		}
	}
	for _, offset := range []*pg_query.Node{w.StartOffset, w.EndOffset} {
		if offset == nil {
			continue
		}
		if err := a.frameOffset(s, w, offset, order); err != nil {
			return 0, err
		}
	}
	return order, nil
}

// windowItem binds an item of PARTITION BY or of a window's ORDER BY: an expression, as
// SQL:1999 has it.
func (a *analyzer) windowItem(s *scope, node *pg_query.Node) (value, error) {
	v, err := a.bind(s, node)
	if err == nil && v.open() {
		v, err = a.coerce(v, resolve.Text, resolve.Implicit, nil)
	}
	if err != nil {
		return v, err
	}
	return v, a.groups(v.typ)
}

// frameOffset is transformFrameOffsetClause. The functions that add an offset to a value
// (in_range) are of the type's operator class.
func (a *analyzer) frameOffset(s *scope, w *pg_query.WindowDef, node *pg_query.Node, order catalog.OID) error {
	v, err := a.bind(s, node)
	if err != nil {
		return err
	}
	if w.FrameOptions&frameRange == 0 {
		return a.specific(v, resolve.Int8, "ROWS")
	}
	base := a.names().Base(order)
	if err := a.inRange(base); err != nil {
		return err
	}
	if !v.open() {
		return nil
	}
	switch base {
	case typeDate, typeTime, typeTimeTZ, typeTimestamp, typeTimestampTZ, typeInterval:
		base = typeInterval
	case 0:
		return deny(access.Construct, "RANGE without an ORDER BY")
	}
	_, err = a.coerce(v, base, resolve.Implicit, nil)
	return err
}

// inRange judges the functions that add an offset to a value of a type. They stand in
// its class's family, to which users may add some for offsets of other types.
func (a *analyzer) inRange(order catalog.OID) error {
	class := a.snap.DefaultClass("btree", order)
	if class == nil {
		return nil
	}
	for i, oid := range class.Functions {
		if i < len(class.Numbers) && class.Numbers[i] == btreeInRange && !a.runsUnasked(oid) {
			return deny(access.OpaqueCode, "operator class "+class.Name)
		}
	}
	return nil
}
