// Package snapshotter keeps a snapshot of each database's catalog that is at
// most about a second old.
//
// # How a check goes
//
// Every interval, and whenever Refresh asks, one goroutine per database
//
//  1. computes a mark on the server: for every catalog table that a snapshot is
//     made of, how many rows there are and the sum of a hash over each row's
//     xmin and ctid. PostgreSQL never changes a row of these tables in place but
//     for statistics and hints: a change is a new row version, which has another
//     ctid, and an xmin that is not reused before the transaction counter has
//     gone round. Equal marks mean equal catalogs, whoever changed what. Roles
//     have no xmin to look at; their names are hashed.
//  2. stops there if the mark is that of the snapshot it has: that one is as
//     good as read now.
//  3. else reads the whole catalog in one REPEATABLE READ, READ ONLY
//     transaction, under an empty search_path, every name qualified.
//  4. computes the mark again in a new transaction. Functions like pg_get_expr
//     look at the newest catalog and not at the transaction's snapshot, so what
//     they said belongs to what the tables said only if nothing was committed in
//     between. If the marks differ, it reads again, a few times.
//  5. gets a version for the digest from the state, if the digest is a new one.
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
// pg_get_expr and pg_get_viewdef lock the relation they print for. While another
// session holds an exclusive lock on a relation with expressions, and only then
// if something else has changed as well, a whole read fails after lock_timeout
// and is tried again. Err and the log say so.
package snapshotter
