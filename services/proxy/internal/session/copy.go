package session

import (
	"context"
	"errors"
	"fmt"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// COPY FROM STDIN turns the protocol over: from CopyInResponse to CopyDone or CopyFail
// the server takes what the client sends for data, ignores Flush and Sync, and ends
// the session at any other message (CopyGetData of copyfromparse.c; PostgresMain, where
// an error leaves a message half read). An error ends it at any time; data that is still
// under way is dropped then.
//
// So behind a message that may copy the next one waits until the server has said which
// of the two it is in. What the frontend cannot know is whether a COPY has failed in the
// meantime; of a Sync that comes then it takes that the server had still ignored it.

// kindCopy is the kind of statements that copy.
const kindCopy = "copy"

// copies reports whether the server may turn to COPY for statements. An authorizer that
// names no kind may mean any.
func copies(statements []*authzv1.Statement) bool {
	for _, st := range statements {
		if st.GetKind() == kindCopy || st.GetKind() == "" {
			return true
		}
	}
	return len(statements) == 0
}

// readsData reports whether the server reads the next message as part of a COPY FROM
// STDIN. It waits until that is known.
func (s *Session) readsData() (bool, error) {
	o := s.copying
	if o == nil {
		return false, nil
	}
	if s.names.MustAwaitCopy(o) {
		if o.Kind == stmt.Execute {
			if err := s.askForAnswers(); err != nil {
				return false, err
			}
		}
		if err := s.flushServer(); err != nil {
			return false, err
		}
	}
	reads, err := s.names.AwaitCopy(o)
	if !reads {
		s.copying = nil
	}
	return reads, err
}

// data handles a message while the server reads data.
func (s *Session) data(ctx context.Context, msg wire.Message) error {
	switch msg.Type {
	case wire.CopyData:
		return s.pass(msg)
	case wire.CopyDone, wire.CopyFail:
		s.endOfData()
		return s.pass(msg)
	case wire.Flush, wire.Sync:
		return nil
	default:
		return s.amidData(ctx, msg)
	}
}

// endOfData notes that the server is about to be told that no more data comes. An
// Execute is one statement, a Query may hold another COPY behind this one.
func (s *Session) endOfData() {
	s.names.EndCopy(s.copying)
	if s.copying.Kind == stmt.Execute {
		s.copying = nil
	}
}

// errAmidData is a message that may not come amid data.
var errAmidData = errors.New("a message amid the data of a COPY")

// amidData handles a message that may not come amid data: the server would fail the
// COPY and end the session, and so does the proxy. Had the COPY failed before, it is a
// message like any other.
func (s *Session) amidData(ctx context.Context, msg wire.Message) error {
	a := s.missing(pgerr.ProtocolViolation, fmt.Sprintf("unexpected message type 0x%02X during COPY from stdin", msg.Type))
	a.ends = true
	if err := s.cut(a); err != nil {
		return err
	}
	return s.message(ctx, msg)
}

// cut ends a COPY FROM STDIN with an answer for the client, by a CopyFail that carries
// its text, unless the server has ended it before. The backend goroutine tells the
// client.
func (s *Session) cut(a *answer) error {
	s.cutBy.Store(a)
	o := s.copying
	s.names.EndCopy(o)
	if _, err := s.toServer.Write(wire.AppendCopyFail(nil, a.text)); err != nil {
		return err
	}
	if err := s.flushServer(); err != nil {
		return err
	}
	if _, err := s.names.AwaitCopy(o); err != nil {
		return err
	}
	s.copying = nil
	s.cutBy.Store(nil)
	return nil
}

// pass writes a message to the server, part by part as it arrives.
func (s *Session) pass(msg wire.Message) error {
	if _, err := s.toServer.Write(msg.Raw); err != nil {
		return err
	}
	return s.passRest(msg)
}

// passRest writes what is still to come of a message.
func (s *Session) passRest(msg wire.Message) error {
	return s.rest(msg, func(part []byte) error {
		_, err := s.toServer.Write(part)
		return err
	})
}

// rest gives take what is still to come of a message.
func (s *Session) rest(msg wire.Message, take func([]byte) error) error {
	for taken := 0; taken < msg.More; {
		part, err := s.reader.Part()
		if err != nil && s.wakened() {
			s.late = true
			continue
		}
		if err != nil {
			return &clientError{err}
		}
		if err := take(part); err != nil {
			return err
		}
		taken += len(part)
	}
	return nil
}

// clientError is an error of reading from the client amid a message.
type clientError struct{ err error }

func (e *clientError) Error() string { return e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }
