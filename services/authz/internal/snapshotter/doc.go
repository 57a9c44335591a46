// Package snapshotter keeps a snapshot of each database's catalog that is at
// most about a second old.
//
// # How a check goes
//
// Every interval, and whenever Refresh asks, one goroutine per database
//
//  1. takes the server's pulse: which transactions have ended, as
//     pg_current_snapshot tells. While it is the same there is nothing to do: an
//     idle server is asked for a tenth of a millisecond's work.
//  2. else computes a mark on the server: for every catalog table that a snapshot
//     is made of, how many rows there are, and the sum of a hash over xmin and ctid
//     of the recent ones. Equal marks mean equal catalogs; see below.
//  3. stops there if the mark is that of the snapshot it has: that one is as
//     good as read now.
//  4. else reads the whole catalog in one REPEATABLE READ, READ ONLY
//     transaction, under an empty search_path, every name qualified.
//  5. computes the mark again in a new transaction. Functions like pg_get_expr
//     look at the newest catalog and not at the transaction's snapshot, so what
//     they said belongs to what the tables said only if nothing was committed in
//     between. If the marks differ, it reads again, a few times.
//  6. gets a version for the digest from the state, if the digest is a new one.
//
// # Why an equal pulse means an equal catalog
//
// Catalog rows become visible and invisible when the transaction that wrote them
// ends, and with nothing else: subtransactions and two-phase commits included,
// whose parts count as running until the whole is committed. A snapshot lists
// which transactions had ended: all before xmax but those that it names as running,
// in whatever database (GetSnapshotData of procarray.c). So two equal snapshots see
// the same rows. xmax is of 64 bits (pg_current_snapshot widens it) and does not
// come back.
//
// On a standby the list of what is running is empty (pg_current_snapshot takes
// SnapshotData.xip, which a snapshot taken during recovery leaves so), and its
// place takes the end of the replayed log: a commit is visible before that moves
// on (xact_redo_commit runs before lastReplayedEndRecPtr is set), and nothing
// becomes visible without a commit's record. A commit that is just being
// replayed may be seen one check late.
//
// The pulse is taken before the transaction whose snapshot the mark or the read
// gets, in a statement of its own. If something ended between the two, the next
// pulse is another one, and costs a mark; never is a change missed.
//
// The server's files can change what a session's search_path starts as without
// any transaction; the time of their last reading is part of the pulse, the path
// part of the mark.
//
// # Why an equal mark means an equal catalog
//
// Let a catalog have been read under a snapshot S, and let X be S's xmin: every
// transaction before X had ended then. A row version is known by its table, xmin
// and ctid: one transaction puts only one visible version in a place, since space
// is not used again before the transaction that freed it has ended. A version
// that is visible later and was not under S was written by a transaction that had
// not ended under S, so its xmin is X or later, which makes it recent. If the
// recent rows are the same at both moments, all later rows were there under S; if
// the counts are the same as well, none has gone. Recent is age(xmin) <= age(X),
// which holds while X is less than 2^31 transactions old: from 2^30 on, and after
// every full interval, the whole is read with another X. Freezing keeps a row's
// xmin (since PostgreSQL 9.4). A row whose xmin is so old that age() takes it for a
// recent one costs a read too many. So does a rewritten catalog (VACUUM FULL),
// if it has recent rows, since those get other ctids.
//
// PostgreSQL changes catalog rows in place (systable_inplace_update, before
// heap_inplace_update) for statistics, for the horizons of vacuum and for hints
// that an object may have a child of some kind: relpages, reltuples,
// relallvisible, relhasindex, relhasrules, relhastriggers, relfrozenxid, relminmxid
// in pg_class, datfrozenxid, datminmxid, datconnlimit and dathasloginevt in pg_database. None
// of those columns is read. Roles have no xmin that a login may look at: their
// names and attributes are hashed, all of them each time.
//
// What cannot be used for this: the counters of the statistics system arrive when
// a session finds time (up to a minute late), track_commit_timestamp is off
// mostly, and event triggers, extensions, logical decoding and pg_walinspect need
// rights that the login shall not have.
//
// A new connection always leads to a whole read, since the server behind it
// may be another one, and so does every full interval, which bounds what a flaw
// in the reasoning about marks could cost.
//
// Temporary objects are in neither mark nor snapshot: applications make them all
// the time. Nor are TOAST tables.
//
// # What it leaves to others
//
// Current says when the read behind a snapshot started. While the server is
// away the last good snapshot stays, and grows older: who decides by it decides
// how old is too old.
//
// # When it goes wrong
//
// pg_get_expr, pg_get_viewdef and their kin lock the relations they print for
// (ACCESS SHARE), each for the time of one whole read at most. While another
// session holds an exclusive lock on a relation with expressions, and only then
// if something else has changed as well, a whole read fails after lock_timeout
// and is tried again. Err and the log say so.
package snapshotter
