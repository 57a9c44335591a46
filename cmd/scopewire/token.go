package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/secret"
)

// tokenCommand prints an access token on standard output, and nothing else. Without
// arguments it is that of the person who is logged in.
type tokenCommand struct {
	profileFlag
	User string `arg:"" optional:"" help:"A user of the running demo."`

	TokenURL   string   `name:"token-url" help:"Token endpoint of an issuer, instead of the demo's."`
	ClientID   string   `name:"client-id" help:"OAuth client."`
	SecretEnv  string   `name:"secret-env" help:"Environment variable that holds the client's secret."`
	SecretFile string   `name:"secret-file" type:"path" help:"File that holds the client's secret."`
	Scope      []string `name:"scope" help:"Scopes to ask for."`
	Audience   string   `name:"audience" help:"Whom the token is for."`
	Resource   string   `help:"Whom the token is for (RFC 8707): a URI."`
	CAFile     string   `name:"ca-file" type:"path" help:"Authorities of the issuer's certificate (PEM)."`
}

// tokenTimeout bounds the request to the issuer.
const tokenTimeout = 30 * time.Second

// demoInfo is what a running demo leaves in the runtime directory.
type demoInfo struct {
	TokenURL string            `json:"token_url"`
	CAFile   string            `json:"ca_file"`
	Secrets  map[string]string `json:"client_secrets"`
}

// Run implements the command.
func (c *tokenCommand) Run(g *global) error {
	ctx, cancel := context.WithTimeout(g.ctx, tokenTimeout)
	defer cancel()
	token, err := c.token(ctx, g)
	if err != nil {
		return err
	}
	fmt.Println(string(token.Expose()))
	return nil
}

func (c *tokenCommand) token(ctx context.Context, g *global) (secret.Bytes, error) {
	if c.User == "" && c.TokenURL == "" && c.ClientID == "" {
		w, err := openWallet(g)
		if err != nil {
			return secret.Bytes{}, err
		}
		t, err := fresh(ctx, g, w, c.Profile)
		return t.Access, err
	}
	ask, err := c.request(g)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer ask.HTTP.CloseIdleConnections()
	t, err := ask.Credentials(ctx)
	return t.Access, err
}

// request is a client_credentials request (RFC 6749 section 4.4).
func (c *tokenCommand) request(g *global) (*login.Client, error) {
	r := &login.Client{Clock: g.system.Clock, Server: &login.Server{Token: c.TokenURL}, ID: c.ClientID, Scopes: c.Scope, Audience: c.Audience, Resource: c.Resource}
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
		r.Server.Token, r.ID, r.Secret, caFile = info.TokenURL, c.User, secret.FromString(key), info.CAFile
	case c.TokenURL == "" || c.ClientID == "":
		return nil, errors.New("name a demo user, or give --token-url, --client-id and the client's secret")
	default:
		source := config.Source{Env: c.SecretEnv, File: c.SecretFile}
		if (source.Env == "") == (source.File == "") {
			return nil, errors.New("give the client's secret by --secret-env or --secret-file")
		}
		var err error
		if r.Secret, err = source.Read(g.system.FS); err != nil {
			return nil, err
		}
	}
	if u, err := url.Parse(r.Server.Token); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the token endpoint has to be an https URL, not %q", r.Server.Token)
	}
	roots, err := login.Roots(g.system.FS, caFile)
	if err != nil {
		return nil, err
	}
	r.HTTP = login.HTTPClient(g.system.Net, roots)
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
