package proxy

import (
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// ExpiryConfig says what becomes of sessions whose token expires.
type ExpiryConfig struct {
	// Grace is how long a session stays after its token's end, for a new token or a
	// ROLLBACK and nothing else. Default 60s; at least 1ms. A longer one keeps idle
	// sessions at the server for longer.
	Grace config.Duration `yaml:"grace,omitempty"`
	// Notice is how long before the end the client is told by a NOTICE, ahead of the next
	// ReadyForQuery. Default 0s: never, since clients may show notices to people.
	Notice config.Duration `yaml:"notice,omitempty"`
	// Running is what becomes of the statement that runs at the end: abort (the default)
	// cancels it, finish lets it come to its own end. Its transaction is aborted in both
	// cases.
	Running string `yaml:"running,omitempty"`
}

const (
	defaultGrace  = 60 * time.Second
	runningAbort  = "abort"
	runningFinish = "finish"
)

func (e *ExpiryConfig) validate(p *config.Problems, path string) {
	if e.Grace < 0 {
		p.Addf(path+".grace", "is not negative")
	}
	if e.Notice < 0 {
		p.Addf(path+".notice", "is not negative")
	}
	switch e.Running {
	case "", runningAbort, runningFinish:
	default:
		p.Addf(path+".running", "is abort or finish, not %q", e.Running)
	}
}

func (e *ExpiryConfig) rules() session.Expiry {
	return session.Expiry{Grace: e.Grace.Or(defaultGrace), Notice: time.Duration(e.Notice), Finish: e.Running == runningFinish}
}
