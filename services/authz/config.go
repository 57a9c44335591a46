package authz

import (
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/authz/internal/signals"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
)

// Config is the service's configuration.
type Config struct {
	// Listen is where proxies connect. The default port of Scopewire's authz is
	// 6433. In `scopewire up` authz is in the same process and this is left out.
	Listen rpc.ServerConfig `yaml:"listen,omitempty"`
	// Policy is the policy file.
	Policy PolicyConfig `yaml:"policy"`
	// State is where the numbers of policies and catalogs are kept.
	State StateConfig `yaml:"state"`
	// Catalog names the databases whose catalogs are read.
	Catalog snapshotter.Config `yaml:"catalog"`
	// Keys says how the keys of token issuers are fetched.
	Keys KeysConfig `yaml:"keys,omitempty"`
	// Signals is where issuers report that sessions are over (OpenID Shared Signals).
	// Default: nowhere.
	Signals signals.Config `yaml:"signals,omitempty"`
	// Audit is where acts of operators are reported to. In `scopewire up` it is in the same
	// process and this is left out; else the default is nowhere but the log.
	Audit AuditConfig `yaml:"audit,omitempty"`
	// Decisions bounds what decisions are made from and how long they last.
	Decisions DecisionsConfig `yaml:"decisions,omitempty"`
	// Telemetry says how the process is observed. Not used in `scopewire up`.
	Telemetry telemetry.Config `yaml:"telemetry,omitempty"`
	// Admin is the HTTP server for health and metrics. Not used in `scopewire up`.
	Admin telemetry.AdminConfig `yaml:"admin,omitempty"`
}

// AuditConfig is the audit service as authz calls it.
type AuditConfig struct {
	rpc.ClientConfig `yaml:",inline"`
	// Instance is authz's name in the audit log, where its certificate names one that one.
	// Default: authz.
	Instance string `yaml:"instance,omitempty"`
}

// PolicyConfig is the policy file.
type PolicyConfig struct {
	// File is its path. Required.
	File string `yaml:"file"`
	// Interval is how often it is read. Default 250ms. A longer one leaves a
	// change out of force for longer, and from half the proxies' staleness bound
	// on makes them ask again for what they had cached.
	Interval config.Duration `yaml:"interval,omitempty"`
}

// StateConfig is where numbers are kept. Exactly one of its fields is set.
type StateConfig struct {
	// File is a file of this process alone; beside it lies a lock. It must survive
	// restarts: numbers that began again would make proxies refuse everything.
	File string `yaml:"file,omitempty"`
	// Memory keeps the numbers in the process. For `scopewire up` and tests, where
	// no proxy outlives them. Default false.
	Memory bool `yaml:"memory,omitempty"`
}

// KeysConfig says how issuers' keys are fetched.
type KeysConfig struct {
	// Refresh is how often they are fetched: how long a withdrawn key is still
	// accepted. Default 300s. A shorter one asks the issuer more often.
	Refresh config.Duration `yaml:"refresh,omitempty"`
	// MaxAge is how long keys serve when the issuer cannot be reached; then its
	// tokens are refused. Default 1h. A longer one rides out longer outages, and
	// believes longer in keys that the issuer may have withdrawn.
	MaxAge config.Duration `yaml:"max_age,omitempty"`
	// FetchTimeout bounds one fetch, and how long a login waits for keys that are
	// not there. Default 4s.
	FetchTimeout config.Duration `yaml:"fetch_timeout,omitempty"`
	// CAFile holds the authorities of the issuers' certificates, PEM. Default: the
	// machine's.
	CAFile string `yaml:"ca_file,omitempty"`
}

