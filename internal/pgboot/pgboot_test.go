package pgboot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/scopewire/scopewire/internal/pgboot"
)

// ownerEnv makes this test binary a process that boots a server, prints its
// folder and process id, and waits to be killed.
const ownerEnv = "PGBOOT_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(ownerEnv) != "" {
		s, err := pgboot.Start(context.Background(), pgboot.Config{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(s.SocketDir, s.PID())
		<-s.Done()
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, c pgboot.Config) *pgboot.Server {
	t.Helper()
	s, err := pgboot.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func query(t *testing.T, conn, sql string) string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var v string
	if err := c.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

func TestStartServesAndStopLeavesNothing(t *testing.T) {
	t.Setenv("PGPORT", "1")              // the server must not see our environment
	t.Setenv("LC_ALL", "no_such_locale") // nor fail for want of a locale
	s := start(t, pgboot.Config{TCP: true, Superuser: "Ada Hara", Settings: map[string]string{"work_mem": "5MB", "application_name": `a\'b`}})
	if got := query(t, s.ConnString("postgres"), "select current_user || ' ' || current_setting('server_encoding') || ' ' || current_setting('work_mem')"); got != "Ada Hara UTF8 5MB" {
		t.Errorf("got %q", got)
	}
	if got := query(t, s.ConnString("postgres"), "select setting from pg_settings where name = 'fsync'"); got != "off" {
		t.Errorf("fsync is %q", got)
	}
	if got := query(t, s.ConnString("postgres"), "select split_part(version(), ' ', 2)"); got != s.Version {
		t.Errorf("version %q, the server says %q", s.Version, got)
	}
	if s.Port >= 32768 || !strings.HasSuffix(s.Addr, fmt.Sprint(":", s.Port)) {
		t.Errorf("address %s, port %d", s.Addr, s.Port)
	}
	dir := filepath.Dir(s.SocketDir)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone(t, dir)
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the server still runs: %v", err)
	}
}

func TestStopCutsASessionThatWillNotEnd(t *testing.T) {
	s := start(t, pgboot.Config{})
	c, err := pgx.Connect(t.Context(), s.ConnString("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	over, cancel := context.WithCancel(t.Context())
	cancel() // no time for the fast way: the immediate one
	if err := s.Stop(over); err != nil {
		t.Fatal(err)
	}
	gone(t, s.SocketDir)
}

func TestPasswordIsAskedForEverywhere(t *testing.T) {
	s := start(t, pgboot.Config{TCP: true})
	for _, conn := range []string{
		fmt.Sprintf("host=%s port=%d user=postgres password=wrong sslmode=disable", s.SocketDir, s.Port),
		fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=wrong sslmode=disable", s.Port),
	} {
		c, err := pgx.Connect(t.Context(), conn)
		if err == nil {
			_ = c.Close(t.Context())
			t.Errorf("a wrong password is accepted for %s", conn)
		}
	}
	if text := fmt.Sprintf("%v %+v", s.Password, *s); strings.Contains(text, string(s.Password.Expose())) {
		t.Error("the password prints")
	}
}

func TestHBALinesComeFirst(t *testing.T) {
	s := start(t, pgboot.Config{HBA: []string{"local all all trust"}})
	if got := query(t, fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", s.SocketDir, s.Port), "select current_user"); got != "postgres" {
		t.Errorf("got %q", got)
	}
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	s := start(t, pgboot.Config{TCP: true, TLS: &pgboot.TLS{CertFile: cert, KeyFile: key, ClientCAFile: cert}})
	conn := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres password=%s sslmode=verify-full sslrootcert=%s", s.Port, s.Password.Expose(), cert)
	if got := query(t, conn, "select version from pg_stat_ssl where pid = pg_backend_pid()"); got != "TLSv1.3" {
		t.Errorf("got %q", got)
	}
}

func TestStartFailureSaysWhyAndLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	if len(tmp) < 60 { // a longer one would not be used
		t.Setenv("TMPDIR", tmp)
	}
	before := left(t)
	_, err := pgboot.Start(t.Context(), pgboot.Config{Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pgboot.Start(ctx, pgboot.Config{}); !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("got %v", err)
	}
	if after := left(t); after != before {
		t.Errorf("before %q, after %q", before, after)
	}
}

func left(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "swpg*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, " ")
}

func TestPortInUse(t *testing.T) {
	l, err := pgboot.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var port int
	if _, err := fmt.Sscanf(l.Addr().String(), "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	_, err = pgboot.Start(t.Context(), pgboot.Config{TCP: true, Port: port})
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, test := range []struct {
		c    pgboot.Config
		want string
	}{
		{pgboot.Config{Major: 13}, "not between"},
		{pgboot.Config{Major: 19}, "not between"},
		{pgboot.Config{Port: 5432}, "need tcp"},
		{pgboot.Config{TLS: &pgboot.TLS{CertFile: "a", KeyFile: "b"}}, "need tcp"},
		{pgboot.Config{TCP: true, TLS: &pgboot.TLS{}}, "certificate file"},
		{pgboot.Config{Settings: map[string]string{"a": "b\nc"}}, "line break"},
		{pgboot.Config{BinDir: t.TempDir()}, "Config.BinDir"},
	} {
		_, err := pgboot.Start(t.Context(), test.c)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.c, err, test.want)
		}
	}
}

// TestKilledOwnerLeavesNothing kills the process that booted a server: the way
// a test run ends on a time-out, and a demo by kill -9.
func TestKilledOwnerLeavesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), ownerEnv+"=1")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var dir string
			var pid int
			if _, err := fmt.Fscan(stdout, &dir, &pid); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			waitGone(t, filepath.Dir(dir), pid)
		})
	}
}

func TestFallbackBootsAsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := pgboot.StartAsNobody(t.Context(), pgboot.Config{}); err == nil {
			t.Fatal("only root can become nobody")
		}
		return
	}
	s, err := pgboot.StartAsNobody(t.Context(), pgboot.Config{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, s.ConnString("postgres"), "select 'up'"); got != "up" {
		t.Errorf("got %q", got)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	gone(t, s.SocketDir)
}

func TestStopCleansUpWithoutAJanitor(t *testing.T) {
	s := start(t, pgboot.Config{})
	if err := pgboot.KillJanitor(s); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	gone(t, filepath.Dir(s.SocketDir))
}

func TestLogFileIsKept(t *testing.T) {
	log := filepath.Join(t.TempDir(), "server.log")
	s := start(t, pgboot.Config{LogFile: log})
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log)
	if err != nil || !bytes.Contains(text, []byte("database system is shut down")) {
		t.Errorf("log %q, %v", text, err)
	}
}
