package wallet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/internal/filelock"
	"github.com/scopewire/scopewire/internal/sys"
)

// Keyring is a desktop's store of secrets. Calls may wait for a person, who is
// asked to unlock it. ErrNotFound is what Get and Delete return for a name that is
// not there.
type Keyring interface {
	Get(name string) (string, error)
	Set(name, value string) error
	Delete(name string) error
}

// ErrNotFound says that the keyring has nothing of a name.
var ErrNotFound = errors.New("the keyring has no such entry")

// Deps are what a wallet works with.
type Deps struct {
	System  sys.System
	Keyring Keyring
}

// Wallet is a directory of profiles. Safe for use by several processes.
type Wallet struct {
	dir     string
	fs      sys.FS
	clock   sys.Clock
	rand    sys.Rand
	keyring Keyring
}

// Open opens the directory, and makes it when it is missing. It is an error when
// somebody else owns it or can read it.
func Open(dir string, deps Deps) (*Wallet, error) {
	if err := deps.System.FS.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory for logins: %w", err)
	}
	if err := deps.System.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for logins: %w", err)
	}
	w := &Wallet{dir: dir, fs: deps.System.FS, clock: deps.System.Clock, rand: deps.System.Rand, keyring: deps.Keyring}
	if err := w.own(dir); err != nil {
		return nil, err
	}
	return w, nil
}

// own is an error unless the file or directory is the user's alone.
func (w *Wallet) own(name string) error {
	info, err := w.fs.Stat(name)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&0o077 != 0 || !ok || int(owner.Uid) != syscall.Getuid() {
		return fmt.Errorf("%s has to be yours alone: chmod go= it, or log in again", name)
	}
	return nil
}

// read reads a file that is the user's alone.
func (w *Wallet) read(name string) ([]byte, error) {
	if err := w.own(name); err != nil {
		return nil, err
	}
	return w.fs.ReadFile(name)
}

// lockPoll is how often a lock that another process holds is tried again.
const lockPoll = 50 * time.Millisecond

// lock keeps a profile for this process. Renewing takes a request or two.
func (w *Wallet) lock(ctx context.Context, name string) (unlock func(), err error) {
	timer := w.clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process that renews the login: %w", ctx.Err())
		case <-timer.C():
		}
		f, err := filelock.Take(w.fs, w.file(name, ".lock"))
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, filelock.ErrInUse) {
			return nil, err
		}
		timer.Reset(lockPoll)
	}
}

// Where says where tokens may be kept.
type Where int

const (
	// Anywhere is the keyring, and a file where there is none.
	Anywhere Where = iota
	// InKeyring is the keyring or nowhere.
	InKeyring
	// InFile is a file of mode 0600.
	InFile
)

// Save keeps a login under a name, in the place of the one that had it. What it
// returns says where the tokens are, and why not in the keyring.
func (w *Wallet) Save(ctx context.Context, name string, p *Profile, t login.Tokens, where Where) (kept string, err error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	unlock, err := w.lock(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if old, err := w.Profile(name); err == nil {
		if err := w.dropTokens(name, old); err != nil {
			return "", err
		}
	}
	var noKeyring error
	p.Keyring = ""
	if where != InFile {
		p.Keyring = w.newKey(name)
		if noKeyring = w.putTokens(name, p, t); noKeyring == nil {
			return "the keyring", w.writeProfile(name, p)
		}
		if where == InKeyring {
			return "", noKeyring
		}
		p.Keyring = ""
	}
	if err := w.putTokens(name, p, t); err != nil {
		return "", err
	}
	kept = w.file(name, tokensSuffix) + ", which you alone can read"
	if noKeyring != nil {
		kept += ": " + noKeyring.Error()
	}
	return kept, w.writeProfile(name, p)
}

// newKey is a name in the keyring that no other wallet uses.
func (w *Wallet) newKey(name string) string {
	var b [8]byte
	w.rand.Read(b[:])
	return name + "-" + hex.EncodeToString(b[:])
}

// Remove forgets a login and its tokens.
func (w *Wallet) Remove(ctx context.Context, name string) error {
	p, err := w.Profile(name)
	if err != nil {
		return err
	}
	unlock, err := w.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	// The profile last: with it a second try finds the tokens.
	if err := w.dropTokens(name, p); err != nil {
		return err
	}
	if err := w.fs.Remove(w.file(name, ".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove profile %s: %w", name, err)
	}
	return nil
}

// Renew asks the issuer for new tokens.
type Renew func(context.Context, login.Tokens) (login.Tokens, error)

// Fresh gives tokens that are good for a while, renewed where they would not be.
// Only one process renews; the others get what it was given. Where renewing fails,
// tokens that have not ended yet are given as they are.
func (w *Wallet) Fresh(ctx context.Context, name string, renew Renew) (login.Tokens, error) {
	p, err := w.Profile(name)
	if err != nil {
		return login.Tokens{}, err
	}
	t, err := w.Tokens(name, p)
	if err != nil || w.fresh(t) {
		return t, err
	}
	unlock, err := w.lock(ctx, name)
	if err != nil {
		return login.Tokens{}, err
	}
	defer unlock()
	// Another process may have renewed, or logged in anew, meanwhile.
	if p, err = w.Profile(name); err != nil {
		return login.Tokens{}, err
	}
	if t, err = w.Tokens(name, p); err != nil || w.fresh(t) {
		return t, err
	}
	renewed, err := renew(ctx, t)
	switch {
	case err != nil && t.Access.Len() > 0 && w.clock.Now().Before(t.Expires):
		// It could not be renewed now, or never: what there is holds a little longer.
		return t, nil
	case err != nil:
		return login.Tokens{}, err
	}
	if err := w.putTokens(name, p, renewed); err != nil {
		return login.Tokens{}, err
	}
	return renewed, nil
}

// margin is how long a token has to be good for at least, where its life is long
// enough.
const margin = 2 * time.Minute

// RenewAt is when tokens should be renewed: before their end by the margin, or by a
// quarter of their life where that is less. It is zero for tokens of unknown life.
func RenewAt(t login.Tokens) time.Time {
	if t.Expires.IsZero() {
		return time.Time{}
	}
	return t.Expires.Add(-min(margin, t.Expires.Sub(t.Obtained)/4))
}

// fresh reports whether an access token needs no renewing. One of unknown life is
// renewed each time, where it can be.
func (w *Wallet) fresh(t login.Tokens) bool {
	if t.Access.Len() == 0 {
		return false
	}
	at := RenewAt(t)
	if at.IsZero() {
		return t.Refresh.Len() == 0
	}
	return w.clock.Now().Before(at)
}
