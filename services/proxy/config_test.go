package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// valid is a configuration without a problem.
func valid() Config {
	return Config{
		Instance:  "proxy-1",
		Listeners: []ListenerConfig{{Address: "0.0.0.0:6432", TLS: ServerTLS{CertFile: "c", KeyFile: "k"}}, {Address: "127.0.0.1:6433", InsecureLoopback: true}},
		Databases: []DatabaseConfig{{Name: "app", Host: "db.test", Logins: []LoginConfig{{Name: "app", Password: config.Source{File: "p"}}}}},
		Spool:     SpoolConfig{Dir: "spool"},
	}
}

// paths are where a configuration has problems.
func paths(c *Config) []string {
	var p config.Problems
	c.ValidateAt(&p, "proxy.")
	if p.Err() == nil {
		return nil
	}
	var out []string
	for line := range strings.SplitSeq(p.Err().Error(), "\n") {
		if path, _, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			out = append(out, path)
		}
	}
	return out
}

func TestConfigProblems(t *testing.T) {
	c := valid()
	if got := paths(&c); len(got) != 0 {
		t.Fatalf("a valid configuration has problems at %v", got)
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"instance":              {func(c *Config) { c.Instance = "" }, []string{"proxy.instance"}},
		"listeners":             {func(c *Config) { c.Listeners = nil }, []string{"proxy.listeners"}},
		"address":               {func(c *Config) { c.Listeners[0].Address = "6432" }, []string{"proxy.listeners[0].address"}},
		"no TLS":                {func(c *Config) { c.Listeners[0].TLS = ServerTLS{} }, []string{"proxy.listeners[0].tls"}},
		"half of TLS":           {func(c *Config) { c.Listeners[1].TLS.CertFile = "c" }, []string{"proxy.listeners[1].tls"}},
		"insecure, every":       {func(c *Config) { c.Listeners[1].Address = "0.0.0.0:1" }, []string{"proxy.listeners[1].insecure_loopback"}},
		"insecure, empty":       {func(c *Config) { c.Listeners[1].Address = ":1" }, []string{"proxy.listeners[1].insecure_loopback"}},
		"insecure, by a name":   {func(c *Config) { c.Listeners[1].Address = "localhost.example.com:1" }, []string{"proxy.listeners[1].insecure_loopback"}},
		"insecure, IPv6":        {func(c *Config) { c.Listeners[1].Address = "[::1]:1" }, nil},
		"insecure, mapped":      {func(c *Config) { c.Listeners[1].Address = "[::ffff:192.0.2.1]:1" }, []string{"proxy.listeners[1].insecure_loopback"}},
		"databases":             {func(c *Config) { c.Databases = nil }, []string{"proxy.databases"}},
		"database twice":        {func(c *Config) { c.Databases = append(c.Databases, c.Databases[0]) }, []string{"proxy.databases[1].name"}},
		"no host":               {func(c *Config) { c.Databases[0].Host = "" }, []string{"proxy.databases[0].host"}},
		"plaintext far away":    {func(c *Config) { c.Databases[0].TLS.Mode = "disable" }, []string{"proxy.databases[0].tls.mode"}},
		"plaintext by loopback": {func(c *Config) { c.Databases[0].TLS.Mode, c.Databases[0].Host = "disable", "127.0.0.1" }, nil},
		"socket with TLS":       {func(c *Config) { c.Databases[0].Host = "/run" }, []string{"proxy.databases[0].tls.mode"}},
		"socket":                {func(c *Config) { c.Databases[0].Host, c.Databases[0].TLS.Mode = "/run", "disable" }, nil},
		"weaker mode":           {func(c *Config) { c.Databases[0].TLS.Mode = "require" }, []string{"proxy.databases[0].tls.mode"}},
		"no login":              {func(c *Config) { c.Databases[0].Logins = nil }, []string{"proxy.databases[0].logins"}},
		"login twice":           {func(c *Config) { c.Databases[0].Logins = append(c.Databases[0].Logins, c.Databases[0].Logins[0]) }, []string{"proxy.databases[0].logins[1].name"}},
		"no password":           {func(c *Config) { c.Databases[0].Logins[0].Password = config.Source{} }, []string{"proxy.databases[0].logins[0].password"}},
		"spool":                 {func(c *Config) { c.Spool = SpoolConfig{Mode: "fast", MaxBytes: -1} }, []string{"proxy.spool.dir", "proxy.spool.max_bytes", "proxy.spool.mode"}},
		"strict":                {func(c *Config) { c.Spool.Mode = spool.ModeStrict }, nil},
		"limits": {func(c *Config) {
			c.Limits = LimitsConfig{Login: -1, Decision: -1, Fresh: -1, Staleness: -1, StatementBytes: 1<<20 + 1, Prepared: -1, PreparedBytes: -1, Sessions: -1, SessionsPerPrincipal: -1}
		}, []string{"proxy.limits.decision", "proxy.limits.fresh", "proxy.limits.login", "proxy.limits.prepared", "proxy.limits.prepared_bytes", "proxy.limits.sessions", "proxy.limits.sessions_per_principal", "proxy.limits.staleness", "proxy.limits.statement_bytes"}},
		"all at once": {func(c *Config) { *c = Config{} }, []string{"proxy.databases", "proxy.instance", "proxy.listeners", "proxy.spool.dir"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid()
			tc.change(&c)
			got := paths(&c)
			slices.Sort(got)
			if !slices.Equal(got, tc.want) {
				t.Errorf("problems at %v, want %v", got, tc.want)
			}
		})
	}
}
