// Command scopewire-authz is the authorization service as a process of its own.
// Proxies find it over gRPC, at the address of its configuration.
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
	os.Exit(program.Main("scopewire-authz", "Decides which statements the scopes of an OAuth token allow.", version, run))
}

func run(ctx context.Context, f program.Flags) error {
	system := sys.OS()
	var cfg fileConfig
	if err := config.Load(system.FS, f.Config, &cfg); err != nil {
		return err
	}
	if f.Check {
		warnings, err := authz.Check(system.FS, cfg.Config)
		if err != nil {
			return err
		}
		for _, w := range warnings {
			fmt.Println("warning: " + w)
		}
		fmt.Println("configuration ok")
		return nil
	}
	return program.Observed(cfg.Telemetry, system, "scopewire-authz", version, "", func(t *telemetry.Telemetry) error {
		return serve(ctx, cfg.Config, system, t)
	})
}

func serve(ctx context.Context, cfg authz.Config, system sys.System, t *telemetry.Telemetry) error {
	certificates := &rpc.Expiry{}
	defer t.Gauge(telemetry.CertificateLeft, certificates.Left)()
	server, err := rpc.NewServer(cfg.Listen, rpc.ServerDeps{Clock: system.Clock, Net: system.Net, FS: system.FS,
		Log: t.Log(), Tracer: t.TracerProvider(), Expiry: certificates, ReceiveLimit: rpc.AuthorizeLimit})
	if err != nil {
		return err
	}
	deps := authz.Deps{System: system, Telemetry: t}
	if cfg.Audit.Address != "" {
		audit, err := rpc.Dial(cfg.Audit.ClientConfig, rpc.ClientDeps{Clock: system.Clock, Net: system.Net, FS: system.FS, Log: t.Log(),
			Tracer: t.TracerProvider(), Expiry: certificates, Server: rpc.Audit})
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		// After the service, which has ended by then.
		defer func() { _ = audit.Close() }()
		deps.Audit = audit
	}
	a, err := authz.New(cfg, deps)
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
