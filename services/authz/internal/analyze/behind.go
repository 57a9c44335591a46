package analyze

import (
	"errors"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The text behind a prepared statement or cursor is kept with what its names were bound
// by, as statements in front of it:
//
//	SET search_path TO 'public'; SET scopewire.parameter_types TO '23'; DECLARE c CURSOR FOR …
//
// Texts that the server reports itself (pg_prepared_statements, pg_cursors) are those
// of whole messages; of these the first form means the same, and the second never
// occurs, since nobody can set it.

// settingParameterTypes carries the types of a cursor's parameters.
const settingParameterTypes = "scopewire.parameter_types"

// behind is a text that was kept, taken apart.
type behind struct {
	node *pg_query.Node
	// path is the path its names were bound over, if pathKnown; else the present one.
	path      searchPath
	pathKnown bool
	types     []catalog.OID
	tree      *pg_query.ParseResult
}

// remembered is the text of the statement at hand with what its names depend on.
func (a *analyzer) remembered(types []catalog.OID) string {
	var out strings.Builder
	names, _ := splitIdentifiers(a.in.Context.SearchPath)
	if len(names) == 0 {
		names = []string{""}
	}
	for i, name := range names {
		out.WriteString(map[bool]string{true: "SET search_path TO ", false: ", "}[i == 0])
		out.WriteString(quoteLiteral(name))
	}
	out.WriteString("; ")
	if len(types) > 0 {
		list := make([]string, len(types))
		for i, oid := range types {
			list[i] = strconv.FormatUint(uint64(oid), 10)
		}
		out.WriteString("SET " + settingParameterTypes + " TO '" + strings.Join(list, ",") + "'; ")
	}
	out.WriteString(a.ownText)
	return out.String()
}

// quoteLiteral is quote_literal for texts without backslashes that mean something:
// standard_conforming_strings is on.
func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// behind takes a text that was kept apart: one statement, the settings in front of
// it.
func (a *analyzer) behind(text string) (*behind, error) {
	unreadable := deny(access.Context, "a text behind a name that cannot be read")
	if err := a.spend(readCost * len(text)); err != nil {
		return nil, err
	}
	seen, err := precheck([]byte(text), a.limits)
	if err != nil || seen.faulty || seen.newNumerals && a.version < numeralsSince {
		return nil, unreadable
	}
	tree, err := parse(seen.parseText, text, a.version/10000)
	if err != nil || len(tree.Stmts) == 0 || a.shapes(tree) != nil {
		return nil, unreadable
	}
	b := &behind{tree: tree, path: a.path, node: tree.Stmts[len(tree.Stmts)-1].Stmt}
	for i, raw := range tree.Stmts[:len(tree.Stmts)-1] {
		v := raw.Stmt.GetVariableSetStmt()
		if v == nil || v.Kind != pg_query.VariableSetKind_VAR_SET_VALUE || v.IsLocal {
			return nil, unreadable
		}
		value, ok := flattenSetting(v.Name, v.Args)
		switch {
		case ok && i == 0 && v.Name == "search_path":
			if b.path, err = newSearchPath(value, a.in.Context.Role, a.snap); err != nil {
				return nil, unreadable
			}
			b.pathKnown = true
		case ok && i == 1 && v.Name == settingParameterTypes:
			if b.types, ok = parseTypes(value); !ok {
				return nil, unreadable
			}
		default:
			return nil, unreadable
		}
	}
	return b, nil
}

func parseTypes(list string) ([]catalog.OID, bool) {
	var types []catalog.OID
	for _, item := range strings.Split(list, ",") {
		n, err := strconv.ParseUint(item, 10, 32)
		if err != nil {
			return nil, false
		}
		types = append(types, catalog.OID(n))
	}
	return types, true
}

// inText binds within a text that was kept. An error's position would be one in that
// text, which the client did not send.
func (a *analyzer) inText(text string, path searchPath, types []catalog.OID, bind func(*analyzer) error) error {
	inner := *a
	inner.in.Parse, inner.in.ParameterTypes, inner.in.SettledTypes = true, types, nil
	inner.text, inner.path, inner.deduced = text, path, nil
	err := bind(&inner)
	a.work = inner.work
	var v *verdict
	if errors.As(err, &v) && v.err.Position != 0 {
		unplaced := *v
		unplaced.err.Position = 0
		return &unplaced
	}
	return err
}
