package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Proofs by what a statement leaves behind when the login runs it.

// address is an object as pg_depend has it.
type address struct {
	class string
	oid   catalog.OID
	// columns are the numbers of those that count beside the whole; none for all.
	columns []int16
}

// reachable are the addresses of what an access is about and of what leads to it.
func (d *Database) reachable(missing *access.Access) []address {
	var all []address
	for _, o := range append([]access.Object{missing.Resolved}, missing.Through...) {
		if f := d.function(o); f != nil {
			all = append(all, address{class: "pg_proc", oid: f.OID})
		}
		if rel := d.Snapshot.RelationByName(o.Schema, o.Name); rel != nil && (o.Kind == access.Table || o.Kind == access.Sequence) {
			all = append(append(all, address{class: "pg_class", oid: rel.OID, columns: d.numbers(rel, missing)}), d.typeAddresses(rel.RowType)...)
		}
		if t := d.Snapshot.TypeByName(o.Schema, o.Name); t != nil && o.Kind == access.Type {
			all = append(all, d.typeAddresses(t.OID)...)
		}
	}
	return all
}

// typeAddresses are a type and the array of it.
func (d *Database) typeAddresses(oid catalog.OID) []address {
	t := d.Snapshot.TypeByOID(oid)
	if t == nil {
		return nil
	}
	return []address{{class: "pg_type", oid: oid}, {class: "pg_type", oid: t.Array}}
}

// numbers are the numbers of the columns that an access to a relation is about; none where
// it is about another object, or the whole relation.
func (d *Database) numbers(rel *catalog.Relation, a *access.Access) []int16 {
	var all []int16
	for _, column := range rel.Columns {
		if a.Resolved.Schema == rel.Schema && a.Resolved.Name == rel.Name && slices.Contains(a.Columns, column.Name) {
			all = append(all, column.Number)
		}
	}
	return all
}

// keeps proves Stored.
func (d *Database) keeps(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	if missing == nil {
		return false, nil
	}
	stored, err := d.stores(ctx, c, d.reachable(missing)...)
	if err == nil && !stored {
		stored, err = d.storesWhole(ctx, c, missing)
	}
	if err != nil || stored || !definesBody.MatchString(strings.Join(Tokens(c.Unit.SQL), " ")) {
		return stored, err
	}
	// The validator analyses a body that is a string (fmgr_sql_validator), and keeps nothing.
	all, err := d.print(ctx, c.Role.Path, c.Unit)
	if err != nil || d.asks(all.written, c.Role.Grants, missing) {
		return err == nil, err
	}
	return slices.ContainsFunc(d.reachable(missing), func(a address) bool {
		switch a.class {
		case "pg_proc":
			return all.written.functions[a.oid]
		case "pg_type":
			return all.written.types[a.oid]
		default:
			return len(a.columns) == 0 && all.written.relations[a.oid] != nil
		}
	}), nil
}

// stores reports whether the login makes something by a statement that depends on one
// of the objects, or on an operator of one of the functions.
func (d *Database) stores(ctx context.Context, c Comparison, of ...address) (bool, error) {
	if len(of) == 0 {
		return false, nil
	}
	var depends, functions []string
	for _, a := range of {
		one := fmt.Sprintf("d.refclassid = 'pg_catalog.%s'::pg_catalog.regclass AND d.refobjid = %d", a.class, a.oid)
		if len(a.columns) > 0 {
			one += " AND d.refobjsubid IN (0, " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(a.columns)), ", "), "[]") + ")"
		}
		depends = append(depends, "("+one+")")
		if a.class == "pg_proc" {
			functions = append(functions, fmt.Sprint(a.oid))
		}
	}
	excludes := "SELECT 0"
	if len(functions) > 0 {
		of := "o.oprcode IN (" + strings.Join(functions, ", ") + ")"
		depends = append(depends, of)
		// Those of an exclusion are in no other place (CreateConstraintEntry of pg_constraint.c).
		excludes = `SELECT count(*) FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_operator o ON o.oid = ANY (c.conexclop)
 WHERE c.xmin = pg_catalog.pg_current_xact_id()::xid AND ` + of
	}
	query := `SELECT count(*) + (` + excludes + `) FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_operator o
 ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid
 WHERE d.xmin = pg_catalog.pg_current_xact_id()::xid AND (` + strings.Join(depends, " OR ") + `)`
	return afterEach(c.Unit, func(u Unit) (bool, error) { return d.counts(ctx, c, u, query) })
}

