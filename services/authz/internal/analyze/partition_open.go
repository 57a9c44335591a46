package analyze

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Whoever is the first in a session to look at the partitions of a table has the server
// build its partition descriptor (RelationGetPartitionDesc of partdesc.c): the key's
// expressions are folded (RelationBuildPartitionKey of partcache.c), and the bounds sorted by
// the comparison function of the key's operator class (partition_bounds_create of
// partbounds.c), for which nobody is asked for execute. That is not for queries alone:
// ALTER TABLE, indexes, triggers for each row, foreign keys and new partitions do it as well.

// opensPartitions judges that for a relation, or for the one that an index is on, and for its
// partitions that are partitioned themselves. action is the right in whose grant the code has
// to be trusted.
func (a *analyzer) opensPartitions(rel *catalog.Relation, action access.Action) error {
	if rel.IndexOf != 0 {
		if rel = a.snap.RelationByOID(rel.IndexOf); rel == nil {
			return deny(access.OpaqueCode, "an index of nothing")
		}
	}
	if rel.Kind != catalog.KindPartitionedTable {
		return nil
	}
	family, err := a.descendants(rel)
	if err != nil {
		return err
	}
	for _, keyed := range append([]*catalog.Relation{rel}, family...) {
		if err := a.opensKey(keyed, place{action, keyed}); err != nil {
			return err
		}
	}
	return nil
}

// opensKey judges it for one relation.
func (a *analyzer) opensKey(keyed *catalog.Relation, at place) error {
	a.partitionBounds(keyed, at)
	for _, key := range a.storedKeyOf(keyed, true) {
		if err := a.computes(key, at, "the partition key of "+fullName(keyed)); err != nil {
			return err
		}
	}
	return nil
}

// altersPartitions is opensPartitions for who changes the relation: what runs is trusted
// by the grant of ddl.
func (a *analyzer) altersPartitions(rel *catalog.Relation) error {
	return a.byDefinition(rel, func(inner *analyzer) error { return inner.opensPartitions(rel, access.Update) })
}

// addsPartition judges CREATE TABLE PARTITION OF: the bound is compared with the others',
// and with a default partition the rows of that are held against it, in the session's role
// (check_default_partition_contents of partbounds.c).
func (a *analyzer) addsPartition(parent *catalog.Relation) error {
	return a.byDefinition(parent, func(inner *analyzer) error {
		if err := inner.opensKey(parent, place{access.Update, parent}); err != nil {
			return err
		}
		if err := inner.spend(len(parent.Children)); err != nil || !slices.ContainsFunc(parent.Children, a.holdsTheRest) {
			return err
		}
		return inner.heldToKey(parent)
	})
}

// holdsTheRest reports whether a partition is the default one, or not known.
func (a *analyzer) holdsTheRest(oid catalog.OID) bool {
	partition := a.snap.RelationByOID(oid)
	return partition == nil || partition.DefaultPartition
}

// heldToKey judges what holds rows against the bounds of a table's partitions.
func (a *analyzer) heldToKey(keyed *catalog.Relation) error {
	if err := a.partitionChecks(keyed); err != nil {
		return err
	}
	for _, key := range a.storedKeyOf(keyed, false) {
		if err := a.runs(key, place{access.Update, keyed}, "the partition key of "+fullName(keyed)); err != nil {
			return err
		}
	}
	return nil
}

// opensAnyPartition judges a function that prints the constraint of a partition, whichever
// its argument names (get_partition_qual_relid): code of users behind any partition key is
// trusted by the grant of the function.
func (a *analyzer) opensAnyPartition(granted *access.Access) error {
	for rel := range a.snap.EachUserRelation() {
		if rel.Kind != catalog.KindPartitionedTable || len(rel.PartitionOperatorClasses) == 0 && !slices.ContainsFunc(rel.PartitionKey.References.Functions, ofUser) {
			continue
		}
		if err := a.spend(len(rel.PartitionOperatorClasses)); err != nil {
			return err
		}
		inner := *a
		inner.current = &recorder{}
		if err := inner.opensKey(rel, place{access.Execute, rel}); err != nil {
			return err
		}
		a.work = inner.work
		for _, e := range inner.current.entries {
			for _, code := range e.access.Trust {
				addTrust(granted, code)
				a.current.opaque = true
			}
		}
	}
	return nil
}

func ofUser(oid catalog.OID) bool { return oid >= catalog.FirstNormalOID }
