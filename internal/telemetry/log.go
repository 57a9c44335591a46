package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"
)

const (
	formatText = "text"
	formatJSON = "json"

	// logValueLimit caps one value, in bytes: a megabyte of application_name must
	// not become a megabyte of log.
	logValueLimit = 4096
)

func parseLevel(s string) (slog.Level, bool) {
	switch s {
	case "debug":
		return slog.LevelDebug, true
	case "", "info":
		return slog.LevelInfo, true
	case "warn":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	default:
		return 0, false
	}
}

func newLogger(cfg LogConfig, deps Deps) *slog.Logger {
	out := deps.Log
	if out == nil {
		out = io.Discard
	}
	level, _ := parseLevel(cfg.Level)
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		a.Value = plainValue(a.Value)
		return a
	}}
	var h slog.Handler = slog.NewTextHandler(out, options)
	if cfg.Format == formatJSON {
		h = slog.NewJSONHandler(out, options)
	}
	log := slog.New(traceHandler{h})
	if deps.Service != "" {
		log = log.With("service", deps.Service)
	}
	if deps.Instance != "" {
		log = log.With("instance", deps.Instance)
	}
	return log
}

// traceHandler adds trace and span id to lines whose context has a span.
type traceHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}

// plainValue makes a value that may hold a client's words safe for a terminal
// and for tools that read lines.
func plainValue(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(plain(v.String()))
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			return slog.StringValue(plain(x.Error()))
		case slog.Level, *slog.Source, nil:
			return v
		case fmt.Stringer:
			return slog.StringValue(plain(x.String()))
		default:
			return slog.StringValue(plain(fmt.Sprint(x)))
		}
	default:
		return v
	}
}

// plain escapes what does not print (controls, line and paragraph separators,
// bidirectional overrides, invalid bytes) and cuts at logValueLimit bytes.
func plain(s string) string {
	if len(s) <= logValueLimit && isPlain(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if b.Len() >= logValueLimit {
			fmt.Fprintf(&b, "...(%d bytes more)", len(s)-i)
			break
		}
		switch {
		case r == utf8.RuneError && s[i] != "\uFFFD"[0]:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

func isPlain(s string) bool {
	for i, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError && s[i] != "\uFFFD"[0] {
			return false
		}
	}
	return true
}
