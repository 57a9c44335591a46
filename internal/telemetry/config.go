package telemetry

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/scopewire/scopewire/internal/config"
)

// Config is how a process is observed. The zero value logs text at level info
// and exports nothing.
type Config struct {
	// Log is the process's log, on standard error.
	Log LogConfig `yaml:"log,omitempty"`
	// Trace is where spans go.
	Trace TraceConfig `yaml:"trace,omitempty"`
}

// LogConfig is how the process logs.
type LogConfig struct {
	// Level is the least level that is logged: debug, info, warn, error. Default
	// info. debug adds lines per statement.
	Level string `yaml:"level,omitempty"`
	// Format is text or json, one line per entry either way. Default text.
	Format string `yaml:"format,omitempty"`
}

// TraceConfig is where spans go.
type TraceConfig struct {
	// Endpoint is the collector's OTLP gRPC address, host:port. Absent: spans are
	// not exported; trace ids are made all the same.
	Endpoint string `yaml:"endpoint,omitempty"`
	// CAFile holds the authorities of the collector's certificate. Default: the
	// machine's.
	CAFile string `yaml:"ca_file,omitempty"`
	// Insecure sends spans in plaintext. They carry names of databases and
	// tables, never literals. Default false.
	Insecure bool `yaml:"insecure,omitempty"`
	// SampleRatio is the share of traces to keep, from 0 to 1, where the caller
	// has not decided yet. Default 0.1. Higher costs time per statement and
	// traffic to the collector.
	SampleRatio *float64 `yaml:"sample_ratio,omitempty"`
	// Timeout is how long an export may take. Default 10s.
	Timeout config.Duration `yaml:"timeout,omitempty"`
}

// AdminConfig is the admin HTTP server's.
type AdminConfig struct {
	// Address is a loopback host:port for /metrics, /healthz and /readyz.
	// Absent: no admin server.
	Address string `yaml:"address,omitempty"`
}

const defaultSampleRatio = 0.1

// Validate adds every finding to p, with path before each key.
func (c *Config) Validate(p *config.Problems, path string) {
	if _, ok := parseLevel(c.Log.Level); !ok {
		p.Addf(path+".log.level", "is one of debug, info, warn, error, not %q", c.Log.Level)
	}
	switch c.Log.Format {
	case "", formatText, formatJSON:
	default:
		p.Addf(path+".log.format", "is text or json, not %q", c.Log.Format)
	}
	t := &c.Trace
	if t.Endpoint == "" {
		if t.Insecure || t.CAFile != "" || t.SampleRatio != nil {
			p.Addf(path+".trace.endpoint", "must be set where another key of trace is")
		}
	} else if !isHostPort(t.Endpoint) {
		p.Addf(path+".trace.endpoint", "looks like host:port, not %q", t.Endpoint)
	}
	if t.Insecure && t.CAFile != "" {
		p.Addf(path+".trace.insecure", "cannot be set beside ca_file")
	}
	// Written so that NaN is refused too.
	if r := t.SampleRatio; r != nil && !(*r >= 0 && *r <= 1) {
		p.Addf(path+".trace.sample_ratio", "is between 0 and 1")
	}
	if t.Timeout < 0 {
		p.Addf(path+".trace.timeout", "must not be negative")
	}
}

// Validate adds every finding to p, with path before each key.
func (c *AdminConfig) Validate(p *config.Problems, path string) {
	if c.Address == "" {
		return
	}
	host, _, _ := net.SplitHostPort(c.Address)
	if !isHostPort(c.Address) {
		p.Addf(path+".address", "looks like 127.0.0.1:6482, not %q", c.Address)
		return
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		p.Addf(path+".address", "must be a loopback address: the admin server has no authentication")
	}
}

// isHostPort wants a port by number: a URL's "http://host" would split too.
func isHostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
