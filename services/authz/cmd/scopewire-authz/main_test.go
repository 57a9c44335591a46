package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/program"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const policyText = `
version: 1
issuers: [{issuer: "https://idp.example.com", audiences: [postgres], jwks_file: none.json}]
logins: {app: {default: app}}
`

// install writes configuration and policy; the socket's folder is short because
// a socket's path is (sun_path, 107 bytes).
func install(t *testing.T, change func(string) string) (configFile, socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "authz")
	text := strings.ReplaceAll(`
listen: {address: "unix:DIR/authz", insecure_loopback: true}
policy: {file: DIR/policy.yaml}
state: {file: DIR/state.json}
catalog: {databases: [{name: app, host: DIR, user: scopewire}]}
telemetry: {log: {level: error}}
`, "DIR", dir)
	if change != nil {
		text = change(text)
	}
	for name, content := range map[string]string{"authz.yaml": text, "policy.yaml": policyText} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), fs.FileMode(0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "authz.yaml"), socket
}

// TestServesAndStops: the process answers at its address, refuses while its
// sources are away, and ends when it is told to.
func TestServesAndStops(t *testing.T) {
	file, socket := install(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- run(ctx, program.Flags{Config: file}) }()

	machine := sys.OS()
	conn, err := rpc.Dial(rpc.ClientConfig{Address: "unix:" + socket, InsecureLoopback: true}, rpc.ClientDeps{
		Clock: machine.Clock, Net: machine.Net, FS: machine.FS, Server: rpc.Authz,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := authzv1.NewAuthorizationServiceClient(conn)
	call, end := context.WithTimeout(ctx, 10*time.Second)
	defer end()
	session := id.New(machine.Clock, machine.Rand)
	resp, err := client.Authenticate(call, &authzv1.AuthenticateRequest{Token: []byte("x"), Database: "app", SessionId: session[:]},
		grpc.WaitForReady(true))
	if err != nil {
		cancel()
		t.Fatalf("%v; the process: %v", err, <-done)
	}
	if resp.GetRefusal().GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_MALFORMED {
		t.Errorf("%v", resp)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	good, _ := install(t, nil)
	if err := run(t.Context(), program.Flags{Config: good, Check: true}); err != nil {
		t.Error(err)
	}
	bad, _ := install(t, func(s string) string { return strings.Replace(s, "policy:", "polices:", 1) })
	for _, check := range []bool{true, false} {
		if err := run(t.Context(), program.Flags{Config: bad, Check: check}); err == nil || !strings.Contains(err.Error(), "polices") {
			t.Errorf("%v", err)
		}
	}
	if err := run(t.Context(), program.Flags{Config: bad + ".missing", Check: true}); err == nil {
		t.Error("a missing file is fine")
	}
}
