// Package ingest takes batches of audit records from proxies and has them
// stored.
//
// # Whose records
//
// A batch says which instance it comes from, and where the caller's certificate
// names an instance (spiffe://scopewire/proxy/<instance>), the two must be
// equal: no proxy can write into another's history. A certificate without an
// instance, shared by all proxies, and an in-process or insecure loopback
// caller may name any: there the instance is a claim, as trustworthy as whoever
// holds the certificate.
//
// # Answers
//
// A stream's batches are stored one after the other and acknowledged in order;
// streams are stored together (one fsync). INVALID_ARGUMENT means that the batch
// breaks the contract and the same batch will never be taken; UNAVAILABLE, that
// it is not known to be durable and should be sent again on a new stream.
package ingest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/audit/internal/store"
)

// Limits of the contract.
const (
	// RecordLimit bounds a record, in bytes.
	RecordLimit = 1 << 20
	// BatchLimit bounds the records of a batch together, in bytes.
	BatchLimit = 4 << 20
	// recordsLimit and lostLimit bound what a batch can make of small things: an
	// empty record takes two bytes on the wire and two hundred in the store.
	recordsLimit = 1 << 14
	lostLimit    = 1 << 10
	// ReceiveLimit is the size of the largest valid AppendRequest: the records,
	// at most 5 bytes around each, and the rest.
	ReceiveLimit = BatchLimit + 5*recordsLimit + 24*lostLimit + 4096
)

// Store stores batches; *store.Store does. Safe for concurrent use.
type Store interface {
	// Append returns when the batch is durable.
	Append(context.Context, store.Batch) (store.Result, error)
	// Stopped is closed when no more batches are taken.
	Stopped() <-chan struct{}
}

// Deps is what a Server is made with. All are needed.
type Deps struct {
	Store     Store
	Clock     sys.Clock
	Log       *slog.Logger
	Telemetry *telemetry.Telemetry
}

// Server implements AuditIngestService.
type Server struct {
	auditv1.UnimplementedAuditIngestServiceServer
	deps     Deps
	events   telemetry.Counter
	duration telemetry.BoundHistogram
	readers  sync.WaitGroup
}

// New makes a Server.
func New(deps Deps) *Server {
	return &Server{
		deps:     deps,
		events:   deps.Telemetry.Counter(telemetry.AuditEventsTotal),
		duration: deps.Telemetry.Histogram(telemetry.AuditAppendDuration).With(),
	}
}

// Wait returns when nothing of any stream runs any more. Call it when the
// server has stopped.
func (s *Server) Wait() { s.readers.Wait() }

type received struct {
	req *auditv1.AppendRequest
	err error
}

