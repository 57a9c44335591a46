// Package secret holds bytes that must not reach a log, an error, a trace or a
// person's screen: tokens, passwords, private keys.
//
// Bytes prints as [redacted] under every formatting verb, encoder and logger,
// and compares in constant time. The bytes themselves are had by Expose alone,
// so a search for that name finds every use. Go's garbage collector and the TLS
// stack may keep copies of what was exposed; Wipe is best effort.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
)

// Redacted is what a secret prints as.
const Redacted = "[redacted]"

// Bytes is a secret. The zero value is empty. Copies share the same bytes.
//
// The bytes are behind a pointer because fmt prints the fields of a struct
// under %p without asking it.
type Bytes struct{ p *[]byte }

// New wraps b without copying; the caller gives it up.
func New(b []byte) Bytes { return Bytes{&b} }

// FromString copies s. The string itself stays in memory; prefer New.
func FromString(s string) Bytes { return New([]byte(s)) }

// Expose returns the bytes themselves, still owned by the secret.
func (s Bytes) Expose() []byte {
	if s.p == nil {
		return nil
	}
	return *s.p
}

// Len is the length in bytes.
func (s Bytes) Len() int { return len(s.Expose()) }

// Equal compares in time that depends on the lengths alone.
func (s Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(s.Expose(), o.Expose()) == 1 }

// SHA256 is the digest by which a token is known outside authz.
func (s Bytes) SHA256() [sha256.Size]byte { return sha256.Sum256(s.Expose()) }

// Clone is a secret of the same bytes in another place: to wipe either leaves the other.
func (s Bytes) Clone() Bytes { return New(append([]byte(nil), s.Expose()...)) }

// Wipe overwrites the bytes. Every copy of s is empty of meaning afterwards.
func (s Bytes) Wipe() {
	clear(s.Expose())
	runtime.KeepAlive(s.p)
}

// String returns [redacted].
func (Bytes) String() string { return Redacted }

// GoString returns [redacted].
func (Bytes) GoString() string { return Redacted }

// Format prints [redacted] under every verb.
func (Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// LogValue logs [redacted].
func (Bytes) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON encodes "[redacted]".
func (Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText encodes [redacted].
func (Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML encodes [redacted].
func (Bytes) MarshalYAML() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalText refuses: secrets come from files or the environment, never from
// the text of a configuration.
func (Bytes) UnmarshalText([]byte) error {
	return errors.New("a secret cannot be written here; name a file or an environment variable")
}
