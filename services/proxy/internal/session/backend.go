package session

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// wantWhole lists the backend messages that are looked into. All others are
// forwarded without being held.
func (s *Session) wantWhole(typ byte) bool {
	if s.injected() != nil {
		return true
	}
	switch typ {
	case wire.ErrorResponse, wire.NoticeResponse, wire.ReadyForQuery, wire.ParameterStatus, wire.CommandComplete:
		return true
	default:
		return false
	}
}

var errServerClosed = errors.New("the server closed the session")

// backend reads the server until the session ends.
func (s *Session) backend() End {
	for {
		it, err := s.scanner.Next()
		if err != nil {
			return s.serverFailed(err)
		}
		if err := s.answerItem(it); err != nil {
			return s.serverFailed(err)
		}
	}
}

// serverFailed says how the session ends when the server side does.
func (s *Session) serverFailed(err error) End {
	_ = s.flushClient()
	switch {
	case s.isLeaving():
		return EndClosed
	case errors.Is(err, errClientGone):
		return EndClientGone
	case errors.Is(err, errAmidData):
		s.violation(err)
		return EndProtocolViolation
	case errors.Is(err, errServerClosed):
		s.told = true
		return EndBackendGone
	case errors.Is(err, stmt.ErrDesync), errors.Is(err, wire.ErrMalformed):
		s.Logger.Error("the server's answers are not understood", "error", err)
		return EndInternal
	default:
		return EndBackendGone
	}
}

var errClientGone = errors.New("the client is gone")

// toClientBytes forwards bytes to the client. A client that has said goodbye may
// be gone; what is left for it is dropped.
func (s *Session) toClientBytes(b []byte) error {
	s.partial = !s.scanner.AtBoundary()
	if _, err := s.toClient.Write(b); err != nil && !s.isLeaving() {
		return errClientGone
	}
	return nil
}

func (s *Session) flushClient() error {
	if err := s.toClient.Flush(); err != nil && !s.isLeaving() {
		return errClientGone
	}
	return nil
}

// answerItem handles one message, or a part of one, from the server.
func (s *Session) answerItem(it wire.Item) error {
	switch it.Type {
	case 0:
		return s.toClientBytes(it.Bytes)
	case wire.NoticeResponse, wire.ParameterStatus, wire.NotificationResponse:
		// They come at any time and answer nothing.
	default:
		if q := s.injected(); q != nil {
			return s.answerQuestion(q, it)
		}
	}
	switch it.Type {
	case wire.ErrorResponse:
		return s.errorResponse(it)
	case wire.NoticeResponse:
		f, ok := pgerr.Decode(it.Body)
		if !ok {
			return fmt.Errorf("%w: notice", wire.ErrMalformed)
		}
		return s.sendNotice(s.names.Front(), it, f)
	case wire.ParameterStatus:
		return s.parameterStatus(it)
	case wire.ReadyForQuery:
		return s.readyForQuery(it)
	case wire.ParseComplete, wire.BindComplete, wire.CloseComplete, wire.NoData, wire.RowDescription,
		wire.ParameterDescription, wire.DataRow, wire.CommandComplete, wire.EmptyQueryResponse, wire.PortalSuspended,
		wire.CopyInResponse, wire.CopyOutResponse, wire.CopyData, wire.CopyDone, wire.FunctionCallResponse:
		o, done, err := s.names.Answer(it.Type, 0)
		if err != nil {
			return err
		}
		s.completed(o, it.Type)
		note(o, it)
		if done {
			s.hush(o)
			s.answered(o)
		}
		return s.toClientBytes(it.Bytes)
	case wire.NotificationResponse:
		// It carries what somebody notified on a channel that a LISTEN was let through
		// for.
		return s.toClientBytes(it.Bytes)
	default:
		// COPY in both directions is a replication connection's, and authentication is
		// over.
		return fmt.Errorf("%w: message %q", stmt.ErrDesync, it.Type)
	}
}

