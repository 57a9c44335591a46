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
//  4. else reads what has changed, in one REPEATABLE READ, READ ONLY transaction,
//     under an empty search_path, every name qualified; see below. Over a new
//     connection it reads everything.
//  5. has the texts printed of what it has read, in transactions of their own, and
//     begins again at 1. Functions like pg_get_expr look at the newest catalog and not
//     at a snapshot, so what they said belongs to what the tables said only if nothing
//     was committed in between. What was committed is one more change to follow. Once
//     nothing has been, the reading is settled.
//  6. gets a version for the digest from the state, if the digest is a new one.
//
// # How a change is followed
//
// A store keeps the catalog by objects: relations with all that hangs off them, types
// and functions. Beside it stands, for each catalog table, which rows were recent and
// how many rows each object has (inventory.go).
//
// An object has other rows than before if its recent rows are others, or if it has
// fewer rows. Rows only come by being recent; so when the counts of all objects whose
// recent rows changed are taken again and the sum is right, no other object has lost
// any. Only when it is wrong are the rows of all objects counted, in that one table.
//
// These objects are read again, and so are
//
//   - those that show a name which is another one now: of their schema, of their owner;
//   - those whose texts show one: what depends on the object by pg_depend, where a
//     type stands for the arrays, rows, ranges and domains of it and for the functions
//     and operators that take it (dependents.go). Where an object's names and labels
//     are what they were, nobody's text is another one, so that a function which
//     thousands of triggers call can be replaced (names.go);
//   - those with constants of which names are shown and not recorded: arrays and rows
//     of regclass and its like.
//
// Functions, operators and types of pg_catalog, and casts between its types, decide
// which names in all texts need a schema or a cast. When they change, as only a
// superuser has it, the whole is read.
//
// While a reading is not settled, a name may have been another one when texts were
// printed and be the old one again now. Then the texts of all that depends on what has
// changed are printed again, whatever its names are.
//
// Following costs what has changed and what depends on it, and for the rest the mark
// and the index: with 20,000 tables some 0.3 s together. Who renames the schema of
// 20,000 tables, or makes as many at once, waits for them to be read.
//
// The digest is one over the digests of objects, which the store keeps.
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
// which holds while X is less than 2^31 transactions old: from 2^30 on the whole is
// read with another X. When many rows are recent, X is moved on: in one transaction,
// the mark over the old X shows that nothing has changed, and the one over the new X
// takes its place. Freezing keeps a row's
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
// may be another one. After every full interval the whole is read over a second
// connection, which bounds what a flaw in this reasoning could cost. Changes are
// followed meanwhile; then what was read is brought up to date as after any change,
// and takes the place of what was followed. If they differ, the log says so.
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
// # Locks
//
// Rows are read without locks on anything but catalog tables. To print a text, the
// server locks the relations in it (ACCESS SHARE): a slice of texts is printed in one
// transaction, so that few locks are held, and not for long.
//
// What somebody else has locked exclusively, or waits to, is left out (pg_locks tells),
// and all that reads from it: such a text stays catalog.Unreadable, which has no
// decision, so that a statement that reaches it is refused while everything else goes
// on. A denial would be kept, and would tell a client what is not so. Every check looks
// whether the lock is gone, and reads what it kept back. The digest takes no part in
// this (tag `digest:"-"` in package catalog): it goes by the trees of texts, and by the
// names in them, which are read in any case. So replicas that could print more or less
// have the same version of the catalog, and a text that comes later makes no new one.
//
// While a catalog table itself is locked (VACUUM FULL), reading fails after
// lock_timeout and is tried again. Err and the log say so.
package snapshotter
