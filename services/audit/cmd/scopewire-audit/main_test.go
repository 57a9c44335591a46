package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/program"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "audit.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestServesAndStops(t *testing.T) {
	dir := t.TempDir()
	address := "unix:" + filepath.Join(dir, "s")
	name := write(t, "listen: {address: '"+address+"', insecure_loopback: true}\nstore: {directory: '"+dir+"/store'}\nadmin: {address: '127.0.0.1:0'}\n"+
		"telemetry: {log: {level: error}}\n")
	system := sys.OS()
	if err := run(t.Context(), program.Flags{Config: name, Check: true}, system); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, program.Flags{Config: name}, system) }()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: address, InsecureLoopback: true}, rpc.ClientDeps{Clock: system.Clock, Net: system.Net, FS: system.FS})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// The socket is there a moment later; the call waits for it.
	call, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if _, err := auditv1.NewAuditQueryServiceClient(conn).ListEvents(call, &auditv1.ListEventsRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
	// A second process does not get to the store.
	if err := run(t.Context(), program.Flags{Config: name}, system); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBadConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"listen: {adress: x}\n": "adress",
		"store: {}\n":           "2 problems",
	} {
		if err := run(t.Context(), program.Flags{Config: write(t, text)}, sys.OS()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := run(t.Context(), program.Flags{Config: "/nowhere"}, sys.OS()); err == nil {
		t.Error("no error")
	}
}
