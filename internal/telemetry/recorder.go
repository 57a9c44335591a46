package telemetry

import (
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Recorder keeps spans for tests. Safe for concurrent use.
type Recorder struct{ exporter *tracetest.InMemoryExporter }

// RecordedSpan is a span that has ended.
type RecordedSpan struct {
	Name       string
	TraceID    [16]byte
	SpanID     [8]byte
	Parent     [8]byte // zero for a root
	Attributes map[string]string
}

// NewRecorder returns an empty Recorder, for Deps.
func NewRecorder() *Recorder { return &Recorder{tracetest.NewInMemoryExporter()} }

// Spans returns the spans that have ended so far, in that order. Shutdown
// empties the recorder.
func (r *Recorder) Spans() []RecordedSpan {
	stubs := r.exporter.GetSpans()
	out := make([]RecordedSpan, len(stubs))
	for i, s := range stubs {
		out[i] = RecordedSpan{
			Name: s.Name, TraceID: s.SpanContext.TraceID(), SpanID: s.SpanContext.SpanID(),
			Parent: s.Parent.SpanID(), Attributes: map[string]string{},
		}
		for _, a := range s.Attributes {
			out[i].Attributes[string(a.Key)] = a.Value.String()
		}
	}
	return out
}
