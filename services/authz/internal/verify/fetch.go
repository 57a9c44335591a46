package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

// maxResponseHeader bounds the header of an answer, in bytes.
const maxResponseHeader = 16 << 10

// fetcher gets documents over https: no redirect, no compression, no proxy from
// the environment, a bounded body.
type fetcher struct {
	client *http.Client
	// asking is for questions about tokens, which come one after the other: its
	// connections are kept.
	asking *http.Client
}

func newFetcher(cfg Config, machine sys.System) (*fetcher, error) {
	var roots *x509.CertPool
	if cfg.CAFile != "" {
		data, err := machine.FS.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read roots for issuers: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("read roots for issuers: %s holds no certificate", cfg.CAFile)
		}
	}
	client := func(keep bool) *http.Client {
		return &http.Client{
			Transport: &http.Transport{
				DialContext:            machine.Net.DialContext,
				TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, Time: machine.Clock.Now},
				TLSHandshakeTimeout:    cfg.FetchTimeout,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxResponseHeader,
				DisableKeepAlives:      !keep,
				MaxIdleConnsPerHost:    maxQuestions,
				IdleConnTimeout:        keepIdle,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	// Minutes lie between two fetches of keys; a kept connection would only be found
	// broken.
	return &fetcher{client: client(false), asking: client(true)}, nil
}

// keepIdle is how long an idle connection to an introspection endpoint is kept: shorter
// than servers do, which would break it under a question.
const keepIdle = 20 * time.Second

// get fetches an https document of at most maxJWKS bytes. A status other than
// 200, a redirect included, is an error.
func (f *fetcher) get(ctx context.Context, address string) ([]byte, error) {
	if err := checkHTTPS(address); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", address, err)
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	return f.do(f.client, req, maxJWKS)
}

// do sends a request and reads the body of its answer, at most so many bytes of it.
func (f *fetcher) do(client *http.Client, req *http.Request, most int64) ([]byte, error) {
	address := req.URL.String()
	resp, err := client.Do(req)
	if err != nil {
		// It names the address itself.
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{address: address, status: resp.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: read body: %w", address, err)
	}
	if int64(len(body)) > most {
		return nil, fmt.Errorf("fetch %s: the body is longer than %d KiB", address, most>>10)
	}
	return body, nil
}

// statusError is an answer with a status other than 200.
type statusError struct {
	address string
	status  int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("fetch %s: the answer's status is %d", e.address, e.status)
}

// discover asks the issuer for an address that its metadata has under a name: by OpenID Connect Discovery 1.0
// section 4, and where that address answers without a document by RFC 8414
// section 3. The document must name the issuer exactly (RFC 8414 section 3.3),
// else one tenant of a host could speak for another.
func (f *fetcher) discover(ctx context.Context, issuer, name string) (string, error) {
	doc, err := f.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	var status *statusError
	if errors.As(err, &status) {
		var oauth string
		if oauth, err = oauthMetadata(issuer); err == nil {
			doc, err = f.get(ctx, oauth)
		}
	}
	if err != nil {
		return "", fmt.Errorf("discover: %w", err)
	}
	meta, err := parseObject(doc)
	if err != nil {
		return "", fmt.Errorf("discover: read document: %w", err)
	}
	if named, ok := meta.get("issuer"); !ok || named.kind != kindString || named.text != issuer {
		return "", errors.New("discover: the document is another issuer's")
	}
	address := meta.optional(name)
	if err := checkHTTPS(address); err != nil {
		return "", fmt.Errorf("discover: %s: %w", name, err)
	}
	return address, nil
}

// oauthMetadata puts the well-known part between host and path (RFC 8414 section
// 3.1).
func oauthMetadata(issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", fmt.Errorf("parse issuer: %w", err)
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host}
	return base.String() + "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}

// loader says how the key set of an issuer is read.
func (f *fetcher) loader(is Issuer, fsys sys.FS) func(ctx context.Context, fresh bool) ([]byte, error) {
	switch {
	case is.JWKSFile != "":
		return func(context.Context, bool) ([]byte, error) {
			doc, err := fsys.ReadFile(is.JWKSFile)
			if err != nil {
				return nil, fmt.Errorf("read key set: %w", err)
			}
			return doc, nil
		}
	case is.JWKSURI != "":
		return func(ctx context.Context, _ bool) ([]byte, error) { return f.get(ctx, is.JWKSURI) }
	default:
		var mu sync.Mutex
		var known string
		return func(ctx context.Context, fresh bool) ([]byte, error) {
			mu.Lock()
			address := known
			mu.Unlock()
			if fresh || address == "" {
				var err error
				if address, err = f.discover(ctx, is.Issuer, "jwks_uri"); err != nil {
					return nil, err
				}
				mu.Lock()
				known = address
				mu.Unlock()
			}
			return f.get(ctx, address)
		}
	}
}
