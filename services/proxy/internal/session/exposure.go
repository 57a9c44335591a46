package session

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// What the server says in errors and notices reaches the client untouched where the
// decisions allow it, and in closed form else. One message can speak of what another
// did: a deferred constraint fails at COMMIT or at the Sync that ends a pipeline, a
// cursor's query at FETCH. So nothing is open in a transaction once one of its
// messages was closed. These methods belong to the goroutine that reads the server.

// exposed reports whether what the server says in answer to a message, nil for what
// answers none, may reach the client untouched.
func (s *Session) exposed(o *op) bool {
	if o == nil || o.Substituted || o.Injected || s.hushed {
		return false
	}
	if att, ok := o.Attachment.(*attachment); ok {
		return att.decision != nil && att.decision.Open
	}
	return o.Kind == stmt.Sync || o.Kind == stmt.Close
}

// hush remembers a message of the transaction that was closed.
func (s *Session) hush(o *op) {
	if att, ok := o.Attachment.(*attachment); ok && att.decision != nil && !att.decision.Open {
		s.hushed = true
	}
}

// sendError tells the client of the server's error, whole or in closed form.
func (s *Session) sendError(o *op, it wire.Item, f pgerr.Fields) error {
	if s.exposed(o) {
		return s.toClientBytes(it.Bytes)
	}
	return s.send(pgerr.Closed(f))
}

// sendNotice does the same for a notice.
func (s *Session) sendNotice(o *op, it wire.Item, f pgerr.Fields) error {
	if s.exposed(o) {
		return s.toClientBytes(it.Bytes)
	}
	n := pgproto3.NoticeResponse(*pgerr.Closed(f))
	return s.send(&n)
}
