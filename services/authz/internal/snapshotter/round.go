package snapshotter

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// reading is a catalog as it was under one snapshot of the server's, but for its
// texts, which are as new as their printing. It is not changed once it is complete.
type reading struct {
	store   *store
	base    base
	mark    mark
	recents recents
	// pulse was taken before the snapshot was.
	pulse pulse
	// startedAt is when the read started; wholeAt is when the last whole read did that
	// this one goes back to.
	startedAt, wholeAt time.Time
	// unread are the objects of which a text could not be printed.
	unread map[object]bool
	// settled says that nothing was committed while the texts were printed: then they
	// belong to the rest.
	settled bool
}

// errWhole says that a change can be followed by a whole read alone.
var errWhole = errors.New("the change needs a whole read")

// readWhole reads the whole catalog.
func readWhole(ctx context.Context, conn *session, now time.Time) (*reading, error) {
	pulsed, over, err := readPulse(ctx, conn)
	if err != nil {
		return nil, err
	}
	out := &reading{store: newStore(), base: over, pulse: pulsed, startedAt: now, wholeAt: now}
	var r *reader
	err = inTransaction(ctx, conn, func(tx pgx.Tx) (err error) {
		if out.mark, err = readMark(ctx, tx, over); err != nil {
			return err
		}
		if out.recents, err = readRecents(ctx, tx, over, sources()); err != nil {
			return err
		}
		for _, s := range sources() {
			if !s.counted() {
				continue
			}
			if out.store.inventory[s.table], err = countRows(ctx, tx, s, nil); err != nil {
				return err
			}
		}
		r = newReader(tx, conn.serverPath, nil)
		if err := r.server(ctx); err != nil {
			return err
		}
		if err := r.readLists(ctx, allLists); err != nil {
			return err
		}
		return r.readObjects(ctx)
	})
	if err != nil {
		return nil, err
	}
	if err := r.finish(ctx, conn, out.store); err != nil {
		return nil, err
	}
	out.store.whole = *r.s
	out.store.whole.Relations, out.store.whole.Types, out.store.whole.Functions = nil, nil, nil
	out.unread = out.store.unread()
	return out, nil
}

// readChanges brings a reading up to date: it reads what has changed, what a change
// may have given another text, and the objects in retry. It returns the same reading
// where nothing has changed.
func readChanges(ctx context.Context, conn *session, from *reading, retry map[object]bool, now time.Time) (*reading, error) {
	pulsed, oldest, err := readPulse(ctx, conn)
	switch {
	case err != nil:
		return nil, err
	case oldest < from.base, oldest-from.base > maxAge:
		return nil, errWhole // Another server's transactions, or too many of them.
	case pulsed == from.pulse && len(retry) == 0:
		return settledAt(from, pulsed, now), nil
	}
	r := &round{conn: conn, from: from}
	err = inTransaction(ctx, conn, func(tx pgx.Tx) (err error) {
		r.tx = tx
		r.mark, err = readMark(ctx, tx, from.base)
		if err != nil || maps.Equal(r.mark, from.mark) && len(retry) == 0 {
			return err
		}
		return r.read(ctx, retry)
	})
	if err != nil {
		return nil, err
	}
	if r.next == nil {
		return settledAt(from, pulsed, now), nil
	}
	for _, objects := range r.readers {
		if err := objects.finish(ctx, conn, r.next); err != nil {
			return nil, err
		}
	}
	return &reading{
		store: r.next, base: from.base, mark: r.mark, recents: r.recents, pulse: pulsed,
		startedAt: now, wholeAt: from.wholeAt, unread: r.next.unread(),
	}, nil
}

// settledAt is a reading that was found to be still what the server has.
func settledAt(from *reading, pulsed pulse, now time.Time) *reading {
	out := *from
	out.pulse, out.startedAt, out.settled = pulsed, now, true
	return &out
}

// round is the reading of one set of changes.
type round struct {
	conn *session
	tx   pgx.Tx
	from *reading
	mark mark
	// next is the store with the changes in it, texts excepted, which the readers have
	// printed when the transaction has ended.
	next    *store
	recents recents
	readers []*reader
	// objects are those that are read, names those of whose names texts may be others,
	// wide those for which so may be what depends on them in any way.
	objects, names, wide map[object]bool
}

