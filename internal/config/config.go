// Package config reads configuration files: strict YAML, every problem at once,
// each with its path.
//
// A file is decoded into a struct with yaml tags. An unknown key, a second
// document and a wrong type are errors with line and caret. Then Validate runs,
// when the struct has one, and collects its findings in Problems. Secrets are
// never in the file: a struct holds a Source, which names a file or an
// environment variable.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// Validator is a configuration that can check itself.
type Validator interface {
	// Validate adds every finding to p.
	Validate(p *Problems)
}

// Load reads the file into v, which must be a pointer to a struct, and
// validates it.
func Load(fsys sys.FS, path string, v any) error {
	data, err := fsys.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := Decode(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Decode decodes one strict YAML document into v and validates it.
func Decode(data []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict(), yaml.DisallowUnknownField())
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return errors.New(yaml.FormatError(err, false, true))
	}
	var second any
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return errors.New("the file holds a second document; one is read, so the rest would be ignored")
	}
	if val, ok := v.(Validator); ok {
		var p Problems
		val.Validate(&p)
		return p.Err()
	}
	return nil
}

// Problems collects findings. The zero value is ready.
type Problems struct{ list []string }

// Addf adds a finding about the key at path.
func (p *Problems) Addf(path, format string, args ...any) {
	p.list = append(p.list, path+": "+fmt.Sprintf(format, args...))
}

// Err is nil when nothing was found.
func (p *Problems) Err() error {
	switch len(p.list) {
	case 0:
		return nil
	case 1:
		return errors.New(p.list[0])
	default:
		return fmt.Errorf("%d problems:\n  %s", len(p.list), strings.Join(p.list, "\n  "))
	}
}

// Duration is a time span written as Go does: 200ms, 10s, 1h30m.
type Duration time.Duration

// UnmarshalText parses the span.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("a time span looks like 200ms, 10s or 1h30m, not %q", b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText prints the span.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Or returns d, or def when d is zero.
func (d Duration) Or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

// Source says where a secret is.
type Source struct {
	// File holds the secret; one trailing newline is not part of it.
	File string `yaml:"file,omitempty"`
	// Env is the name of an environment variable that holds it.
	Env string `yaml:"env,omitempty"`
}

// IsZero reports whether no source is named.
func (s Source) IsZero() bool { return s == Source{} }

// Check adds a finding unless exactly one source is named.
func (s Source) Check(p *Problems, path string) {
	if (s.File == "") == (s.Env == "") {
		p.Addf(path, "name either a file or an env variable for the secret")
	}
}

// Read reads the secret. An empty one is an error.
func (s Source) Read(fsys sys.FS) (secret.Bytes, error) {
	if s.Env != "" {
		v := os.Getenv(s.Env)
		if v == "" {
			return secret.Bytes{}, fmt.Errorf("environment variable %s is empty or not set", s.Env)
		}
		return secret.FromString(v), nil
	}
	b, err := fsys.ReadFile(s.File)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("read secret: %w", err)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 {
		return secret.Bytes{}, fmt.Errorf("secret file %s is empty", s.File)
	}
	return secret.New(b), nil
}
