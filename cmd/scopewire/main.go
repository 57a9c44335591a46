// Command scopewire is Scopewire's one tool: it runs the three services in one
// process, shows what the product does, gets tokens, explains decisions and reads
// the audit store.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/scopewire/scopewire/internal/sys"
)

// version is set when a release is built.
var version = "dev"

// commands are the subcommands. Kong reads their tags.
type commands struct {
	Up    upCommand    `cmd:"" help:"Run proxy, authz and audit in one process."`
	Demo  demoCommand  `cmd:"" help:"Run Scopewire in front of a throw-away PostgreSQL, with sample data and users."`
	Token tokenCommand `cmd:"" help:"Print an access token: yours, a demo user's, or a client's by client_credentials."`
	Audit auditCommand `cmd:"" help:"Read what was recorded."`

	Login  loginCommand  `cmd:"" help:"Log in at an issuer, by a browser here or on another device."`
	Logout logoutCommand `cmd:"" help:"Withdraw the login's tokens and forget them."`
	Whoami whoamiCommand `cmd:"" help:"Say who is logged in."`
	Psql   psqlCommand   `cmd:"" help:"Run psql with a fresh token."`
	Exec   execCommand   `cmd:"" help:"Run any PostgreSQL client with a fresh token."`

	Revoke  revokeCommand  `cmd:"" help:"End tokens before their expiry, at every proxy."`
	Explain explainCommand `cmd:"" help:"Say how a statement would be decided, and by which line of the policy."`

	Config configCommand `cmd:"" help:"Check configuration files."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// global is what every command is given.
type global struct {
	ctx    context.Context //nolint:containedctx // The process's, for commands that kong calls without one.
	system sys.System
	// program is how the person called us, for lines to paste.
	program string
}

func main() {
	var c commands
	parser := kong.Must(&c, kong.Name("scopewire"), kong.UsageOnError(), kong.Vars{"version": version}, kong.Exit(exitWith),
		kong.Description("OAuth scopes in front of PostgreSQL."))
	cmd, err := parser.Parse(separate(os.Args[1:]))
	parser.FatalIfErrorf(err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = cmd.Run(&c, &global{ctx: ctx, system: sys.OS(), program: programName(os.Args[0])})
	stop()
	var e *exit
	switch {
	case errors.As(err, &e):
		if e.err != nil {
			fmt.Fprintln(os.Stderr, "scopewire:", e.err)
		}
		os.Exit(e.code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "scopewire:", err)
		os.Exit(1)
	}
}

// separate puts -- before a client's own arguments, so that none of them is taken for
// one of ours: behind psql and exec, before the first that is not.
func separate(args []string) []string {
	if len(args) == 0 || args[0] != "psql" && args[0] != "exec" {
		return args
	}
	for i := 1; i < len(args); i++ {
		name, _, assigned := strings.Cut(args[i], "=")
		switch name {
		case "--":
			return args
		case "--help":
			continue
		case "--profile", "--address", "--env":
			if !assigned {
				i++
			}
			continue
		}
		return slices.Insert(slices.Clone(args), i, "--")
	}
	return args
}

// exit ends the process with a code; its error is printed when there is one.
type exit struct {
	code int
	err  error
}

// Error implements error.
func (e *exit) Error() string { return fmt.Sprint(e.err) }

// Unwrap is the error behind it.
func (e *exit) Unwrap() error { return e.err }

// exitWith ends the process for kong, which has a code of its own for a command
// line that it cannot read: by custom that is 2.
func exitWith(code int) {
	if code > 2 {
		code = 2
	}
	os.Exit(code)
}

// programName is arg0 as it can be pasted: a temporary binary, as `go run` makes
// one, is not.
func programName(arg0 string) string {
	if rel, err := filepath.Rel(os.TempDir(), arg0); err == nil && filepath.IsLocal(rel) {
		return "go run ./cmd/scopewire"
	}
	return arg0
}
