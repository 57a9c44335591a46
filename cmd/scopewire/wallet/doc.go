// Package wallet keeps what a person is logged in with: profiles and their
// tokens.
//
// A profile is a file NAME.json of the wallet's directory and holds no secret but
// the names of some. Its tokens are in the desktop's keyring or, where there is
// none or the person wants it so, in NAME.tokens.json of mode 0600. NAME.lock is
// held by whoever renews them: refresh tokens are used once, and two processes that
// used the same one would end the login (RFC 9700 section 4.14.2).
//
// The directory and its files are the user's alone; a wallet that others can read
// is not used.
package wallet
