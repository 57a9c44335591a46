package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/sys"
)

// Binaries builds the programs, once for a test's directory, and returns the
// directory.
func Binaries(t testing.TB, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	packages := map[string]string{
		"scopewire":       "github.com/scopewire/scopewire/cmd/scopewire",
		"scopewire-proxy": "github.com/scopewire/scopewire/services/proxy/cmd/scopewire-proxy",
		"scopewire-authz": "github.com/scopewire/scopewire/services/authz/cmd/scopewire-authz",
		"scopewire-audit": "github.com/scopewire/scopewire/services/audit/cmd/scopewire-audit",
	}
	for _, name := range names {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), packages[name])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// Processes are proxy, authz and audit as three processes that find each other
// over TCP, with mutual TLS.
type Processes struct {
	*demo.World
	Proxy, Authz, Audit *Process
	// ProxyAddr is where clients connect, AuditAddr where queries go, AuthzAddr where
	// administrators go.
	ProxyAddr, AuditAddr, AuthzAddr string
	// Relay is between proxy and authz.
	Relay *Relay
	// Admin are the certificate files of a person's tools.
	Admin devca.Files
	// Binaries is the directory of the programs.
	Binaries string
}

// Process is one of them.
type Process struct {
	t        testing.TB
	path     string
	config   string
	admin    string
	mu       sync.Mutex
	cmd      *exec.Cmd
	out      *bytes.Buffer
	finished chan struct{}
}

// StartProcesses builds a world and runs the services in front of it.
func StartProcesses(t testing.TB, cfg demo.Config) *Processes {
	t.Helper()
	cfg.WithoutServices = true
	w := Start(t, cfg)
	p := &Processes{World: w, Binaries: Binaries(t, "scopewire", "scopewire-proxy", "scopewire-authz", "scopewire-audit")}
	certificate := func(name string, opts devca.Options) devca.Files {
		files, err := w.Certificate(name, opts)
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	at := host(t)
	server := func(role string) devca.Files {
		return certificate(role, devca.Options{Name: role, DNSNames: []string{"localhost"}, IPs: []net.IP{at},
			URIs: []string{"spiffe://scopewire/" + role}, Server: true, Client: true})
	}
	server("authz")
	server("audit")
	server("proxy")
	p.Admin = certificate("admin", devca.Options{Name: "admin", URIs: []string{"spiffe://scopewire/admin"}, Client: true})
	certificate("front", devca.Options{Name: "front", IPs: []net.IP{at}, Server: true})
	p.ProxyAddr, p.AuditAddr = address(t, at), address(t, at)
	p.AuthzAddr = address(t, at)
	p.Relay = newRelay(t, at, p.AuthzAddr)
	host, port, err := net.SplitHostPort(w.Postgres.Addr)
	if err != nil {
		t.Fatal(err)
	}
	app, catalog := w.Roles()
	write := func(name, text string) string {
		file := filepath.Join(w.Dir, name)
		if err := sys.WriteFileAtomic(sys.OS().FS, file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("policy.yaml", w.Policy())
	tlsOf := func(role string) string {
		return fmt.Sprintf("{cert_file: %[1]s/%[2]s.crt, key_file: %[1]s/%[2]s.key, ca_file: %[1]s/ca.crt}", w.Dir, role)
	}
	admin := [3]string{address(t, at), address(t, at), address(t, at)}
	p.Audit = p.process(t, "scopewire-audit", admin[2], write("audit.yaml", fmt.Sprintf(`
listen: {address: %s, tls: %s}
store: {directory: %s/audit}
admin: {address: %s}
`, p.AuditAddr, tlsOf("audit"), w.Dir, admin[2])))
	p.Authz = p.process(t, "scopewire-authz", admin[1], write("authz.yaml", fmt.Sprintf(`
listen: {address: %[1]s, tls: %[2]s}
policy: {file: %[3]s/policy.yaml}
state: {file: %[3]s/state.json}
keys: {ca_file: %[3]s/ca.crt}
catalog:
  databases:
    - {name: %[4]s, host: %[5]s, port: %[6]s, user: %[7]s, password: {file: %[3]s/catalog.password}, tls: {ca_file: %[3]s/ca.crt}}
decisions: {max_source_age: 5s}
audit: {address: %[9]s, server_name: localhost, tls: %[2]s}
admin: {address: %[8]s}
`, p.AuthzAddr, tlsOf("authz"), w.Dir, demo.Database, host, port, catalog, admin[1], p.AuditAddr)))
	p.Proxy = p.process(t, "scopewire-proxy", admin[0], write("proxy.yaml", fmt.Sprintf(`
instance: proxy-1
listeners:
  - {address: %[1]s, tls: {cert_file: %[2]s/front.crt, key_file: %[2]s/front.key}}
databases:
  - name: %[3]s
    host: %[4]s
    port: %[5]s
    tls: {ca_file: %[2]s/ca.crt}
    logins: [{name: app, user: %[6]s, password: {file: %[2]s/app.password}}]
authz: {address: %[7]s, server_name: localhost, tls: %[8]s}
audit: {address: %[9]s, server_name: localhost, tls: %[8]s}
spool: {dir: %[2]s/spool}
limits: {decision: 1s, staleness: 2s}
admin: {address: %[10]s}
`, p.ProxyAddr, w.Dir, demo.Database, host, port, app, p.Relay.Addr(), tlsOf("proxy"), p.AuditAddr, admin[0])))
	p.Audit.Start()
	p.Authz.Start()
	p.Proxy.Start()
	return p
}

func (p *Processes) process(t testing.TB, name, admin, config string) *Process {
	proc := &Process{t: t, path: filepath.Join(p.Binaries, name), config: config, admin: admin, out: &bytes.Buffer{}}
	t.Cleanup(func() {
		// Both are searched with the files of the world.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if text, err := get(ctx, "http://"+proc.admin+"/metrics"); err == nil {
			keep(t, filepath.Join(p.Dir, name+".metrics"), text)
		}
		proc.Kill()
		keep(t, filepath.Join(p.Dir, name+".out"), proc.Output())
		if t.Failed() {
			t.Logf("%s:\n%s", name, proc.Output())
		}
	})
	return proc
}

func keep(t testing.TB, file, text string) {
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Errorf("keep what a program wrote: %v", err)
	}
}

// Start runs the program and waits until it is ready.
func (p *Process) Start() {
	p.t.Helper()
	p.Launch()
	p.AwaitReady()
}

// Launch runs the program.
func (p *Process) Launch() {
	p.t.Helper()
	p.launch(exec.Command(p.path, "-c", p.config)) //nolint:noctx // Ended by Kill, from a clean-up.
}

// LaunchWithin runs the program with no more than so many descriptors.
func (p *Process) LaunchWithin(descriptors int) {
	p.t.Helper()
	//nolint:noctx // Ended by Kill, from a clean-up.
	p.launch(exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, descriptors), p.path, "-c", p.config))
}

