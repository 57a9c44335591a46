package snapshotter

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// textKind is a function that prints a text and, to do so, locks relations (ACCESS
// SHARE).
type textKind int

const (
	textView textKind = iota
	textPartitionKey
	textGenerated
	textCheck
	textIndex
	textTrigger
	textRule
	textPolicy
	textStatistics
	textBody

	textKinds
)

// queryText gives, for the OIDs in $1, what is printed for each.
func queryText(kind textKind) string {
	named := func(function string) string {
		return `SELECT o, ARRAY[COALESCE(pg_catalog.` + function + `(o), '')] FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS o`
	}
	switch kind {
	case textView:
		return named("pg_get_viewdef")
	case textPartitionKey:
		return named("pg_get_partkeydef")
	case textTrigger:
		return named("pg_get_triggerdef")
	case textRule:
		return named("pg_get_ruledef")
	case textBody:
		return named("pg_get_function_sqlbody")
	case textGenerated:
		return `SELECT d.oid, ARRAY[COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')]
			FROM pg_catalog.pg_attrdef AS d WHERE d.oid = ANY ($1::pg_catalog.oid[])`
	case textCheck:
		return `SELECT c.oid, ARRAY[COALESCE(pg_catalog.pg_get_expr(c.conbin, c.conrelid), '')]
			FROM pg_catalog.pg_constraint AS c WHERE c.oid = ANY ($1::pg_catalog.oid[])`
	case textIndex:
		return `SELECT i.indexrelid, pg_catalog.array_remove(ARRAY[
				pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid)], NULL)
			FROM pg_catalog.pg_index AS i WHERE i.indexrelid = ANY ($1::pg_catalog.oid[])`
	case textPolicy:
		return `SELECT p.oid, ARRAY[COALESCE(pg_catalog.pg_get_expr(p.polqual, p.polrelid), ''),
				COALESCE(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '')]
			FROM pg_catalog.pg_policy AS p WHERE p.oid = ANY ($1::pg_catalog.oid[])`
	case textStatistics:
		return `SELECT s.oid, pg_catalog.pg_get_statisticsobjdef_expressions(s.oid)
			FROM pg_catalog.pg_statistic_ext AS s WHERE s.oid = ANY ($1::pg_catalog.oid[])`
	default:
		panic(fmt.Sprintf("texts of kind %d are not printed", kind))
	}
}

// job is a text to be printed.
type job struct {
	kind textKind
	oid  catalog.OID
	// of is the object that it is a text of.
	of object
	// set puts what was printed in its place, where catalog.Unreadable stands until then.
	// It reports whether that was the text: it may have gone meanwhile.
	set func(texts []string) bool
}

// slice is how many texts are printed in one transaction. It bounds how long locks are
// held, and how many: a server has room for 6,400 unless it is told otherwise
// (max_locks_per_transaction of lock.c).
const slice = 200

// lockWaits is how often printing waits for locks until what is still locked is left
// for another time.
const lockWaits = 3

// printTexts prints texts, each slice in a transaction of its own, and returns the objects
// of which a text could not be printed.
func printTexts(ctx context.Context, conn *session, jobs []job) (map[object]bool, error) {
	unread := make(map[object]bool)
	if len(jobs) == 0 {
		return unread, nil
	}
	locked, err := readLocked(ctx, conn)
	if err != nil {
		return nil, err
	}
	p := &printer{conn: conn, locked: locked, unread: unread}
	kinds := make([][]job, textKinds)
	for _, j := range jobs {
		kinds[j.kind] = append(kinds[j.kind], j)
	}
	for _, jobs := range kinds {
		for len(jobs) > 0 {
			n := min(len(jobs), slice)
			if err := p.try(ctx, jobs[:n]); err != nil {
				return nil, err
			}
			jobs = jobs[n:]
		}
	}
	return unread, nil
}

// printer prints slices.
type printer struct {
	conn *session
	// locked are the objects whose texts are not asked for.
	locked map[object]bool
	unread map[object]bool
	waited int
}

