package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
)

type inner struct {
	Wait config.Duration `yaml:"wait"`
	Key  config.Source   `yaml:"key"`
}

type sample struct {
	Name  string `yaml:"name"`
	Inner inner  `yaml:"inner"`
}

func (s *sample) Validate(p *config.Problems) {
	if s.Name == "" {
		p.Addf("name", "must be set")
	}
	s.Inner.Key.Check(p, "inner.key")
}

func TestDecode(t *testing.T) {
	var s sample
	err := config.Decode([]byte("name: a\ninner:\n  wait: 250ms\n  key: {env: KEY}\n"), &s)
	if err != nil || time.Duration(s.Inner.Wait) != 250*time.Millisecond || s.Inner.Key.Env != "KEY" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestDecodeRejects(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"unknown key":     {"name: a\nnmae: b\n", "nmae"},
		"second document": {"name: a\ninner: {key: {env: K}}\n---\nname: b\n", "second document"},
		"bad span":        {"inner: {wait: 5}\n", "time span"},
		"all at once":     {"inner: {wait: 5s}\n", "2 problems"},
		"duplicate key":   {"name: a\nname: b\n", "name"},
		"both sources":    {"name: a\ninner: {key: {env: K, file: F}}\n", "inner.key"},
	} {
		var s sample
		err := config.Decode([]byte(c.in), &s)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestSourceReadEnv(t *testing.T) {
	t.Setenv("SCOPEWIRE_TEST_SECRET", "s3cret")
	s, err := config.Source{Env: "SCOPEWIRE_TEST_SECRET"}.Read(sys.OS().FS)
	if err != nil || string(s.Expose()) != "s3cret" {
		t.Errorf("%v, %v", s, err)
	}
}
