package stmt_test

import (
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// effect is what a statement of the model does when it runs.
type effect int

const (
	plain effect = iota
	begin
	commit
	fails
	numEffects
)

// text is a statement of the model: each Parse has one of its own.
type text struct {
	id     int
	effect effect
}

// message is what the server of the model is sent.
type message struct {
	kind  stmt.Kind
	space stmt.Space
	name  string
	// source is the statement that a Bind names.
	source string
	// text is what a Parse or Query carries, nil where it does not parse.
	text *text
	// judged is what the tracker said that the message will run, nil for nothing.
	judged *text
	// refused makes the server fail at the message, as at a parameter that does
	// not convert, an interrupt or a deferred constraint.
	refused bool
	// suspends makes an Execute end with PortalSuspended.
	suspends bool
}

// answer is what the server of the model says.
type answer struct{ typ, status byte }

// server is the reference model of the extended protocol: PostgreSQL's
// documentation, "Message Flow", and tcop/postgres.c (exec_simple_query,
// exec_parse_message, exec_bind_message, exec_execute_message, PostgresMain). Where
// PostgreSQL may or may not drop a portal, the model keeps it.
type server struct {
	statements, portals map[string]*text
	explicit, failed    bool
	skipping            bool
	out                 []answer
	// ran is called with each message and the statement it used.
	ran func(message, *text)
}

func newServer(ran func(message, *text)) *server {
	return &server{statements: map[string]*text{}, portals: map[string]*text{}, ran: ran}
}

// known is as much of a name as the server looks at.
func known(name string) string {
	if len(name) > 63 {
		return name[:63]
	}
	return name
}

func (s *server) say(types ...byte) {
	for _, t := range types {
		s.out = append(s.out, answer{typ: t})
	}
}

func (s *server) ready() {
	status := byte(wire.StatusIdle)
	if s.failed {
		status = wire.StatusFailed
	} else if s.explicit {
		status = wire.StatusActive
	}
	s.out = append(s.out, answer{wire.ReadyForQuery, status})
}

// abort ends the implicit transaction or breaks the explicit one.
func (s *server) abort() {
	s.say(wire.ErrorResponse)
	if s.explicit {
		s.failed = true
		return
	}
	clear(s.portals)
}

func (s *server) end() {
	s.explicit, s.failed = false, false
	clear(s.portals)
}

// run carries out a statement and reports whether it succeeded.
func (s *server) run(t *text) bool {
	switch {
	case t.effect == fails, s.failed && t.effect != commit:
		return false
	case t.effect == begin:
		s.explicit = true
	case t.effect == commit:
		s.end()
	}
	return true
}

// receive handles one message.
func (s *server) receive(m message) {
	switch {
	case m.kind == stmt.Sync:
		s.skipping = false
		if !s.explicit {
			if m.refused {
				s.abort()
			}
			clear(s.portals)
		}
		s.ready()
		return
	case s.skipping:
		return
	case m.kind == stmt.Query:
		s.query(m)
		return
	}
	if !s.extended(m) {
		s.abort()
		s.skipping = true
	}
}

func (s *server) query(m message) {
	delete(s.statements, "")
	switch {
	case m.text == nil:
		s.abort()
	default:
		delete(s.portals, "")
		s.ran(m, m.text)
		if s.run(m.text) && !m.refused {
			s.say(wire.CommandComplete)
			if !s.explicit {
				clear(s.portals)
			}
		} else {
			s.abort()
		}
	}
	s.ready()
}

// extended handles a message of the extended protocol; false is an error.
func (s *server) extended(m message) bool {
	names := s.statements
	if m.space == stmt.Portals {
		names = s.portals
	}
	name := known(m.name)
	switch m.kind {
	case stmt.Parse:
		if name == "" {
			delete(s.statements, "")
		}
		if m.refused || m.text == nil || s.failed && m.text.effect != commit {
			return false
		}
		if _, taken := s.statements[name]; taken {
			return false
		}
		s.statements[name] = m.text
		s.say(wire.ParseComplete)
	case stmt.Bind:
		t, ok := s.statements[known(m.source)]
		if !ok || s.failed && t.effect != commit {
			return false
		}
		s.ran(m, t)
		if _, taken := s.portals[name]; taken && name != "" {
			return false
		}
		// A portal whose Bind fails was never started and cannot be run.
		delete(s.portals, name)
		if m.refused {
			return false
		}
		s.portals[name] = t
		s.say(wire.BindComplete)
	case stmt.Describe:
		t, ok := names[name]
		if !ok || m.refused {
			return false
		}
		s.ran(m, t)
		if m.space == stmt.Statements {
			s.say(wire.ParameterDescription)
		}
		s.say(wire.RowDescription)
	case stmt.Execute:
		t, ok := s.portals[name]
		if !ok {
			return false
		}
		s.ran(m, t)
		s.say(wire.DataRow)
		if m.refused || !s.run(t) {
			return false
		}
		if m.suspends && t.effect == plain {
			s.say(wire.PortalSuspended)
		} else {
			s.say(wire.CommandComplete)
		}
	case stmt.Close:
		delete(names, name)
		s.say(wire.CloseComplete)
	}
	return true
}
