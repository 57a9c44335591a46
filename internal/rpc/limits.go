package rpc

import "time"

// Limits of the transport. gRPC's defaults are 4 MiB for a message, 16 MiB for
// a header list and no bound on streams; each is a lever for whoever can
// connect.
const (
	// StatementLimit is the default limit of a statement's text in bytes.
	StatementLimit = 1 << 20
	// MessageOverhead is the room beside the statement's text in a message.
	MessageOverhead = 64 << 10
	// DefaultReceiveLimit bounds a received message where the caller of this
	// package names no other limit, in bytes.
	DefaultReceiveLimit = StatementLimit + MessageOverhead
	// AuthorizeLimit bounds a message to the authorization service: a statement, and what
	// the session's backend says of its own objects (probe.AnswerLimit).
	AuthorizeLimit = DefaultReceiveLimit + 4<<20
	// maxReceiveLimit is the largest limit that may be asked for: 16 MiB of
	// statement, which is the most a configuration may allow, and its overhead.
	maxReceiveLimit = 16<<20 + MessageOverhead

	headerListLimit      = 16 << 10
	maxConcurrentStreams = 256

	// handshakeTimeout bounds TLS and the HTTP/2 preface of one connection.
	handshakeTimeout = 10 * time.Second

	// The server pings a silent client; a client that pings more often than
	// serverMinPing is disconnected (GOAWAY too_many_pings).
	serverPing        = 20 * time.Second
	serverPingTimeout = 5 * time.Second
	serverMinPing     = 5 * time.Second

	// 10 s is the least grpc-go lets a client ping at.
	clientPing        = 10 * time.Second
	clientPingTimeout = 5 * time.Second

	defaultConnectionAge = 30 * time.Minute
	connectionAgeGrace   = time.Minute
	defaultDrain         = 5 * time.Second

	reconnectBase    = 50 * time.Millisecond
	reconnectMax     = time.Second
	reconnectFactor  = 1.6
	reconnectJitter  = 0.2
	reconnectTimeout = 2 * time.Second

	defaultReload = 10 * time.Second
	// nearEnd is the part of its life that a certificate is warned of in.
	nearEnd = 3
)
