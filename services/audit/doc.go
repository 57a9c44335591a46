// Package audit is the service that keeps audit events and answers questions
// about them.
//
// # Role
//
// Proxies spool every event on their own disk and deliver it here, in batches,
// as often as it takes; the store keeps each exactly once, in one hash chain, in
// files that are only ever appended to. People read by the query service.
//
// # Life of an event
//
//  1. A proxy writes the event to its spool, before the client or the server
//     hears of the statement.
//  2. It sends a batch on an Append stream: instance, epoch of the spool,
//     sequence of the first record, records as the spool holds them.
//  3. ingest checks limits and whose records these are, and decides for each
//     record whether it is an event.
//  4. store leaves out what it has, notes what is missing, and writes what is
//     new, together with the batches of other streams: one write, one fsync.
//  5. The batch is acknowledged; the proxy may forget it.
//  6. query finds the event by its id, by filters newest first, or as it comes.
//
// A statement that is let through is two events: its intent, and what became of it, which
// follows the intent. docs/reference/audit-events.md has the schema.
//
// # Exactly once
//
// The wire is at-least-once. A record's identity is (instance, spool epoch,
// sequence); what is known of each spool is rebuilt from the records themselves
// at start, so it cannot disagree with them. Sequences that did not come, or
// that the spool says it lost, become an EVENT_TYPE_GAP event; if they do come
// later they are stored. A record that is no event is kept as it is, with a gap
// event that says so.
//
// # What fails, and how it looks
//
//   - A write or fsync fails: see package store. Streams end with UNAVAILABLE,
//     proxies keep their records. Readiness stays; the next batch tries again.
//   - The store is damaged: it goes on. The log has "the audit store is
//     damaged", scopewire_audit_store_problems is above 0, and VerifyStore lists
//     what is wrong.
//   - The service is away: spools grow. Nothing is lost and no statement waits.
//
// # To debug
//
// VerifyStore reads every byte. Segment files are self-describing; package chain
// has the format. scopewire_audit_events_total tells stored from duplicate,
// damaged and gap.
package audit
