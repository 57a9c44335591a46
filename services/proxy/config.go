package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
	"github.com/scopewire/scopewire/services/proxy/internal/startup"
)

// Config is the proxy's configuration.
type Config struct {
	// Instance names this proxy in audit events and in the audit store. It must be
	// unique among proxies. Required.
	Instance string `yaml:"instance"`
	// Listeners are where clients connect. At least one.
	Listeners []ListenerConfig `yaml:"listeners"`
	// Databases are what clients can ask for. At least one.
	Databases []DatabaseConfig `yaml:"databases"`
	// Authz is the authz service. In `scopewire up` it is in the same process and
	// this is left out.
	Authz rpc.ClientConfig `yaml:"authz,omitempty"`
	// Audit is the audit service. In `scopewire up` it is in the same process and
	// this is left out.
	Audit rpc.ClientConfig `yaml:"audit,omitempty"`
	// Spool is where audit events wait for the audit service.
	Spool SpoolConfig `yaml:"spool"`
	// Metadata tells clients over HTTPS who issues tokens. Default: it does not.
	Metadata MetadataConfig `yaml:"metadata,omitempty"`
	// Limits bound what clients may ask for.
	Limits LimitsConfig `yaml:"limits,omitempty"`
	// Expiry says what becomes of sessions whose token expires.
	Expiry ExpiryConfig `yaml:"expiry,omitempty"`
	// Telemetry says how the process is observed. Not used in `scopewire up`.
	Telemetry telemetry.Config `yaml:"telemetry,omitempty"`
	// Admin is the HTTP server for health and metrics. Not used in `scopewire up`.
	Admin telemetry.AdminConfig `yaml:"admin,omitempty"`
}

// ListenerConfig is one listening socket.
type ListenerConfig struct {
	// Address is host:port. The default port of Scopewire is 6432.
	Address string `yaml:"address"`
	// TLS is the certificate shown to clients. Required, unless insecure_loopback.
	TLS ServerTLS `yaml:"tls,omitempty"`
	// InsecureLoopback takes tokens without TLS. Allowed on a loopback address
	// only: every process of the machine can then read them on the wire.
	// Default false.
	InsecureLoopback bool `yaml:"insecure_loopback,omitempty"`
	// Door is how clients show their token: password (the default) takes it as the
	// password, which every driver can send; oauth speaks OAUTHBEARER, which needs
	// libpq 18 or the like. A client chooses the other by options='-c
	// scopewire.auth=oauth'.
	Door startup.Door `yaml:"door,omitempty"`
	// OAuth makes the door oauth, and tells clients that come without a token where
	// to get one. Default: the listener has no such door.
	OAuth OAuthDoor `yaml:"oauth,omitempty"`
}

// OAuthDoor is the OAUTHBEARER door of a listener.
type OAuthDoor struct {
	// Issuer is the issuer's identifier, an https URL exactly as in its tokens and in
	// the clients' oauth_issuer.
	Issuer string `yaml:"issuer,omitempty"`
	// Scope is what clients should ask the issuer for, separated by spaces. Default
	// none: what the issuer gives by itself.
	Scope string `yaml:"scope,omitempty"`
	// ServerNames are host names that clients connect to for this door, by SNI.
	ServerNames []string `yaml:"server_names,omitempty"`
}

// ServerTLS names certificate files. They are read again at a handshake when
// the last look at them is older than ten seconds.
type ServerTLS struct {
	// CertFile is the certificate chain, PEM, leaf first.
	CertFile string `yaml:"cert_file,omitempty"`
	// KeyFile is its private key, PEM.
	KeyFile string `yaml:"key_file,omitempty"`
}

// DatabaseConfig is a database behind the proxy.
type DatabaseConfig struct {
	// Name is the database's name at the server, and what clients ask for.
	Name string `yaml:"name"`
	// Host is the server's name or address, or the directory of a unix socket.
	Host string `yaml:"host"`
	// Port is the server's port. Default 5432.
	Port uint16 `yaml:"port,omitempty"`
	// TLS is how the server is reached.
	TLS ClientTLS `yaml:"tls,omitempty"`
	// ApplicationName is what the server is told as the application's name: client (the
	// default: what the client says, and SETs later) or principal: the token's subject.
	// A client can still SET another then, unless policy denies it: deny `set` on
	// `setting:application_name`.
	ApplicationName string `yaml:"application_name,omitempty"`
	// Logins are the credentials that sessions can run under. At least one; which
	// one a principal gets is authz's to say.
	Logins []LoginConfig `yaml:"logins"`
}

