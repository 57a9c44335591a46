package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/scopewire/scopewire/internal/pgboot"
)

// Option changes the configuration of a server.
type Option func(*pgboot.Config)

// Major asks for a major version of PostgreSQL.
func Major(n int) Option { return func(c *pgboot.Config) { c.Major = n } }

// Setting sets a server setting.
func Setting(name, value string) Option {
	return func(c *pgboot.Config) {
		if c.Settings == nil {
			c.Settings = make(map[string]string)
		}
		c.Settings[name] = value
	}
}

// HBA puts a line before the others of pg_hba.conf.
func HBA(line string) Option { return func(c *pgboot.Config) { c.HBA = append(c.HBA, line) } }

// TLS turns on TLS with the certificate in PEM files.
func TLS(certFile, keyFile, clientCAFile string) Option {
	return func(c *pgboot.Config) {
		c.TLS = &pgboot.TLS{CertFile: certFile, KeyFile: keyFile, ClientCAFile: clientCAFile}
	}
}

// sharedServer is the server that the tests of one process share.
type sharedServer struct {
	mu    sync.Mutex
	srv   *pgboot.Server // nil while nobody uses one
	err   error          // why there is none; every further test gets the same
	users int
}

// shared is package state because a test has no other way to find what the test
// before it has booted. Its mutex guards it.
var shared sharedServer

func (s *sharedServer) acquire() (*pgboot.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil && s.err == nil {
		// The background context: the server outlives the test that boots it.
		s.srv, s.err = pgboot.Start(context.Background(), pgboot.Config{TCP: true, Progress: os.Stderr})
	}
	if s.err != nil {
		return nil, s.err
	}
	s.users++
	return s.srv, nil
}

// release stops the server with its last user.
func (s *sharedServer) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if s.users > 0 || s.srv == nil {
		return nil
	}
	srv := s.srv
	s.srv = nil
	return srv.Stop(context.Background())
}

// hold keeps a server, once booted, for as long as the process runs its tests.
func (s *sharedServer) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

// Main runs the tests of a package with one server, booted when first asked for,
// and exits. A goroutine left behind fails the run; options say which are known.
func Main(m *testing.M, options ...goleak.Option) {
	shared.hold()
	code := m.Run()
	if err := shared.release(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Start returns a server that listens on a unix socket and on TCP. Without
// options it is the shared one, whose roles and settings a test must leave as
// they were; with options it is the test's own and stops with the test.
func Start(t testing.TB, options ...Option) *pgboot.Server {
	t.Helper()
	if len(options) > 0 {
		c := pgboot.Config{TCP: true, Progress: os.Stderr}
		for _, o := range options {
			o(&c)
		}
		srv, err := pgboot.Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := srv.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return srv
	}
	srv, err := shared.acquire()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.release(); err != nil {
			t.Error(err)
		}
	})
	return srv
}
