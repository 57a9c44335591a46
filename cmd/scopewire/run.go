package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/cmd/scopewire/passfile"
	"github.com/scopewire/scopewire/cmd/scopewire/wallet"
)

// clientFlags are those of the commands that run a client.
type clientFlags struct {
	profileFlag
	Address string   `help:"The proxy, host:port. Default: the login's, else PGHOST and PGPORT or the service of PGSERVICE."`
	Env     []string `help:"An environment variable to put the token into besides, for clients that read no password file: PGPASSWORD, say. It is not renewed there, and the client gives it to whatever server it connects to." placeholder:"NAME"`
}

// psqlCommand runs psql with a fresh token.
type psqlCommand struct {
	clientFlags
	Args []string `arg:"" optional:"" help:"What psql is given."`
}

// Run implements the command.
func (c *psqlCommand) Run(g *global) error { return c.run(g, append([]string{"psql"}, c.Args...)) }

// execCommand runs any client with a fresh token.
type execCommand struct {
	clientFlags
	Command []string `arg:"" help:"The client and its arguments."`
}

// Run implements the command.
func (c *execCommand) Run(g *global) error { return c.run(g, c.Command) }

// run runs a client until it ends, and ends as it did. Its token is in a password
// file of its own, and renewed there while it runs.
func (c *clientFlags) run(g *global, args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return &exit{code: 127, err: err}
	}
	w, err := openWallet(g)
	if err != nil {
		return err
	}
	tokens, err := fresh(g.ctx, g, w, c.Profile)
	if err != nil {
		return err
	}
	p, err := w.Profile(c.Profile)
	if err != nil {
		return err
	}
	address, err := c.address(p)
	if err != nil {
		return err
	}
	dir, err := runtimeDir()
	if err != nil {
		return err
	}
	file, err := passfile.New(g.system.FS, dir, address, ownPassfile())
	if err != nil {
		return err
	}
	if err := file.Write(tokens.Access); err != nil {
		return err
	}
	// Ctrl-C is the client's, who has it from the terminal too: what renews its token
	// goes on.
	ctx, stop := context.WithCancel(context.WithoutCancel(g.ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		k := &keeper{global: g, wallet: w, profile: c.Profile, file: file}
		k.keep(ctx, tokens)
	}()
	err = spawn(path, args, c.environment(p, address, file.Name(), string(tokens.Access.Expose())))
	stop()
	<-done
	return errors.Join(err, file.Remove())
}

// address is where the token may go to.
func (c *clientFlags) address(p *wallet.Profile) (string, error) {
	for _, a := range []string{c.Address, p.Address} {
		if a != "" {
			return a, nil
		}
	}
	if os.Getenv("PGHOST") == "" && os.Getenv("PGSERVICE") == "" {
		return "", errors.New("where is the proxy? Give --address, here or to login, or set PGHOST or PGSERVICE")
	}
	cfg, err := pgconn.ParseConfig("sslmode=disable")
	if err != nil {
		return "", errors.New("find the proxy in the environment: the PG variables or the service file are not understood")
	}
	return net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)), nil
}

// ownPassfile is the person's password file (libpq, "The Password File").
func ownPassfile() string {
	if name := os.Getenv("PGPASSFILE"); name != "" {
		return name
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".pgpass")
}

// environment is the client's: the person's own, with the password file in the place
// of any other password, and what the login says where nothing else does.
func (c *clientFlags) environment(p *wallet.Profile, address, file, token string) []string {
	var env []string
	has := map[string]bool{}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if name == "PGPASSWORD" || name == "PGPASSFILE" || slices.Contains(c.Env, name) {
			continue
		}
		// An empty variable says nothing.
		env, has[name] = append(env, kv), value != ""
	}
	env = append(env, "PGPASSFILE="+file)
	for _, name := range c.Env {
		env = append(env, name+"="+token)
	}
	// A service says where to go to, and how.
	if has["PGSERVICE"] {
		return env
	}
	host, port, _ := net.SplitHostPort(address)
	if !has["PGHOST"] {
		env = append(env, "PGHOST="+host)
		if !has["PGPORT"] {
			env = append(env, "PGPORT="+port)
		}
	}
	for _, d := range []struct{ name, value string }{
		{"PGDATABASE", p.Database}, {"PGUSER", p.User}, {"PGSSLROOTCERT", p.RootCert}, {"PGSSLMODE", "verify-full"},
	} {
		if !has[d.name] && d.value != "" {
			env = append(env, d.name+"="+d.value)
		}
	}
	return env
}

// spawn runs a program on our own streams, hands on the signals that end it, and
// returns how it ended.
func spawn(path string, args, env []string) error {
	cmd := exec.Command(path, args[1:]...) //nolint:gosec,noctx // G204: the person's own command; ended by itself.
	cmd.Args[0] = args[0]
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return &exit{code: 126, err: err}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // It may just have ended.
		case err := <-ended:
			var failed *exec.ExitError
			if errors.As(err, &failed) {
				return &exit{code: exitCode(failed)}
			}
			return err
		}
	}
}

// exitCode is a shell's for how a program ended.
func exitCode(e *exec.ExitError) int {
	if s, ok := e.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return e.ExitCode()
}

// keeper keeps the token of a running client fresh.
type keeper struct {
	*global
	wallet  *wallet.Wallet
	profile string
	file    *passfile.File
}

// keepRetry is how long a failed renewal waits for the next.
const keepRetry = 30 * time.Second

// keep renews until ctx ends. The person is told of the first failure: the client
// goes on, but cannot connect anew once the token has ended.
func (k *keeper) keep(ctx context.Context, last login.Tokens) {
	told := false
	for {
		at := wallet.RenewAt(last)
		if at.IsZero() || last.Refresh.Len() == 0 {
			return
		}
		wait := at.Sub(k.system.Clock.Now())
		if wait < 0 {
			wait = keepRetry
		}
		timer := k.system.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
		renewed, err := fresh(ctx, k.global, k.wallet, k.profile)
		if err == nil {
			err = k.file.Write(renewed.Access)
			last = renewed
		}
		if err != nil && ctx.Err() == nil && !told {
			told = true
			fmt.Fprintf(os.Stderr, "scopewire: the token is not renewed: %v\n", err)
		}
	}
}
