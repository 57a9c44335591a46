// Package authz is the service that decides: who may log in, and which
// statements may run.
//
// # Role
//
// It implements scopewire.authz.v1.AuthorizationService for proxies. It keeps no
// session, and any replica can answer any request. Three sources feed it:
//
//   - the policy file, read several times a second (package policyload); a file
//     that is broken leaves the policy before it in force, one that cannot be
//     read at all makes the replica refuse after a moment;
//   - the catalog of each database, read over a low-privilege login (package
//     snapshotter);
//   - the keys of the policy's issuers (package verify).
//
// Each policy and each catalog gets its number from the state (package state);
// the numbers are the epoch by which proxies know what is newest.
//
// # Lifecycle
//
//  1. New opens the state and builds everything; nothing runs yet, and Register
//     puts the service on a gRPC server.
//  2. Run reads policy, catalogs and keys, and keeps reading. Until all are
//     there, requests are refused and Ready says what is missing.
//  3. A changed policy first changes the accepted issuers, then comes into
//     force, then goes out to the watches as a new epoch.
//  4. When Run's context ends, streams end, what is under way is cancelled, and
//     the state is given up.
//
// # What fails how
//
//   - No policy, or one that cannot be read for MaxSourceAge: refused.
//   - A database's server is away: its catalog ages and its requests are refused.
//     Proxies stop using what they have cached, of every database, because the
//     age of a watch is that of the oldest source.
//   - An issuer is away: its keys serve for an hour, then its tokens are refused.
//   - A policy with issuers that cannot be configured: no token is accepted.
//   - The state cannot be written: what was numbered stays in force, what was not
//     does not come into force, and after MaxSourceAge everything is refused.
//   - Analysis fails: the request is refused, the process lives on.
//
// # How to debug
//
// /readyz says which source is missing. Every answer carries reason and detail,
// which the proxy writes into the audit event. The span scopewire.authorize has
// verdict, reason and policy revision of each request.
package authz
