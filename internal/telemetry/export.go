package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// loggedExporter says in the process's own log when spans are being lost and
// when no longer: once per change, because a collector that is down is down for
// every batch. Left to the SDK, the error would go to another log in another
// format, each time.
type loggedExporter struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter. The SDK calls it from one
// goroutine at a time. Lost spans are not an error for the caller.
func (e *loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch was := e.failing.Swap(err != nil); {
	case err != nil && !was:
		e.log.Warn("spans cannot be exported and are lost", "spans", len(spans), "error", err)
	case err == nil && was:
		e.log.Info("spans are exported again")
	}
	return nil
}
