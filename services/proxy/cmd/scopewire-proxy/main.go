// Command scopewire-proxy is the proxy as a process of its own. It finds authz
// and audit over gRPC, at the addresses of its configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/program"
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
	os.Exit(program.Main("scopewire-proxy", "PostgreSQL proxy that enforces OAuth scopes per statement.", version, run))
}

func run(ctx context.Context, f program.Flags) error {
	system := sys.OS()
	var cfg fileConfig
	if err := config.Load(system.FS, f.Config, &cfg); err != nil {
		return err
	}
	if f.Check {
		fmt.Println("configuration ok")
		return nil
	}
	return program.Observed(cfg.Telemetry, system, "scopewire-proxy", version, cfg.Instance, func(t *telemetry.Telemetry) error {
		return serve(ctx, cfg.Config, system, t)
	})
}

func serve(ctx context.Context, cfg proxy.Config, system sys.System, t *telemetry.Telemetry) (err error) {
	certificates := &rpc.Expiry{}
	defer t.Gauge(telemetry.CertificateLeft, certificates.Left)()
	deps := rpc.ClientDeps{Clock: system.Clock, Net: system.Net, FS: system.FS, Log: t.Log(), Tracer: t.TracerProvider(), Expiry: certificates}
	deps.Server, deps.SendLimit = rpc.Authz, rpc.AuthorizeLimit
	authz, err := rpc.Dial(cfg.Authz, deps)
	if err != nil {
		return fmt.Errorf("authz: %w", err)
	}
	defer func() { err = errors.Join(err, authz.Close()) }()
	deps.Server, deps.SendLimit = rpc.Audit, proxy.AuditSendLimit
	audit, err := rpc.Dial(cfg.Audit, deps)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() { err = errors.Join(err, audit.Close()) }()
	p, err := proxy.New(cfg, proxy.Deps{System: system, Telemetry: t, Authz: authz, Audit: audit})
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
	// It says that the proxy is not ready, and what goes on, until it has stopped.
	observed, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		defer stop()
		return p.Run(ctx)
	})
	g.Go(func() error { return admin.Run(observed) })
	return g.Wait()
}
