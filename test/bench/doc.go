// Package bench measures the proxy beside what people would put in its place: PgBouncer in
// session mode and HAProxy over TCP, which judge nothing, and no proxy at all.
//
// Scopewire runs as three processes, with every statement authorized and every statement
// on record before it is forwarded (`group`). All programs stand before one PostgreSQL,
// reached without TLS over loopback, and pgbench is their client.
//
// # Rounds
//
// Figures of different minutes on one machine cannot be compared. So one round runs each
// program once in each cell (protocol, clients, TLS), the order of the programs changes from
// round to round, and what is printed are medians over the rounds, with their spread,
// and ratios within a round. CPU is what the kernel charged the proxy's process,
// user and system, over the transactions that pgbench counted.
//
// # What can fail
//
// A peer that is not installed is left out, and the report says so. A run in which
// pgbench fails, or a client of it is cut off, ends the whole: a figure of half the clients
// is none. It is no test: nothing is held against a threshold here.
package bench
