package devissuer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// DefaultTokenLifetime is how long a token is valid when nobody says.
const DefaultTokenLifetime = 10 * time.Minute

// Limits on requests: a development server too is reachable by others on the
// machine.
const (
	maxHeaderBytes  = 16 << 10
	requestTimeout  = 10 * time.Second
	shutdownTimeout = 2 * time.Second
)

// Config describes the issuer.
type Config struct {
	// Issuer is the `iss` of its tokens and the base of its addresses, an https
	// URL without path. Empty: https:// and the listener's address.
	Issuer string
	// Clients may ask the token endpoint.
	Clients []Client
	// Algorithms are the signature algorithms, one key each; the first signs what
	// the token endpoint issues. ES256 and RS256 are known. Empty: both, ES256
	// first.
	Algorithms []string
	// TokenLifetime is how long a token is valid; zero is DefaultTokenLifetime.
	TokenLifetime time.Duration
	// Minted is told of every token that is signed, nil for nobody. It must be safe for
	// concurrent use.
	Minted func(token string)
}

// Client is one OAuth client.
type Client struct {
	// ID and Secret are what it authenticates with.
	ID     string
	Secret secret.Bytes
	// Subject is the `sub` of its tokens; empty is the ID (RFC 9068 section 2.2).
	Subject string
	// Scopes are what it may have, Audiences whom its tokens may be for; the
	// first is the default.
	Scopes, Audiences []string
	// Claims are members added to each of its tokens.
	Claims map[string]any
}

// Deps are what the issuer runs on.
type Deps struct {
	Clock sys.Clock
	Rand  sys.Rand
	// Listener is where Run serves, plain TCP. Run closes it.
	Listener net.Listener
	// Certificate is the server's.
	Certificate tls.Certificate
}

// Issuer is the authorization server. Safe for concurrent use.
type Issuer struct {
	clock    sys.Clock
	rand     sys.Rand
	listener net.Listener
	cert     tls.Certificate
	issuer   string
	clients  map[string]Client
	algs     []jose.SignatureAlgorithm
	lifetime time.Duration
	minted   func(token string)
	handler  http.Handler

	// mu guards the keys.
	mu   sync.Mutex
	keys []signingKey
	made int
}

// New makes an issuer with one key for each algorithm. It serves once Run is
// called; Mint and Handler work at once.
func New(cfg Config, deps Deps) (*Issuer, error) {
	is := &Issuer{
		clock: deps.Clock, rand: deps.Rand, listener: deps.Listener, cert: deps.Certificate,
		issuer: cfg.Issuer, clients: make(map[string]Client), lifetime: cfg.TokenLifetime, minted: cfg.Minted,
	}
	if is.issuer == "" {
		if deps.Listener == nil {
			return nil, errors.New("development issuer: it has neither a name nor a listener to take one from")
		}
		is.issuer = "https://" + deps.Listener.Addr().String()
	}
	u, err := url.Parse(is.issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("development issuer: %q is no https URL without path", is.issuer)
	}
	if is.lifetime == 0 {
		is.lifetime = DefaultTokenLifetime
	}
	for _, c := range cfg.Clients {
		if _, twice := is.clients[c.ID]; twice || c.ID == "" || c.Secret.Len() == 0 || len(c.Audiences) == 0 {
			return nil, fmt.Errorf("development issuer: client %q needs a name of its own, a secret and an audience", c.ID)
		}
		is.clients[c.ID] = c
	}
	algs := cfg.Algorithms
	if len(algs) == 0 {
		algs = []string{"ES256", "RS256"}
	}
	for _, alg := range algs {
		a := jose.SignatureAlgorithm(alg)
		if (a != jose.ES256 && a != jose.RS256) || slices.Contains(is.algs, a) {
			return nil, fmt.Errorf("development issuer: algorithm %q is not known or listed twice", alg)
		}
		is.algs = append(is.algs, a)
	}
	if err := is.Rotate(); err != nil {
		return nil, err
	}
	is.handler = is.routes()
	return is, nil
}

// Issuer is the `iss` of its tokens.
func (is *Issuer) Issuer() string { return is.issuer }

// JWKSURI is where its keys are.
func (is *Issuer) JWKSURI() string { return is.issuer + pathJWKS }

// TokenEndpoint is where tokens are issued.
func (is *Issuer) TokenEndpoint() string { return is.issuer + pathToken }

// Handler serves every address of the issuer. It expects TLS in front of it.
func (is *Issuer) Handler() http.Handler { return is.handler }

// Run serves HTTPS on the listener until ctx ends, and returns when every
// request has been answered or cut off.
func (is *Issuer) Run(ctx context.Context) error {
	if is.listener == nil {
		return errors.New("development issuer: nothing to listen on")
	}
	srv := &http.Server{
		Handler:           is.handler,
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       requestTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// Failed handshakes are the client's to report; net/http would print them
		// to the process's standard error.
		ErrorLog: log.New(discard{}, "", 0),
	}
	ln := tls.NewListener(is.listener, &tls.Config{
		Certificates: []tls.Certificate{is.cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
		Time:         is.clock.Now,
	})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve development issuer: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if err != nil {
		_ = srv.Close()
	}
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		return fmt.Errorf("serve development issuer: %w", serr)
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop development issuer: %w", err)
	}
	return nil
}

type discard struct{}

// Write drops p.
func (discard) Write(p []byte) (int, error) { return len(p), nil }