// The SQLSTATEs of a lock that was not had in time (lock_timeout) and of a deadlock.
const (
	stateLockNotAvailable = "55P03"
	stateDeadlock         = "40P01"
)

// try prints texts of one kind. After an error it prints what is left by halves, so
// that one text that cannot be printed keeps back no other.
func (p *printer) try(ctx context.Context, jobs []job) error {
	free := make([]job, 0, len(jobs))
	for _, j := range jobs {
		if p.locked[j.of] {
			p.unread[j.of] = true
			continue
		}
		free = append(free, j)
	}
	if len(free) == 0 {
		return nil
	}
	err := p.ask(ctx, free)
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case p.conn.IsClosed() || !errors.As(err, &pgErr) || ctx.Err() != nil:
		return fmt.Errorf("print texts: %w", err)
	case pgErr.Code == stateLockNotAvailable || pgErr.Code == stateDeadlock:
		if p.waited++; p.waited > lockWaits {
			return p.giveUp(free)
		}
		if p.locked, err = readLocked(ctx, p.conn); err != nil {
			return err
		}
	case len(free) == 1:
		// It was dropped meanwhile, most likely: then the mark will tell.
		return p.giveUp(free)
	}
	half := (len(free) + 1) / 2
	if err := p.try(ctx, free[:half]); err != nil {
		return err
	}
	return p.try(ctx, free[half:])
}

func (p *printer) giveUp(jobs []job) error {
	for _, j := range jobs {
		p.unread[j.of] = true
	}
	return nil
}

// ask prints texts of one kind, all or none.
func (p *printer) ask(ctx context.Context, jobs []job) error {
	oids := make([]uint32, len(jobs))
	for i, j := range jobs {
		oids[i] = uint32(j.oid)
	}
	rows, err := p.conn.Query(ctx, queryText(jobs[0].kind), oids)
	if err != nil {
		return err
	}
	printed := make(map[catalog.OID][]string, len(jobs))
	var oid catalog.OID
	var texts []string
	_, err = pgx.ForEachRow(rows, []any{&oid, &texts}, func() error {
		printed[oid], texts = texts, nil
		return nil
	})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !j.set(printed[j.oid]) {
			p.unread[j.of] = true
		}
	}
	return nil
}

// queryLocked lists what cannot be printed while somebody has or waits for an
// exclusive lock, which goes before later ones: texts of the relations that are
// locked, and texts that read from them (AcquireRewriteLocks of rewriteHandler.c).
const queryLocked = `
WITH locked AS MATERIALIZED (
	SELECT DISTINCT l.relation AS oid FROM pg_catalog.pg_locks AS l
	WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
		AND l.database = (SELECT b.oid FROM pg_catalog.pg_database AS b WHERE b.datname = pg_catalog.current_database())),
readers AS MATERIALIZED (
	SELECT DISTINCT d.classid, d.objid FROM pg_catalog.pg_depend AS d JOIN locked AS l ON d.refobjid = l.oid
	WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.classid IN (
		'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass))
SELECT 'pg_class', oid FROM locked
UNION SELECT 'pg_class', w.ev_class FROM readers AS r JOIN pg_catalog.pg_rewrite AS w ON w.oid = r.objid
	WHERE r.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
UNION SELECT 'pg_class', p.polrelid FROM readers AS r JOIN pg_catalog.pg_policy AS p ON p.oid = r.objid
	WHERE r.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
UNION SELECT 'pg_proc', r.objid FROM readers AS r WHERE r.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass`

// readLocked lists the objects whose texts wait for somebody's lock.
func readLocked(ctx context.Context, conn *session) (map[object]bool, error) {
	rows, err := conn.Query(ctx, queryLocked)
	if err != nil {
		return nil, fmt.Errorf("look for locks: %w", err)
	}
	out := make(map[object]bool)
	var o object
	_, err = pgx.ForEachRow(rows, []any{&o.table, &o.oid}, func() error {
		out[o] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for locks: %w", err)
	}
	return out, nil
}
