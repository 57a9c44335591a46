package signals

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/certfile"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// Limits of requests.
const (
	// maxBody bounds a security event token, in bytes; package verify takes half of it.
	maxBody = 16 << 10
	// maxHeader bounds a request's header, in bytes.
	maxHeader = 16 << 10
	// maxAtOnce bounds the requests under way.
	maxAtOnce = 64
	// requestTimeout bounds a request's reading and an answer's writing.
	requestTimeout = 10 * time.Second
)

// Deps are what a Receiver works with.
type Deps struct {
	System sys.System
	Logger *slog.Logger
	// Verifier says how the transmitters' keys are kept.
	Verifier verify.Config
	// Revoke makes a revocation durable and returns; by and note say who asked and why.
	Revoke func(r *authzv1.Revocation, by, note string) (number uint64, err error)
	// Done is told what became of each request: revoked, nothing_asked, refused or
	// unavailable. It must be safe for concurrent use.
	Done func(result string)
	// MaxLifetime is the longest that tokens of an issuer live, 0 where nobody knows.
	MaxLifetime func(issuer string) time.Duration
	// Skew is the greatest by which an issuer's clock may be ahead.
	Skew func() time.Duration
}

// Receiver takes events. Run serves.
type Receiver struct {
	cfg      Config
	deps     Deps
	verifier *verify.Verifier
	senders  []*sender
	tls      *tls.Config
	slots    chan struct{}
	listener net.Listener
}

// sender is one transmitter.
type sender struct {
	Transmitter
	mu      sync.Mutex // guards limiter, whose clock is given to it
	limiter *rate.Limiter
}

// New makes a receiver, nil where none is configured. Nothing is listened on yet.
func New(cfg Config, deps Deps) (*Receiver, error) {
	if cfg.Address == "" {
		return nil, nil //nolint:nilnil // Not configured.
	}
	if cfg.Path == "" {
		cfg.Path = defaultPath
	}
	r := &Receiver{cfg: cfg, deps: deps, slots: make(chan struct{}, maxAtOnce)}
	var err error
	if r.verifier, err = verify.New(deps.Verifier, verify.Deps{System: deps.System, Logger: deps.Logger}); err != nil {
		return nil, fmt.Errorf("signals: %w", err)
	}
	var issuers []verify.Issuer
	for _, t := range cfg.Transmitters {
		issuers = append(issuers, verify.Issuer{Issuer: t.Issuer, Audiences: t.Audiences, JWKSURI: t.JWKSURI, JWKSFile: t.JWKSFile,
			Algorithms: t.Algorithms, Skew: verify.MaxSkew})
		if len(t.Subjects) == 0 {
			t.Subjects = []string{t.Issuer}
		}
		if t.Rate == 0 {
			t.Rate = defaultRate
		}
		r.senders = append(r.senders, &sender{Transmitter: t, limiter: rate.NewLimiter(rate.Limit(t.Rate), burst*t.Rate)})
	}
	if err := r.verifier.Configure(issuers); err != nil {
		return nil, fmt.Errorf("signals: transmitters: %w", err)
	}
	cert, err := certfile.Load(cfg.CertFile, cfg.KeyFile, deps.System, deps.Logger)
	if err != nil {
		return nil, fmt.Errorf("signals: %w", err)
	}
	r.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.Get, Time: deps.System.Clock.Now, NextProtos: []string{"http/1.1"}}
	return r, nil
}

// Listen opens the socket. Run calls it where the caller has not.
func (r *Receiver) Listen(ctx context.Context) (net.Addr, error) {
	l, err := r.deps.System.Net.Listen(ctx, "tcp", r.cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for signals: %w", err)
	}
	r.listener = l
	return l.Addr(), nil
}

// Run serves until ctx ends. It returns nil then.
func (r *Receiver) Run(ctx context.Context) error {
	if r.listener == nil {
		address, err := r.Listen(ctx)
		if err != nil {
			return err
		}
		r.deps.Logger.Info("listening for security events", "address", address.String())
	}
	srv := &http.Server{Handler: r, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: requestTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(nowhere{}, "", 0)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var keys sync.WaitGroup
	defer keys.Wait()
	keys.Go(func() { _ = r.verifier.Run(ctx) }) // It returns nil.
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(tls.NewListener(r.listener, r.tls)); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		cancel()
		return fmt.Errorf("serve signals: %w", err)
	}
	return nil
}

// nowhere drops what net/http would print to standard error: what clients do wrong.
type nowhere struct{}

// Write drops p.
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// failure is an answer other than that sessions are revoked; with status 202 an event asked for
// nothing. Its code is one of RFC 8935 section 2.4, or empty
// where HTTP's own status says it.
type failure struct {
	status int
	code   string
	why    string
}

// The codes of RFC 8935 section 2.4.
const (
	invalidRequest       = "invalid_request"
	invalidKey           = "invalid_key"
	invalidIssuer        = "invalid_issuer"
	invalidAudience      = "invalid_audience"
	authenticationFailed = "authentication_failed"
	accessDenied         = "access_denied"
)

// result is what became of a request, for the metric.
func (f *failure) result() string {
	switch {
	case f == nil:
		return "revoked"
	case f.status == http.StatusAccepted:
		return "nothing_asked"
	case f.status == http.StatusServiceUnavailable:
		return "unavailable"
	default:
		return "refused"
	}
}

