package oracle

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Exact holds the accesses that analysis names against the server: a role with
// just these is not refused, and with any one of them withheld, here one that
// chance picks, it is. found is false where there is nothing to compare.
func (d *Database) Exact(ctx context.Context, random *rand.Rand, rules Rules, c Comparison) (got Comparison, found bool, err error) {
	if !c.Verdict.Judged || beyondGrants.MatchString(c.Unit.SQL) {
		return c, false, nil
	}
	grants, whole := exactGrants(d, c.Verdict.Accesses)
	if !whole {
		return c, false, nil
	}
	got = c
	got.Role = &Role{Name: "exactly", Path: c.Role.Path, Grants: grants}
	exactly, err := d.judge(c.Role.Path, grants)
	if err != nil {
		return c, false, err
	}
	if got.Verdict = exactly.verdict(c.Unit); !got.Verdict.Allow {
		// What it names does not suffice, or nothing does.
		got.Class = Overdenied
		return got, len(got.Verdict.Denials) > 0, d.explain(ctx, &got, rules)
	}
	var lost bool
	if got.Server, lost, err = d.asScratch(ctx, c.Role.Path, grants, c.Unit); err != nil || lost {
		return c, false, err
	}
	got.Class = classify(got.Server, got.Verdict)
	switch got.Class {
	case Leak:
		return got, true, d.excuse(ctx, &got)
	case Unbound:
		return got, true, d.trustBody(ctx, &got)
	}
	if !got.Server.Ran() || len(grants) == 0 {
		return got, got.Class.Failing(), nil
	}
	return d.withhold(ctx, random, rules, got)
}

// withhold takes one right away, without which the server must refuse.
func (d *Database) withhold(ctx context.Context, random *rand.Rand, rules Rules, c Comparison) (Comparison, bool, error) {
	less, piece := without(random, c.Role.Grants)
	if piece == nil {
		return c, true, nil
	}
	if piece.Schema != "" {
		// Without usage of its schema, which came with the right, the path would pass the
		// schema over, and names would be others' than the login's.
		less = append(less, Grant{Action: access.Usage, Kind: access.Schema, Name: piece.Schema})
	}
	var answer Answer
	for range 2 {
		var lost bool
		var err error
		if answer, lost, err = d.asScratch(ctx, c.Role.Path, less, c.Unit); err != nil || lost || !answer.Ran() {
			return c, err == nil && !lost, err
		}
		// It may run for what the session remembers of statements under other rights: a
		// new one decides.
		d.login.close()
	}
	c.Server, c.Class = answer, Overdenied
	c.Role = &Role{Name: "one less", Path: c.Role.Path, Grants: less}
	object := access.Object{Kind: piece.Kind, Schema: piece.Schema, Name: piece.Name, Arguments: piece.Arguments}
	missing := access.Access{Action: piece.Action, Named: object, Resolved: object, Columns: piece.Columns}
	denial := Denial{Reason: access.NotGranted, Access: &missing,
		Detail: string(piece.Action) + " on " + string(piece.Kind) + ":" + piece.object() + " (" + strings.Join(piece.Columns, ", ") + ")"}
	for _, a := range c.Verdict.Accesses {
		if slices.Equal(a.Resolved.Arguments, object.Arguments) && a.Resolved.Schema == object.Schema && a.Resolved.Name == object.Name {
			missing.Through = append(missing.Through, a.Through...)
		}
	}
	c.Verdict = Verdict{Reason: denial.Reason, Detail: denial.Detail, Denials: []Denial{denial}, Accesses: c.Verdict.Accesses}
	return c, true, d.explain(ctx, &c, rules)
}

// scratch is the role that holds exactly what a statement is said to need. It has
// it within a transaction alone.
const scratch = "oracle_scratch"

// holder is a role that scratch belongs to. It owns nothing until a proof has it own a
// relation: who belongs to it is then as good as the owner, and what the server runs with
// the owner's rights may do everything. That a superuser may do so is not inherited.
const holder = "oracle_holder"

// cold has a session forget the checks of domains and the expressions of indexes and
// partitions that it has planned: with the rights of an earlier statement the functions
// in them were replaced by their bodies, and nobody would be asked for them again.
const cold = `UPDATE pg_catalog.pg_constraint SET conname = conname WHERE oid = (SELECT min(oid) FROM pg_catalog.pg_constraint);
UPDATE pg_catalog.pg_class SET relname = relname WHERE oid >= 16384 AND relkind IN ('i', 'I', 'r', 'p')`

