package pgboot

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/scopewire/scopewire/internal/secret"
)

// Server is a running PostgreSQL. Its fields never change. Safe for concurrent
// use.
type Server struct {
	// Addr is host:port of the TCP listener; empty without Config.TCP.
	Addr string
	// SocketDir holds the unix socket .s.PGSQL.<Port>.
	SocketDir string
	// Port is in the socket's name and, with Config.TCP, the TCP port.
	Port int
	// Superuser is the name of the first role, and of nothing else: the first
	// database is postgres.
	Superuser string
	// Password is the superuser's.
	Password secret.Bytes
	// Version is the server's own, such as 15.12; Major its first number.
	Version string
	Major   int
	// BinDir holds the programs it runs from.
	BinDir string
	// LogFile is where the server logs.
	LogFile string

	child   *child
	janitor *janitor
}

// Start boots a server. It returns when the server accepts connections; ctx
// bounds the booting alone. The caller must call Stop. When Start fails, nothing
// is left behind, and the error ends with the last lines of the server's log.
func Start(ctx context.Context, c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	bin, err := find(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("boot postgres: %w", err)
	}
	var tried []error
	for _, id := range identities() {
		s, err := start(ctx, c, bin, id)
		if err == nil {
			return s, nil
		}
		tried = append(tried, err)
		if ctx.Err() != nil || !errors.Is(err, errIdentity) {
			break
		}
	}
	return nil, fmt.Errorf("boot postgres %s: %w", bin.version, errors.Join(tried...))
}

// errIdentity marks that the kernel or the file system does not let a program
// run as asked; another identity may do.
var errIdentity = errors.New("run server programs as another user")

// attempts bounds the retries when the picked port was taken meanwhile.
const attempts = 5

func start(ctx context.Context, c Config, bin binaries, id identity) (_ *Server, err error) {
	dir, err := shortDir(id)
	if err != nil {
		return nil, err
	}
	j, err := startJanitor(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start janitor: %w", err), os.RemoveAll(dir))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.finish())
		}
	}()
	if bin, err = bin.within(dir, id); err != nil {
		return nil, err
	}
	s := &Server{
		SocketDir: filepath.Join(dir, "s"),
		Superuser: c.Superuser,
		Version:   bin.version,
		Major:     bin.major,
		BinDir:    bin.dir,
		LogFile:   c.LogFile,
		Port:      c.Port,
		janitor:   j,
	}
	if s.LogFile == "" {
		s.LogFile = filepath.Join(dir, "log")
	}
	data := filepath.Join(dir, "d")
	for _, d := range []string{data, s.SocketDir} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
	}
	if s.Password, err = initdb(ctx, c, bin, id, j, dir, data); err != nil {
		return nil, err
	}
	if err := errors.Join(writeHBA(data, c), copyCertificates(data, c)); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		if c.Port == 0 {
			if s.Port, err = freePort(ctx); err != nil {
				return nil, err
			}
		}
		if err := errors.Join(writeSettings(data, s.SocketDir, s.Port, c), id.own(dir)); err != nil {
			return nil, err
		}
		taken, err := s.launch(ctx, bin, id, data)
		if err == nil {
			break
		}
		if !taken || c.Port != 0 || try == attempts {
			return nil, err
		}
	}
	if c.TCP {
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	}
	return s, nil
}

// initdb makes the database cluster in data and returns the superuser's
// password.
func initdb(ctx context.Context, c Config, bin binaries, id identity, j *janitor, dir, data string) (secret.Bytes, error) {
	raw := make([]byte, 24)
	_, _ = rand.Read(raw) // never fails (crypto/rand, since Go 1.24)
	password := secret.New([]byte(hex.EncodeToString(raw)))
	pwfile := filepath.Join(dir, "pw")
	if err := os.WriteFile(pwfile, append(bytes.Clone(password.Expose()), '\n'), 0o600); err != nil {
		return password, err
	}
	if err := id.own(dir); err != nil {
		return password, fmt.Errorf("%w: %w", errIdentity, err)
	}
	args := []string{
		"--pgdata=" + data, "--username=" + c.Superuser, "--pwfile=" + pwfile,
		"--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--no-instructions",
	}
	if !c.Fsync {
		args = append(args, "--no-sync")
	}
	cmd := exec.Command(filepath.Join(bin.dir, "initdb"), args...) //nolint:gosec,noctx // G204: the program found; child.wait obeys ctx
	cmd.Dir = dir
	cmd.Env = environment()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	child, err := startChild(cmd, id)
	if err != nil {
		return password, fmt.Errorf("%w: initdb: %w", errIdentity, err)
	}
	if err := errors.Join(j.guard(cmd.Process.Pid), child.wait(ctx), j.guard(0)); err != nil {
		return password, fmt.Errorf("initdb: %w: %s", err, lastLines(out.String(), 5))
	}
	if err := os.Remove(pwfile); err != nil {
		return password, fmt.Errorf("remove password file: %w", err)
	}
	return password, nil
}

