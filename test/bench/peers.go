package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// target is a way to the server.
type target struct {
	Name string
	// Plain is the address without TLS, Secure the one with it: host:port. The same where
	// clients choose. Secure is empty where there is none.
	Plain, Secure  string
	User, Password string
	Database       string
	// PID is the process whose CPU counts, 0 for none; Others are those of its helpers, which
	// are counted apart.
	PID    int
	Others map[string]int
}

// dsn is the address as libpq takes it.
func (t target) dsn(secure bool) string {
	addr, mode := t.Plain, "disable"
	if secure {
		addr, mode = t.Secure, "require"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic("bench: " + t.Name + " has the address " + addr)
	}
	return fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=%s", host, port, t.Database, t.User, mode)
}

func (t target) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PGPASSWORD=" + t.Password}
}

// files are what peers need of the world.
type files struct {
	dir                       string
	certificate, key          string
	server, database          string
	user, password            string
	pgbouncerAddr, haproxyTCP string
}

// pgbouncer starts PgBouncer in session mode, TLS offered to clients.
func pgbouncer(t testing.TB, f files) (target, bool) {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		return target{}, false
	}
	host, port := split(t, f.pgbouncerAddr)
	serverHost, serverPort := split(t, f.server)
	users := write(t, f.dir, "users.txt", fmt.Sprintf("%q %q\n", f.user, f.password))
	config := write(t, f.dir, "pgbouncer.ini", fmt.Sprintf(`[databases]
%[1]s = host=%[2]s port=%[3]s dbname=%[1]s
[pgbouncer]
listen_addr = %[4]s
listen_port = %[5]s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %[6]s
pool_mode = session
default_pool_size = 1000
max_client_conn = 10000
server_tls_sslmode = disable
client_tls_sslmode = allow
client_tls_cert_file = %[7]s
client_tls_key_file = %[8]s
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
log_stats = 0
`, f.database, serverHost, serverPort, host, port, users, f.certificate, f.key))
	pid := start(t, f.pgbouncerAddr, exec.Command(program, config)) //nolint:noctx,gosec // Ended after the test; found in PATH.
	return target{Name: "pgbouncer", Plain: f.pgbouncerAddr, Secure: f.pgbouncerAddr, User: f.user, Password: f.password, Database: f.database, PID: pid}, true
}

// haproxy starts HAProxy as a relay of TCP in one thread. It cannot speak PostgreSQL's way
// into TLS: what passes with TLS is the server's own.
func haproxy(t testing.TB, f files) (target, bool) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		return target{}, false
	}
	config := write(t, f.dir, "haproxy.cfg", fmt.Sprintf(`global
  nbthread 1
  maxconn 8000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen postgres
  bind %s
  server one %s
`, f.haproxyTCP, f.server))
	pid := start(t, f.haproxyTCP, exec.Command(program, "-db", "-f", config)) //nolint:noctx,gosec // Ended after the test; found in PATH.
	return target{Name: "haproxy", Plain: f.haproxyTCP, User: f.user, Password: f.password, Database: f.database, PID: pid}, true
}

// start runs a peer until the end of the test, as nobody where we are root: PgBouncer does
// not run as root.
func start(t testing.TB, addr string, cmd *exec.Cmd) (pid int) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "peer")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = nobody(t)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if b, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, b)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return cmd.Process.Pid
		}
		select {
		case <-done:
			t.Fatalf("%s ended at once", cmd.Path)
		case <-ctx.Done():
			t.Fatalf("%s does not listen on %s", cmd.Path, addr)
		case <-tick.C:
		}
	}
}

func nobody(t testing.TB) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// write makes a file that peers can read.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // G306: read by nobody.
		t.Fatal(err)
	}
	return file
}

func split(t testing.TB, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
