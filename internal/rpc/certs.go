package rpc

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// bundle is one consistent reading of the files.
type bundle struct {
	certificate tls.Certificate
	authorities *x509.CertPool
}

// store holds the newest bundle that loaded.
type store struct {
	files TLSFiles
	fs    sys.FS
	clock sys.Clock
	log   *slog.Logger

	mu      sync.Mutex // guards all below
	current *bundle
	raw     [3][]byte
	looked  time.Time
	failing bool
	// warned says that the log has heard of the current certificate's near end.
	warned bool
}

// newStore loads the files once; at start a set that does not load is an error.
func newStore(files TLSFiles, fsys sys.FS, clock sys.Clock, log *slog.Logger) (*store, error) {
	s := &store{files: files, fs: fsys, clock: clock, log: log, looked: clock.Now()}
	raw, err := s.read()
	if err == nil {
		s.current, err = parse(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("load certificates: %w", err)
	}
	s.raw = raw
	s.warn(s.looked)
	return s, nil
}

// get returns the bundle to use for one handshake, after another look at the
// files when the last one is old.
func (s *store) get() *bundle {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if now.Sub(s.looked) < s.files.Reload.Or(defaultReload) {
		return s.current
	}
	s.looked = now
	defer s.warn(now)
	raw, err := s.read()
	if err == nil && sameFiles(raw, s.raw) {
		s.failing = false
		return s.current
	}
	var next *bundle
	if err == nil {
		next, err = parse(raw)
	}
	if err != nil {
		// Once per trouble, not once per handshake.
		if !s.failing {
			s.log.Warn("certificate files do not load, the last good set stays in use", "error", err)
		}
		s.failing = true
		return s.current
	}
	s.failing = false
	s.current, s.raw, s.warned = next, raw, false
	s.log.Info("certificates reloaded", "not_after", next.certificate.Leaf.NotAfter)
	return s.current
}

// connectionAge is the default of max_connection_age. Without certificates it is that
// of connections that never end by one.
func (s *store) connectionAge() time.Duration {
	if s == nil {
		return defaultConnectionAge
	}
	leaf := s.current.certificate.Leaf
	return min(defaultConnectionAge, leaf.NotAfter.Sub(leaf.NotBefore)/4)
}

// warn says once of each certificate that it should have been replaced: less than a
// third of its life is left. The caller holds mu, or is alone.
func (s *store) warn(now time.Time) {
	leaf := s.current.certificate.Leaf
	if s.warned || leaf.NotAfter.Sub(now) > leaf.NotAfter.Sub(leaf.NotBefore)/nearEnd {
		return
	}
	s.warned = true
	s.log.Warn("certificate ends soon and has not been replaced", "file", s.files.CertFile, "not_after", leaf.NotAfter)
}

func (s *store) read() (raw [3][]byte, err error) {
	for i, name := range []string{s.files.CertFile, s.files.KeyFile, s.files.CAFile} {
		if raw[i], err = s.fs.ReadFile(name); err != nil {
			return raw, err
		}
	}
	return raw, nil
}

func sameFiles(a, b [3][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func parse(raw [3][]byte) (*bundle, error) {
	cert, err := tls.X509KeyPair(raw[0], raw[1])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw[2]) {
		return nil, errors.New("the authorities' file holds no certificate")
	}
	return &bundle{certificate: cert, authorities: pool}, nil
}
