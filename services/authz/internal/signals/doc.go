// Package signals takes security events from issuers: a receiver of the OpenID Shared
// Signals Framework 1.0, by push over HTTPS (RFC 8935).
//
// A request goes through:
//
//  1. the bearer secret of one configured transmitter, before the body is read;
//  2. that transmitter's rate;
//  3. the form: method, path, media type, at most 16 KiB;
//  4. the security event token (RFC 8417): signed by a key of that transmitter, for our
//     audience (package verify);
//  5. whose sessions are revoked (CAEP session-revoked): a subject of an issuer for which
//     the transmitter may speak.
//
// The answer is 202 once the revocation is durable, and for events that ask for nothing.
// What comes again is answered alike and changes nothing: a revocation is about what was
// issued until the event. An event that cannot be kept is 503, and the transmitter sends
// it again (RFC 8935 section 2.4). What is wrong with one is said by the codes of RFC
// 8935, and in the log.
package signals
