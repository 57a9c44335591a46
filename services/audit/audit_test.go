package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
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

func serve(t testing.TB, dir string) served {
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
