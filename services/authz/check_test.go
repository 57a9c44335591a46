package authz

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/signals"
)

// What is signalled of an issuer whose tokens' life nobody bounds is warned of, and nothing else.
func TestCheck(t *testing.T) {
	const bounded, free = "https://bounded.example.com", "https://free.example.com"
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(`
version: 1
issuers:
  - {issuer: `+bounded+`, audiences: [postgres], max_token_lifetime: 1h}
  - {issuer: `+free+`, audiences: [postgres]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(ts ...signals.Transmitter) signals.Config { return signals.Config{Address: ":1", Transmitters: ts} }
	for name, c := range map[string]struct {
		signals signals.Config
		want    string
	}{
		"no signals":               {signals.Config{}, ""},
		"of itself":                {at(signals.Transmitter{Issuer: free}), free},
		"of itself, bounded":       {at(signals.Transmitter{Issuer: bounded}), ""},
		"its own bound":            {at(signals.Transmitter{Issuer: free, TokenLifetime: config.Duration(time.Hour)}), ""},
		"of others":                {at(signals.Transmitter{Issuer: bounded, Subjects: []string{bounded, free}}), free},
		"of nobody who can log in": {at(signals.Transmitter{Issuer: "https://x.example.com"}), ""},
	} {
		got, err := Check(sys.OS().FS, Config{Policy: PolicyConfig{File: file}, Signals: c.signals})
		if err != nil || len(got) != min(len(c.want), 1) || len(got) == 1 && !strings.Contains(got[0], "of subjects of "+c.want+" is kept for ever") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := Check(sys.OS().FS, Config{Policy: PolicyConfig{File: file + ".none"}}); err == nil {
		t.Error("a policy that is missing is none")
	}
}
