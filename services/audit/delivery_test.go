package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

func TestAppendAndGet(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	acks, err := send(t, s, request(1, 3), request(4, 2), request(1, 5))
	if err != nil {
		t.Fatal(err)
	}
	want := []*auditv1.AppendResponse{{BatchId: 1, DurableSequence: 3}, {BatchId: 4, DurableSequence: 5}, {BatchId: 1, DurableSequence: 5}}
	if diff := cmp.Diff(want, acks, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	check := func(s served) {
		for n := uint64(1); n <= 5; n++ {
			got, err := s.query.GetEvent(deadline(t), &auditv1.GetEventRequest{EventId: eventID(n)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(event(n), got.Event.Event, protocmp.Transform()); diff != "" || got.Event.StoreSequence != n || len(got.Event.ChainHash) != 32 {
				t.Errorf("%v\n%s", got.Event, diff)
			}
		}
		if _, err := s.query.GetEvent(deadline(t), &auditv1.GetEventRequest{EventId: eventID(6)}); status.Code(err) != codes.NotFound {
			t.Error(err)
		}
		if _, err := s.query.GetEvent(deadline(t), &auditv1.GetEventRequest{EventId: []byte("short")}); status.Code(err) != codes.InvalidArgument {
			t.Error(err)
		}
	}
	check(s)
	s.stop()
	if !strings.Contains(s.log.String(), "audit store is open") {
		t.Error(s.log)
	}
	s = serve(t, dir)
	check(s)
	if acks, err := send(t, s, request(1, 6)); err != nil || acks[0].DurableSequence != 6 {
		t.Errorf("%v, %v", acks, err)
	}
	if got, _ := list(t, s, &auditv1.ListEventsRequest{}); len(got) != 6 {
		t.Errorf("%d events after redelivery", len(got))
	}
}

func TestBadRecordsAreKept(t *testing.T) {
	s := serve(t, t.TempDir())
	r := request(1, 5)
	r.Records[1] = []byte{0xff, 0xff}
	foreign := event(3)
	foreign.Origin.Instance = "us-1"
	r.Records[2], _ = proto.Marshal(foreign)
	nameless := event(4)
	nameless.EventId = nil
	r.Records[3], _ = proto.Marshal(nameless)
	if acks, err := send(t, s, r); err != nil || acks[0].DurableSequence != 5 {
		t.Fatalf("%v, %v", acks, err)
	}
	got, _ := list(t, s, &auditv1.ListEventsRequest{})
	var lines []string
	for _, e := range got {
		lines = append(lines, fmt.Sprintf("%d %s %s", e.StoreSequence, e.Event.Type, e.Event.ReasonDetail))
	}
	want := []string{
		"8 EVENT_TYPE_STATEMENT_DENIED ",
		"7 EVENT_TYPE_GAP record 4 of the spool is kept as it is, but is no event: it has no event id",
		"5 EVENT_TYPE_GAP record 3 of the spool is kept as it is, but is no event: its origin is not its place in the spool",
		"3 EVENT_TYPE_GAP record 2 of the spool is kept as it is, but is no event: it does not decode",
		"1 EVENT_TYPE_STATEMENT_DENIED ",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	s.stop()
	if !strings.Contains(s.log.String(), "missing or damaged") {
		t.Error(s.log)
	}
}

// A newer proxy may write types, versions and fields that this version does not
// know: they are events, and come back as they were.
func TestNewerEventsAreKept(t *testing.T) {
	s := serve(t, t.TempDir())
	e := event(1)
	e.SchemaVersion, e.Type = 2, 99
	b, err := proto.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, 0xfa, 0x3f, 3, 'n', 'e', 'w') // field 1023, length-delimited
	r := request(1, 0)
	r.Records = [][]byte{b}
	if _, err := send(t, s, r); err != nil {
		t.Fatal(err)
	}
	got, err := s.query.GetEvent(deadline(t), &auditv1.GetEventRequest{EventId: eventID(1)})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := proto.Marshal(got.Event.Event); err != nil || !bytes.Equal(back, b) {
		t.Errorf("%x came back as %x, %v", b, back, err)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	s := serve(t, t.TempDir())
	for name, change := range map[string]func(*auditv1.AppendRequest){
		"no instance":      func(r *auditv1.AppendRequest) { r.Instance = "" },
		"odd instance":     func(r *auditv1.AppendRequest) { r.Instance = "a\nb" },
		"no epoch":         func(r *auditv1.AppendRequest) { r.SpoolEpoch = nil },
		"zero epoch":       func(r *auditv1.AppendRequest) { r.SpoolEpoch = make([]byte, 16) },
		"sequence 0":       func(r *auditv1.AppendRequest) { r.FirstSequence = 0 },
		"wraps":            func(r *auditv1.AppendRequest) { r.FirstSequence = 1<<64 - 1 },
		"lost backwards":   func(r *auditv1.AppendRequest) { r.Lost = []*auditv1.SequenceRange{{First: 2, Last: 1}} },
		"lost nil":         func(r *auditv1.AppendRequest) { r.Lost = []*auditv1.SequenceRange{{}} },
		"record too large": func(r *auditv1.AppendRequest) { r.Records = [][]byte{make([]byte, 1<<20+1)} },
		"batch too large": func(r *auditv1.AppendRequest) {
			for range 5 {
				r.Records = append(r.Records, make([]byte, 1<<20))
			}
		},
		"too many records": func(r *auditv1.AppendRequest) { r.Records = make([][]byte, 20000) },
		"too many lost":    func(r *auditv1.AppendRequest) { r.Lost = make([]*auditv1.SequenceRange, 2000) },
	} {
		r := request(10, 1)
		change(r)
		if acks, err := send(t, s, r); status.Code(err) != codes.InvalidArgument && status.Code(err) != codes.ResourceExhausted {
			t.Errorf("%s: %v, %v", name, acks, err)
		}
	}
	// At the limits it is taken.
	r := request(1, 0)
	for range 4 {
		r.Records = append(r.Records, make([]byte, 1<<20))
	}
	if acks, err := send(t, s, r); err != nil || acks[0].DurableSequence != 4 {
		t.Errorf("the largest batch: %v, %v", acks, err)
	}
}

// TestFault_F22_AcksCut: the stream is cut at every point of a delivery, many
// times, and each event is stored once.
func TestFault_F22_AcksCut(t *testing.T) {
	s := serve(t, t.TempDir())
	const events = 60
	durable := uint64(0)
	for cut := 0; durable < events; cut++ {
		ctx, cancel := context.WithCancel(deadline(t))
		stream, err := s.ingest.Append(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// As a proxy does: from what is known to be durable, several batches ahead
		// of the acknowledgements, of which only some are read.
		sent := 0
		for b := durable; b < min(durable+12, events); b += 3 {
			sent++
			if err := stream.Send(request(b+1, 3)); err != nil {
				t.Fatal(err)
			}
		}
		for range min(cut%4, sent) {
			ack, err := stream.Recv()
			if err != nil {
				break
			}
			durable = ack.DurableSequence
		}
		cancel()
		if cut > 1000 {
			t.Fatal("the delivery does not get on")
		}
	}
	got, _ := list(t, s, &auditv1.ListEventsRequest{PageSize: 1000})
	seen := map[uint64]int{}
	for _, e := range got {
		seen[e.Event.Origin.Sequence]++
		if e.Event.Type == auditv1.EventType_EVENT_TYPE_GAP {
			t.Error(e)
		}
	}
	for n := uint64(1); n <= events; n++ {
		if seen[n] != 1 {
			t.Errorf("event %d is stored %d times", n, seen[n])
		}
	}
}
