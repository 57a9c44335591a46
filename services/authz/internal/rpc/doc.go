// Package rpc serves the contract scopewire.authz.v1.AuthorizationService.
//
// It keeps no session. What it remembers, verified tokens by their SHA-256, can
// be lost: a proxy that asks with an unknown hash is told so and sends the token
// again.
//
// # One request
//
//  1. Ids, digest and unit are checked; what is malformed is denied.
//  2. The token is found by its hash, or verified when it came along. A token
//     stays known until it expires, on the monotonic clock, or until the key or
//     the issuer it was verified under is no longer trusted.
//  3. The facts are taken: policy, catalog snapshot and their epoch. Facts that
//     are too old, or behind the epoch that the proxy has seen, are fetched once
//     more; if that does not help, the answer is a refusal.
//  4. The session's context is checked: its login, its server's version, its
//     temporary relations.
//  5. Analysis says what the statements touch, policy says whether that is
//     granted, and the answer carries both.
//
// Every path that does not end in policy's allow ends in a denial or a refusal.
// A panic is a refusal too: hostile SQL must not end the process for everybody
// else, and nothing that broke can be trusted with an answer.
//
// # Streams
//
// Authorize reads requests and judges each in a goroutine of its own, so that a
// slow one does not hold up the others; how many run at once is bounded for a
// stream and for the process. Watch answers each numbered request at once, since
// only a round trip tells the proxy how old an answer is, and pushes epochs on
// every change and as a heartbeat. Both end when the service stops.
package rpc
