// Package verify turns an access token into a principal, or into a refusal.
//
// A token is a JWT in JWS compact form with one signature (RFC 7515 section
// 7.1), by the profile of RFC 9068. Verify goes from cheap to dear and from
// form to meaning:
//
//  1. size and the number of dots, before anything is decoded;
//  2. the header: strict JSON, an algorithm, no critical extension;
//  3. the claims: strict JSON, the issuer compared exactly with the configured
//     ones; the issuer says which keys, algorithms and audiences count;
//  4. the key by the header's kid in that issuer's set alone; what a header
//     brings along or points at (jwk, jku, x5c, x5u) is never looked at;
//  5. the signature, by an algorithm that is on the issuer's list and agrees
//     with the key's type, curve, `alg` and `use`;
//  6. type, audience, times, subject, binding, actors and scopes.
//
// Nothing in a refusal is taken from the token's text, and no part of a token is
// ever in an error.
//
// # Keys
//
// Each issuer has one key set, found by discovery (OpenID Connect Discovery 1.0
// section 4, RFC 8414 section 3), at a given address, or in a file. Run fetches
// it again every five minutes; a token whose kid is unknown fetches it at most
// once in thirty seconds, however many such tokens come. A set that cannot be
// fetched or read leaves the last good one in force until that is an hour old;
// then every token of the issuer is refused, those that were verified before
// included (see Holds).
//
// The package is the only importer of jwx, which it uses for two things: to read
// the numbers of a JSON Web Key, and to check a signature over bytes. JSON,
// headers, claims and key choice are its own, since each of them has had a
// published hole in some JWT library.
package verify