// ClientTLS is the client side of TLS to a server.
type ClientTLS struct {
	// Mode is verify-full (the default: the certificate is checked against the
	// authorities and the name) or disable, which is allowed for loopback
	// addresses and unix sockets only.
	Mode string `yaml:"mode,omitempty"`
	// CAFile holds the accepted authorities, PEM. Default: the machine's.
	CAFile string `yaml:"ca_file,omitempty"`
	// CertFile and KeyFile are a client certificate, PEM. Default none.
	CertFile string `yaml:"cert_file,omitempty"`
	// KeyFile is the client certificate's key.
	KeyFile string `yaml:"key_file,omitempty"`
	// ServerName is the name the certificate must carry. Default: host.
	ServerName string `yaml:"server_name,omitempty"`
	// ChannelBinding is require (the default: SCRAM is bound to the TLS connection, so
	// that nobody in between can pass it on) or prefer, for a server whose certificate
	// is signed with Ed25519, or whose TLS something else ends.
	ChannelBinding string `yaml:"channel_binding,omitempty"`
}

// LoginConfig is one credential.
type LoginConfig struct {
	// Name is what policy calls it.
	Name string `yaml:"name"`
	// User is the role at the server. Default: name.
	User string `yaml:"user,omitempty"`
	// Password is where its password is; it is read again for each session. Only
	// SCRAM-SHA-256 is spoken.
	Password config.Source `yaml:"password"`
}

// SpoolConfig is the audit spool.
type SpoolConfig struct {
	// Dir is a directory of this proxy alone. Required.
	Dir string `yaml:"dir"`
	// MaxBytes is the most the spool may hold; a full spool refuses statements.
	// Default 1 GiB: some two million events.
	MaxBytes int64 `yaml:"max_bytes,omitempty"`
	// Mode is group (the default: nothing is lost when the process dies, at most
	// 10 ms when the machine does) or strict (nothing is lost in either case, at
	// the cost of a disk sync before each statement).
	Mode spool.Mode `yaml:"mode,omitempty"`
}

// LimitsConfig bounds what clients may ask for.
type LimitsConfig struct {
	// StatementTime is how long the server may take over a message, from when it comes to
	// it to the last of its answer, the data of a COPY and the client's reading included.
	// Default 0s: without end, as PostgreSQL's own statement_timeout, which clients set for
	// themselves. Lower frees what forgotten statements hold, and stops those that need long.
	StatementTime config.Duration `yaml:"statement_time,omitempty"`
	// Drain is how long sessions may take to come to their ends once the proxy is asked to
	// stop: transactions go on, and sessions that are idle end. Default 30s; what runs after
	// that is cut off. A second signal ends the process at once.
	Drain config.Duration `yaml:"drain,omitempty"`
	// Login is how long a client may take from connecting to its session.
	// Default 10s, absolute. Higher lets slow clients hold connections.
	Login config.Duration `yaml:"login,omitempty"`
	// Decision is how long a decision may take before the statement is refused.
	// Default 200ms.
	Decision config.Duration `yaml:"decision,omitempty"`
	// Fresh is the same for a decision that has to wait for a catalog that is read after
	// the session's own DDL, is about objects of the session's own, or about a text of
	// more than 32 KiB. Default 5s.
	Fresh config.Duration `yaml:"fresh,omitempty"`
	// Staleness is how long a decision may be used after it was last known to be
	// fresh. Default 1s; lower makes prepared statements ask authz more often,
	// higher lets a withdrawn grant live that much longer when authz is cut off.
	Staleness config.Duration `yaml:"staleness,omitempty"`
	// Decisions is how many allows are kept for texts that come again. Default
	// 8192, some 16 MB when all are used. More of them save questions to authz.
	Decisions int `yaml:"decisions,omitempty"`
	// StatementBytes is the longest statement text. Default and most 1 MiB: authz
	// takes no more.
	StatementBytes int `yaml:"statement_bytes,omitempty"`
	// Prepared is the most prepared statements and portals of a session.
	// Default 5000.
	Prepared int `yaml:"prepared,omitempty"`
	// PreparedBytes is the most their texts may have together. Default 16 MiB.
	PreparedBytes int `yaml:"prepared_bytes,omitempty"`
	// Sessions is the most connections at once, logins under way included.
	// Default 5000. Each needs two descriptors.
	Sessions int `yaml:"sessions,omitempty"`
	// SessionsPerPrincipal is the most sessions at once of one principal: issuer and
	// subject of a token. Default 500, so that none can take all that there are.
	SessionsPerPrincipal int `yaml:"sessions_per_principal,omitempty"`
	// MissesPerPrincipal is how many decisions a second the sessions of a principal may
	// ask authz for, those that are kept not counted, and DenialsPerPrincipal how many
	// denials a second they may get. Ten seconds' worth may come at once; over it a
	// session waits before it goes on. Default 5000 and 100. Higher lets one principal take
	// more of authz and of the spool from the others.
	MissesPerPrincipal  int `yaml:"misses_per_principal,omitempty"`
	DenialsPerPrincipal int `yaml:"denials_per_principal,omitempty"`
}

