package telemetry

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// maxLabels is the most labels a metric of the catalog has.
const maxLabels = 2

// labelled finds the measurement options of a combination of label values.
// There are as many as the closed lists allow, made when first used, so that
// counting allocates nothing.
type labelled[T any] struct {
	about Description
	bind  func(attribute.Set) T

	mu    sync.RWMutex // guards bound
	bound map[[maxLabels]string]T
}

func newLabelled[T any](about Description, bind func(attribute.Set) T) *labelled[T] {
	return &labelled[T]{about: about, bind: bind, bound: map[[maxLabels]string]T{}}
}

func (l *labelled[T]) with(values []string) T {
	if len(values) != len(l.about.Labels) {
		panic(fmt.Sprintf("metric %s has %d labels, not %d", l.about.Name, len(l.about.Labels), len(values)))
	}
	var key [maxLabels]string
	for i, v := range values {
		if !slices.Contains(l.about.Labels[i].Values, v) {
			v = Other
		}
		key[i] = v
	}
	l.mu.RLock()
	b, ok := l.bound[key]
	l.mu.RUnlock()
	if ok {
		return b
	}
	attrs := make([]attribute.KeyValue, len(values))
	for i, label := range l.about.Labels {
		attrs[i] = attribute.String(label.Key, key[i])
	}
	b = l.bind(attribute.NewSet(attrs...))
	l.mu.Lock()
	defer l.mu.Unlock()
	if earlier, ok := l.bound[key]; ok {
		return earlier
	}
	l.bound[key] = b
	return b
}

// Counter is a metric of KindCounter.
type Counter struct{ l *labelled[BoundCounter] }

// BoundCounter is a Counter with its labels' values.
type BoundCounter struct {
	c    metric.Int64Counter
	opts []metric.AddOption
}

// Counter makes the counter. It panics when m is not one: a bug.
func (t *Telemetry) Counter(m Metric) Counter {
	about := describe(m, KindCounter)
	c, err := t.meter.Int64Counter(about.Name, metric.WithUnit(about.Unit), metric.WithDescription(about.Help))
	must(about, err)
	return Counter{newLabelled(about, func(set attribute.Set) BoundCounter {
		return BoundCounter{c, []metric.AddOption{metric.WithAttributeSet(set)}}
	})}
}

// With gives the labels' values, in the catalog's order. A value that is not in
// its label's list counts as "other".
func (c Counter) With(values ...string) BoundCounter { return c.l.with(values) }

// Add counts n, which must not be negative.
func (b BoundCounter) Add(n int64) { b.c.Add(context.Background(), n, b.opts...) }

// UpDown is a metric of KindUpDown.
type UpDown struct{ l *labelled[BoundUpDown] }

// BoundUpDown is an UpDown with its labels' values.
type BoundUpDown struct {
	c    metric.Int64UpDownCounter
	opts []metric.AddOption
}

// UpDown makes the count. It panics when m is not one: a bug.
func (t *Telemetry) UpDown(m Metric) UpDown {
	about := describe(m, KindUpDown)
	c, err := t.meter.Int64UpDownCounter(about.Name, metric.WithUnit(about.Unit), metric.WithDescription(about.Help))
	must(about, err)
	return UpDown{newLabelled(about, func(set attribute.Set) BoundUpDown {
		return BoundUpDown{c, []metric.AddOption{metric.WithAttributeSet(set)}}
	})}
}

// With gives the labels' values, in the catalog's order.
func (u UpDown) With(values ...string) BoundUpDown { return u.l.with(values) }

// Add counts n, up or down.
func (b BoundUpDown) Add(n int64) { b.c.Add(context.Background(), n, b.opts...) }

// Histogram is a metric of KindHistogram.
type Histogram struct{ l *labelled[BoundHistogram] }

// BoundHistogram is a Histogram with its labels' values.
type BoundHistogram struct {
	h    metric.Float64Histogram
	opts []metric.RecordOption
}

// Histogram makes the histogram. It panics when m is not one: a bug.
func (t *Telemetry) Histogram(m Metric) Histogram {
	about := describe(m, KindHistogram)
	h, err := t.meter.Float64Histogram(about.Name, metric.WithUnit(about.Unit), metric.WithDescription(about.Help),
		metric.WithExplicitBucketBoundaries(about.Buckets...))
	must(about, err)
	return Histogram{newLabelled(about, func(set attribute.Set) BoundHistogram {
		return BoundHistogram{h, []metric.RecordOption{metric.WithAttributeSet(set)}}
	})}
}

// With gives the labels' values, in the catalog's order.
func (h Histogram) With(values ...string) BoundHistogram { return h.l.with(values) }

// Observe counts one duration.
func (b BoundHistogram) Observe(d time.Duration) {
	b.h.Record(context.Background(), d.Seconds(), b.opts...)
}

// Gauge makes a gauge that is read by calling read at each collection, from any
// goroutine; read must not block. The gauge ends when stop is called. It panics
// when m is not a gauge: a bug.
func (t *Telemetry) Gauge(m Metric, read func() float64) (stop func()) {
	about := describe(m, KindGauge)
	g, err := t.meter.Float64ObservableGauge(about.Name, metric.WithUnit(about.Unit), metric.WithDescription(about.Help))
	must(about, err)
	registration, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveFloat64(g, read())
		return nil
	}, g)
	must(about, err)
	// Unregister fails only on a registration of another SDK.
	return func() { _ = registration.Unregister() }
}

func describe(m Metric, kind Kind) Description {
	catalog := Catalog()
	if int(m) >= len(catalog) {
		panic(fmt.Sprintf("metric %d is not in the catalog", m))
	}
	if about := catalog[m]; about.Kind != kind {
		panic(fmt.Sprintf("metric %s is a %s, not a %s", about.Name, about.Kind, kind))
	}
	return catalog[m]
}

func must(about Description, err error) {
	if err != nil {
		panic(fmt.Sprintf("metric %s cannot be made: %v", about.Name, err))
	}
}
