// Package devissuer is a development OAuth issuer: enough of an authorization
// server for demos and tests to get access tokens over HTTPS exactly as from a
// real one.
//
// It serves discovery (OpenID Connect Discovery 1.0 section 4, RFC 8414
// section 3), a JSON Web Key Set with several keys that rotate on demand, and a
// token endpoint with the client_credentials grant (RFC 6749 section 4.4). Its
// access tokens follow RFC 9068: header typ at+jwt and the claims iss, sub, aud,
// exp, iat, jti, client_id and scope.
//
// Tokens are signed by go-jose and verified in Scopewire by another library, so
// that a mistake of one is not repeated by the other. It is no issuer for
// production: clients are a list in memory, keys die with the process, and Mint
// signs whatever it is asked to, which is how tests make wrong tokens.
package devissuer