// DecisionsConfig bounds decisions.
type DecisionsConfig struct {
	// TTL is how long a proxy may use a decision again; never longer than its
	// token lives. Default 60s. A longer one saves questions; a change of policy
	// or catalog ends every decision at once whatever the TTL.
	TTL config.Duration `yaml:"ttl,omitempty"`
	// MaxSourceAge is how old policy and catalog may be. Default 1s more than the
	// longer of their intervals. A longer one rides out short failures, and
	// decides by older facts meanwhile.
	MaxSourceAge config.Duration `yaml:"max_source_age,omitempty"`
	// RefreshWait is how long a request waits for a newer policy or catalog, when
	// its proxy has seen one or a name is missing, and for an issuer's keys.
	// Default 150ms. It counts against the proxy's deadline for a decision: longer
	// than that, and the answer comes to nobody; shorter than a catalog takes to be
	// read, and a table made a moment ago costs another question, for which FreshWait
	// holds.
	RefreshWait config.Duration `yaml:"refresh_wait,omitempty"`
	// FreshWait is how long a request waits for the catalog to be read again when its
	// own session has changed it. Default 5s. A shorter one refuses statements behind
	// DDL when the catalog is large or the machine busy; the proxy's own limit for
	// these (limits.fresh) is to be no shorter.
	FreshWait config.Duration `yaml:"fresh_wait,omitempty"`
	// Heartbeat is the time between two epochs that a proxy gets unasked. Default
	// 250ms.
	Heartbeat config.Duration `yaml:"heartbeat,omitempty"`
	// Analyses is how many requests are judged at once. Default 64. More of them
	// share the processors; fewer let slow ones hold up others.
	Analyses int `yaml:"analyses,omitempty"`
	// StreamRequests is how many requests of one proxy are under way at once.
	// Default 256. The proxy waits beyond it.
	StreamRequests int `yaml:"stream_requests,omitempty"`
	// Tokens is how many verified tokens are remembered. Default 65536, about 150
	// MB when all are used, and more with long tokens. A token that is forgotten is sent and verified again.
	Tokens int `yaml:"tokens,omitempty"`
}

// The defaults.
const (
	defaultPolicyInterval  = 250 * time.Millisecond
	defaultCatalogInterval = 500 * time.Millisecond
	defaultTTL             = 60 * time.Second
	defaultSourceSlack     = time.Second
	defaultRefreshWait     = 150 * time.Millisecond
	defaultFreshWait       = 5 * time.Second
	defaultHeartbeat       = 250 * time.Millisecond
	defaultAnalyses        = 64
	defaultStreamRequests  = 256
	defaultTokens          = 1 << 16
)

// Validate implements config.Validator.
func (c *Config) Validate(p *config.Problems) {
	if c.Policy.File == "" {
		p.Addf("policy.file", "name the policy file")
	}
	if (c.State.File == "") != c.State.Memory {
		p.Addf("state", "name a file, or set memory where no proxy outlives this process")
	}
	var catalog config.Problems
	c.Catalog.Validate(&catalog)
	if err := catalog.Err(); err != nil {
		p.Addf("catalog", "%s", err)
	}
	c.Signals.Validate(p, "signals")
	if c.Audit.Instance != "" && !rpc.IsInstance(c.Audit.Instance) {
		p.Addf("audit.instance", "it has letters, digits, dots, hyphens and underscores only")
	}
	d := &c.Decisions
	for _, v := range []struct {
		path string
		d    config.Duration
	}{
		{"policy.interval", c.Policy.Interval}, {"keys.refresh", c.Keys.Refresh}, {"keys.max_age", c.Keys.MaxAge},
		{"keys.fetch_timeout", c.Keys.FetchTimeout}, {"decisions.ttl", d.TTL}, {"decisions.refresh_wait", d.RefreshWait},
		{"decisions.fresh_wait", d.FreshWait},
		{"decisions.heartbeat", d.Heartbeat}, {"decisions.max_source_age", d.MaxSourceAge},
	} {
		if v.d < 0 {
			p.Addf(v.path, "a time span is not negative")
		}
	}
	for _, v := range []struct {
		path string
		n    int
	}{{"decisions.analyses", d.Analyses}, {"decisions.stream_requests", d.StreamRequests}, {"decisions.tokens", d.Tokens}} {
		if v.n < 0 {
			p.Addf(v.path, "a number of things is not negative")
		}
	}
	if age := c.maxSourceAge(); age <= c.pollInterval() {
		p.Addf("decisions.max_source_age", "sources are read every %s; at %s every request would be refused", c.pollInterval(), age)
	}
}

// ValidateServe adds what a process of its own needs besides.
func (c *Config) ValidateServe(p *config.Problems) {
	if c.Listen.Address == "" {
		p.Addf("listen.address", "name where proxies connect")
	}
	c.Listen.Validate(p, "listen")
	if c.Audit.Address != "" {
		c.Audit.Validate(p, "audit")
	}
	c.Telemetry.Validate(p, "telemetry")
	c.Admin.Validate(p, "admin")
}

// pollInterval is the longest time between two readings of a source.
func (c *Config) pollInterval() time.Duration {
	return max(c.Policy.Interval.Or(defaultPolicyInterval), c.Catalog.Interval.Or(defaultCatalogInterval))
}

func (c *Config) maxSourceAge() time.Duration {
	return c.Decisions.MaxSourceAge.Or(c.pollInterval() + defaultSourceSlack)
}
