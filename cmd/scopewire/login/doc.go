// Package login gets access tokens for people and programs from an OAuth
// authorization server.
//
//	metadata.go  where the server's endpoints are (RFC 8414, OpenID Connect
//	             Discovery), and which server a database is behind (RFC 9728)
//	device.go    the device flow (RFC 8628)
//	browser.go   code with PKCE and a loopback listener (RFC 8252, 7636, 9207)
//	token.go     tokens: refreshing, client_credentials, revocation (RFC 6749, 7009)
//	http.go      the one HTTP client: TLS, bounds, no redirects
//
// The flows are golang.org/x/oauth2's. What that library has no way to say is
// asked for here: a refresh that names the resource again (RFC 8707 section
// 2.2), and revocation.
//
// Answers of a server never are part of an error, but for the error codes that
// the RFCs define, and those only where they are the plain words they should be.
package login
