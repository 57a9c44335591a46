package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/cmd/scopewire/wallet"
)

// logoutCommand forgets a login, here and at the issuer.
type logoutCommand struct {
	profileFlag
}

// logoutTimeout bounds what the issuer is waited for.
const logoutTimeout = 20 * time.Second

// Run implements the command. The tokens are forgotten here whether or not the
// issuer can be reached; that it could not be is an error all the same.
func (c *logoutCommand) Run(g *global) error {
	w, err := openWallet(g)
	if err != nil {
		return err
	}
	p, err := w.Profile(c.Profile)
	if err != nil {
		return err
	}
	tokens, err := w.Tokens(c.Profile, p)
	if err != nil && !errors.Is(err, wallet.ErrNoProfile) {
		return err
	}
	ctx, cancel := context.WithTimeout(g.ctx, logoutTimeout)
	defer cancel()
	revoked, revokeErr := revoke(ctx, g, p, tokens)
	if err := w.Remove(g.ctx, c.Profile); err != nil {
		return errors.Join(revokeErr, err)
	}
	switch {
	case revokeErr != nil:
		return fmt.Errorf("forgotten here, but the issuer may still take the refresh token: %w", revokeErr)
	case revoked:
		fmt.Fprintf(os.Stderr, "logged out, here and at %s; sessions that are open end with their access token\n", p.Issuer)
	default:
		fmt.Fprintf(os.Stderr, "logged out here; %s has no way to withdraw tokens\n", p.Issuer)
	}
	return nil
}

func revoke(ctx context.Context, g *global, p *wallet.Profile, t login.Tokens) (bool, error) {
	client, done, err := clientOf(ctx, g, p)
	if err != nil {
		return false, err
	}
	defer done()
	return client.Revoke(ctx, t)
}

// openWallet opens the user's wallet.
func openWallet(g *global) (*wallet.Wallet, error) {
	dir := os.Getenv("SCOPEWIRE_CONFIG_DIR")
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("find the directory for logins: %w", err)
		}
		dir = filepath.Join(base, "scopewire")
	}
	return wallet.Open(dir, wallet.Deps{System: g.system, Keyring: wallet.Desktop{}})
}

// fresh gives a profile's tokens, renewed where they need it.
func fresh(ctx context.Context, g *global, w *wallet.Wallet, name string) (login.Tokens, error) {
	t, err := w.Fresh(ctx, name, func(ctx context.Context, old login.Tokens) (login.Tokens, error) {
		p, err := w.Profile(name)
		if err != nil {
			return login.Tokens{}, err
		}
		client, done, err := clientOf(ctx, g, p)
		if err != nil {
			return login.Tokens{}, err
		}
		defer done()
		return client.Refresh(ctx, old)
	})
	var refused *login.Error
	switch {
	case errors.Is(err, wallet.ErrNoProfile):
		return t, fmt.Errorf("nobody is logged in as profile %s: run `%s login`", name, g.program)
	case errors.As(err, &refused) && refused.NeedsLogin():
		return t, fmt.Errorf("the login of profile %s has ended: run `%s login --profile %s`", name, g.program, name)
	}
	return t, err
}
