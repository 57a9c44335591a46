package wallet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// tokensSuffix ends the name of a file of tokens.
const tokensSuffix = ".tokens.json" //nolint:gosec // G101: a file name.

// kept is the form in which tokens are kept. Times are those of the wall clock.
type kept struct {
	Access   string    `json:"access_token,omitempty"`
	Refresh  string    `json:"refresh_token,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	Obtained time.Time `json:"obtained"`
	Expires  time.Time `json:"expires,omitzero"`
}

// Tokens reads the tokens of a profile, as they are.
func (w *Wallet) Tokens(name string, p *Profile) (login.Tokens, error) {
	var b []byte
	var err error
	if p.Keyring != "" {
		var s string
		s, err = w.keyring.Get(p.Keyring)
		b = []byte(s)
	} else {
		b, err = w.read(w.file(name, tokensSuffix))
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return login.Tokens{}, ErrNoProfile
	}
	if err != nil {
		return login.Tokens{}, fmt.Errorf("read the tokens of profile %s: %w", name, err)
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		// What was read is not part of the error.
		return login.Tokens{}, fmt.Errorf("read the tokens of profile %s: they are damaged: log in again", name)
	}
	return login.Tokens{Access: secret.FromString(k.Access), Refresh: secret.FromString(k.Refresh), Scope: k.Scope,
		Obtained: k.Obtained, Expires: k.Expires}, nil
}

// maxKeyringEntry is what every keyring takes: that of macOS is asked by a command
// whose line has an end.
const maxKeyringEntry = 2 << 10

// putTokens keeps tokens where the profile says. In a keyring an access token that is
// too long for it is left out, and asked for anew where it is needed.
func (w *Wallet) putTokens(name string, p *Profile, t login.Tokens) error {
	k := kept{Access: string(t.Access.Expose()), Refresh: string(t.Refresh.Expose()), Scope: t.Scope, Obtained: t.Obtained.UTC(), Expires: t.Expires.UTC()}
	b, err := json.Marshal(k) //nolint:gosec // G117: this is where tokens are kept.
	if err != nil {
		return fmt.Errorf("keep the tokens: %w", err)
	}
	if p.Keyring == "" {
		if err := sys.WriteFileAtomic(w.fs, w.file(name, tokensSuffix), b, 0o600); err != nil {
			return fmt.Errorf("keep the tokens: %w", err)
		}
		return nil
	}
	if len(b) > maxKeyringEntry {
		if k.Refresh == "" {
			return errors.New("the token is too long for a keyring")
		}
		k.Access = ""
		if b, err = json.Marshal(k); err != nil { //nolint:gosec // G117: as above.
			return fmt.Errorf("keep the tokens: %w", err)
		}
	}
	if err := w.keyring.Set(p.Keyring, string(b)); err != nil {
		return fmt.Errorf("the keyring does not take the tokens: %w", err)
	}
	return nil
}

// dropTokens forgets a profile's tokens. That they are gone already is no error.
func (w *Wallet) dropTokens(name string, p *Profile) error {
	var err error
	if p.Keyring != "" {
		err = w.keyring.Delete(p.Keyring)
	} else {
		err = w.fs.Remove(w.file(name, tokensSuffix))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("forget the tokens of profile %s: %w", name, err)
	}
	return nil
}