func (p *Process) launch(cmd *exec.Cmd) {
	p.t.Helper()
	p.cmd = cmd
	p.cmd.Stderr = locked{p}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	finished := make(chan struct{})
	p.finished = finished
	go func() {
		defer close(finished)
		_ = cmd.Wait()
	}()
}

// DSN is where a user connects, without a password.
func (p *Processes) DSN(user string) string {
	host, port, _ := net.SplitHostPort(p.ProxyAddr)
	return fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=verify-full sslrootcert=%s", host, port, demo.Database, user, p.CAFile)
}

// AwaitReady waits until the program says that it is ready.
func (p *Process) AwaitReady() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := get(ctx, "http://"+p.admin+"/readyz"); err == nil {
			return
		}
		select {
		case <-p.finished:
			p.t.Fatalf("%s ended:\n%s", p.path, p.Output())
		case <-ctx.Done():
			p.t.Fatalf("%s is not ready:\n%s", p.path, p.Output())
		case <-tick.C:
		}
	}
}

// Metrics is what the program says of itself now.
func (p *Process) Metrics() string {
	p.t.Helper()
	text, err := get(p.t.Context(), "http://"+p.admin+"/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// FurtherProxy runs another proxy, at addresses that the caller has from Address: what the
// configuration's admin says is where it tells that it is ready.
func (p *Processes) FurtherProxy(t testing.TB, admin, config string) *Process {
	t.Helper()
	proxy := p.process(t, "scopewire-proxy", admin, config)
	proxy.Start()
	return proxy
}

// Address is a free address on which a further program can listen.
func (p *Processes) Address(t testing.TB) string {
	t.Helper()
	return address(t, host(t))
}

// PID is the running program's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the program as the kernel does, at once, and waits for it.
func (p *Process) Kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.finished
}

// Stop asks the program to end and waits for it.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	<-p.finished
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with %d:\n%s", p.path, code, p.Output())
	}
}

// Output is what the program logged so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// locked writes to a process's output.
type locked struct{ p *Process }

func (l locked) Write(b []byte) (int, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.out.Write(b)
}
