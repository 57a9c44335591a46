package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// bindSpecial binds what SQL has a syntax of its own for: XML and JSON, and
// MERGE_ACTION().
func (a *analyzer) bindSpecial(s *scope, node *pg_query.Node) (value, error) {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_XmlExpr:
		return a.xmlExpr(s, n.XmlExpr)
	case *pg_query.Node_XmlSerialize:
		return a.xmlSerialize(s, n.XmlSerialize)
	case *pg_query.Node_MergeSupportFunc:
		if a.version < 170000 {
			return a.olderCall(s, "merge_action", nil, n.MergeSupportFunc.Location)
		}
		return typed(resolve.Text, n.MergeSupportFunc.Location), nil
	default:
		return a.jsonExpr(s, node)
	}
}

// specialName is FigureColname for bindSpecial's nodes.
func specialName(node *pg_query.Node) string {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_XmlExpr:
		return xmlName(n.XmlExpr.Op)
	case *pg_query.Node_XmlSerialize:
		return "xmlserialize"
	case *pg_query.Node_MergeSupportFunc:
		return "merge_action"
	default:
		return jsonName(node)
	}
}

func xmlName(op pg_query.XmlExprOp) string {
	switch op {
	case pg_query.XmlExprOp_IS_XMLCONCAT:
		return "xmlconcat"
	case pg_query.XmlExprOp_IS_XMLELEMENT:
		return "xmlelement"
	case pg_query.XmlExprOp_IS_XMLFOREST:
		return "xmlforest"
	case pg_query.XmlExprOp_IS_XMLPARSE:
		return "xmlparse"
	case pg_query.XmlExprOp_IS_XMLPI:
		return "xmlpi"
	case pg_query.XmlExprOp_IS_XMLROOT:
		return "xmlroot"
	}
	return ""
}

// xmlExpr is transformXmlExpr.
func (a *analyzer) xmlExpr(s *scope, x *pg_query.XmlExpr) (value, error) {
	for _, node := range x.NamedArgs {
		target := node.GetResTarget()
		if target == nil {
			return value{}, deny(access.Construct, "an XML expression")
		}
		if err := a.only(s, target.Val); err != nil {
			return value{}, err
		}
	}
	for i, node := range x.Args {
		v, err := a.bind(s, node)
		if err != nil {
			return value{}, err
		}
		to, construct := xmlArgument(x.Op, i)
		if to == 0 {
			continue
		}
		if err := a.specific(v, to, construct); err != nil {
			return value{}, err
		}
	}
	switch x.Op {
	case pg_query.XmlExprOp_IS_DOCUMENT:
		return typed(resolve.Bool, x.Location), nil
	case pg_query.XmlExprOp_IS_XMLCONCAT, pg_query.XmlExprOp_IS_XMLELEMENT, pg_query.XmlExprOp_IS_XMLFOREST,
		pg_query.XmlExprOp_IS_XMLPARSE, pg_query.XmlExprOp_IS_XMLPI, pg_query.XmlExprOp_IS_XMLROOT:
		return typed(typeXML, x.Location), nil
	default:
		return value{}, deny(access.Construct, "an XML expression")
	}
}

// xmlArgument is the type that an argument of an XML expression must have, 0 for any,
// and how PostgreSQL names the construct.
func xmlArgument(op pg_query.XmlExprOp, i int) (catalog.OID, string) {
	switch op {
	case pg_query.XmlExprOp_IS_XMLCONCAT:
		return typeXML, "XMLCONCAT"
	case pg_query.XmlExprOp_IS_XMLPARSE:
		if i == 0 {
			return resolve.Text, "XMLPARSE"
		}
		return resolve.Bool, "XMLPARSE"
	case pg_query.XmlExprOp_IS_XMLPI:
		return resolve.Text, "XMLPI"
	case pg_query.XmlExprOp_IS_XMLROOT:
		switch i {
		case 0:
			return typeXML, "XMLROOT"
		case 1:
			return resolve.Text, "XMLROOT"
		}
		return resolve.Int4, "XMLROOT"
	case pg_query.XmlExprOp_IS_DOCUMENT:
		return typeXML, "IS DOCUMENT"
	}
	return 0, ""
}

// xmlSerialize is transformXmlSerialize.
func (a *analyzer) xmlSerialize(s *scope, x *pg_query.XmlSerialize) (value, error) {
	v, err := a.bind(s, x.Expr)
	if err != nil {
		return value{}, err
	}
	if err := a.specific(v, typeXML, "XMLSERIALIZE"); err != nil {
		return value{}, err
	}
	to, err := a.typeName(x.TypeName)
	if err != nil {
		return value{}, err
	}
	made, err := a.coerce(typed(resolve.Text, x.Location), to, resolve.Implicit, func(*resolve.Error) error {
		return hideColumn(stateCannotCoerce, "cannot cast XMLSERIALIZE result to "+a.names().Name(to), errorPosition(a.text, x.Location))
	})
	return made, err
}

// rangeTableFunc binds XMLTABLE (transformRangeTableFunc).
func (a *analyzer) rangeTableFunc(s *scope, t *pg_query.RangeTableFunc) (*item, error) {
	outer := s.lateral
	s.lateral = true
	defer func() { s.lateral = outer }()
	if err := a.specificExpr(s, t.Rowexpr, resolve.Text, "XMLTABLE"); err != nil {
		return nil, err
	}
	if err := a.specificExpr(s, t.Docexpr, typeXML, "XMLTABLE"); err != nil {
		return nil, err
	}
	var columns []output
	for _, node := range t.Columns {
		def := node.GetRangeTableFuncCol()
		if def == nil {
			return nil, deny(access.Construct, "a column of XMLTABLE")
		}
		typ, err := a.xmlColumn(s, def)
		if err != nil {
			return nil, err
		}
		columns = append(columns, output{name: def.Colname, typ: typ, location: -1})
	}
	for _, node := range t.Namespaces {
		target := node.GetResTarget()
		if target == nil {
			return nil, deny(access.Construct, "a namespace of XMLTABLE")
		}
		if err := a.specificExpr(s, target.Val, resolve.Text, "XMLTABLE"); err != nil {
			return nil, err
		}
	}
	return a.computedItem(&rangeEntry{name: "xmltable", producer: "XMLTABLE"}, columns, t.Alias)
}

// xmlColumn binds a column of XMLTABLE: its type reads what is found in the document.
func (a *analyzer) xmlColumn(s *scope, def *pg_query.RangeTableFuncCol) (catalog.OID, error) {
	if def.ForOrdinality {
		return resolve.Int4, nil
	}
	typ, err := a.typeName(def.TypeName)
	if err != nil {
		return 0, err
	}
	if err := a.readText(value{}, typ); err != nil {
		return 0, err
	}
	a.dependsOn(typ)
	if err := a.specificExpr(s, def.Colexpr, resolve.Text, "XMLTABLE"); err != nil {
		return 0, err
	}
	return typ, a.specificExpr(s, def.Coldefexpr, typ, "XMLTABLE")
}

// specificExpr binds an expression that must be of a type, if it is there.
func (a *analyzer) specificExpr(s *scope, node *pg_query.Node, to catalog.OID, construct string) error {
	if node == nil {
		return nil
	}
	v, err := a.bind(s, node)
	if err != nil {
		return err
	}
	return a.specific(v, to, construct)
}
