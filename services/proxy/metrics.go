package proxy

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// metrics are the proxy's instruments.
type metrics struct {
	t          *telemetry.Telemetry
	active     telemetry.BoundUpDown
	sessions   telemetry.Counter
	statements telemetry.Counter
	refusals   telemetry.Counter
	asked      telemetry.BoundHistogram
	cached     telemetry.BoundHistogram
	gauges     []func()
}

func newMetrics(t *telemetry.Telemetry, s *spool.Spool) *metrics {
	return &metrics{
		t:          t,
		active:     t.UpDown(telemetry.SessionsActive).With(),
		sessions:   t.Counter(telemetry.SessionsTotal),
		statements: t.Counter(telemetry.StatementsTotal),
		refusals:   t.Counter(telemetry.RefusalsTotal),
		asked:      t.Histogram(telemetry.DecisionDuration).With("remote"),
		cached:     t.Histogram(telemetry.DecisionDuration).With("cache"),
		gauges: []func(){
			t.Gauge(telemetry.SpoolBytes, func() float64 { return float64(s.Bytes()) }),
			t.Gauge(telemetry.SpoolLagRecords, func() float64 { return float64(s.Lag()) }),
		},
	}
}

func (m *metrics) stop() {
	for _, stop := range m.gauges {
		stop()
	}
}

// ended counts a connection by its outcome.
func (m *metrics) ended(outcome string) { m.sessions.With(outcome).Add(1) }

// Judged implements session.Observer.
func (m *metrics) Judged(verdict authzv1.Verdict, reason authzv1.Reason, cached bool, took time.Duration) {
	m.statements.With(telemetry.VerdictLabel(verdict), telemetry.ReasonLabel(reason)).Add(1)
	if cached {
		m.cached.Observe(took)
	} else {
		m.asked.Observe(took)
	}
}

// Refused implements session.Observer.
func (m *metrics) Refused(class string) { m.refusals.With(class).Add(1) }

// Start implements session.Observer.
func (m *metrics) Start(ctx context.Context, name telemetry.SpanName, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return m.t.Start(ctx, name, attrs...)
}
