package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// truncateStmt asks for truncate on each relation named, and under CASCADE on each
// relation that refers to one of those truncated (ExecuteTruncate,
// heap_truncate_find_FKs). Children go by their parent's right.
func (a *analyzer) truncateStmt(t *pg_query.TruncateStmt) error {
	gone := map[catalog.OID]bool{}
	var queue []*catalog.Relation
	add := func(rel *catalog.Relation) {
		if gone[rel.OID] {
			return
		}
		gone[rel.OID] = true
		queue = append(queue, rel)
		a.remakesIndexes(rel)
		if t.RestartSeqs && a.ownsSequence(rel) {
			// PostgreSQL asks for the sequences' owner. They stand in the table's schema
			// (process_owned_by).
			schema := access.Object{Kind: access.Schema, Name: rel.Schema}
			a.current.object(access.DDL, schema, schema)
		}
	}
	for _, node := range t.Relations {
		rv := node.GetRangeVar()
		if rv == nil {
			return deny(access.Construct, "a TRUNCATE list")
		}
		rel, err := a.openRelation(rv, access.Truncate, -1)
		if err != nil {
			return err
		}
		if err := a.judgeWrite(rel, access.Truncate, nil); err != nil {
			return err
		}
		a.current.need(access.Truncate, namedObject(rv), rel)
		add(rel)
		if rv.Inh {
			children, err := a.descendants(rel)
			if err != nil {
				return err
			}
			for _, child := range children {
				add(child)
			}
		}
	}
	if t.Behavior != pg_query.DropBehavior_DROP_CASCADE {
		return nil
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, rel := range a.truncatedAs(queue[0]) {
			for _, key := range rel.ReferencedBy {
				if err := a.cascadeTruncate(key, gone, add); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// truncatedAs are the relations whose foreign keys stop the truncation of one: itself
// and, of a partition, what it is a part of, since only a key to a partitioned table is
// cloned for its parts, and followed back by conparentid (heap_truncate_find_FKs). A key
// to an inheritance parent says nothing of its children.
func (a *analyzer) truncatedAs(rel *catalog.Relation) []*catalog.Relation {
	all := []*catalog.Relation{rel}
	for _, above := range a.ancestors(rel) {
		if above.Kind == catalog.KindPartitionedTable {
			all = append(all, above)
		}
	}
	return all
}

// btreeEqualImage is the number of the support function equalimage (BTEQUALIMAGE_PROC of
// nbtree.h).
const btreeEqualImage = 4

// remakesIndexes asks for trust in what making the indexes of an emptied relation runs
// (reindex_relation): of a btree's operator class that is whether equal values look
// alike (_bt_allequalimage), of others any support function may be.
func (a *analyzer) remakesIndexes(rel *catalog.Relation) {
	for _, oid := range rel.ForeignOperatorClasses {
		class := a.snap.ClassByOID(oid)
		runs := class == nil
		for i := 0; !runs && i < len(class.Functions); i++ {
			runs = (class.Method != "btree" || class.Numbers[i] == btreeEqualImage) && !a.runsUnasked(class.Functions[i])
		}
		if runs {
			a.mustTrust(place{access.Truncate, rel}, "an operator class of "+fullName(rel))
		}
	}
}

// ownsSequence reports whether a sequence belongs to a relation.
func (a *analyzer) ownsSequence(rel *catalog.Relation) bool {
	for r := range a.snap.EachRelation() {
		if r.Kind == catalog.KindSequence && r.OwnedBy == rel.OID {
			return true
		}
	}
	return false
}

// cascadeTruncate adds the relation that holds a foreign key. Each partition of a
// partitioned one holds the key as well, and is checked for itself.
func (a *analyzer) cascadeTruncate(key catalog.ForeignKey, gone map[catalog.OID]bool, add func(*catalog.Relation)) error {
	from := a.snap.RelationByOID(key.From)
	if from == nil {
		return deny(access.OpaqueCode, "foreign key "+key.Name)
	}
	if err := a.judgeWrite(from, access.Truncate, nil); err != nil {
		return err
	}
	all := []*catalog.Relation{from}
	if from.Kind == catalog.KindPartitionedTable {
		partitions, err := a.descendants(from)
		if err != nil {
			return err
		}
		all = append(all, partitions...)
	}
	for _, rel := range all {
		if gone[rel.OID] {
			continue
		}
		object := access.Object{Kind: access.Table, Schema: rel.Schema, Name: rel.Name}
		a.current.need(access.Truncate, object, rel)
		add(rel)
	}
	return nil
}
