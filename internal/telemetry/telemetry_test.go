package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T, cfg telemetry.Config, deps telemetry.Deps) *telemetry.Telemetry {
	t.Helper()
	deps.Rand = sys.OS().Rand
	tel, err := telemetry.Setup(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestCatalogIsSound(t *testing.T) {
	name := regexp.MustCompile(`^scopewire_[a-z]+(_[a-z]+)*$`)
	value := regexp.MustCompile(`^[a-z_]+$`)
	seen := map[string]bool{}
	for i, d := range telemetry.Catalog() {
		if int(d.Metric) != i {
			t.Errorf("%s stands at %d, its constant is %d", d.Name, i, d.Metric)
		}
		if !name.MatchString(d.Name) || seen[d.Name] || d.Help == "" || d.Unit == "" {
			t.Errorf("%+v is incomplete, misnamed or double", d)
		}
		seen[d.Name] = true
		if (d.Kind == telemetry.KindCounter) != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s: counters end in _total and nothing else does", d.Name)
		}
		if (d.Unit == "s") != strings.HasSuffix(d.Name, "_seconds") {
			t.Errorf("%s: seconds and nothing else end in _seconds", d.Name)
		}
		if (d.Kind == telemetry.KindHistogram) != (len(d.Buckets) > 0) {
			t.Errorf("%s: histograms and nothing else have buckets", d.Name)
		}
		for _, l := range d.Labels {
			if len(l.Values) == 0 {
				t.Errorf("%s: label %s has an open list", d.Name, l.Key)
			}
			for _, v := range l.Values {
				if !value.MatchString(v) || v == telemetry.Other {
					t.Errorf("%s: label %s has the value %q", d.Name, l.Key, v)
				}
			}
		}
	}
	spans := map[telemetry.SpanName]bool{}
	for _, s := range telemetry.Spans() {
		if spans[s.Name] || s.Help == "" || len(s.Attributes) == 0 {
			t.Errorf("%+v is incomplete or double", s)
		}
		spans[s.Name] = true
	}
}

// Every entry of the catalog can be made, and Prometheus sees it under the
// catalog's name with the catalog's labels.
func TestEveryMetricIsServedUnderItsName(t *testing.T) {
	tel := setup(t, telemetry.Config{}, telemetry.Deps{})
	for _, d := range telemetry.Catalog() {
		values := make([]string, len(d.Labels))
		for i, l := range d.Labels {
			values[i] = l.Values[0]
		}
		switch d.Kind {
		case telemetry.KindCounter:
			tel.Counter(d.Metric).With(values...).Add(3)
		case telemetry.KindUpDown:
			tel.UpDown(d.Metric).With(values...).Add(3)
		case telemetry.KindHistogram:
			tel.Histogram(d.Metric).With(values...).Observe(time.Millisecond)
		case telemetry.KindGauge:
			defer tel.Gauge(d.Metric, func() float64 { return 3 })()
		default:
			t.Errorf("%s: kind %q", d.Name, d.Kind)
		}
	}
	got := scrape(t, tel.Metrics())
	for _, d := range telemetry.Catalog() {
		var labels []string
		for _, l := range d.Labels {
			labels = append(labels, l.Key+`="`+l.Values[0]+`"`)
		}
		// Prometheus sorts labels by name.
		if len(labels) == 2 && labels[0] > labels[1] {
			labels[0], labels[1] = labels[1], labels[0]
		}
		want := "\n" + d.Name
		if d.Kind == telemetry.KindHistogram {
			want += "_count"
		}
		if len(labels) > 0 {
			want += "{" + strings.Join(labels, ",") + "}"
		}
		if !strings.Contains(got, want+" ") || !strings.Contains(got, "# HELP "+d.Name+" "+d.Help) {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
}

func TestLabelsAreClosed(t *testing.T) {
	tel := setup(t, telemetry.Config{}, telemetry.Deps{})
	c := tel.Counter(telemetry.SessionsTotal)
	c.With("alice@example.com").Add(1)
	c.With("hr.salaries").Add(1)
	got := scrape(t, tel.Metrics())
	if !strings.Contains(got, `scopewire_sessions_total{outcome="other"} 2`) || strings.Contains(got, "alice") {
		t.Errorf("an unknown value made its own series:\n%s", got)
	}
}

func TestInstrumentOfWrongKindPanics(t *testing.T) {
	tel := setup(t, telemetry.Config{}, telemetry.Deps{})
	for name, f := range map[string]func(){
		"wrong kind":      func() { tel.Counter(telemetry.SessionsActive) },
		"not in catalog":  func() { tel.Counter(telemetry.Metric(200)) },
		"missing label":   func() { tel.Counter(telemetry.SessionsTotal).With() },
		"histogram wrong": func() { tel.Histogram(telemetry.SessionsTotal) },
		"gauge wrong":     func() { tel.Gauge(telemetry.SessionsTotal, func() float64 { return 0 }) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	tel := setup(t, telemetry.Config{}, telemetry.Deps{})
	c := tel.Counter(telemetry.StatementsTotal)
	if n := testing.AllocsPerRun(1000, func() { c.With("allow", "granted").Add(1) }); n > 0 {
		t.Errorf("%v allocations per count", n)
	}
}

func TestSpansHaveIDsWithoutExport(t *testing.T) {
	tel := setup(t, telemetry.Config{}, telemetry.Deps{})
	ctx, span := tel.Start(t.Context(), telemetry.SpanStatement)
	defer span.End()
	parent, _ := telemetry.Inject(ctx)
	if !span.SpanContext().IsValid() || span.IsRecording() || !strings.HasSuffix(parent, "-00") {
		t.Errorf("span %v, recording %v, traceparent %q", span.SpanContext(), span.IsRecording(), parent)
	}
}

func TestRecorderAndContext(t *testing.T) {
	rec := telemetry.NewRecorder()
	tel := setup(t, telemetry.Config{}, telemetry.Deps{Recorder: rec})
	ctx, outer := tel.Start(t.Context(), telemetry.SpanDecide, telemetry.AttrVerdict.String("allow"))
	parent, state := telemetry.Inject(ctx)
	_, inner := tel.Start(telemetry.Extract(context.Background(), parent, state), telemetry.SpanAuthorize)
	inner.End()
	outer.End()
	spans := rec.Spans()
	if len(spans) != 2 || spans[0].Name != "scopewire.authorize" || spans[0].Parent != spans[1].SpanID || spans[0].TraceID != spans[1].TraceID {
		t.Fatalf("%+v", spans)
	}
	if diff := cmp.Diff(map[string]string{"scopewire.verdict": "allow"}, spans[1].Attributes); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "00-zz", strings.Repeat("0", 55), "00-00000000000000000000000000000000-0000000000000000-01"} {
		if p, _ := telemetry.Inject(telemetry.Extract(context.Background(), bad, "")); p != "" {
			t.Errorf("%q was taken as %q", bad, p)
		}
	}
}

func TestLogLines(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		tel := setup(t, telemetry.Config{Log: telemetry.LogConfig{Format: format}}, telemetry.Deps{Log: &out, Service: "scopewire-test"})
		ctx, span := tel.Start(t.Context(), telemetry.SpanStatement)
		tel.Log().InfoContext(ctx, "hello", "n", 1)
		tel.Log().DebugContext(ctx, "not at this level")
		span.End()
		id := span.SpanContext().TraceID().String()
		if s := out.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, id) || !strings.Contains(s, "scopewire-test") {
			t.Errorf("%s: %q", format, s)
		}
	}
}

// TestSec_T46_LogLine: what a client names cannot break a log line, however it
// reaches the log.
func TestSec_T46_LogLine(t *testing.T) {
	attacks := map[string]string{
		"newline": "a\nlevel=ERROR msg=forged", "return": "a\rb", "escape": "a\x1b[2Jb", "nul": "a\x00b",
		"line separator": "a\u2028b", "paragraph separator": "a\u2029b", "next line": "a\u0085b",
		"bidi override": "a\u202eb", "bidi isolate": "a\u2066b", "zero width": "a\u200bb", "bom": "a\ufeffb",
		"invalid": "a\xff\xfeb", "long": strings.Repeat("x", 1<<20), "long bidi": strings.Repeat("\u202e", 1<<18),
	}
	for _, format := range []string{"text", "json"} {
		for name, attack := range attacks {
			var out bytes.Buffer
			tel := setup(t, telemetry.Config{Log: telemetry.LogConfig{Format: format}}, telemetry.Deps{Log: &out})
			tel.Log().Info("x", "s", attack)
			tel.Log().Info("x", "e", errors.New(attack))
			tel.Log().Info("x", "a", []string{attack})
			tel.Log().With("w", attack).WithGroup("g").Info("x", slog.Group("h", "s", attack))
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) != 4 {
				t.Errorf("%s, %s: %d lines instead of 4", format, name, len(lines))
			}
			for _, line := range lines {
				if len(line) > 16<<10 {
					t.Errorf("%s, %s: a line of %d bytes", format, name, len(line))
				}
				if i := strings.IndexFunc(line, func(r rune) bool {
					return r < ' ' || r == 0x7f || r == 0x85 || r == 0xfffd || r >= 0x2028 && r <= 0x202e || r == 0x2066 || r == 0x200b || r == 0xfeff
				}); i >= 0 {
					t.Errorf("%s, %s: %q", format, name, line)
				}
				if format == "json" && !json.Valid([]byte(line)) {
					t.Errorf("%s: not JSON: %q", name, line)
				}
			}
		}
	}
}

func TestSecretsStayRedactedInLogs(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		tel := setup(t, telemetry.Config{Log: telemetry.LogConfig{Format: format}}, telemetry.Deps{Log: &out})
		s := secret.FromString("canary-31337")
		tel.Log().Info("x", "a", s, "b", &s, "c", []secret.Bytes{s}, "d", struct{ S secret.Bytes }{s}, "e", map[string]any{"k": s})
		if strings.Contains(out.String(), "canary") || strings.Contains(out.String(), "99 97 110") {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}

func TestConfigProblems(t *testing.T) {
	two := 2.0
	for name, c := range map[string]struct {
		cfg  telemetry.Config
		want string
	}{
		"level":    {telemetry.Config{Log: telemetry.LogConfig{Level: "loud"}}, "log.level"},
		"format":   {telemetry.Config{Log: telemetry.LogConfig{Format: "xml"}}, "log.format"},
		"ratio":    {telemetry.Config{Trace: telemetry.TraceConfig{Endpoint: "a:1", SampleRatio: &two}}, "sample_ratio"},
		"endpoint": {telemetry.Config{Trace: telemetry.TraceConfig{Endpoint: "http://a"}}, "trace.endpoint"},
		"alone":    {telemetry.Config{Trace: telemetry.TraceConfig{Insecure: true}}, "trace.endpoint"},
		"both":     {telemetry.Config{Trace: telemetry.TraceConfig{Endpoint: "a:1", Insecure: true, CAFile: "f"}}, "trace.insecure"},
	} {
		var p config.Problems
		c.cfg.Validate(&p, "telemetry")
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := telemetry.Setup(c.cfg, telemetry.Deps{Rand: sys.OS().Rand}); err == nil {
			t.Errorf("%s: Setup took it", name)
		}
	}
	if _, err := telemetry.Setup(telemetry.Config{}, telemetry.Deps{}); err == nil {
		t.Error("Setup took no randomness")
	}
}

// A collector that is not there costs nothing but the spans.
func TestCollectorGone(t *testing.T) {
	os := sys.OS()
	one := 1.0
	var out bytes.Buffer
	tel, err := telemetry.Setup(telemetry.Config{Trace: telemetry.TraceConfig{
		Endpoint: "127.0.0.1:9", Insecure: true, SampleRatio: &one, Timeout: config.Duration(50 * time.Millisecond)}},
		telemetry.Deps{Rand: os.Rand, Net: os.Net, FS: os.FS, Log: &out})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tel.Start(t.Context(), telemetry.SpanDecide)
	if !span.IsRecording() {
		t.Error("the span is not sampled")
	}
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := tel.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "spans cannot be exported"); n != 1 {
		t.Errorf("the loss was logged %d times: %s", n, out.String())
	}
}
