package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

func TestListFilters(t *testing.T) {
	s := serve(t, t.TempDir())
	if _, err := send(t, s, request(1, 30)); err != nil {
		t.Fatal(err)
	}
	at := func(n int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(1000+n, 0)) }
	for name, c := range map[string]struct {
		req         *auditv1.ListEventsRequest
		first, last uint64 // newest and oldest
		n, pages    int
	}{
		"all":     {&auditv1.ListEventsRequest{}, 30, 1, 30, 1},
		"pages":   {&auditv1.ListEventsRequest{PageSize: 7}, 30, 1, 30, 5},
		"even":    {&auditv1.ListEventsRequest{PageSize: 10}, 30, 1, 30, 3},
		"type":    {&auditv1.ListEventsRequest{PageSize: 4, Types: []auditv1.EventType{auditv1.EventType_EVENT_TYPE_LOGIN}}, 30, 2, 15, 4},
		"subject": {&auditv1.ListEventsRequest{Subject: "alice"}, 29, 1, 15, 1},
		"session": {&auditv1.ListEventsRequest{SessionId: bytes.Repeat([]byte{1}, 16)}, 29, 1, 15, 1},
		"since":   {&auditv1.ListEventsRequest{Since: at(10)}, 30, 10, 21, 1},
		"until":   {&auditv1.ListEventsRequest{Until: at(10)}, 9, 1, 9, 1},
		"both":    {&auditv1.ListEventsRequest{Since: at(5), Until: at(10), Subject: "bob"}, 8, 6, 2, 1},
		"nobody":  {&auditv1.ListEventsRequest{Subject: "carol"}, 0, 0, 0, 1},
	} {
		got, pages := list(t, s, c.req)
		if len(got) != c.n || pages != c.pages || c.n > 0 && (got[0].StoreSequence != c.first || got[c.n-1].StoreSequence != c.last) {
			t.Errorf("%s: %d events in %d pages: %v", name, len(got), pages, got)
		}
	}
	page, err := s.query.ListEvents(deadline(t), &auditv1.ListEventsRequest{PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]*auditv1.ListEventsRequest{
		"token of another question": {PageToken: page.NextPageToken, Subject: "alice"},
		"token cut":                 {PageToken: page.NextPageToken[1:]},
		"token forged":              {PageToken: "!"},
		"session":                   {SessionId: []byte{1}},
		"time":                      {Since: &timestamppb.Timestamp{Seconds: 1 << 60}},
	} {
		if _, err := s.query.ListEvents(deadline(t), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A page of large events is cut short before it is too large to receive.
func TestListLargeEvents(t *testing.T) {
	s := serve(t, t.TempDir())
	r := request(1, 0)
	for n := range uint64(3) {
		e := event(n + 1)
		e.ApplicationName = strings.Repeat("x", 1<<20-200)
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		r.Records = append(r.Records, b)
	}
	if _, err := send(t, s, r); err != nil {
		t.Fatal(err)
	}
	if got, pages := list(t, s, &auditv1.ListEventsRequest{}); len(got) != 3 || pages != 3 {
		t.Errorf("%d events in %d pages", len(got), pages)
	}
}

func TestTail(t *testing.T) {
	s := serve(t, t.TempDir())
	if _, err := send(t, s, request(1, 2)); err != nil {
		t.Fatal(err)
	}
	stream, err := s.query.TailEvents(t.Context(), &auditv1.TailEventsRequest{Types: []auditv1.EventType{auditv1.EventType_EVENT_TYPE_LOGIN}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	if _, err := send(t, s, request(3, 4)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{4, 6} {
		got, err := stream.Recv()
		if err != nil || got.Event.StoreSequence != want {
			t.Errorf("%v, %v, want %d", got, err, want)
		}
	}
	// An open tail and an open, silent delivery do not hold up a stop.
	silent, err := s.ingest.Append(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	if _, err := silent.Recv(); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	if strings.Contains(s.log.String(), "cutting them") {
		t.Error("the stop waited for the drain time")
	}
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	if _, err := send(t, s, request(1, 9)); err != nil {
		t.Fatal(err)
	}
	last := func() *auditv1.VerifyStoreResponse {
		stream, err := s.query.VerifyStore(deadline(t), &auditv1.VerifyStoreRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			r, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if r.Done {
				return r
			}
		}
	}
	if r := last(); r.Checked != 9 || len(r.Problems) != 0 {
		t.Error(r)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, eventID(5))+8] ^= 1
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := last(); r.Checked != 8 || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "are not what was written") {
		t.Error(r)
	}
	if _, err := s.query.GetEvent(deadline(t), &auditv1.GetEventRequest{EventId: eventID(5)}); status.Code(err) != codes.DataLoss {
		t.Error(err)
	}
	if _, err := s.query.GetEvent(deadline(t), &auditv1.GetEventRequest{EventId: eventID(6)}); err != nil {
		t.Error(err)
	}
}