// storesWhole reports whether a query that the login stores by a statement asks for an
// access, as its tree has it: where some columns of a relation are named, pg_depend has
// these alone, and nothing of its whole row (eliminate_duplicate_dependencies of
// dependency.c).
func (d *Database) storesWhole(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	return afterEach(c.Unit, func(u Unit) (bool, error) {
		stored := newFootprint()
		_, _, err := d.login.rolledBackAfter(ctx, c.Role.Path, u, nil, func() error {
			trees, err := d.login.rows(ctx, `SELECT ev_action::text FROM pg_catalog.pg_rewrite WHERE xmin = pg_catalog.pg_current_xact_id()::xid
 UNION ALL SELECT prosqlbody::text FROM pg_catalog.pg_proc WHERE prosqlbody IS NOT NULL AND xmin = pg_catalog.pg_current_xact_id()::xid`)
			for _, tree := range trees {
				stored.add(tree[0], d.Snapshot)
			}
			return err
		})
		return err == nil && d.asks(stored, c.Role.Grants, missing), err
	})
}

// afterEach asks about a unit cut off behind each of its statements, until one answers:
// what a message makes, it may drop again.
func afterEach(u Unit, holds func(Unit) (bool, error)) (bool, error) {
	statements := Script(u.SQL)
	for n := range statements {
		part := u
		if len(statements) > 1 {
			part.SQL = strings.Join(statements[:n+1], "; ")
		}
		if found, err := holds(part); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// counts reports whether a query counts anything when the login has run a unit.
func (d *Database) counts(ctx context.Context, c Comparison, u Unit, query string) (bool, error) {
	found := false
	_, _, err := d.login.rolledBackAfter(ctx, c.Role.Path, u, nil, func() error {
		row, err := d.login.row(ctx, query)
		found = err == nil && row[0] != "0"
		return err
	})
	return found, err
}

// changesDefaults proves DefaultRights.
func (d *Database) changesDefaults(ctx context.Context, c Comparison, _ *access.Access) (bool, error) {
	return d.counts(ctx, c, c.Unit, "SELECT count(*) FROM pg_catalog.pg_default_acl WHERE xmin = pg_catalog.pg_current_xact_id()::xid")
}

// makesTemporary proves Temporary.
func (d *Database) makesTemporary(ctx context.Context, c Comparison, _ *access.Access) (bool, error) {
	return d.counts(ctx, c, c.Unit, `SELECT (SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema()) +
 (SELECT count(*) FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class r ON r.oid = t.typrelid
  WHERE t.typnamespace = pg_catalog.pg_my_temp_schema() AND t.typelem = 0 AND (t.typrelid = 0 OR r.relkind = 'c'))`)
}

// setsPath proves Path.
func (d *Database) setsPath(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	if missing == nil || missing.Resolved.Kind != access.Schema {
		return false, nil
	}
	found := false
	_, _, err := d.login.rolledBackAfter(ctx, c.Role.Path, c.Unit, nil, func() error {
		rows, err := d.login.rows(ctx, `SELECT pg_catalog.current_setting('search_path') UNION ALL SELECT pg_catalog.substr(s, 13) FROM pg_catalog.pg_proc, pg_catalog.unnest(proconfig) s
 WHERE pg_proc.xmin = pg_catalog.pg_current_xact_id()::xid AND s LIKE 'search_path=%'`)
		for _, row := range rows {
			for _, name := range Tokens(row[0]) {
				found = found || name == missing.Resolved.Name || name == quote(missing.Resolved.Name)
			}
		}
		return err
	})
	return found, err
}

// drops proves Dropped.
func (d *Database) drops(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	if missing == nil || missing.Resolved.Kind != access.Schema {
		return false, nil
	}
	contents := `WITH r AS (SELECT oid FROM pg_catalog.pg_class WHERE relnamespace = n) SELECT count(*) FROM (
 SELECT 1 FROM r UNION ALL SELECT 1 FROM pg_catalog.pg_proc WHERE pronamespace = n UNION ALL SELECT 1 FROM pg_catalog.pg_type WHERE typnamespace = n
 UNION ALL SELECT 1 FROM pg_catalog.pg_operator WHERE oprnamespace = n UNION ALL SELECT 1 FROM pg_catalog.pg_constraint WHERE connamespace = n
 UNION ALL SELECT 1 FROM pg_catalog.pg_statistic_ext WHERE stxnamespace = n UNION ALL SELECT 1 FROM pg_catalog.pg_attribute JOIN r ON r.oid = attrelid WHERE NOT attisdropped
 UNION ALL SELECT 1 FROM pg_catalog.pg_attrdef JOIN r ON r.oid = adrelid UNION ALL SELECT 1 FROM pg_catalog.pg_trigger JOIN r ON r.oid = tgrelid
 UNION ALL SELECT 1 FROM pg_catalog.pg_rewrite JOIN r ON r.oid = ev_class UNION ALL SELECT 1 FROM pg_catalog.pg_policy JOIN r ON r.oid = polrelid) all_of_it`
	contents = strings.ReplaceAll(contents, "= n", "= "+quoteLiteral(quote(missing.Resolved.Name))+"::pg_catalog.regnamespace")
	before, err := d.admin.row(ctx, contents)
	if err != nil {
		return false, err
	}
	fewer := false
	_, _, err = d.login.rolledBackAfter(ctx, c.Role.Path, c.Unit, nil, func() error {
		after, err := d.login.row(ctx, contents)
		fewer = err == nil && after[0] != before[0]
		return err
	})
	return fewer, err
}

// refusesLater proves SetOff: the server puts a rule's action in the place of what sets it
// off, and refuses the write of a view in it then (rewriteTargetView of rewriteHandler.c).
func (d *Database) refusesLater(ctx context.Context, c Comparison, _ *access.Access) (bool, error) {
	refused := false
	_, _, err := d.login.rolledBackAfter(ctx, c.Role.Path, c.Unit, nil, func() error {
		rows, err := d.login.rows(ctx, `SELECT CASE ev_type WHEN '2' THEN pg_catalog.format('EXPLAIN UPDATE %s SET %I = %2$I', ev_class::pg_catalog.regclass, attname)
 WHEN '3' THEN pg_catalog.format('EXPLAIN INSERT INTO %s DEFAULT VALUES', ev_class::pg_catalog.regclass) ELSE pg_catalog.format('EXPLAIN DELETE FROM %s', ev_class::pg_catalog.regclass) END
 FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_attribute ON attrelid = ev_class AND attnum = 1 WHERE r.xmin = pg_catalog.pg_current_xact_id()::xid AND ev_type <> '1'`)
		if err != nil || len(rows) != 1 {
			return err
		}
		answer, err := d.login.exec(ctx, rows[0][0])
		refused = err == nil && slices.Contains([]string{"55000", "0A000"}, answer.State)
		return err
	})
	return refused, err
}

// hasRowType reports whether a statement has something of the row type of the relation
// that a denial is about.
func (d *Database) hasRowType(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	if missing == nil {
		return false, nil
	}
	rel := d.Snapshot.RelationByName(missing.Resolved.Schema, missing.Resolved.Name)
	if rel == nil || missing.Resolved.Kind != access.Table {
		return false, nil
	}
	types := d.typeAddresses(rel.RowType)
	stored, err := d.stores(ctx, c, types...)
	if err != nil || stored {
		return stored, err
	}
	all, err := d.print(ctx, c.Role.Path, c.Unit)
	if err != nil || slices.ContainsFunc(types, func(a address) bool { return a.oid != 0 && all.written.types[a.oid] }) {
		return err == nil, err
	}
	// What a utility statement runs and does not store is in no tree that the server
	// prints: where no relation bears the name, it misses a type.
	answer, lost, err := d.login.rolledBack(ctx, c.Role.Path, c.Unit,
		fmt.Sprintf("ALTER TABLE %s.%s RENAME TO oracle_gone", quote(rel.Schema), quote(rel.Name)))
	return err == nil && !lost && answer.State == "42704" && strings.Contains(answer.Message, rel.Name), err
}