const (
	defaultPort           = 5432
	defaultSpoolBytes     = 1 << 30
	defaultLogin          = 10 * time.Second
	defaultDrain          = 30 * time.Second
	defaultDecision       = 200 * time.Millisecond
	defaultFresh          = 5 * time.Second
	defaultStaleness      = time.Second
	defaultDecisions      = 8192
	maxStatementBytes     = 1 << 20
	defaultPrepared       = 5000
	defaultPreparedBytes  = 16 << 20
	defaultSessions       = 5000
	defaultPerPrincipal   = 500
	defaultMisses         = 5000
	defaultDenials        = 100
	tlsModeVerifyFull     = "verify-full"
	tlsModeDisable        = "disable"
	bindingRequire        = "require"
	applicationClient     = "client"
	applicationPrincipal  = "principal"
	applicationName       = "application_name"
	bindingPrefer         = "prefer"
	watchPerStaleness     = 4
	backendConnectTimeout = 5 * time.Second
	// authenticateTimeout leaves room for the issuer's keys to be fetched.
	authenticateTimeout = 4 * time.Second
)

// Validate adds every finding to p.
func (c *Config) Validate(p *config.Problems) { c.ValidateAt(p, "") }

// ValidateAt adds every finding to p, with prefix before each key.
func (c *Config) ValidateAt(p *config.Problems, prefix string) {
	if c.Instance == "" {
		p.Addf(prefix+"instance", "a name is needed, unique among proxies")
	}
	if len(c.Listeners) == 0 {
		p.Addf(prefix+"listeners", "at least one is needed")
	}
	for i := range c.Listeners {
		c.Listeners[i].validate(p, fmt.Sprintf("%slisteners[%d]", prefix, i))
	}
	if len(c.Databases) == 0 {
		p.Addf(prefix+"databases", "at least one is needed")
	}
	seen := make(map[string]bool)
	for i := range c.Databases {
		path := fmt.Sprintf("%sdatabases[%d]", prefix, i)
		c.Databases[i].validate(p, path)
		if name := c.Databases[i].Name; seen[name] {
			p.Addf(path+".name", "%q is there twice", name)
		} else {
			seen[name] = true
		}
	}
	if c.Spool.Dir == "" {
		p.Addf(prefix+"spool.dir", "a directory is needed")
	}
	switch c.Spool.Mode {
	case "", spool.ModeGroup, spool.ModeStrict:
	default:
		p.Addf(prefix+"spool.mode", "is group or strict, not %q", c.Spool.Mode)
	}
	if c.Spool.MaxBytes < 0 {
		p.Addf(prefix+"spool.max_bytes", "is not negative")
	}
	c.Metadata.validate(p, prefix+"metadata")
	c.Limits.validate(p, prefix+"limits")
	c.Expiry.validate(p, prefix+"expiry")
}

