package analyze

import (
	"slices"
	"sync"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// Columns go as relations do. A name that an inner query has may then be that of an outer
// one, a whole row, or a function in column notation; NATURAL compares other columns, and
// the names of an alias stand for those further on.

// bared is a column of a relation, or with no name all of them, that another column stands
// in front of.
type bared struct {
	// schema is that of the relation in front.
	schema   string
	relation *catalog.Relation
	column   string
}

// access is what reading it takes.
func (b bared) access() access.Access {
	object := relationObject(b.relation)
	found := access.Access{Action: access.Select, Named: object, Resolved: object, AllColumns: b.column == ""}
	if b.column != "" {
		found.Columns = []string{b.column}
	}
	return found
}

// bare notes one for each of the schemas.
func (r *recorder) bare(schemas []string, rel *catalog.Relation, column string) {
	if rel == nil || ownTemporary(rel.Schema) {
		return
	}
	for _, schema := range schemas {
		b := bared{schema, rel, column}
		if r.bared == nil {
			r.bared = map[bared]bool{}
		}
		if !r.bared[b] {
			r.bared[b] = true
			r.bareOrder = append(r.bareOrder, b)
		}
	}
}

// eclipsesColumn notes what a bare name would mean without the column that it was
// resolved to, which at has.
func (a *analyzer) eclipsesColumn(s, at *scope, c *column, name string) error {
	if a.current.stored || a.eclipsed {
		return nil
	}
	schemas := sync.OnceValue(func() []string { return a.schemasOf(c.entry) })
	outside := false
	for level := s; level != nil; level = level.parent {
		if err := a.spend(len(level.namespace) / 4); err != nil {
			return err
		}
		for _, it := range level.namespace {
			if it.nameVisible && it.name == name {
				a.bareSides(schemas(), it)
			}
			if !outside || !it.columnsVisible {
				continue
			}
			for i := range it.columns {
				if other := &it.columns[i]; other.name == name && other.entry != nil {
					a.current.bare(schemas(), other.entry.relation, other.source)
				}
			}
		}
		outside = outside || level == at
	}
	return nil
}

// bareSides notes all columns of the relations in an item.
func (a *analyzer) bareSides(schemas []string, it *item) {
	a.work -= len(schemas) * len(it.sides)
	for _, side := range it.sides {
		a.current.bare(schemas, side.relation, "")
	}
}

// eclipsesField notes the functions that t.name would call if the relation had no column
// of the name (ParseFuncOrColumn).
func (a *analyzer) eclipsesField(c *column, name string) error {
	if a.current.stored || a.eclipsed || c.entry == nil || c.entry.relation == nil {
		return nil
	}
	rel := c.entry.relation
	if !a.mayEclipse(rel.OID, rel.Schema) {
		return nil
	}
	all := a.snap.FunctionsNamed(name)
	if err := a.spend(len(all)); err != nil {
		return err
	}
	for _, f := range all {
		if f.OID < catalog.FirstNormalOID || len(f.Arguments) != 1 || !a.reaches("", f.Schema) {
			continue
		}
		if t := a.snap.TypeByOID(f.Arguments[0]); t == nil || t.OID != rel.RowType && t.Kind != 'p' {
			continue
		}
		object := a.functionObject(f)
		err := a.judgeBehind(rel.Schema, access.Access{Action: access.Execute, Named: object, Resolved: object}, func(inner *analyzer) error {
			return inner.invokeFound(resolve.Found{Function: f, Result: f.Result}, make([]value, 1))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eclipsesJoin notes all columns of both sides of a join whose columns are compared or
// renamed by what there are.
func (a *analyzer) eclipsesJoin(j *pg_query.JoinExpr, joined *item) {
	if j.IsNatural || len(j.Alias.GetColnames()) > 0 {
		a.eclipsesAlias(joined)
	}
}

// eclipsesAlias does so for an item whose columns an alias names.
func (a *analyzer) eclipsesAlias(it *item) {
	if a.current.stored || a.eclipsed {
		return
	}
	var schemas []string
	a.work -= len(it.sides)
	for _, side := range it.sides {
		if side.relation != nil {
			for _, schema := range a.schemasOf(side) {
				if !slices.Contains(schemas, schema) {
					schemas = append(schemas, schema)
				}
			}
		}
	}
	a.bareSides(schemas, it)
}

// schemasOf are the schemas whose changes can take a column away: that of its relation,
// or for one that a query hands on those of all relations so far.
func (a *analyzer) schemasOf(e *rangeEntry) []string {
	if e != nil && e.relation != nil {
		if a.mayEclipse(e.relation.OID, e.relation.Schema) {
			return []string{e.relation.Schema}
		}
		return nil
	}
	var all []string
	seen := map[string]bool{}
	for _, asked := range a.current.entries {
		if rel := asked.relation; rel != nil && !asked.access.Within && !seen[rel.Schema] && a.mayEclipse(rel.OID, rel.Schema) {
			seen[rel.Schema] = true
			all = append(all, rel.Schema)
		}
	}
	return all
}
