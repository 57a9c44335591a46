package e2e_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/test/cluster"
)

// One trace leads from the client's statement through authz to the server, and
// its id is on the audit event.
func TestOneTrace(t *testing.T) {
	recorder := telemetry.NewRecorder()
	w := cluster.Start(t, demo.Config{Recorder: recorder})
	s := session{t, cluster.Connect(t, w, "alice")}
	if got := s.state("SELECT id FROM orders"); got != "" {
		t.Fatal(got)
	}
	_, err := s.PgConn().Exec(t.Context(), "SELECT * FROM employees").ReadAll()
	ev, err := w.Event(t.Context(), detailReference(t, err))
	if err != nil {
		t.Fatal(err)
	}
	denied := hex.EncodeToString(ev.GetEvent().GetTraceId())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	list, err := w.Query().ListEvents(ctx, &auditv1.ListEventsRequest{Types: []auditv1.EventType{auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT}})
	if err != nil || len(list.GetEvents()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	allowed := hex.EncodeToString(list.GetEvents()[0].GetEvent().GetTraceId())

	names := func(trace string) map[string]telemetry.RecordedSpan {
		out := make(map[string]telemetry.RecordedSpan)
		for _, sp := range recorder.Spans() {
			if hex.EncodeToString(sp.TraceID[:]) == trace {
				out[sp.Name] = sp
			}
		}
		return out
	}
	got := names(allowed)
	for _, want := range []telemetry.SpanName{telemetry.SpanStatement, telemetry.SpanDecide, telemetry.SpanAuthorize, telemetry.SpanBackend} {
		if _, ok := got[string(want)]; !ok {
			t.Errorf("the trace of the allowed statement has no span %s: %v", want, got)
		}
	}
	for child, parent := range map[telemetry.SpanName]telemetry.SpanName{
		telemetry.SpanDecide: telemetry.SpanStatement, telemetry.SpanAuthorize: telemetry.SpanDecide, telemetry.SpanBackend: telemetry.SpanStatement,
	} {
		if got[string(child)].Parent != got[string(parent)].SpanID {
			t.Errorf("%s is not a child of %s", child, parent)
		}
	}
	if got := names(denied); len(got) == 0 {
		t.Error("the denial's trace has no span")
	} else if _, forwarded := got[string(telemetry.SpanBackend)]; forwarded {
		t.Error("the denied statement has a span of the server's")
	}
	for _, sp := range recorder.Spans() {
		for k, v := range sp.Attributes {
			if strings.Contains(v, "employees") && strings.Contains(v, "*") {
				t.Errorf("attribute %s holds SQL: %s", k, v)
			}
		}
	}
}

// detailReference is the reference in an error's DETAIL.
func detailReference(t *testing.T, err error) string {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		t.Fatalf("no error of the server's: %v", err)
	}
	ref, ok := strings.CutPrefix(e.Detail, "Reference: ")
	if !ok {
		t.Fatalf("no reference in %+v", e)
	}
	return ref
}

func freeAddress(t *testing.T) (string, error) {
	t.Helper()
	l, err := pgboot.Listen(t.Context())
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
