// Command scopewire-authz is the authorization service as a process of its own.
// Proxies find it over gRPC, at the address of its configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/authz"
)

// version is set when a release is built.
var version = "dev"

// fileConfig is the configuration file: the service's, checked with what a
// process of its own needs.
type fileConfig struct {
	authz.Config `yaml:",inline"`
}

// Validate implements config.Validator.
func (c *fileConfig) Validate(p *config.Problems) {
	c.Config.Validate(p)
	c.ValidateServe(p)
}

func main() {
	var flags struct {
		Config  string           `short:"c" required:"" type:"path" help:"Configuration file (YAML)."`
		Check   bool             `help:"Check the configuration and exit."`
		Version kong.VersionFlag `help:"Print the version and exit."`
	}
	kong.Parse(&flags, kong.Name("scopewire-authz"), kong.Vars{"version": version},
		kong.Description("Decides which statements the scopes of an OAuth token allow."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, flags.Config, flags.Check); err != nil {
		fmt.Fprintln(os.Stderr, "scopewire-authz:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run.
	}
}

func run(ctx context.Context, path string, check bool) (err error) {
	system := sys.OS()
	var cfg fileConfig
	if err := config.Load(system.FS, path, &cfg); err != nil {
		return err
	}
	if check {
		fmt.Println("configuration ok")
		return nil
	}
	t, err := telemetry.Setup(cfg.Telemetry, telemetry.Deps{Service: "scopewire-authz", Version: version,
		Log: os.Stderr, Rand: system.Rand, Net: system.Net, FS: system.FS})
	if err != nil {
		return err
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, t.Shutdown(flush))
	}()
	server, err := rpc.NewServer(cfg.Listen, rpc.ServerDeps{Clock: system.Clock, Net: system.Net, FS: system.FS,
		Log: t.Log(), Tracer: t.TracerProvider()})
	if err != nil {
		return err
	}
	a, err := authz.New(cfg.Config, authz.Deps{System: system, Telemetry: t})
	if err != nil {
		return err
	}
	a.Register(server)
	admin, err := telemetry.NewAdmin(cfg.Admin, telemetry.AdminDeps{Net: system.Net, Log: t.Log(), Metrics: t.Metrics(), Ready: a.Ready})
	if err != nil {
		return errors.Join(err, a.Close())
	}
	listener, err := server.Listen(ctx)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	t.Log().Info("listening for proxies", "address", listener.Addr().String())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.Run(ctx) })
	g.Go(func() error { return server.Serve(ctx, listener) })
	g.Go(func() error { return admin.Run(ctx) })
	return g.Wait()
}