func (r *round) read(ctx context.Context, retry map[object]bool) error {
	r.next, r.recents = r.from.store.clone(), maps.Clone(r.from.recents)
	r.objects, r.names, r.wide = make(map[object]bool), make(map[object]bool), make(map[object]bool)
	var changed []source
	for _, s := range sources() {
		if r.mark[s.table] != r.from.mark[s.table] {
			changed = append(changed, s)
		}
	}
	if len(changed) > 0 {
		// Texts that show names nothing tells about.
		maps.Copy(r.objects, r.from.store.floating())
	}
	if err := r.rows(ctx, changed); err != nil {
		return err
	}
	if err := r.lists(ctx, changed); err != nil {
		return err
	}
	maps.Copy(r.objects, retry)
	affected := maps.Clone(r.objects)
	if err := r.replace(ctx, r.objects); err != nil {
		return err
	}
	return r.dependents(ctx, affected)
}

// rows finds the objects that have other rows than before.
func (r *round) rows(ctx context.Context, changed []source) error {
	now, err := readRecents(ctx, r.tx, r.from.base, changed)
	if err != nil {
		return err
	}
	maps.Copy(r.recents, now)
	// Relations come first, and types before the rest: what hangs off them goes with them.
	for _, s := range order(changed) {
		keys := make(map[key]bool)
		for _, k := range differing(r.from.recents[s.table], now[s.table]) {
			keys[k] = true
		}
		r.note(s, maps.Keys(keys))
		if !s.counted() {
			continue
		}
		counts, others, err := recount(ctx, r.tx, s, r.next.inventory[s.table], keys, r.objects, r.mark[s.table].rows)
		if err != nil {
			return err
		}
		r.next.inventory[s.table] = counts
		r.note(s, slices.Values(others))
	}
	return nil
}

// order puts the tables first whose rows others hang off.
func order(changed []source) []source {
	rank := func(s source) int { return 1 + slices.Index([]string{pgType, pgClass}, s.table) }
	out := slices.Clone(changed)
	slices.SortStableFunc(out, func(a, b source) int { return rank(b) - rank(a) })
	return out
}

// note has the objects read that keys name.
func (r *round) note(s source, keys func(yield func(key) bool)) {
	for k := range keys {
		for i, p := range s.parts {
			if k[i] == 0 || p.table == "" {
				continue
			}
			r.objects[object{p.table, k[i]}] = true
			// A row type goes with its relation, and its array type with it.
			if rel := r.from.store.relations[k[i]]; p.table == pgClass && rel != nil && rel.value.RowType != 0 {
				r.objects[object{pgType, rel.value.RowType}] = true
				if t := r.from.store.types[rel.value.RowType]; t != nil {
					r.objects[object{pgType, t.value.Array}] = true
				}
			}
		}
	}
}

// replace reads objects and puts them in the place of what there was.
func (r *round) replace(ctx context.Context, objects map[object]bool) error {
	r.next.drop(objects)
	reader := newReader(r.tx, r.conn.serverPath, selectionOf(objects))
	r.readers = append(r.readers, reader)
	if err := reader.readObjects(ctx); err != nil {
		return err
	}
	for i := range reader.s.Relations {
		v := &reader.s.Relations[i]
		r.next.relations[v.OID] = &unit[catalog.Relation]{value: *v}
	}
	for i := range reader.s.Types {
		v := &reader.s.Types[i]
		r.next.types[v.OID] = &unit[catalog.Type]{value: *v, labels: reader.labels[v.OID]}
	}
	for i := range reader.s.Functions {
		v := &reader.s.Functions[i]
		r.next.functions[v.OID] = &unit[catalog.Function]{value: *v}
	}
	return nil
}

// dependents reads again what shows a name that is another one. While the texts are
// not known to be of one state with the rest, a name may have been another one when
// they were printed, although it is now what it was before: then every object that has
// changed counts.
func (r *round) dependents(ctx context.Context, affected map[object]bool) error {
	if everyText(r.from.store, r.next, affected) {
		return errWhole
	}
	names := renamed(r.from.store, r.next, affected)
	if !r.from.settled {
		names = affected
	}
	maps.Copy(names, r.names)
	more, err := readDependents(ctx, r.tx, names, r.wide)
	if err != nil {
		return err
	}
	maps.DeleteFunc(more, func(o object, _ bool) bool { return affected[o] || !r.next.has(o) })
	if len(more) == 0 {
		return nil
	}
	return r.replace(ctx, more)
}