func bad(code, why string) *failure { return &failure{http.StatusBadRequest, code, why} }

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f := r.serve(req)
	r.deps.Done(f.result())
	if f == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	switch f.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	if f.code == "" {
		w.WriteHeader(f.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", "en")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(f.status)
	// The transmitter may have gone.
	_ = json.NewEncoder(w).Encode(map[string]string{"err": f.code, "description": f.why})
}

// serve takes one request. It returns nil once what it asks for is durable.
func (r *Receiver) serve(req *http.Request) *failure {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return &failure{status: http.StatusServiceUnavailable}
	}
	if req.URL.Path != r.cfg.Path {
		return &failure{status: http.StatusNotFound}
	}
	s := r.authenticate(req)
	if s == nil {
		r.deps.Logger.Warn("security event refused", "client", req.RemoteAddr, "why", "no transmitter has this secret")
		return &failure{http.StatusUnauthorized, authenticationFailed, "no transmitter has this secret"}
	}
	if !s.admit(r.deps.System.Clock.Now()) {
		return &failure{status: http.StatusTooManyRequests}
	}
	f := r.take(req, s)
	if f != nil && f.status != http.StatusAccepted {
		r.deps.Logger.Warn("security event refused", "transmitter", s.Issuer, "status", f.status, "code", f.code, "why", f.why)
	}
	return f
}

// admit counts a request against the transmitter's rate.
func (s *sender) admit(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limiter.AllowN(now, 1)
}

// authenticate finds whose secret the request brings, nil for nobody's. All are compared,
// so that the time says nothing of which it was.
func (r *Receiver) authenticate(req *http.Request) *sender {
	const scheme = "bearer "
	header := req.Header.Values("Authorization")
	if len(header) != 1 || len(header[0]) < len(scheme) || !strings.EqualFold(header[0][:len(scheme)], scheme) {
		return nil
	}
	given := secret.FromString(header[0][len(scheme):])
	defer given.Wipe()
	var found *sender
	for _, s := range r.senders {
		text, err := r.deps.System.FS.ReadFile(s.BearerFile)
		if err != nil {
			r.deps.Logger.Error("secret of a transmitter cannot be read", "transmitter", s.Issuer, "error", err)
			continue
		}
		own := secret.New(bytes.TrimSpace(text))
		if own.Len() >= leastSecret && own.Equal(given) && found == nil {
			found = s
		}
		clear(text)
	}
	return found
}

// take judges a security event token and does what it asks for.
func (r *Receiver) take(req *http.Request, s *sender) *failure {
	if req.Method != http.MethodPost {
		return &failure{status: http.StatusMethodNotAllowed}
	}
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/secevent+jwt" {
		return bad(invalidRequest, "the media type is not application/secevent+jwt")
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return bad(invalidRequest, "the body cannot be read")
	}
	if len(body) > maxBody {
		return bad(invalidRequest, "the security event token is too long")
	}
	event, err := r.verifier.Event(req.Context(), secret.New(body))
	if err != nil {
		return refused(err)
	}
	if event.Issuer != s.Issuer {
		return bad(invalidIssuer, "the security event token is another transmitter's than the secret")
	}
	if event.Revoked == nil {
		r.deps.Logger.Info("security event asks for nothing here", "transmitter", s.Issuer, "event", event.ID, "types", event.Types)
		return &failure{status: http.StatusAccepted}
	}
	if !slices.Contains(s.Subjects, event.Revoked.Issuer) {
		return bad(accessDenied, "the transmitter may not speak about this issuer's subjects")
	}
	number, err := r.deps.Revoke(r.revocation(event.Revoked, s), "transmitter "+s.Issuer, "session-revoked, event "+event.ID)
	if err != nil {
		r.deps.Logger.Error("security event not kept", "transmitter", s.Issuer, "event", event.ID, "error", err)
		return &failure{status: http.StatusServiceUnavailable}
	}
	r.deps.Logger.Info("security event revokes sessions", "transmitter", s.Issuer, "event", event.ID, "number", number)
	return nil
}

// revocation is what a subject's tokens end by: those issued until the event, by clocks
// that may be ahead.
func (r *Receiver) revocation(of *verify.RevokedSessions, s *sender) *authzv1.Revocation {
	rev := &authzv1.Revocation{Issuer: of.Issuer, Subject: of.Subject, IssuedBefore: of.At.Add(r.deps.Skew()).Unix() + 1}
	life := time.Duration(s.TokenLifetime)
	if life == 0 {
		life = r.deps.MaxLifetime(of.Issuer)
	}
	if life > 0 {
		rev.ExpiresAt = rev.IssuedBefore + int64(life.Seconds()) + 1
	}
	return rev
}

// refused is the answer to an event that does not verify.
func refused(err error) *failure {
	var r *verify.Refusal
	if !errors.As(err, &r) {
		return &failure{status: http.StatusServiceUnavailable}
	}
	switch r.Reason {
	case verify.Unavailable:
		return &failure{status: http.StatusServiceUnavailable}
	case verify.IssuerUnknown:
		return bad(invalidIssuer, r.Detail)
	case verify.Audience:
		return bad(invalidAudience, r.Detail)
	case verify.Algorithm, verify.Signature:
		return bad(invalidKey, r.Detail)
	default:
		return bad(invalidRequest, r.Detail)
	}
}
