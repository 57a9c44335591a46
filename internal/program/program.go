// Package program is what the services' programs share: their flags, signals and
// telemetry. A program reads its configuration, builds its service and serves;
// everything else of a main is here.
package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

// Flags are a service program's.
type Flags struct {
	Config  string           `short:"c" required:"" type:"path" help:"Configuration file (YAML)."`
	Check   bool             `help:"Check the configuration and exit."`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

// Main parses the flags and runs the program until it ends or a signal asks it
// to: SIGINT and SIGTERM end ctx, and a second one ends the process at once. An
// error is printed in one piece. It returns the exit status.
func Main(name, description, version string, run func(ctx context.Context, f Flags) error) int {
	var f Flags
	kong.Parse(&f, kong.Name(name), kong.Description(description), kong.Vars{"version": version})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, f); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// lastSpans is how long the last spans may take to be delivered.
const lastSpans = 5 * time.Second

// Observed runs a program with its telemetry, which logs to standard error and is
// shut down afterwards.
func Observed(cfg telemetry.Config, system sys.System, service, version, instance string, run func(*telemetry.Telemetry) error) (err error) {
	t, err := telemetry.Setup(cfg, telemetry.Deps{Service: service, Version: version, Instance: instance,
		Log: os.Stderr, Rand: system.Rand, Net: system.Net, FS: system.FS})
	if err != nil {
		return err
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.Background(), lastSpans)
		defer cancel()
		err = errors.Join(err, t.Shutdown(flush))
	}()
	return run(t)
}
