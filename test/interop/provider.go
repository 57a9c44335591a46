package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devca"
)

// Names of provider.mjs.
const (
	// PublicClient is the OAuth client of people, which has no secret.
	PublicClient = "scopewire-cli"
	// Service is a client with the secret ServiceSecret.
	Service, ServiceSecret = "service", "a-secret-of-the-test"
	// Resource is whom tokens are for (RFC 8707); their audience is the demo's.
	Resource = "https://db.example.com/"
	// OpaqueResource is the same with opaque tokens.
	OpaqueResource = "https://opaque.example.com/"
	// Asker is a client that may ask about tokens, by the secret AskerSecret; KeyedAsker
	// one that does so by a key of its own.
	Asker, AskerSecret, KeyedAsker = "scopewire", "a secret: of & scopewire", "scopewire-key"
)

// Provider starts an oidc-provider whose certificate is the world's, until the end
// of the test, and returns its issuer. life is that of its access tokens, keys the JSON Web
// Key Set of KeyedAsker.
func Provider(ctx context.Context, t testing.TB, w *demo.World, life time.Duration, keys string) (issuer string, err error) {
	dir := filepath.Join(folder(t), "oidc")
	install(t, dir)
	files, err := w.Certificate("oidc", devca.Options{Name: "oidc-provider", DNSNames: []string{"localhost"}, Server: true})
	if err != nil {
		return "", err
	}
	//nolint:gosec // G204: our own script.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "node", "provider.mjs", files.Cert, files.Key, strconv.Itoa(int(life.Seconds())), keys)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("oidc-provider: %v\n%s", err, stderr.String())
		}
	})
	if readErr != nil {
		return "", fmt.Errorf("oidc-provider does not start: %w", readErr)
	}
	return strings.TrimSpace(line), nil
}

// folder is this package's folder, from wherever a test runs.
func folder(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if ok && filepath.IsAbs(file) {
		return filepath.Dir(file)
	}
	// Built with -trimpath: the package's own tests run in its folder.
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// install brings node_modules to what package-lock.json says. Test processes that do
// so at the same time wait for one another.
func install(t testing.TB, dir string) {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the interop tests need node with npm (on Debian: apt-get install nodejs npm): %v", err)
		}
	}
	lock, err := os.Open(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	pinned, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(pinned)
	want := []byte(hex.EncodeToString(sum[:]))
	stamp := filepath.Join(dir, "node_modules", ".installed")
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, want) {
		return
	}
	t.Logf("npm ci in %s: what package-lock.json pins", dir)
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(errors.Join(fmt.Errorf("npm ci in %s: %w", dir, err), errors.New(string(out))))
	}
	if err := os.WriteFile(stamp, want, 0o644); err != nil {
		t.Fatal(err)
	}
}
