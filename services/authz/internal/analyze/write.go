package analyze

import (
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// judgeWrite allows an insert, update, delete or truncate of a relation if neither
// it nor what foreign keys reach runs any code but built-in code.
func (a *analyzer) judgeWrite(rel *catalog.Relation, action access.Action) error {
	if err := a.judgeWriteTree(rel); err != nil {
		return err
	}
	seen := map[reached]bool{}
	return a.judgeCascade(rel, action, seen)
}

// reached is a relation and what a foreign key does to it.
type reached struct {
	oid    catalog.OID
	action access.Action
}

// judgeWriteTree judges a relation and all its descendants, ONLY or not: a write
// may be routed or recurse to them.
func (a *analyzer) judgeWriteTree(rel *catalog.Relation) error {
	children, err := a.descendants(rel)
	if err != nil {
		return err
	}
	for _, r := range append([]*catalog.Relation{rel}, children...) {
		if err := a.judgeWriteOne(r); err != nil {
			return err
		}
	}
	return nil
}

func (a *analyzer) judgeWriteOne(rel *catalog.Relation) error {
	if err, ok := a.writable[rel.OID]; ok {
		return err
	}
	err := a.whyUnwritable(rel)
	a.writable[rel.OID] = err
	return err
}

func (a *analyzer) whyUnwritable(rel *catalog.Relation) error {
	if err := a.judgeReadOne(rel); err != nil {
		return err
	}
	name := rel.Schema + "." + rel.Name
	switch {
	case len(rel.Triggers) > 0:
		return deny(access.OpaqueCode, "triggers of "+name)
	case len(rel.Rules) > 0:
		return deny(access.OpaqueCode, "rules of "+name)
	case len(rel.ForeignOperatorClasses) > 0:
		return deny(access.OpaqueCode, "operator classes of indexes of "+name)
	}
	for _, c := range rel.Columns {
		if c.Generated != 0 && a.judgeStored(c.Default, rel) != nil {
			return deny(access.OpaqueCode, "generated column "+c.Name+" of "+name)
		}
	}
	return nil
}

// judgeCascade follows foreign keys that write to the relations that point at rel.
// A key of a partitioned table works for its partitions too, whether or not the
// snapshot repeats it there.
func (a *analyzer) judgeCascade(rel *catalog.Relation, action access.Action, seen map[reached]bool) error {
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
			if err := a.judgeKey(key, action, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeKey judges what an update or delete of the referenced relation does to the
// referencing one. Checks (no action, restrict) only read it, with its owner's
// rights and built-in operators.
func (a *analyzer) judgeKey(key catalog.ForeignKey, action access.Action, seen map[reached]bool) error {
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
	if err := a.judgeWriteTree(from); err != nil {
		return err
	}
	if rule == 'd' {
		// Which columns are set is not always all of the key's: judge every default.
		for i := range from.Columns {
			if err := a.judgeDefault(from, &from.Columns[i]); err != nil {
				return err
			}
		}
	}
	return a.judgeCascade(from, next, seen)
}

// judgeDefault allows a column's default to be computed: a built-in expression.
// Sequences are not: nextval asks for a right of its own, and an identity column
// is a sequence.
func (a *analyzer) judgeDefault(rel *catalog.Relation, c *catalog.Column) error {
	name := c.Name + " of " + rel.Schema + "." + rel.Name
	if c.Identity != 0 {
		return deny(access.OpaqueCode, "identity column "+name)
	}
	if c.Generated != 0 {
		return nil
	}
	if c.Default != "" {
		if a.judgeStored(c.Default, rel) != nil {
			return deny(access.OpaqueCode, "default of column "+name)
		}
		return nil
	}
	for t := a.snap.TypeByOID(c.Type); t != nil && t.Kind == 'd'; t = a.snap.TypeByOID(t.Base) {
		if t.Default == "" {
			continue
		}
		if a.judgeStored(t.Default, nil) != nil {
			return deny(access.OpaqueCode, "default of column "+name)
		}
		return nil
	}
	return nil
}
