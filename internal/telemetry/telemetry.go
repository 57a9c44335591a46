package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
)

// Deps is what Setup is made with.
type Deps struct {
	// Service is the process's name, "scopewire-audit".
	Service string
	// Version is the build's version.
	Version string
	// Instance tells processes of one service apart; may be empty.
	Instance string
	// Log takes the log lines, one Write each; nil discards them.
	Log io.Writer
	// Rand makes trace and span ids.
	Rand sys.Rand
	// Net dials the collector. Needed with an endpoint.
	Net sys.Dialer
	// FS reads the collector's authorities. Needed with a ca_file.
	FS sys.FS
	// Recorder, in tests, takes every span instead of a collector.
	Recorder *Recorder
}

// Telemetry is one process's metrics, traces and log. Safe for concurrent use.
type Telemetry struct {
	log       *slog.Logger
	meter     metric.Meter
	tracer    trace.Tracer
	traces    *sdktrace.TracerProvider
	metrics   *sdkmetric.MeterProvider
	registry  *prometheus.Registry
	collector *grpc.ClientConn // nil without an endpoint
}

const scope = "github.com/scopewire/scopewire"

// Setup makes the process's telemetry. It connects to nothing yet; a collector
// that cannot be reached costs spans, never statements. The caller ends it with
// Shutdown.
func Setup(cfg Config, deps Deps) (*Telemetry, error) {
	var problems config.Problems
	cfg.Validate(&problems, "telemetry")
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("set up telemetry: %w", err)
	}
	if deps.Rand == nil {
		return nil, errors.New("set up telemetry: trace ids need a source of randomness")
	}
	t := &Telemetry{registry: prometheus.NewRegistry()}
	t.log = newLogger(cfg.Log, deps)
	about := resource.NewSchemaless(
		attribute.String("service.name", deps.Service),
		attribute.String("service.version", deps.Version),
		attribute.String("service.instance.id", deps.Instance),
	)
	exporter, err := otelprom.New(
		otelprom.WithRegisterer(t.registry),
		// Names in the catalog are the names Prometheus sees.
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, fmt.Errorf("set up metrics: %w", err)
	}
	t.metrics = sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(exporter),
		sdkmetric.WithResource(about),
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
	)
	t.meter = t.metrics.Meter(scope)

	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(about),
		sdktrace.WithIDGenerator(idGenerator{deps.Rand}),
	}
	switch {
	case deps.Recorder != nil:
		options = append(options, sdktrace.WithSyncer(deps.Recorder.exporter), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	case cfg.Trace.Endpoint != "":
		spans, err := t.connect(cfg.Trace, deps)
		if err != nil {
			return nil, fmt.Errorf("set up traces: %w", err)
		}
		ratio := defaultSampleRatio
		if cfg.Trace.SampleRatio != nil {
			ratio = *cfg.Trace.SampleRatio
		}
		options = append(options, sdktrace.WithBatcher(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))))
	default:
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	t.traces = sdktrace.NewTracerProvider(options...)
	t.tracer = t.traces.Tracer(scope)
	return t, nil
}

// connect makes the exporter and its connection, which opens with the first
// batch.
func (t *Telemetry) connect(cfg TraceConfig, deps Deps) (sdktrace.SpanExporter, error) {
	if deps.Net == nil {
		return nil, errors.New("an endpoint needs a network")
	}
	creds := insecure.NewCredentials()
	if !cfg.Insecure {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		if cfg.CAFile != "" {
			pem, err := deps.FS.ReadFile(cfg.CAFile)
			if err != nil {
				return nil, fmt.Errorf("read the collector's authorities: %w", err)
			}
			conf.RootCAs = x509.NewCertPool()
			if !conf.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s holds no certificate", cfg.CAFile)
			}
		}
		creds = credentials.NewTLS(conf)
	}
	conn, err := grpc.NewClient("dns:///"+cfg.Endpoint,
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return deps.Net.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		return nil, fmt.Errorf("make client of %s: %w", cfg.Endpoint, err)
	}
	exporter, err := otlptracegrpc.New(context.Background(),
		otlptracegrpc.WithGRPCConn(conn), otlptracegrpc.WithTimeout(cfg.Timeout.Or(10*time.Second)))
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	t.collector = conn
	return &loggedExporter{SpanExporter: exporter, log: t.log}, nil
}

// Shutdown exports what is left, within ctx, and ends every goroutine of the
// SDK. Instruments and spans may still be used afterwards and do nothing.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	err := errors.Join(t.traces.Shutdown(ctx), t.metrics.Shutdown(ctx))
	if t.collector != nil {
		err = errors.Join(err, t.collector.Close())
	}
	if err != nil {
		return fmt.Errorf("shut down telemetry: %w", err)
	}
	return nil
}

// Log is the process's logger. Lines logged with a context carry its trace and
// span id.
func (t *Telemetry) Log() *slog.Logger { return t.log }

// TracerProvider is for libraries that make their own spans (gRPC).
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.traces }

// Start begins a span. The caller ends it.
func (t *Telemetry) Start(ctx context.Context, name SpanName, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, string(name), trace.WithAttributes(attrs...))
}

// Metrics serves the metrics in the formats of Prometheus.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Inject returns the span of ctx as W3C Trace Context header values; empty
// without a span.
func Inject(ctx context.Context) (traceparent, tracestate string) {
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return c["traceparent"], c["tracestate"]
}

// Extract returns ctx with the remote span that the two W3C Trace Context
// header values name, as parent of what is started under it. Values that do not
// parse leave ctx as it was.
func Extract(ctx context.Context, traceparent, tracestate string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent, "tracestate": tracestate})
}

// idGenerator makes ids from the machine's randomness, so that a simulated
// machine replays them.
type idGenerator struct{ rand sys.Rand }

// NewIDs implements sdktrace.IDGenerator.
func (g idGenerator) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	var b [24]byte
	for {
		g.rand.Read(b[:])
		t, s := trace.TraceID(b[:16]), trace.SpanID(b[16:])
		if t.IsValid() && s.IsValid() {
			return t, s
		}
	}
}

// NewSpanID implements sdktrace.IDGenerator.
func (g idGenerator) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var s trace.SpanID
	for !s.IsValid() {
		g.rand.Read(s[:])
	}
	return s
}
