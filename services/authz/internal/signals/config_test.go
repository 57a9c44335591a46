package signals

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
)

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"nothing":         {Config{}, ""},
		"no address":      {Config{Transmitters: []Transmitter{{}}}, "signals.address"},
		"no port":         {Config{Address: "x", CertFile: "c", KeyFile: "k", Transmitters: []Transmitter{{BearerFile: "b"}}}, "signals.address"},
		"no certificate":  {Config{Address: ":1", Transmitters: []Transmitter{{BearerFile: "b"}}}, "HTTPS alone"},
		"no transmitter":  {Config{Address: ":1", CertFile: "c", KeyFile: "k"}, "signals.transmitters"},
		"no secret":       {Config{Address: ":1", CertFile: "c", KeyFile: "k", Transmitters: []Transmitter{{}}}, "transmitters[0].bearer_file"},
		"an empty issuer": {Config{Address: ":1", CertFile: "c", KeyFile: "k", Transmitters: []Transmitter{{BearerFile: "b", Subjects: []string{""}}}}, "subjects"},
		"a negative rate": {Config{Address: ":1", CertFile: "c", KeyFile: "k", Transmitters: []Transmitter{{BearerFile: "b", Rate: -1}}}, "negative"},
		"an odd path":     {Config{Address: ":1", Path: "x", CertFile: "c", KeyFile: "k", Transmitters: []Transmitter{{BearerFile: "b"}}}, "signals.path"},
	} {
		var p config.Problems
		c.cfg.Validate(&p, "signals")
		if err := p.Err(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := New(Config{}, Deps{})
	if r != nil || err != nil {
		t.Errorf("%v %v", r, err)
	}
	if _, err := New(Config{Address: ":1", Transmitters: []Transmitter{{Issuer: idp}}}, Deps{System: sys.OS(), Logger: slog.New(slog.DiscardHandler)}); err == nil ||
		!strings.Contains(err.Error(), "audience") {
		t.Errorf("a transmitter without an audience: %v", err)
	}
}
