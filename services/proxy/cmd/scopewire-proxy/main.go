// Command scopewire-proxy is the proxy as a process of its own. It finds authz
// and audit over gRPC, at the addresses of its configuration.
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
	"github.com/scopewire/scopewire/services/proxy"
)

// version is set when a release is built.
var version = "dev"

// fileConfig is the configuration file: the proxy's, checked with what a process
// of its own needs.
type fileConfig struct {
	proxy.Config `yaml:",inline"`
}

// Validate implements config.Validator.
func (c *fileConfig) Validate(p *config.Problems) {
	c.Config.Validate(p)
	c.ValidateRemote(p)
}

func main() {
	var flags struct {
		Config  string           `short:"c" required:"" type:"path" help:"Configuration file (YAML)."`
		Check   bool             `help:"Check the configuration and exit."`
		Version kong.VersionFlag `help:"Print the version and exit."`
	}
	kong.Parse(&flags, kong.Name("scopewire-proxy"), kong.Vars{"version": version},
		kong.Description("PostgreSQL proxy that enforces OAuth scopes per statement."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, flags.Config, flags.Check); err != nil {
		fmt.Fprintln(os.Stderr, "scopewire-proxy:", err)
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
	t, err := telemetry.Setup(cfg.Telemetry, telemetry.Deps{Service: "scopewire-proxy", Version: version,
		Instance: cfg.Instance, Log: os.Stderr, Rand: system.Rand, Net: system.Net, FS: system.FS})
	if err != nil {
		return err
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, t.Shutdown(flush))
	}()
	deps := rpc.ClientDeps{Clock: system.Clock, Net: system.Net, FS: system.FS, Log: t.Log(), Tracer: t.TracerProvider()}
	deps.Server = rpc.Authz
	authz, err := rpc.Dial(cfg.Authz, deps)
	if err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	defer func() { err = errors.Join(err, authz.Close()) }()
	deps.Server = rpc.Audit
	audit, err := rpc.Dial(cfg.Audit, deps)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() { err = errors.Join(err, audit.Close()) }()
	p, err := proxy.New(cfg.Config, proxy.Deps{System: system, Telemetry: t, Authz: authz, Audit: audit})
	if err != nil {
		return err
	}
	if err := p.Listen(ctx); err != nil {
		return errors.Join(err, p.Close())
	}
	admin, err := telemetry.NewAdmin(cfg.Admin, telemetry.AdminDeps{Net: system.Net, Log: t.Log(), Metrics: t.Metrics(), Ready: p.Ready})
	if err != nil {
		return errors.Join(err, p.Close())
	}
	for _, a := range p.Addresses() {
		t.Log().Info("listening for clients", "address", a.String())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Run(ctx) })
	g.Go(func() error { return admin.Run(ctx) })
	return g.Wait()
}
