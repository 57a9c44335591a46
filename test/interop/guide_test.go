package interop_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/test/interop"
)

// metadata is the proxy's configuration of RFC 9728 metadata at a free address.
func metadata(ctx context.Context, w *demo.World, issuer string) (resource, lines string, err error) {
	l, err := pgboot.Listen(ctx)
	if err != nil {
		return "", "", err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", err
	}
	resource = "https://localhost:" + port
	return resource, fmt.Sprintf("  metadata:\n    address: %[1]s\n    tls: {cert_file: %[2]s/server.crt, key_file: %[2]s/server.key}\n    resource: %[3]s\n"+
		"    authorization_servers: [%[4]s]\n    scopes: [openid, orders.read]\n", address, w.Dir, resource, issuer), nil
}

// guideFile is the guide whose commands are run.
const guideFile = "../../docs/guides/identity.md"

// guide runs the commands of the guide, in its order but for the logout, with this
// world's names for the guide's.
func (s *world) guide(t *testing.T) {
	text, err := os.ReadFile(guideFile)
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	last := ""
	for line := range strings.Lines(string(text)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		switch {
		case !ok || !strings.HasPrefix(line, "    $ "):
		case strings.HasSuffix(command, " logout"):
			last = command
		default:
			commands = append(commands, command)
		}
	}
	if len(commands) < 7 || last == "" {
		t.Fatalf("the guide has %d commands and the logout %q", len(commands), last)
	}
	address := strings.Replace(s.Addr, "127.0.0.1", "localhost", 1)
	names := strings.NewReplacer("https://db.example.com", s.resource, "https://idp.example.com", s.issuer, "db.example.com:6432", address)
	out := ""
	for _, command := range append(commands, last) {
		line := names.Replace(command)
		if strings.Contains(line, " login ") {
			// What a person's machine has set up: authorities, and no keyring here.
			line += " --device --store file --ca-file " + s.CAFile + " --sslrootcert " + s.CAFile + " --address " + address + " --database " + demo.Database
		}
		if strings.Contains(line, "--token-url") {
			line += " --resource " + interop.Resource + " --ca-file " + s.CAFile
		}
		cmd := s.command(t)
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", line}
		cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(s.binary)+":"+os.Getenv("PATH"), "SCOPEWIRE_PROFILE=guide")
		said, code := s.step(t, cmd, strings.Contains(line, " login "))
		if code != 0 {
			t.Fatalf("%s: %d\n%s", line, code, said)
		}
		out += said
	}
	for _, part := range []string{"logged in at " + s.issuer, "subject", "paula", "\n4\n", "1|1|paid|99.50", "eyJ", "logged out, here and at"} {
		if !strings.Contains(out, part) {
			t.Errorf("the guide's commands do not say %q:\n%s", part, out)
		}
	}
}

// step runs a command, with a person at the browser where it logs in.
func (s *world) step(t *testing.T, cmd *exec.Cmd, login bool) (string, int) {
	t.Helper()
	if login {
		return s.drive(t, s.person(t, "paula"), cmd)
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
