package proxy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scopewire/scopewire/internal/config"
)

// MetadataConfig is where the databases tell clients who issues their tokens: RFC 9728
// protected resource metadata, over HTTPS. Default: nowhere.
type MetadataConfig struct {
	// Address is host:port. The port of PostgreSQL's protocol cannot answer HTTP.
	Address string `yaml:"address,omitempty"`
	// TLS is the certificate, as of a listener. Required.
	TLS ServerTLS `yaml:"tls,omitempty"`
	// Resource is what the databases are called, an https URL that leads to Address and
	// whose tokens it is for. Required.
	Resource string `yaml:"resource,omitempty"`
	// AuthorizationServers are the issuers of its tokens. At least one.
	AuthorizationServers []string `yaml:"authorization_servers,omitempty"`
	// Scopes are what clients may ask for. Default: nothing is said.
	Scopes []string `yaml:"scopes,omitempty"`
	// ClientAddress is where PostgreSQL clients connect, host:port, for `scopewire
	// login`. Default: nothing is said.
	ClientAddress string `yaml:"client_address,omitempty"`
	// Documentation is a page for people. Default: nothing is said.
	Documentation string `yaml:"documentation,omitempty"`
}

func (m *MetadataConfig) validate(p *config.Problems, path string) {
	if m.Address == "" {
		if m.Resource != "" || len(m.AuthorizationServers) > 0 {
			p.Addf(path+".address", "is needed to tell anybody")
		}
		return
	}
	if _, _, err := net.SplitHostPort(m.Address); err != nil {
		p.Addf(path+".address", "is host:port, not %q", m.Address)
	}
	if m.TLS.CertFile == "" || m.TLS.KeyFile == "" {
		p.Addf(path+".tls", "cert_file and key_file are needed: RFC 9728 is spoken over HTTPS alone")
	}
	if !httpsURL(m.Resource) {
		p.Addf(path+".resource", "is an https URL without query and fragment, not %q", m.Resource)
	}
	if len(m.AuthorizationServers) == 0 {
		p.Addf(path+".authorization_servers", "at least one is needed")
	}
	for i, issuer := range m.AuthorizationServers {
		if !httpsURL(issuer) {
			p.Addf(fmt.Sprintf("%s.authorization_servers[%d]", path, i), "is an https URL without query and fragment, not %q", issuer)
		}
	}
}

// httpsURL reports whether s is an https URL that can name an issuer or a resource.
func httpsURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// document is RFC 9728 section 2, and two members of Scopewire's own.
type document struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	// BearerMethods are those of RFC 6750, which are HTTP's: none.
	BearerMethods []string `json:"bearer_methods_supported"`
	Documentation string   `json:"resource_documentation,omitempty"`
	Address       string   `json:"scopewire_address,omitempty"`
	Databases     []string `json:"scopewire_databases"`
}

// resourcePath is the path of RFC 9728 section 3.
const resourcePath = "/.well-known/oauth-protected-resource"

const (
	metadataTimeout = 10 * time.Second
	metadataHeader  = 16 << 10
)

// metadata serves the document.
type metadata struct {
	cfg     MetadataConfig
	handler http.Handler
	tls     *tls.Config
	l       net.Listener
}

// newMetadata makes the server; nil where none is configured.
func (p *Proxy) newMetadata() (*metadata, error) {
	cfg := p.cfg.Metadata
	if cfg.Address == "" {
		return nil, nil //nolint:nilnil // Not configured.
	}
	secured, err := serverTLS(cfg.TLS, p.system, p.log)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	secured.NextProtos = []string{"http/1.1"}
	d := document{Resource: cfg.Resource, AuthorizationServers: cfg.AuthorizationServers, Scopes: cfg.Scopes, BearerMethods: []string{},
		Documentation: cfg.Documentation, Address: cfg.ClientAddress}
	for _, database := range p.cfg.Databases {
		d.Databases = append(d.Databases, database.Name)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	u, err := url.Parse(cfg.Resource)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	path := resourcePath + strings.TrimSuffix(u.EscapedPath(), "/")
	return &metadata{cfg: cfg, tls: secured, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.EscapedPath() != path:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "max-age=300")
			_, _ = w.Write(text) // The client may have gone.
		}
	})}, nil
}

// listen opens the socket.
func (m *metadata) listen(ctx context.Context, p *Proxy) error {
	if m == nil {
		return nil
	}
	l, err := p.system.Net.Listen(ctx, "tcp", m.cfg.Address)
	if err != nil {
		return fmt.Errorf("listen for metadata: %w", err)
	}
	m.l = l
	return nil
}

// run serves until ctx ends.
func (m *metadata) run(ctx context.Context) error {
	if m == nil {
		return nil
	}
	srv := &http.Server{Handler: m.handler, ReadTimeout: metadataTimeout, WriteTimeout: metadataTimeout, IdleTimeout: metadataTimeout,
		MaxHeaderBytes: metadataHeader, ErrorLog: log.New(nowhere{}, "", 0)}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(tls.NewListener(m.l, m.tls)); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve metadata: %w", err)
	}
	return nil
}

func (m *metadata) close() error {
	if m == nil || m.l == nil {
		return nil
	}
	if err := m.l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// nowhere drops what net/http would print to standard error: what clients do wrong.
type nowhere struct{}

// Write drops p.
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
