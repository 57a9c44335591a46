package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a service behind a pipe.
type served struct {
	ingest auditv1.AuditIngestServiceClient
	query  auditv1.AuditQueryServiceClient
	tel    *telemetry.Telemetry
	log    *bytes.Buffer
	stop   func()
}

func serve(t *testing.T, dir string) served {
	t.Helper()
	s := served{log: &bytes.Buffer{}}
	system := sys.OS()
	var err error
	if s.tel, err = telemetry.Setup(telemetry.Config{}, telemetry.Deps{Rand: system.Rand, Log: s.log}); err != nil {
		t.Fatal(err)
	}
	service, err := audit.New(audit.Config{Store: audit.StoreConfig{Directory: dir}}, audit.Deps{System: system, Telemetry: s.tel})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.ServerConfig{}, rpc.ServerDeps{Clock: system.Clock, ReceiveLimit: audit.ReceiveLimit})
	if err != nil {
		t.Fatal(err)
	}
	service.Register(server)
	pipe := rpc.NewPipe()
	conn, err := rpc.Dial(rpc.ClientConfig{}, rpc.ClientDeps{Pipe: pipe, ReceiveLimit: audit.QueryReceiveLimit, SendLimit: audit.ReceiveLimit + 1<<20})
	if err != nil {
		t.Fatal(err)
	}
	s.ingest, s.query = auditv1.NewAuditIngestServiceClient(conn), auditv1.NewAuditQueryServiceClient(conn)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- service.Run(ctx) }()
	go func() { done <- server.Serve(ctx, pipe) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-done, <-done, conn.Close()); err != nil {
				t.Error(err)
			}
			service.Wait()
			if err := s.tel.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(s.stop)
	return s
}

var spool = bytes.Repeat([]byte{7}, 16)

func eventID(n uint64) []byte { return []byte(fmt.Sprintf("event %010d", n)) }

// event is the n-th event of proxy eu-1's spool: denials and logins in turn, of
// alice and bob.
func event(n uint64) *auditv1.Event {
	e := &auditv1.Event{
		SchemaVersion: 1, EventId: eventID(n), Time: timestamppb.New(time.Unix(int64(1000+n), 0)), Type: auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED,
		Origin:    &auditv1.Origin{Instance: "eu-1", SpoolEpoch: spool, Sequence: n},
		Principal: &authzv1.Principal{Subject: "alice"}, SessionId: bytes.Repeat([]byte{byte(n % 2)}, 16),
	}
	if n%2 == 0 {
		e.Type, e.Principal.Subject = auditv1.EventType_EVENT_TYPE_LOGIN, "bob"
	}
	return e
}

func request(first, n uint64) *auditv1.AppendRequest {
	r := &auditv1.AppendRequest{BatchId: first, Instance: "eu-1", SpoolEpoch: spool, FirstSequence: first}
	for i := range n {
		b, err := proto.Marshal(event(first + i))
		if err != nil {
			panic(err)
		}
		r.Records = append(r.Records, b)
	}
	return r
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// send makes a stream, sends the requests, and returns the acknowledgements and
// how it ended.
func send(t *testing.T, s served, requests ...*auditv1.AppendRequest) (acks []*auditv1.AppendResponse, err error) {
	t.Helper()
	stream, err := s.ingest.Append(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		// An error of Send is io.EOF; why is told by Recv.
		if err := stream.Send(r); err != nil {
			break
		}
		ack, err := stream.Recv()
		if err != nil {
			return acks, err
		}
		acks = append(acks, ack)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if ack, err := stream.Recv(); err == nil {
		t.Errorf("an acknowledgement too many: %v", ack)
	}
	return acks, nil
}

func list(t *testing.T, s served, req *auditv1.ListEventsRequest) (out []*auditv1.StoredEvent, pages int) {
	t.Helper()
	for {
		resp, err := s.query.ListEvents(deadline(t), req)
		if err != nil {
			t.Fatal(err)
		}
		out, pages = append(out, resp.Events...), pages+1
		if resp.NextPageToken == "" {
			return out, pages
		}
		req.PageToken = resp.NextPageToken
	}
}

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

func TestMetrics(t *testing.T) {
	s := serve(t, t.TempDir())
	if _, err := send(t, s, request(1, 3), request(1, 4), request(7, 1)); err != nil {
		t.Fatal(err)
	}
	got := scrape(t, s.tel)
	for _, want := range []string{
		`scopewire_audit_events_total{result="stored"} 5`, `scopewire_audit_events_total{result="duplicate"} 3`,
		`scopewire_audit_events_total{result="gap"} 1`, `scopewire_audit_append_duration_seconds_count 3`, `scopewire_audit_store_problems 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestConfig(t *testing.T) {
	good := "listen: {address: '127.0.0.1:6434', insecure_loopback: true}\nstore: {directory: /var/lib/scopewire/audit}\nadmin: {address: '127.0.0.1:6482'}\n"
	var cfg audit.Config
	if err := config.Decode([]byte(good), &cfg); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"listen: {address: '0.0.0.0:6434', insecure_loopback: true}\nstore: {directory: /d}\n":                           "listen.insecure_loopback",
		"listen: {address: '0.0.0.0:6434'}\nstore: {directory: /d}\n":                                                    "listen.tls.cert_file",
		"listen: {}\nstore: {directory: /d}\n":                                                                           "listen.address",
		good + "telemetry: {log: {level: loud}}\n":                                                                       "telemetry.log.level",
		"listen: {address: '127.0.0.1:1', insecure_loopback: true}\nstore: {directory: d}\n":                             "store.directory",
		"listen: {address: '127.0.0.1:1', insecure_loopback: true}\nstore: {}\n":                                         "store.directory",
		"listen: {address: '127.0.0.1:1', insecure_loopback: true}\nstore: {directory: /d, segment_bytes: 1}\n":          "store.segment_bytes",
		"listen: {address: '127.0.0.1:1', insecure_loopback: true}\nstore: {directory: /d}\nadmin: {address: ':6482'}\n": "admin.address",
	} {
		var cfg audit.Config
		if err := config.Decode([]byte(text), &cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func scrape(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
