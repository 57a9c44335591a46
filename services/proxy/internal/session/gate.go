package session

import (
	"errors"
	"sync"
)

// gate stands in front of the server's connection. Deadlines alone do not end a session
// at a moment: a write that has passed them may still be under way. Behind shut there is
// none.
type gate struct {
	Backend

	mu     sync.Mutex
	closed bool
}

var errShut = errors.New("the session's token has been revoked")

// Write forwards bytes, unless the gate is shut.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, errShut
	}
	return g.Backend.Write(b)
}

// shut lets nothing through from the moment on at which it returns. A write that waits
// for the server has to be ended by its deadline before.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// Revoke ends the session because its token has been revoked. When it returns nothing
// more is forwarded. Safe for concurrent use.
func (s *Session) Revoke() {
	s.finish(EndTokenRevoked)
	s.gate.shut()
}
