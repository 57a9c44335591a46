package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/stack"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/authz"
)

// upCommand runs the three services in one process.
type upCommand struct {
	Config string `short:"c" required:"" type:"path" help:"Configuration file (YAML)."`
	Check  bool   `help:"Check the configuration and the policy, and exit."`
}

// Run implements the command.
func (c *upCommand) Run(g *global) error {
	var cfg stack.Config
	if err := config.Load(g.system.FS, c.Config, &cfg); err != nil {
		return err
	}
	if c.Check {
		if _, err := authz.Check(g.system.FS, cfg.Authz); err != nil {
			return err
		}
		fmt.Println("configuration ok")
		return nil
	}
	audit, authz, err := claimSockets(g.ctx)
	if err != nil {
		return err
	}
	s, err := stack.New(cfg, stack.Deps{System: g.system, Log: os.Stderr, Version: version, AuditSocket: audit, AuthzSocket: authz})
	if err != nil {
		return err
	}
	if err := s.Listen(g.ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	for _, a := range s.Addresses() {
		fmt.Fprintf(os.Stderr, "scopewire: listening for PostgreSQL clients on %s\n", a)
	}
	return s.Run(g.ctx)
}

// claimSockets returns the paths of the sockets for `scopewire audit` and `scopewire
// revoke`, as claimSocket does.
func claimSockets(ctx context.Context) (audit, authz string, err error) {
	if audit, err = claimSocket(ctx, auditSocket, "audit"); err != nil {
		return "", "", err
	}
	authz, err = claimSocket(ctx, authzSocket, "revoke")
	return audit, authz, err
}

// claimSocket returns the path of the socket for a command, cleared of what a dead
// process left, or nothing when another scopewire of this user holds it.
func claimSocket(ctx context.Context, name, command string) (string, error) {
	dir, err := runtimeDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		fmt.Fprintf(os.Stderr, "scopewire: another scopewire answers `scopewire %s` at %s; this one does not\n", command, path)
		return "", conn.Close()
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("clear the socket of `scopewire %s`: %w", command, err)
	}
	return path, nil
}
