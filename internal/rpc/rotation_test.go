package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
)

// holder is a service or a tool whose certificate lives for twenty seconds.
type holder struct {
	ca   *devca.CA
	dir  string
	name string
	opts devca.Options
}

func (h *holder) renew(t *testing.T) rpc.TLSFiles {
	t.Helper()
	h.opts.NotBefore, h.opts.Lifetime = time.Now(), 20*time.Second
	files, err := h.ca.WriteFiles(sys.OS().FS, h.dir, h.name, h.opts)
	if err != nil {
		t.Fatal(err)
	}
	return rpc.TLSFiles{CertFile: files.Cert, KeyFile: files.Key, CAFile: files.CA, Reload: config.Duration(time.Second)}
}

// inMemory dials a listener without a socket, which is not the Pipe: it has TLS.
type inMemory struct{ l *bufconn.Listener }

func (m inMemory) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return m.l.DialContext(ctx)
}

// TestFault_F16_Rotation: certificates of twenty seconds, renewed at half of their
// life for ten minutes. No call fails, though each connection ends with the
// certificate that it began with; a stream that is open then is cut, and can be
// opened again at once. Once nobody renews, the log says so with a third of the
// life left, and then nothing is let in.
func TestFault_F16_Rotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := devca.New(sys.OS().Clock, sys.OS().Rand)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		server := &holder{ca, filepath.Join(dir, "server"), "audit", devca.Options{DNSNames: []string{"audit"}, URIs: []string{"spiffe://scopewire/audit"}, Server: true}}
		client := &holder{ca, filepath.Join(dir, "client"), "admin", devca.Options{URIs: []string{"spiffe://scopewire/admin"}, Client: true}}
		var out bytes.Buffer
		log := testLog(&out)
		var expiry rpc.Expiry
		if left := expiry.Left(); !math.IsInf(left, 1) {
			t.Errorf("%v seconds are left of no certificate", left)
		}
		s := newServer(t, rpc.ServerConfig{Address: "127.0.0.1:0", TLS: server.renew(t)}, rpc.ServerDeps{Log: log, Expiry: &expiry})
		everything(s, query{tailing: make(chan struct{}), ended: make(chan struct{})})
		l := bufconn.Listen(1 << 16)
		stop := serve(t, s, l)
		defer stop()
		system := sys.OS()
		conn, err := rpc.Dial(rpc.ClientConfig{Address: "passthrough:///audit:1", TLS: client.renew(t)},
			rpc.ClientDeps{Clock: system.Clock, FS: system.FS, Net: inMemory{l}, Server: rpc.Audit, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		ask := auditv1.NewAuditQueryServiceClient(conn)
		call := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := ask.ListEvents(ctx, &auditv1.ListEventsRequest{})
			return err
		}
		for second := range 600 {
			if second%10 == 5 {
				server.renew(t)
				client.renew(t)
			}
			if err := call(); err != nil {
				t.Fatalf("second %d: %v", second, err)
			}
			time.Sleep(time.Second)
		}
		if strings.Contains(out.String(), "ends soon") {
			t.Errorf("a certificate that was renewed was warned of:\n%s", out.String())
		}
		if left := expiry.Left(); left <= 5 || left > 20 {
			t.Errorf("%v seconds are left", left)
		}

		stream, err := ask.TailEvents(t.Context(), &auditv1.TailEventsRequest{}, grpc.WaitForReady(true))
		if err != nil {
			t.Fatal(err)
		}
		opened := time.Now()
		if _, err := stream.Recv(); err == nil || errors.Is(err, io.EOF) || time.Since(opened) > 20*time.Second {
			t.Errorf("a stream ended with %v after %v", err, time.Since(opened))
		}
		time.Sleep(10 * time.Second)
		if err := call(); status.Code(err) != codes.Unavailable {
			t.Errorf("with certificates that have ended: %v", err)
		}
		if left := expiry.Left(); left > 0 {
			t.Errorf("%v seconds are left of a certificate that has ended", left)
		}
		// Of each side once.
		if n := strings.Count(out.String(), "certificate ends soon"); n != 2 {
			t.Errorf("the near end was logged %d times:\n%s", n, out.String())
		}
		// One side alone is not enough.
		server.renew(t)
		time.Sleep(2 * time.Second)
		if err := call(); status.Code(err) != codes.Unavailable {
			t.Errorf("with a client certificate that has ended: %v", err)
		}
		client.renew(t)
		time.Sleep(2 * time.Second)
		if err := call(); err != nil {
			t.Errorf("with new certificates: %v", err)
		}
	})
}
