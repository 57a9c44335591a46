// Scopewire-audit keeps audit events: it takes them from proxies, stores them
// tamper-evidently and answers questions about them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/audit"
)

type flags struct {
	Config  string           `help:"Configuration file (YAML)." required:"" type:"existingfile" short:"c"`
	Check   bool             `help:"Check the configuration and exit."`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("scopewire-audit"), kong.Description("Keeps Scopewire's audit events."), kong.Vars{"version": version()})
	// A second signal ends the process at once: NotifyContext restores the
	// default once the first has come.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	if err := run(ctx, f, sys.OS()); err != nil {
		fmt.Fprintln(os.Stderr, "scopewire-audit:", err)
		os.Exit(1)
	}
}

// shutdownTimeout is how long the last spans may take.
const shutdownTimeout = 5 * time.Second

func run(ctx context.Context, f flags, system sys.System) (err error) {
	var cfg audit.Config
	if err := config.Load(system.FS, f.Config, &cfg); err != nil {
		return err
	}
	if f.Check {
		return nil
	}
	tel, err := telemetry.Setup(cfg.Telemetry, telemetry.Deps{
		Service: "scopewire-audit", Version: version(), Log: os.Stderr, Rand: system.Rand, Net: system.Net, FS: system.FS,
	})
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err = errors.Join(err, tel.Shutdown(last))
	}()
	server, err := rpc.NewServer(cfg.Listen, rpc.ServerDeps{
		Clock: system.Clock, Net: system.Net, FS: system.FS, Log: tel.Log(), Tracer: tel.TracerProvider(), ReceiveLimit: audit.ReceiveLimit,
	})
	if err != nil {
		return err
	}
	// The listener comes first: it keeps a second process off the store.
	listener, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	service, err := audit.New(cfg, audit.Deps{System: system, Telemetry: tel})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	service.Register(server)
	admin, err := telemetry.NewAdmin(cfg.Admin, telemetry.AdminDeps{Net: system.Net, Log: tel.Log(), Metrics: tel.Metrics()})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	tel.Log().Info("serving", "address", listener.Addr().String())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error { return service.Run(ctx) })
	group.Go(func() error { return admin.Run(ctx) })
	err = group.Wait()
	service.Wait()
	tel.Log().Info("stopped")
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}
