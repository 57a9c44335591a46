package proxy

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/upstream"
)

// credential is a login of a database, as its files and variables are now: what a
// rotation changes counts for the next session.
type credential struct {
	database DatabaseConfig
	login    LoginConfig
	system   sys.System
	log      *slog.Logger

	mu sync.Mutex
	// last is what loaded last, failing that nothing has loaded since; mu guards them.
	last    upstream.Target
	failing bool
}

// newCredential loads a credential; at the start one that does not load is an error.
func newCredential(d DatabaseConfig, l LoginConfig, system sys.System, log *slog.Logger) (*credential, error) {
	c := &credential{database: d, login: l, system: system, log: log}
	t, err := c.load()
	if err != nil {
		return nil, err
	}
	c.last = t
	return c, nil
}

func (c *credential) load() (upstream.Target, error) {
	d, l := c.database, c.login
	tlsConfig, err := clientTLS(d, c.system)
	if err != nil {
		return upstream.Target{}, err
	}
	password, err := l.Password.Read(c.system.FS)
	if err != nil {
		return upstream.Target{}, fmt.Errorf("login %s of database %s: %w", l.Name, d.Name, err)
	}
	return upstream.Target{Host: d.Host, Port: or(d.Port, defaultPort), Database: d.Name, User: or(l.User, l.Name), Password: password,
		TLS: tlsConfig, WithoutBinding: d.TLS.ChannelBinding == bindingPrefer, Login: l.Name}, nil
}

// target is what the next session is opened with: what the files say now, or what
// they said last when they cannot be read.
func (c *credential) target() upstream.Target {
	t, err := c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last, c.failing = t, false
		return t
	}
	// Once per trouble, not once per session.
	if !c.failing {
		c.log.Error("login not read again; the last one stays in use", "error", err)
	}
	c.failing = true
	return c.last
}