// readyTick is how often the server's state file is read while it starts.
const readyTick = 5 * time.Millisecond

// launch starts the server and waits until it is ready. taken reports that its
// port was in use.
func (s *Server) launch(ctx context.Context, bin binaries, id identity, data string) (taken bool, err error) {
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false, fmt.Errorf("open server log: %w", err)
	}
	defer log.Close()
	begin, err := log.Seek(0, 2)
	if err != nil {
		return false, fmt.Errorf("open server log: %w", err)
	}
	cmd := exec.Command(filepath.Join(bin.dir, "postgres"), "-D", data) //nolint:gosec,noctx // G204: the program found; Stop ends it
	cmd.Dir = data
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	s.child, err = startChild(cmd, id)
	if err != nil {
		return false, fmt.Errorf("%w: postgres: %w", errIdentity, err)
	}
	err = s.janitor.guard(cmd.Process.Pid)
	if err == nil {
		err = s.ready(ctx, data)
	}
	if err == nil {
		return false, nil
	}
	_ = s.child.signal(syscall.SIGKILL)
	<-s.child.done
	text, readErr := os.ReadFile(s.LogFile)
	if readErr != nil || int64(len(text)) < begin {
		return false, errors.Join(fmt.Errorf("start server: %w", err), readErr, s.janitor.guard(0))
	}
	tail := string(text[begin:])
	// Messages are in English: the server runs in the C locale.
	taken = strings.Contains(tail, "Address already in use")
	return taken, errors.Join(fmt.Errorf("start server: %w: %s", err, lastLines(tail, 8)), s.janitor.guard(0))
}

// ready waits for the state that the server writes into line 8 of its pid file
// (src/include/utils/pidfile.h), as pg_ctl does.
func (s *Server) ready(ctx context.Context, data string) error {
	tick := time.NewTicker(readyTick)
	defer tick.Stop()
	for {
		pidfile, err := os.ReadFile(filepath.Join(data, "postmaster.pid")) //nolint:gosec // G304: a file of the server's folder
		if err == nil {
			lines := strings.Split(string(pidfile), "\n")
			if len(lines) >= 8 && strings.TrimSpace(lines[7]) == "ready" {
				return nil
			}
		}
		select {
		case <-s.child.done:
			return fmt.Errorf("the server ended: %w", s.child.err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// ConnString is a connection URL for the superuser over the unix socket. It
// holds the password: it is for drivers, never for logs.
func (s *Server) ConnString(database string) string {
	q := url.Values{
		"host": {s.SocketDir}, "port": {strconv.Itoa(s.Port)}, "sslmode": {"disable"},
		"user": {s.Superuser}, "password": {string(s.Password.Expose())},
	}
	// Drivers decode %20 alone (RFC 3986), not the plus sign of HTML forms.
	raw := strings.ReplaceAll(q.Encode(), "+", "%20")
	u := url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: raw}
	return u.String()
}

// SocketPath is the path of the unix socket.
func (s *Server) SocketPath() string {
	return filepath.Join(s.SocketDir, ".s.PGSQL."+strconv.Itoa(s.Port))
}

// PID is the process id of the server.
func (s *Server) PID() int { return s.child.cmd.Process.Pid }

// Done is closed when the server has ended, by Stop or by itself.
func (s *Server) Done() <-chan struct{} { return s.child.done }

// fastShutdown is how long sessions may take to end before they are cut.
const fastShutdown = 10 * time.Second

// Stop ends the server, fast at first (sessions are told and end), then, after
// ten seconds or when ctx ends, immediately, and removes its folder. It waits
// until both are done. Calling it again is harmless.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fastShutdown)
	defer cancel()
	// SIGINT asks for a fast shutdown, SIGQUIT for an immediate one (PostgreSQL
	// documentation, section 18.5).
	err := s.child.signal(syscall.SIGINT)
	select {
	case <-s.child.done:
	case <-ctx.Done():
		err = errors.Join(err, s.child.signal(syscall.SIGQUIT))
		kill := time.AfterFunc(fastShutdown, func() { _ = s.child.signal(syscall.SIGKILL) })
		<-s.child.done
		kill.Stop()
	}
	// The janitor must not end a process that has got the number meanwhile. Once
	// it is told to finish, its pipe is closed; that is no error of a second Stop.
	_ = s.janitor.guard(0)
	if err := errors.Join(err, s.janitor.finish()); err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}

// lastLines is the end of a program's output, for an error.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