// asScratch runs a statement, after further ones of the login's, as a role that has these
// grants and no others.
func (d *Database) asScratch(ctx context.Context, path string, grants []Grant, u Unit, before ...string) (Answer, bool, error) {
	all := slices.Concat([]string{cold}, before, d.grantSQL(scratch, grants), []string{"SET LOCAL SESSION AUTHORIZATION " + scratch})
	return d.login.rolledBack(ctx, path, u, all...)
}

// exactGrants are the grants that cover the accesses. whole is false when one of
// them has no grant of PostgreSQL's beside it.
func exactGrants(d *Database, accesses []access.Access) (grants []Grant, whole bool) {
	for _, a := range accesses {
		o := a.Resolved
		if o.Schema == "pg_catalog" || o.Schema == "information_schema" {
			// PUBLIC has most of these in PostgreSQL, and others nobody. Who is granted a
			// function by name may call it with any argument.
			return nil, false
		}
		if a.Within || o.Kind == access.Schema && (strings.HasPrefix(o.Name, "pg_") || o.Name == "information_schema") {
			continue
		}
		g := Grant{Action: a.Action, Kind: o.Kind, Schema: o.Schema, Name: o.Name, Arguments: o.Arguments, Trusted: len(a.Trust) > 0}
		switch {
		case a.Action == access.DDL && o.Kind == access.Schema:
			if !d.Snapshot.SchemaExists(o.Name) {
				// It is to be made.
				return nil, false
			}
		case a.Action == access.Maintain && d.Model.Version >= maintainSince:
		case !privilege(a.Action):
			// Scopewire's own words, "any action" for one.
			return nil, false
		}
		switch {
		case o.Name == "" || g.SQL("x") == "":
			return nil, false
		case d.own(o):
			// Nothing can be granted on what the statement is to make.
			return nil, false
		case o.Kind == access.Table && !a.AllColumns && columnar(a.Action):
			if g.Columns = a.Columns; len(a.Columns) == 0 {
				g.Columns, g.anyColumn = d.anyColumn(o), true
			}
		}
		grants = append(grants, g)
	}
	return grants, true
}

// privilege reports whether an action is a privilege of every PostgreSQL from 14.
func privilege(a access.Action) bool {
	switch a {
	case access.Select, access.Insert, access.Update, access.Delete, access.Truncate, access.References, access.Trigger, access.Execute, access.Usage, access.Temporary, access.Connect:
		return true
	default:
		return false
	}
}

// columnar reports whether PostgreSQL has the privilege for single columns.
func columnar(a access.Action) bool {
	return a == access.Select || a == access.Insert || a == access.Update || a == access.References
}

// anyColumn is one column of a relation, or none when it has none.
func (d *Database) anyColumn(o access.Object) []string {
	rel := d.Snapshot.RelationByName(o.Schema, o.Name)
	if rel == nil || len(rel.Columns) == 0 {
		return nil
	}
	return []string{rel.Columns[0].Name}
}

// without leaves one right out of a list: a whole grant, or one column of it. nil
// is returned when the one picked is implied by another.
func without(random *rand.Rand, grants []Grant) ([]Grant, *Grant) {
	at := random.IntN(len(grants))
	piece := grants[at]
	less := slices.Delete(slices.Clone(grants), at, at+1)
	if len(piece.Columns) > 1 {
		n := random.IntN(len(piece.Columns))
		rest := piece
		rest.Columns = slices.Delete(slices.Clone(piece.Columns), n, n+1)
		piece.Columns = piece.Columns[n : n+1]
		less = append(less, rest)
	}
	for _, g := range less {
		covers := g.Action == piece.Action && g.Kind == piece.Kind && g.Schema == piece.Schema && g.Name == piece.Name && slices.Equal(g.Arguments, piece.Arguments)
		// Several statements may ask for the same thing twice.
		if covers && (piece.anyColumn || len(g.Columns) == 0 || len(piece.Columns) == 0 || slices.Contains(g.Columns, piece.Columns[0])) {
			return nil, nil
		}
		if piece.Kind == access.Schema && piece.Action == access.Usage && (g.Schema == piece.Name || g.Kind == access.Schema && g.Name == piece.Name) {
			return nil, nil
		}
	}
	return less, &piece
}
