// Command scopewire-audit keeps audit events: it takes them from proxies, stores
// them tamper-evidently and answers questions about them.
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
	"github.com/scopewire/scopewire/services/audit"
)

// version is set when a release is built.
var version = "dev"

func main() {
	os.Exit(program.Main("scopewire-audit", "Keeps Scopewire's audit events.", version, func(ctx context.Context, f program.Flags) error {
		return run(ctx, f, sys.OS())
	}))
}

func run(ctx context.Context, f program.Flags, system sys.System) error {
	var cfg audit.Config
	if err := config.Load(system.FS, f.Config, &cfg); err != nil {
		return err
	}
	if f.Check {
		fmt.Println("configuration ok")
		return nil
	}
	return program.Observed(cfg.Telemetry, system, "scopewire-audit", version, "", func(t *telemetry.Telemetry) error {
		return serve(ctx, cfg, system, t)
	})
}

func serve(ctx context.Context, cfg audit.Config, system sys.System, t *telemetry.Telemetry) error {
	certificates := &rpc.Expiry{}
	defer t.Gauge(telemetry.CertificateLeft, certificates.Left)()
	server, err := rpc.NewServer(cfg.Listen, rpc.ServerDeps{
		Clock: system.Clock, Net: system.Net, FS: system.FS, Log: t.Log(), Tracer: t.TracerProvider(), Expiry: certificates,
		ReceiveLimit: audit.ReceiveLimit,
	})
	if err != nil {
		return err
	}
	listener, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	service, err := audit.New(cfg, audit.Deps{System: system, Telemetry: t})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	service.Register(server)
	admin, err := telemetry.NewAdmin(cfg.Admin, telemetry.AdminDeps{Net: system.Net, Log: t.Log(), Metrics: t.Metrics()})
	if err != nil {
		return errors.Join(err, listener.Close(), service.Close())
	}
	t.Log().Info("serving", "address", listener.Addr().String())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error { return service.Run(ctx) })
	group.Go(func() error { return admin.Run(ctx) })
	err = group.Wait()
	service.Wait()
	t.Log().Info("stopped")
	return err
}