// ValidateRemote adds what a proxy in a process of its own needs beside.
func (c *Config) ValidateRemote(p *config.Problems) {
	c.Authz.Validate(p, "authz")
	c.Audit.Validate(p, "audit")
	c.Telemetry.Validate(p, "telemetry")
	c.Admin.Validate(p, "admin")
}

func (l *ListenerConfig) validate(p *config.Problems, path string) {
	host, _, err := net.SplitHostPort(l.Address)
	if err != nil {
		p.Addf(path+".address", "is host:port, not %q", l.Address)
	}
	files := l.TLS.CertFile != "" && l.TLS.KeyFile != ""
	if (l.TLS.CertFile == "") != (l.TLS.KeyFile == "") {
		p.Addf(path+".tls", "cert_file and key_file belong together")
	}
	l.validateDoor(p, path)
	if l.InsecureLoopback && !loopback(host) {
		p.Addf(path+".insecure_loopback", "is allowed on a loopback address only, and %q is none", host)
	}
	if !files && !l.InsecureLoopback {
		p.Addf(path+".tls", "a certificate is needed, because tokens come over this socket (or insecure_loopback on a loopback address)")
	}
}

// loopback reports whether host is a loopback address or localhost.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (d *DatabaseConfig) validate(p *config.Problems, path string) {
	if d.Name == "" {
		p.Addf(path+".name", "a name is needed")
	}
	if d.Host == "" {
		p.Addf(path+".host", "a host is needed")
	}
	switch d.TLS.Mode {
	case "", tlsModeVerifyFull:
		if d.local() && d.Host != "" && d.Host[0] == '/' {
			p.Addf(path+".tls.mode", "a unix socket has no TLS: set disable")
		}
	case tlsModeDisable:
		if !d.local() {
			p.Addf(path+".tls.mode", "disable is allowed for loopback addresses and unix sockets only")
		}
	default:
		p.Addf(path+".tls.mode", "is verify-full or disable, not %q", d.TLS.Mode)
	}
	switch d.TLS.ChannelBinding {
	case "", bindingRequire, bindingPrefer:
	default:
		p.Addf(path+".tls.channel_binding", "is require or prefer, not %q", d.TLS.ChannelBinding)
	}
	if (d.TLS.CertFile == "") != (d.TLS.KeyFile == "") {
		p.Addf(path+".tls", "cert_file and key_file belong together")
	}
	switch d.ApplicationName {
	case "", applicationClient, applicationPrincipal:
	default:
		p.Addf(path+".application_name", "is client or principal, not %q", d.ApplicationName)
	}
	if len(d.Logins) == 0 {
		p.Addf(path+".logins", "at least one is needed")
	}
	seen := make(map[string]bool)
	for i, l := range d.Logins {
		at := fmt.Sprintf("%s.logins[%d]", path, i)
		if l.Name == "" || seen[l.Name] {
			p.Addf(at+".name", "a name is needed, once")
		}
		seen[l.Name] = true
		l.Password.Check(p, at+".password")
	}
}

func (d *DatabaseConfig) local() bool {
	return loopback(d.Host) || d.Host != "" && d.Host[0] == '/'
}

func (l *LimitsConfig) validate(p *config.Problems, path string) {
	for _, d := range []struct {
		key string
		v   config.Duration
	}{{"login", l.Login}, {"decision", l.Decision}, {"fresh", l.Fresh}, {"staleness", l.Staleness}, {"statement_time", l.StatementTime}, {"drain", l.Drain}} {
		if d.v < 0 {
			p.Addf(path+"."+d.key, "is not negative")
		}
	}
	if l.StatementBytes < 0 || l.StatementBytes > maxStatementBytes {
		p.Addf(path+".statement_bytes", "is between 1 and %d", maxStatementBytes)
	}
	for _, n := range []struct {
		key string
		v   int
	}{{"decisions", l.Decisions}, {"prepared", l.Prepared}, {"prepared_bytes", l.PreparedBytes}, {"sessions", l.Sessions},
		{"sessions_per_principal", l.SessionsPerPrincipal}, {"misses_per_principal", l.MissesPerPrincipal},
		{"denials_per_principal", l.DenialsPerPrincipal}} {
		if n.v < 0 {
			p.Addf(path+"."+n.key, "is not negative")
		}
	}
}

// or returns v, or def when v is zero.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
