package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// unreached reports whether a denial is about code that the statement runs for the rows
// it finds, and found none: bodies of functions, and the expressions of tables and of
// domains. PostgreSQL looks at such code when the first row comes. The proof is that the
// login's plan holds nothing of it and that its function is not called, when no
// function's body is put in the place of its call.
func (d *Database) unreached(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	var bodies []*catalog.Function
	for _, way := range missing.Through {
		if f := d.function(way); f != nil {
			bodies = append(bodies, f)
		}
	}
	called := d.function(missing.Resolved)
	switch {
	case called == nil && len(bodies) == 0:
		return false, nil
	case called != nil && len(missing.Through) == 0 && !d.checksDomain(called):
		// The text itself calls it.
		return false, nil
	case called != nil:
		bodies = []*catalog.Function{called}
	}
	idle, before, err := d.uncalled(ctx, c, bodies)
	if err != nil || !idle {
		return false, err
	}
	all, err := d.print(ctx, c.Role.Path, c.Unit, before...)
	return err == nil && all.found && !d.asks(all.planned, c.Role.Grants, missing), err
}

// uncalled reports whether one of some functions is not called when the login runs a
// statement, and before it the statements after which no body of theirs is put in the
// place of its call.
func (d *Database) uncalled(ctx context.Context, c Comparison, bodies []*catalog.Function) (idle bool, before []string, err error) {
	before = []string{cold, "SET LOCAL track_functions = 'all'"}
	var oids, allowed []string
	for _, f := range bodies {
		if f.Kind == 'a' {
			return false, nil, nil
		}
		object := Grant{Kind: access.Function, Schema: f.Schema, Name: f.Name, Arguments: d.argumentNames(f)}.object()
		before, oids = append(before, "ALTER ROUTINE "+object+" SET work_mem = '4MB'"), append(oids, fmt.Sprint(f.OID))
		allowed = append(allowed, "GRANT EXECUTE ON ROUTINE "+object+" TO "+scratch)
	}
	ran := false
	look := func() error {
		ran = true
		row, err := d.login.row(ctx, fmt.Sprintf("SELECT count(*) FROM pg_catalog.pg_stat_xact_user_functions WHERE calls > 0 AND funcid IN (%s)", strings.Join(oids, ", ")))
		idle = err == nil && row[0] != fmt.Sprint(len(bodies))
		return err
	}
	// A sequence may give out what is there already, and then what is not.
	for tries := 0; tries < 8 && !ran && err == nil; tries++ {
		_, _, err = d.login.rolledBackAfter(ctx, c.Role.Path, c.Unit, before, look)
	}
	if ran || err != nil {
		return idle, before, err
	}
	// The planner puts in the bodies of functions that the login may execute, and may fail at
	// one, of an index perhaps, that the role may not: then the role's own run tells, with
	// the functions granted.
	asRole := slices.Concat(before, d.grantSQL(scratch, c.Role.Grants), allowed, []string{"SET LOCAL SESSION AUTHORIZATION " + scratch})
	_, _, err = d.login.rolledBackAfter(ctx, c.Role.Path, c.Unit, asRole, func() error {
		if back, err := d.login.exec(ctx, "RESET SESSION AUTHORIZATION"); err != nil || !back.Ran() {
			return errors.Join(err, stateError(back))
		}
		return look()
	})
	return idle, before, err
}

// refusedAnother reports whether the role is refused the function that a denial is about
// when the statement runs once more. An INSERT with ON CONFLICT computes the indexes of a row
// only when nothing is in its way (ExecInsert): a sequence gives a key that is there already
// once, and a new one another time.
func (d *Database) refusedAnother(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	f := d.function(missing.Resolved)
	if f == nil {
		return false, nil
	}
	for range sequenceTries {
		answer, lost, err := d.asScratch(ctx, c.Role.Path, c.Role.Grants, c.Unit)
		if err != nil || lost {
			return false, err
		}
		if refused := refusedObject.FindStringSubmatch(answer.Message); answer.Refused() && refused != nil {
			return refused[1] == f.Name, nil
		}
	}
	return false, nil
}

// checksDomain reports whether a check of a domain calls a function.
func (d *Database) checksDomain(f *catalog.Function) bool {
	return slices.ContainsFunc(d.Snapshot.Types, func(t catalog.Type) bool {
		return slices.ContainsFunc(t.Checks, func(e catalog.Expression) bool { return slices.Contains(e.References.Functions, f.OID) })
	})
}

// derived reports whether an access is about the function of an operator whose family has
// another operator of the statement. Of what is equal by one the planner makes clauses
// with the other (generate_base_implied_equalities of equivclass.c); in which plans it
// does, depends on the tables.
func (d *Database) derived(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	f := d.function(missing.Resolved)
	if f == nil || missing.Action != access.Execute {
		return false, nil
	}
	all, err := d.print(ctx, c.Role.Path, c.Unit)
	if err != nil || !all.found || all.written.functions[f.OID] {
		return false, err
	}
	rows, err := d.admin.rows(ctx, fmt.Sprintf(`SELECT DISTINCT other.oprcode::pg_catalog.oid FROM pg_catalog.pg_amop m JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
 JOIN pg_catalog.pg_amop n ON n.amopfamily = m.amopfamily JOIN pg_catalog.pg_operator other ON other.oid = n.amopopr WHERE o.oprcode = %d`, f.OID))
	return err == nil && slices.ContainsFunc(rows, func(row []string) bool {
		oid, err := strconv.ParseUint(row[0], 10, 32)
		return err == nil && all.written.functions[catalog.OID(oid)]
	}), err
}
