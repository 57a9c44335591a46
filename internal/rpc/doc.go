// Package rpc is the one place that makes gRPC servers and clients, so that
// every service has the same transport security, limits, keepalive and
// authorisation of callers.
//
// A service makes a Server, registers its implementation and calls Serve with
// the listeners it wants; a consumer calls Dial. Both sides of one process meet
// over a Pipe, which is the same gRPC without a socket.
//
// # Who is on the other side
//
// Between processes there is mutual TLS 1.3. A certificate names its holder by
// one URI SAN,
//
//	spiffe://scopewire/<role>
//	spiffe://scopewire/<role>/<instance>
//
// and the server's Matrix says which roles may call which method. A caller
// without such a name, a role that is not in a method's row, and a method
// without a row get PERMISSION_DENIED; so does whatever a service added since
// forgot to list, because denying is the default and not a case. A client also
// states the role it means to reach, and hangs up on any other: a proxy's
// certificate cannot pose as authz.
//
// Two transports carry no certificate: the Pipe, whose peer is this process,
// and, where the configuration says insecure_loopback, a loopback or unix
// socket. Their callers have the role Local, which every row admits. A
// plaintext connection from or to any other address is closed before a byte of
// it is read.
//
// # Certificates
//
// Files are read again when a handshake happens and the last look is older
// than the reload interval. A set that does not load (half of a rotation) is
// logged and the last good one stays in use; it still expires by its own date.
// Sessions are never resumed, so every connection proves the identity again;
// MaxConnectionAge bounds how long a connection outlives a rotation, and no
// connection outlives the certificate that the other side showed at its start.
// The log says when less than a third of a certificate's life is left, and Expiry
// tells a gauge.
package rpc
