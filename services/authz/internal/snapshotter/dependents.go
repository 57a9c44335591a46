package snapshotter

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// queryDependents lists the objects whose texts show something of those in $1 (names
// of catalog tables) and $2 (OIDs): what depends on them, and on what is named by them.
//
// A type's name, and how its values are printed, is part of how an array, a range, a
// domain or a row of it is printed, and of the argument lists that a function's or an
// operator's name goes with; a relation's is part of its row type's. $3 asks for all
// that depends in whatever way, over any number of steps.
//
// The operators of exclusion constraints are recorded by way of their operator class
// alone (CreateConstraintEntry of pg_constraint.c); no text of theirs is read.
const queryDependents = `
WITH RECURSIVE given AS MATERIALIZED (
	SELECT ('pg_catalog.' || u.t)::pg_catalog.regclass::pg_catalog.oid AS class, u.o AS oid, u.w AS wide
	FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.oid[]), pg_catalog.unnest($3::pg_catalog.bool[])) AS u(t, o, w)),
reached AS (
	SELECT class, oid, wide, true AS named FROM given
	UNION
	SELECT d.classid, d.objid, r.wide, d.classid <> 'pg_catalog.pg_class'::pg_catalog.regclass
	FROM reached AS r JOIN pg_catalog.pg_depend AS d ON d.refclassid = r.class AND d.refobjid = r.oid
	WHERE r.wide
		OR r.class = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
		OR r.class = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.classid IN ('pg_catalog.pg_class'::pg_catalog.regclass,
			'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)),
dependent AS MATERIALIZED (
	SELECT DISTINCT d.classid AS class, d.objid AS oid
	FROM reached AS r JOIN pg_catalog.pg_depend AS d ON d.refclassid = r.class AND d.refobjid = r.oid
	WHERE r.named OR r.wide)
SELECT 'pg_class' AS t, oid FROM dependent WHERE class = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION SELECT 'pg_class', i.indrelid FROM dependent AS d JOIN pg_catalog.pg_index AS i ON i.indexrelid = d.oid WHERE d.class = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION SELECT 'pg_class', a.adrelid FROM dependent AS d JOIN pg_catalog.pg_attrdef AS a ON a.oid = d.oid WHERE d.class = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
UNION SELECT 'pg_class', c.conrelid FROM dependent AS d JOIN pg_catalog.pg_constraint AS c ON c.oid = d.oid WHERE d.class = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND c.conrelid <> 0
UNION SELECT 'pg_type', c.contypid FROM dependent AS d JOIN pg_catalog.pg_constraint AS c ON c.oid = d.oid WHERE d.class = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND c.contypid <> 0
UNION SELECT 'pg_class', t.tgrelid FROM dependent AS d JOIN pg_catalog.pg_trigger AS t ON t.oid = d.oid WHERE d.class = 'pg_catalog.pg_trigger'::pg_catalog.regclass
UNION SELECT 'pg_class', r.ev_class FROM dependent AS d JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.oid WHERE d.class = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
UNION SELECT 'pg_class', p.polrelid FROM dependent AS d JOIN pg_catalog.pg_policy AS p ON p.oid = d.oid WHERE d.class = 'pg_catalog.pg_policy'::pg_catalog.regclass
UNION SELECT 'pg_class', s.stxrelid FROM dependent AS d JOIN pg_catalog.pg_statistic_ext AS s ON s.oid = d.oid WHERE d.class = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
UNION SELECT 'pg_type', oid FROM dependent WHERE class = 'pg_catalog.pg_type'::pg_catalog.regclass
UNION SELECT 'pg_proc', oid FROM dependent WHERE class = 'pg_catalog.pg_proc'::pg_catalog.regclass`

// readDependents lists the objects whose texts show something of names, as tx sees
// them; wide are those whose dependents' dependents count as well.
func readDependents(ctx context.Context, tx pgx.Tx, names, wide map[object]bool) (map[object]bool, error) {
	out := make(map[object]bool)
	var tables []string
	var oids []uint32
	var isWide []bool
	for _, set := range []map[object]bool{names, wide} {
		for o := range set {
			tables, oids, isWide = append(tables, o.table), append(oids, uint32(o.oid)), append(isWide, wide[o])
		}
	}
	if len(oids) == 0 {
		return out, nil
	}
	rows, err := tx.Query(ctx, queryDependents, tables, oids, isWide)
	if err != nil {
		return nil, fmt.Errorf("look for dependents: %w", err)
	}
	var o object
	if _, err = pgx.ForEachRow(rows, []any{&o.table, &o.oid}, func() error {
		out[o] = true
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look for dependents: %w", err)
	}
	return out, nil
}
