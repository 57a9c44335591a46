package analyze

import (
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// judgeWrite judges the code that an insert, update, delete or truncate of a table
// runs: rules, triggers, what storing a row computes, and what foreign keys reach.
// The grant of the action must trust what cannot be looked into. set are the columns
// that an update sets.
func (a *analyzer) judgeWrite(rel *catalog.Relation, action access.Action, set columnSet) error {
	return a.judgeWriteAt(rel, action, set, place{action, rel})
}

// judgeWriteAt is judgeWrite where the grant on a view stands for that on the table.
func (a *analyzer) judgeWriteAt(rel *catalog.Relation, action access.Action, set columnSet, at place) error {
	if err := a.rules(rel, action, at); err != nil {
		return err
	}
	if err := a.judgeWriteTree(rel, action, set, at, false); err != nil {
		return err
	}
	return a.judgeCascade(rel, action, at, map[reached]bool{})
}

// reached is a relation and what a foreign key does to it.
type reached struct {
	oid    catalog.OID
	action access.Action
}

// judgeWriteTree judges a relation and all its descendants, ONLY or not: a write
// may be routed or recurse to them. An update may move a row between partitions.
func (a *analyzer) judgeWriteTree(rel *catalog.Relation, action access.Action, set columnSet, at place, cascaded bool) error {
	family, err := a.descendants(rel)
	if err != nil {
		return err
	}
	if !cascaded && action != access.Insert {
		a.current.items++
	}
	a.current.appends = a.current.appends || len(family) > 0
	fired := events(action)
	if action == access.Update && rel.Kind == catalog.KindPartitionedTable {
		fired |= triggerInsert | triggerDelete
	}
	// A row that moves is stored anew.
	stored := set
	if action != access.Update || rel.Kind == catalog.KindPartitionedTable {
		stored = nil
	}
	for _, r := range append([]*catalog.Relation{rel}, family...) {
		// Under a cascade all but AFTER triggers runs with the rights of the owner.
		if !cascaded {
			if err := a.readCode(r, at); err != nil {
				return err
			}
		}
		if !cascaded && (action == access.Insert || action == access.Update) {
			if err := a.writeCode(r, stored, at); err != nil {
				return err
			}
		}
		if !cascaded && action == access.Update {
			if err := a.keyCasts(r, at); err != nil {
				return err
			}
		}
		if err := a.fires(r, fired, set, at, cascaded); err != nil {
			return err
		}
	}
	return nil
}

// judgeCascade follows foreign keys that write to the relations that point at rel.
// A key of a partitioned table works for its partitions too, whether or not the
// snapshot repeats it there.
func (a *analyzer) judgeCascade(rel *catalog.Relation, action access.Action, at place, seen map[reached]bool) error {
	if action != access.Update && action != access.Delete || seen[reached{rel.OID, action}] {
		return nil
	}
	seen[reached{rel.OID, action}] = true
	family, err := a.descendants(rel)
	if err != nil {
		return err
	}
	family = append(append(family, rel), a.ancestors(rel)...)
	for _, member := range family {
		for _, key := range member.ReferencedBy {
			if err := a.judgeKey(key, action, at, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeKey judges what an update or delete of the referenced relation does to the
// referencing one. Checks (no action, restrict) only read it, with its owner's
// rights; so do the other actions write it (ri_PerformCheck).
func (a *analyzer) judgeKey(key catalog.ForeignKey, action access.Action, at place, seen map[reached]bool) error {
	rule := key.OnDelete
	if action == access.Update {
		rule = key.OnUpdate
	}
	next := access.Update
	switch rule {
	case 'a', 'r':
		return nil
	case 'c':
		next = action
	case 'n', 'd':
	default:
		return deny(access.OpaqueCode, "foreign key "+key.Name)
	}
	from := a.snap.RelationByOID(key.From)
	if from == nil {
		return deny(access.OpaqueCode, "foreign key "+key.Name)
	}
	if err := a.judgeWriteTree(from, next, nil, at, true); err != nil {
		return err
	}
	return a.judgeCascade(from, next, at, seen)
}

// judgeDefault judges the default that an insert or update computes for a column.
// An identity column takes its sequence's next value without asking for a right
// (ExecEvalNextValueExpr); what else a default calls asks for it. Without a default
// a domain checks NULL.
func (a *analyzer) judgeDefault(rel *catalog.Relation, c *catalog.Column, at place) error {
	if c.Identity != 0 || c.Generated != 0 {
		return nil
	}
	name := "the default of column " + c.Name + " of " + fullName(rel)
	if c.Default != "" {
		if err := a.runs(a.storedDefault(c, rel), at, name); err != nil {
			return err
		}
		return a.checkDomains(c.Type)
	}
	for t := a.snap.TypeByOID(c.Type); t != nil && t.Kind == 'd'; t = a.snap.TypeByOID(t.Base) {
		if t.Default == "" {
			continue
		}
		if err := a.runs(a.typeDefault(t), at, name); err != nil {
			return err
		}
		break
	}
	return a.checkDomains(c.Type)
}