func (s *Session) send(m pgproto3.BackendMessage) error {
	b, err := m.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode message to the client: %w", err)
	}
	return s.toClientBytes(b)
}

// errorResponse answers with the denial where the error is ours, and with what the
// server said otherwise.
func (s *Session) errorResponse(it wire.Item) error {
	f, ok := pgerr.Decode(it.Body)
	if !ok {
		return fmt.Errorf("%w: error response", wire.ErrMalformed)
	}
	if f.Severity == "FATAL" || f.Severity == "PANIC" {
		noteError(s.names.Front(), f)
		if err := s.sendError(s.names.Front(), it, f); err != nil {
			return err
		}
		return errServerClosed
	}
	failed := s.names.Failed()
	// Before whoever waits for the answer winds up.
	expired := s.expired(f)
	o, done, err := s.names.Answer(wire.ErrorResponse, 0)
	if err != nil {
		return err
	}
	noteError(o, f)
	if done {
		s.hush(o)
		s.answered(o)
	}
	if att, ok := o.Attachment.(*attachment); ok && att.answer != nil && quotes(f, pgerr.SyntaxError, att.answer) {
		if failed && att.answer.afterAbort {
			return s.send(pgerr.Aborted())
		}
		return s.send(att.answer.response)
	}
	if expired {
		return s.send(s.missingToken().response)
	}
	if f.SQLState == pgerr.QueryCanceled && s.watched.stopped(o) {
		return s.send(pgerr.OverTime())
	}
	a := s.cutBy.Load()
	if a == nil || !quotes(f, pgerr.QueryCanceled, a) {
		return s.sendError(o, it, f)
	}
	if err := s.send(a.response); err != nil || !a.ends {
		return err
	}
	return errAmidData
}

// quotes reports whether an error is the server's about the text of an answer.
func quotes(f pgerr.Fields, sqlstate string, a *answer) bool {
	return f.SQLState == sqlstate && strings.Contains(f.Message, a.text)
}

// parameterStatus watches the settings on which reading SQL depends.
func (s *Session) parameterStatus(it wire.Item) error {
	var m pgproto3.ParameterStatus
	if err := m.Decode(it.Body); err != nil {
		return fmt.Errorf("%w: parameter status", wire.ErrMalformed)
	}
	switch m.Name {
	case "standard_conforming_strings":
		if m.Value != "on" {
			return fmt.Errorf("%w: standard_conforming_strings was turned off", stmt.ErrDesync)
		}
	case "client_encoding":
		if m.Value != "UTF8" && m.Value != "SQL_ASCII" {
			return fmt.Errorf("%w: client_encoding was changed", stmt.ErrDesync)
		}
	case "server_encoding":
		if m.Value != "UTF8" {
			return fmt.Errorf("%w: server_encoding is not UTF8", stmt.ErrDesync)
		}
	case "search_path", "session_authorization", "is_superuser":
		// search_path is reported from PostgreSQL 18 on. Whatever changed it, the next
		// decision asks.
		s.disturbed.Store(true)
	default:
		// The others change how values look, not what statements mean.
	}
	return s.toClientBytes(it.Bytes)
}

func (s *Session) readyForQuery(it wire.Item) error {
	if len(it.Body) != 1 {
		return fmt.Errorf("%w: ReadyForQuery", wire.ErrMalformed)
	}
	o, err := s.settled(it.Body[0])
	if err != nil {
		return err
	}
	s.hush(o)
	s.answered(o)
	if it.Body[0] == wire.StatusIdle {
		s.hushed = false
		s.committed()
		s.moving = false
	}
	if s.names.InFlight() == 0 {
		s.tx.ready(it.Body[0])
	}
	if err := s.tellOfExpiry(); err != nil {
		return err
	}
	defer s.rested(it.Body[0])
	return s.toClientBytes(it.Bytes)
}
