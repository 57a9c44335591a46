package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/secret"
)

// tokenCommand prints an access token on standard output, and nothing else.
type tokenCommand struct {
	User string `arg:"" optional:"" help:"A user of the running demo."`

	TokenURL   string   `name:"token-url" help:"Token endpoint of an issuer, instead of the demo's."`
	ClientID   string   `name:"client-id" help:"OAuth client."`
	SecretEnv  string   `name:"secret-env" help:"Environment variable that holds the client's secret."`
	SecretFile string   `name:"secret-file" type:"path" help:"File that holds the client's secret."`
	Scope      []string `name:"scope" help:"Scopes to ask for."`
	Audience   string   `name:"audience" help:"Whom the token is for."`
	CAFile     string   `name:"ca-file" type:"path" help:"Authorities of the issuer's certificate (PEM)."`
}

// Bounds of the request to the issuer.
const (
	tokenTimeout = 10 * time.Second
	// maxTokenResponse bounds what is read of its answer.
	maxTokenResponse = 64 << 10
)

// demoInfo is what a running demo leaves in the runtime directory.
type demoInfo struct {
	TokenURL string            `json:"token_url"`
	CAFile   string            `json:"ca_file"`
	Secrets  map[string]string `json:"client_secrets"`
}

// Run implements the command.
func (c *tokenCommand) Run(g *global) error {
	ask, err := c.request(g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(g.ctx, tokenTimeout)
	defer cancel()
	token, err := ask.do(ctx)
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}

// tokenRequest is a client_credentials request (RFC 6749 section 4.4).
type tokenRequest struct {
	url, client string
	secret      secret.Bytes
	form        url.Values
	roots       *x509.CertPool
}

func (c *tokenCommand) request(g *global) (*tokenRequest, error) {
	r := &tokenRequest{url: c.TokenURL, client: c.ClientID, form: url.Values{"grant_type": {"client_credentials"}}}
	if len(c.Scope) > 0 {
		r.form.Set("scope", strings.Join(c.Scope, " "))
	}
	if c.Audience != "" {
		r.form.Set("audience", c.Audience)
	}
	caFile := c.CAFile
	switch {
	case c.User != "" && (c.TokenURL != "" || c.ClientID != ""):
		return nil, errors.New("give either a demo user or --token-url and --client-id")
	case c.User != "":
		info, err := runningDemo(g)
		if err != nil {
			return nil, err
		}
		key, ok := info.Secrets[c.User]
		if !ok {
			return nil, fmt.Errorf("the demo has no user %q; it has %s", c.User, strings.Join(sortedKeys(info.Secrets), ", "))
		}
		r.url, r.client, r.secret, caFile = info.TokenURL, c.User, secret.FromString(key), info.CAFile
	case c.TokenURL == "" || c.ClientID == "":
		return nil, errors.New("name a demo user, or give --token-url, --client-id and the client's secret")
	default:
		var err error
		source := config.Source{Env: c.SecretEnv, File: c.SecretFile}
		if (source.Env == "") == (source.File == "") {
			return nil, errors.New("give the client's secret by --secret-env or --secret-file")
		}
		if r.secret, err = source.Read(g.system.FS); err != nil {
			return nil, err
		}
	}
	if u, err := url.Parse(r.url); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the token endpoint has to be an https URL, not %q", r.url)
	}
	if caFile != "" {
		pem, err := g.system.FS.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		r.roots = x509.NewCertPool()
		if !r.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read authorities: %s holds no certificate", caFile)
		}
	}
	return r, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// runningDemo reads what the demo left for us.
func runningDemo(g *global) (*demoInfo, error) {
	dir, err := runtimeDir()
	if err != nil {
		return nil, err
	}
	b, err := g.system.FS.ReadFile(filepath.Join(dir, demoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no demo is running: start one with `%s demo`", g.program)
	}
	if err != nil {
		return nil, fmt.Errorf("read the demo's description: %w", err)
	}
	var info demoInfo
	if err := json.Unmarshal(b, &info); err != nil {
		return nil, fmt.Errorf("read the demo's description: %w", err)
	}
	return &info, nil
}

// do asks the issuer. Its answer is never part of an error, but for the error
// code that RFC 6749 section 5.2 defines.
func (r *tokenRequest) do(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(r.form.Encode()))
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(r.client), url.QueryEscape(string(r.secret.Expose())))
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenResponse))
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		if answer.Error != "" {
			return "", fmt.Errorf("the issuer gave no token: %q", answer.Error)
		}
		return "", fmt.Errorf("the issuer gave no token: status %d", resp.StatusCode)
	}
	return answer.Token, nil
}
