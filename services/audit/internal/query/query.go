// Package query answers questions about the audit store.
package query

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/audit/internal/chain"
	"github.com/scopewire/scopewire/services/audit/internal/store"
)

// Limits of an answer.
const (
	defaultPage = 50
	maxPage     = 1000
	// pageBytes bounds a page: one record may be 1 MiB, and a receiver's limit
	// must hold whatever the records are. A page has at least one record.
	pageBytes = 512 << 10
	// scanLimit bounds the records looked at for one page, matching or not. A
	// page may then be short, or empty, and still have a next one.
	scanLimit = 100_000
	// verifyEvery is how many records pass between two lines of progress.
	verifyEvery = 10_000
)

// ReceiveLimit is what a client must be ready to receive, in bytes: one event
// of the largest size, or a page, and what is around it.
const ReceiveLimit = chain.MaxPayload + pageBytes + maxPage*128

// Server implements AuditQueryService.
type Server struct {
	auditv1.UnimplementedAuditQueryServiceServer
	store *store.Store
}

// New makes a Server.
func New(s *store.Store) *Server { return &Server{store: s} }

// GetEvent implements AuditQueryService.
func (s *Server) GetEvent(_ context.Context, req *auditv1.GetEventRequest) (*auditv1.GetEventResponse, error) {
	if len(req.GetEventId()) != 16 {
		return nil, status.Error(codes.InvalidArgument, "a reference has 16 bytes")
	}
	f, err := s.store.Get([16]byte(req.GetEventId()))
	if err != nil {
		return nil, failure(err)
	}
	event, err := stored(&f)
	if err != nil {
		return nil, err
	}
	return &auditv1.GetEventResponse{Event: event}, nil
}

// ListEvents implements AuditQueryService.
func (s *Server) ListEvents(ctx context.Context, req *auditv1.ListEventsRequest) (*auditv1.ListEventsResponse, error) {
	filter, err := newFilter(req)
	if err != nil {
		return nil, err
	}
	before, err := readToken(req)
	if err != nil {
		return nil, err
	}
	size := int(min(req.GetPageSize(), maxPage))
	if size == 0 {
		size = defaultPage
	}
	resp := &auditv1.ListEventsResponse{}
	var inner error
	scanned, bytes := 0, 0
	last, more := before, false
	err = s.store.Backward(ctx, before, func(f *chain.Frame) bool {
		if len(resp.Events) == size || scanned == scanLimit || len(resp.Events) > 0 && bytes+len(f.Payload) > pageBytes {
			more = true
			return false
		}
		scanned++
		last = f.Sequence
		// A record that is no event is told of by the gap event behind it.
		if f.Kind == chain.Damaged {
			return true
		}
		var event *auditv1.StoredEvent
		if event, inner = stored(f); inner != nil {
			return false
		}
		if filter.matches(event.GetEvent()) {
			resp.Events = append(resp.Events, event)
			bytes += len(f.Payload)
		}
		return true
	})
	if inner != nil {
		return nil, inner
	}
	if err != nil {
		return nil, failure(err)
	}
	if more {
		resp.NextPageToken = makeToken(req, last)
	}
	return resp, nil
}

// TailEvents implements AuditQueryService. A receiver that is slow falls behind
// and misses nothing: events are read from the store, not from a queue.
func (s *Server) TailEvents(req *auditv1.TailEventsRequest, stream grpc.ServerStreamingServer[auditv1.TailEventsResponse]) error {
	ctx := stream.Context()
	after, _ := s.store.Head()
	// The header tells the caller that from here on nothing is missed.
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		if err := s.store.Wait(ctx, after); err != nil {
			return failure(err)
		}
		var inner error
		next, err := s.store.Forward(ctx, after, func(f *chain.Frame) error {
			if f.Kind == chain.Damaged {
				return nil
			}
			event, err := stored(f)
			if err == nil && ofType(req.GetTypes(), event.GetEvent()) {
				err = stream.Send(&auditv1.TailEventsResponse{Event: event})
			}
			inner = err
			return err
		})
		if inner != nil {
			return inner
		}
		if err != nil {
			return failure(err)
		}
		after = next
	}
}