// Append implements AuditIngestService.
func (s *Server) Append(stream grpc.BidiStreamingServer[auditv1.AppendRequest, auditv1.AppendResponse]) error {
	ctx := stream.Context()
	// Reading is a goroutine of its own, so that a stream on which nothing comes
	// does not hold up a stop. It ends with the stream.
	next := make(chan received)
	s.readers.Go(func() {
		for {
			req, err := stream.Recv()
			select {
			case next <- received{req, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	caller := rpc.Caller(ctx)
	for {
		select {
		case <-s.deps.Store.Stopped():
			return status.Error(codes.Unavailable, "the audit service is stopping")
		case r := <-next:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			durable, err := s.append(ctx, caller, r.req)
			if err != nil {
				return err
			}
			if err := stream.Send(&auditv1.AppendResponse{BatchId: r.req.GetBatchId(), DurableSequence: durable}); err != nil {
				return err
			}
		}
	}
}

// append stores one batch.
func (s *Server) append(ctx context.Context, caller rpc.Identity, req *auditv1.AppendRequest) (durable uint64, err error) {
	start := s.deps.Clock.Now()
	batch, err := read(caller, req)
	if err != nil {
		return 0, err
	}
	ctx, span := s.deps.Telemetry.Start(ctx, telemetry.SpanAuditAppend, telemetry.AttrRecords.Int(len(batch.Items)))
	defer span.End()
	result, err := s.deps.Store.Append(ctx, batch)
	switch {
	case errors.Is(err, store.ErrInvalid):
		return 0, status.Error(codes.InvalidArgument, err.Error())
	case err != nil:
		// The store has logged why; the proxy needs to know only what to do.
		return 0, status.Error(codes.Unavailable, "the batch is not durable, send it again")
	}
	s.count(ctx, &batch, result)
	s.duration.Observe(s.deps.Clock.Now().Sub(start))
	return result.Durable, nil
}

func (s *Server) count(ctx context.Context, batch *store.Batch, r store.Result) {
	for _, c := range []struct {
		label string
		n     int
	}{{"stored", r.Stored}, {"duplicate", r.Duplicates}, {"damaged", r.Damaged}, {"gap", r.Gaps}} {
		if c.n > 0 {
			s.events.With(c.label).Add(int64(c.n))
		}
	}
	if r.Gaps > 0 {
		s.deps.Log.WarnContext(ctx, "audit records are missing or damaged", "proxy", batch.Instance,
			"gaps", r.Gaps, "damaged", r.Damaged, "durable_sequence", r.Durable)
	}
}

// read checks a request against the contract.
func read(caller rpc.Identity, req *auditv1.AppendRequest) (store.Batch, error) {
	invalid := func(why string) (store.Batch, error) {
		return store.Batch{}, status.Error(codes.InvalidArgument, why)
	}
	if caller.Instance != "" && caller.Instance != req.GetInstance() {
		return store.Batch{}, status.Error(codes.PermissionDenied, "the batch is of another instance than the certificate")
	}
	switch {
	case !rpc.IsInstance(req.GetInstance()):
		return invalid("the instance's name has letters, digits, dots, hyphens and underscores only")
	case len(req.GetSpoolEpoch()) != 16:
		return invalid("the spool's epoch has 16 bytes")
	case len(req.GetRecords()) > recordsLimit:
		return invalid("the batch has too many records")
	case len(req.GetLost()) > lostLimit:
		return invalid("the batch has too many lost ranges")
	}
	batch := store.Batch{
		Instance: req.GetInstance(), Epoch: [16]byte(req.GetSpoolEpoch()), First: req.GetFirstSequence(),
		Items: make([]store.Item, len(req.GetRecords())), Lost: make([]store.Span, len(req.GetLost())),
	}
	for i, l := range req.GetLost() {
		batch.Lost[i] = store.Span{First: l.GetFirst(), Last: l.GetLast()}
	}
	size := 0
	var event auditv1.Event
	for i, record := range req.GetRecords() {
		if len(record) > RecordLimit {
			return invalid("a record is too large")
		}
		size += len(record)
		batch.Items[i] = item(record, &event, &batch, batch.First+uint64(i)) //nolint:gosec // G115: an index.
	}
	if size > BatchLimit {
		return invalid("the batch is too large")
	}
	return batch, nil
}

// item decides whether a record is an event: only what names itself as the
// spool does. Unknown fields, types and versions are events; a newer proxy may
// write them. event is room to decode in, overwritten.
func item(record []byte, event *auditv1.Event, batch *store.Batch, sequence uint64) store.Item {
	damaged := func(why string) store.Item { return store.Item{Payload: record, Damage: why} }
	if err := proto.Unmarshal(record, event); err != nil {
		return damaged("it does not decode")
	}
	origin := event.GetOrigin()
	switch {
	case event.GetSchemaVersion() == 0:
		return damaged("it has no schema version")
	case len(event.GetEventId()) != 16 || [16]byte(event.GetEventId()) == [16]byte{}:
		return damaged("it has no event id")
	case origin.GetInstance() != batch.Instance || string(origin.GetSpoolEpoch()) != string(batch.Epoch[:]) || origin.GetSequence() != sequence:
		return damaged("its origin is not its place in the spool")
	}
	return store.Item{Payload: record, EventID: [16]byte(event.GetEventId())}
}
