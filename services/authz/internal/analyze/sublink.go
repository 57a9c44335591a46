package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// subLink binds a subquery in an expression, and the comparison it makes
// (transformSubLink).
func (a *analyzer) subLink(s *scope, link *pg_query.SubLink) (value, error) {
	columns, err := a.sublinkQuery(s, link)
	if err != nil {
		return value{}, err
	}
	switch link.SubLinkType {
	case pg_query.SubLinkType_EXISTS_SUBLINK:
		return typed(resolve.Bool, link.Location), nil
	case pg_query.SubLinkType_EXPR_SUBLINK, pg_query.SubLinkType_ARRAY_SUBLINK:
		if len(columns) != 1 {
			return value{}, hideColumn(stateSyntax, "subquery must return only one column", errorPosition(a.text, link.Location))
		}
		return a.sublinkValue(link, columns[0])
	case pg_query.SubLinkType_ANY_SUBLINK, pg_query.SubLinkType_ALL_SUBLINK:
		name := []string{"="}
		if len(link.OperName) > 0 {
			var ok bool
			if name, ok = stringNodes(link.OperName); !ok {
				return value{}, deny(access.Construct, "a subquery's operator")
			}
		}
		// The left side comes after the subquery, as in transformSubLink.
		left, err := a.bind(s, link.Testexpr)
		if err != nil {
			return value{}, err
		}
		return a.compareSublink(name, left, columns, link.Location)
	default:
		return value{}, deny(access.Construct, "a subquery")
	}
}

// sublinkQuery binds the query of a sublink and returns its columns.
func (a *analyzer) sublinkQuery(s *scope, link *pg_query.SubLink) ([]output, error) {
	if a.catalogText {
		return nil, deny(access.Construct, "a subquery")
	}
	if link.Subselect.GetSelectStmt() == nil {
		return nil, deny(access.Construct, "a subquery")
	}
	_, columns, err := a.subquery(s, link.Subselect, nil)
	if err != nil {
		return nil, err
	}
	if len(columns) > 0 {
		if a.sublinkNames == nil {
			a.sublinkNames = map[*pg_query.SubLink]string{}
		}
		a.sublinkNames[link] = columns[0].name
	}
	return columns, nil
}

// sublinkValue is the value of a scalar subquery or of ARRAY(…).
func (a *analyzer) sublinkValue(link *pg_query.SubLink, column output) (value, error) {
	if link.SubLinkType == pg_query.SubLinkType_EXPR_SUBLINK {
		return value{typ: column.typ, location: link.Location, fields: column.fields}, nil
	}
	// get_promoted_array_type: an array of arrays is an array.
	made := column.typ
	if !a.isArray(made) {
		made = a.names().ArrayOf(made)
	}
	if made == 0 {
		return value{}, hideColumn(stateUndefinedObject, "could not find array type for data type "+a.names().Name(column.typ), errorPosition(a.text, link.Location))
	}
	return typed(made, link.Location), nil
}

// compareSublink compares a value or row with the columns of a subquery.
func (a *analyzer) compareSublink(name []string, left value, columns []output, location int32) (value, error) {
	lefts := []value{left}
	if left.kind == constructed {
		lefts = left.cells
	}
	switch {
	case len(lefts) < len(columns):
		return value{}, hideColumn(stateSyntax, "subquery has too many columns", errorPosition(a.text, location))
	case len(lefts) > len(columns):
		return value{}, hideColumn(stateSyntax, "subquery has too few columns", errorPosition(a.text, location))
	}
	rights := make([]value, 0, len(columns))
	for _, c := range columns {
		// What is compared stands for the subquery's column as a Param, which has its type
		// (find_expr_references_walker of dependency.c).
		a.dependsOn(c.typ)
		rights = append(rights, value{typ: c.typ, location: -1, fields: c.fields})
	}
	if _, err := a.compareRows(name, lefts, rights, location); err != nil {
		return value{}, err
	}
	return typed(resolve.Bool, leftmost(location, left.location)), nil
}
