package session

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
)

// End is how a session ended. It is the label of the metric and the field of the
// log; the values are those of the metric's catalog.
type End string

// The ends.
const (
	// EndClosed: the client said Terminate.
	EndClosed End = "closed"
	// EndClientGone: the connection to the client broke.
	EndClientGone End = "client_gone"
	// EndProtocolViolation: the client sent a message that may not come, or that
	// nobody knows.
	EndProtocolViolation End = "protocol_violation"
	// EndBackendGone: the server ended the session, or its connection broke.
	EndBackendGone End = "backend_gone"
	// EndBackendHung: the server ran a statement for longer than it may, and did not stop
	// when it was cancelled.
	EndBackendHung End = "backend_hung"
	// EndTokenExpired: the token's life is over.
	EndTokenExpired End = "token_expired"
	// EndTokenRevoked: the token was revoked.
	EndTokenRevoked End = "token_revoked"
	// EndLimit: a message is over its limit.
	EndLimit End = "limit"
	// EndShutdown: the proxy stops.
	EndShutdown End = "shutdown"
	// EndInternal: the server's answers do not fit what was sent, or the session
	// has a bug.
	EndInternal End = "internal"
)

// farewell is what the client is told, nil for nothing.
func (e End) farewell() *pgproto3.ErrorResponse {
	switch e {
	case EndClosed, EndClientGone:
		return nil
	case EndProtocolViolation:
		return pgerr.Fatal(pgerr.ProtocolViolation, "protocol violation: the message is malformed or not known")
	case EndBackendGone:
		return pgerr.Fatal(pgerr.ConnectionFailure, "the connection to the database server was lost")
	case EndBackendHung:
		return pgerr.Fatal(pgerr.ConnectionFailure, "the database server does not answer, and the statement was over its time")
	case EndTokenExpired:
		return pgerr.Fatal(pgerr.InvalidAuthorization, "the access token has expired: connect again with a new one")
	case EndTokenRevoked:
		return pgerr.Fatal(pgerr.InvalidAuthorization, "the access token has been revoked")
	case EndLimit:
		return pgerr.Fatal(pgerr.ProgramLimitExceeded, "the message is longer than the limit")
	case EndShutdown:
		return pgerr.Fatal(pgerr.AdminShutdown, "terminating connection due to administrator command")
	case EndInternal:
		return pgerr.Fatal(pgerr.ConnectionFailure, "the session ended because of an internal error")
	default:
		return pgerr.Fatal(pgerr.ConnectionFailure, "the session ended")
	}
}