// VerifyStore implements AuditQueryService.
func (s *Server) VerifyStore(_ *auditv1.VerifyStoreRequest, stream grpc.ServerStreamingServer[auditv1.VerifyStoreResponse]) error {
	told := uint64(0)
	problems, checked, err := s.store.Verify(stream.Context(), func(checked, total uint64) error {
		if checked < told+verifyEvery {
			return nil
		}
		told = checked
		return stream.Send(&auditv1.VerifyStoreResponse{Checked: checked, Total: total})
	})
	if err != nil {
		return failure(err)
	}
	return stream.Send(&auditv1.VerifyStoreResponse{Checked: checked, Total: checked, Done: true, Problems: problems})
}

// stored decodes a record.
func stored(f *chain.Frame) (*auditv1.StoredEvent, error) {
	event := &auditv1.Event{}
	if err := proto.Unmarshal(f.Payload, event); err != nil {
		return nil, status.Errorf(codes.DataLoss, "record %d does not decode", f.Sequence)
	}
	return &auditv1.StoredEvent{
		Event: event, StoreSequence: f.Sequence, StoredAt: timestamppb.New(time.UnixMicro(f.StoredMicros)), ChainHash: f.Hash[:],
	}, nil
}

// filter is a ListEventsRequest, checked.
type filter struct {
	types        []auditv1.EventType
	subject      string
	session      []byte
	since, until time.Time
}

func newFilter(req *auditv1.ListEventsRequest) (*filter, error) {
	f := &filter{types: req.GetTypes(), subject: req.GetSubject(), session: req.GetSessionId()}
	if n := len(f.session); n != 0 && n != 16 {
		return nil, status.Error(codes.InvalidArgument, "a session has 16 bytes")
	}
	for _, t := range []struct {
		from *timestamppb.Timestamp
		to   *time.Time
	}{{req.GetSince(), &f.since}, {req.GetUntil(), &f.until}} {
		if t.from == nil {
			continue
		}
		if err := t.from.CheckValid(); err != nil {
			return nil, status.Error(codes.InvalidArgument, "a time is out of range")
		}
		*t.to = t.from.AsTime()
	}
	return f, nil
}

func (f *filter) matches(e *auditv1.Event) bool {
	at := e.GetTime().AsTime()
	return ofType(f.types, e) &&
		// A refused login has no principal; whom it claimed is what one looks for.
		(f.subject == "" || f.subject == e.GetPrincipal().GetSubject() || e.GetPrincipal() == nil && f.subject == e.GetUnverifiedPrincipal().GetSubject()) &&
		(len(f.session) == 0 || string(f.session) == string(e.GetSessionId())) &&
		(f.since.IsZero() || !at.Before(f.since)) &&
		(f.until.IsZero() || at.Before(f.until))
}

func ofType(types []auditv1.EventType, e *auditv1.Event) bool {
	return len(types) == 0 || slices.Contains(types, e.GetType())
}

// A page token is the sequence the page ended at, and a digest of the request,
// so that a token cannot be used with another question.
const tokenSize = 8 + 8

func makeToken(req *auditv1.ListEventsRequest, last uint64) string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, last), question(req)...))
}

// readToken returns the sequence below which the page begins.
func readToken(req *auditv1.ListEventsRequest) (uint64, error) {
	if req.GetPageToken() == "" {
		return 1<<64 - 1, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil || len(b) != tokenSize || string(b[8:]) != string(question(req)) {
		return 0, status.Error(codes.InvalidArgument, "the page token is not of this question")
	}
	return binary.BigEndian.Uint64(b), nil
}

func question(req *auditv1.ListEventsRequest) []byte {
	bare := &auditv1.ListEventsRequest{
		Types: req.GetTypes(), Subject: req.GetSubject(), SessionId: req.GetSessionId(), Since: req.GetSince(), Until: req.GetUntil(),
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		// It came off the wire, so it can go back.
		panic("a request cannot be serialised: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return sum[:8]
}

func failure(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return status.Error(codes.NotFound, "there is no event with that reference")
	case errors.Is(err, store.ErrDamaged):
		return status.Error(codes.DataLoss, err.Error())
	case errors.Is(err, store.ErrStopped):
		return status.Error(codes.Unavailable, "the audit service is stopping")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	default:
		return status.Error(codes.Internal, "the store could not be read: "+err.Error())
	}
}
