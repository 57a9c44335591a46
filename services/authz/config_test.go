package authz

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/config"
)

func newPool(t *testing.T, pem []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return pool
}

const goodConfig = `
listen: {address: "127.0.0.1:6433", insecure_loopback: true}
policy: {file: policy.yaml}
state: {file: state.json}
catalog:
  databases:
    - {name: app, host: /run, user: scopewire}
`

// serving is a configuration of a process of its own.
type serving struct {
	Config `yaml:",inline"`
}

func (c *serving) Validate(p *config.Problems) {
	c.Config.Validate(p)
	c.ValidateServe(p)
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		want           string
	}{
		{"good", "", "", ""},
		{"unknown key", "policy:", "polices:", "polices"},
		{"no policy", "policy: {file: policy.yaml}", "", "policy.file"},
		{"no state", "state: {file: state.json}", "", "state: name a file"},
		{"two states", "state: {file: state.json}", "state: {file: state.json, memory: true}", "state: name a file"},
		{"state in memory", "state: {file: state.json}", "state: {memory: true}", ""},
		{"no database", "    - {name: app, host: /run, user: scopewire}", "    []", "databases"},
		{"negative interval", "{file: policy.yaml}", "{file: policy.yaml, interval: -1s}", "policy.interval"},
		{"negative ttl", "state:", "decisions: {ttl: -1s}\nstate:", "decisions.ttl"},
		{"negative bound", "state:", "decisions: {tokens: -1}\nstate:", "decisions.tokens"},
		{"age below the interval", "state:", "decisions: {max_source_age: 500ms}\nstate:", "decisions.max_source_age"},
		{"age above a short interval", "{file: policy.yaml}", "{file: policy.yaml, interval: 5s}", ""},
		{"no address", `listen: {address: "127.0.0.1:6433", insecure_loopback: true}`, "", "listen.address"},
		{"plaintext elsewhere", "127.0.0.1:6433", "10.0.0.1:6433", "listen.insecure_loopback"},
		{"all at once", "{file: policy.yaml}", "{interval: -1s}", "2 problems"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(goodConfig, tt.from, tt.to, 1)
			var cfg serving
			err := config.Decode([]byte(text), &cfg)
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}
