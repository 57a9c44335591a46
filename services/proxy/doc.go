// Package proxy is scopewire-proxy: the service that clients connect to and that
// stands alone between them and PostgreSQL.
//
// # Layers
//
//	startup   first byte to token: SSLRequest, TLS, StartupMessage, password
//	upstream  the backend's session, opened by pgconn and taken over
//	session   one open session: judge, forward, substitute, rewrite errors
//	stmt      which answer belongs to which message; what names stand for
//	decide    decisions from authz, and how long they hold
//	spool     audit events on disk, and their way to the audit service
//	record    what an event says
//	cancel    cancel keys of the proxy's own
//	pgerr     every ErrorResponse that the proxy makes
//	wire      framing
//
// # A connection's life
//
//  1. accept; an absolute login deadline is set on the connection.
//  2. startup.Negotiate: TLS, parameters, token. A CancelRequest ends here.
//  3. The startup parameters are held against the allow-list.
//  4. authz Authenticate: principal, login, lifetime. A refusal is recorded, then
//     told.
//  5. upstream.Connect under the login; the session context is learned.
//  6. The login is recorded; the client gets AuthenticationOk, the parameter
//     statuses, a cancel key of the proxy's and ReadyForQuery.
//  7. session.Run, until one of the ends in session.End.
//  8. The logout is recorded, the key forgotten, the token wiped.
//
// # States of a session
//
// The proxy keeps no state machine of the protocol beyond stmt.Tracker: each
// answer of the server either fits the oldest unanswered message or ends the
// session. The transaction state is the server's, read from ReadyForQuery.
//
// # What can fail
//
// authz gone: statements are refused with 57P03, none is forwarded, sessions
// stay; prepared statements are used for no longer than the staleness bound.
// audit gone: events stay in the spool; statements go on until it is full, and are
// then refused with 53100. The server gone: the session ends with 08006. A bug in
// one session's goroutine ends that session.
//
// # The end
//
// SIGTERM: readiness is false and the listeners are closed at once. Logins under way and
// transactions come to their ends, idle sessions end with 57P01, and what is left after
// limits.drain is cut off. Then the spool has a moment to deliver its events.
//
// # How to debug
//
// One log line when a session starts and one when it ends, with its id and its
// end. `scopewire audit list` shows what was decided, and each event carries the
// trace id. /metrics has the rates; a refusal's class says which part failed.
package proxy
