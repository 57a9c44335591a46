package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/sys"
)

// demoCommand runs the demo.
type demoCommand struct {
	Tour bool `help:"Run the scripted tour, print what was allowed and denied, and exit."`
	Port int  `default:"6432" help:"Port for clients; a free one is taken when it is in use."`
}

// tourTimeout bounds the tour.
const tourTimeout = 2 * time.Minute

// Run implements the command.
func (c *demoCommand) Run(g *global) (err error) {
	audit, authz, err := claimSockets(g.ctx)
	if err != nil {
		return err
	}
	fmt.Println("Scopewire demo: everything it makes is in one temporary directory, and goes with it.")
	world, err := demo.Start(g.ctx, demo.Config{System: g.system, Progress: os.Stdout, Program: g.program, Version: version,
		Port: c.Port, AuditSocket: audit, AuthzSocket: authz, TokenLifetime: time.Hour})
	if err != nil {
		return err
	}
	defer func() {
		fmt.Println("\ncleaning up")
		err = errors.Join(err, world.Close())
	}()
	if c.Tour {
		ctx, cancel := context.WithTimeout(g.ctx, tourTimeout)
		defer cancel()
		return world.Tour(ctx, os.Stdout)
	}
	forget, err := publish(g, world)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	invite(g, world)
	select {
	case <-g.ctx.Done():
		return nil
	case err := <-world.Failed():
		return err
	}
}

// publish leaves the demo's description where `scopewire token` looks for it.
func publish(g *global, world *demo.World) (forget func() error, err error) {
	dir, err := runtimeDir()
	if err != nil {
		return nil, err
	}
	text, err := world.Describe()
	if err != nil {
		return nil, fmt.Errorf("describe the demo: %w", err)
	}
	path := filepath.Join(dir, demoFile)
	if err := sys.WriteFileAtomic(g.system.FS, path, text, 0o600); err != nil {
		return nil, err
	}
	return func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the demo's description: %w", err)
		}
		return nil
	}, nil
}

// invite prints what to paste.
func invite(g *global, world *demo.World) {
	psql := func(user string) string {
		return fmt.Sprintf("PGPASSWORD=$(%s token %s) psql %q", g.program, user, world.ConnString(user))
	}
	fmt.Println("\nReady. In another terminal, in this directory, paste one of these:")
	for _, u := range world.Users() {
		fmt.Printf("\n  # %s (%s)\n  %s\n", u.About, strings.Join(u.Scopes, " "), psql(u.Name))
	}
	fmt.Printf(`
Allowed and denied, as alice:

  %[1]s -c "SELECT id, status, total FROM orders" -c "SELECT name, salary FROM employees"

A denial carries a reference. What was recorded under it, and everything else:

  %[2]s audit show REFERENCE
  %[2]s audit list

Without psql, `+"`%[2]s demo --tour`"+` shows the same.
policy  %[3]s   (edit it: a saved change is in force within a second)
config  %[4]s
log     %[5]s

Ctrl-C stops everything and removes it.
`, psql("alice"), g.program, world.PolicyFile(), world.ConfigFile(), world.LogFile())
}
