package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func createSeqStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	c := node.GetCreateSeqStmt()
	found := access.Statement{Kind: "create sequence"}
	object, err := a.newRelation(c.Sequence)
	if err != nil {
		return found, err
	}
	found.Effects = []access.Effect{made(object)}
	if a.snap.RelationByName(object.Schema, object.Name) != nil {
		a.change.known = c.IfNotExists
		return found, a.sequenceOptions(nil, object.Schema, c.Options)
	}
	a.change.known = true
	return found, a.sequenceOptions(a.addSequence(a.homeOf(object), object.Name), object.Schema, c.Options)
}

// alterSeq judges ALTER SEQUENCE.
func (a *analyzer) alterSeq(s *pg_query.AlterSeqStmt) error {
	rel, err := a.altered(s.Sequence, s.MissingOk)
	if err != nil {
		return err
	}
	a.change.known = true
	if rel != nil {
		rel = a.edited(rel.OID)
	}
	return a.sequenceOptions(rel, "", s.Options)
}

// sequenceOptions judges the options of a sequence: numbers, an integer type, and the
// table that is to own it. The sequence is nil where it is not followed.
func (a *analyzer) sequenceOptions(sequence *catalog.Relation, schema string, options []*pg_query.Node) error {
	for _, node := range options {
		option := node.GetDefElem()
		switch option.GetDefname() {
		case "as":
			if _, err := a.typeName(option.Arg.GetTypeName()); err != nil {
				return err
			}
		case "increment", "start", "restart", "generated", "minvalue", "maxvalue", "cache", "cycle", "logged":
		case "sequence_name":
			if _, err := a.newNamed(option.Arg.GetList().GetItems()); err != nil {
				return err
			}
		case "owned_by":
			if err := a.ownedBy(sequence, schema, option.Arg.GetList().GetItems()); err != nil {
				return err
			}
		default:
			return deny(access.Construct, "an option of a sequence")
		}
	}
	return nil
}

// ownedBy judges OWNED BY table.column, or NONE.
func (a *analyzer) ownedBy(sequence *catalog.Relation, schema string, names []*pg_query.Node) error {
	if len(names) < 2 {
		if list, _ := stringNodes(names); len(list) == 1 && list[0] == "none" {
			if sequence != nil {
				sequence.OwnedBy = 0
			}
			return nil
		}
		return deny(access.Construct, "OWNED BY")
	}
	rv, err := listed(names[:len(names)-1])
	if err != nil {
		return err
	}
	if schema == schemaTemp {
		return deny(access.Construct, "OWNED BY of a temporary sequence")
	}
	table, err := a.altered(rv, false)
	if err != nil {
		return err
	}
	if sequence != nil {
		sequence.OwnedBy = table.OID
	}
	return ofRelation(table, names[len(names)-1].GetString_().GetSval())
}
