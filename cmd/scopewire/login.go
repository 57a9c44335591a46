package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/cmd/scopewire/wallet"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/secret"
)

// profileFlag chooses a login.
type profileFlag struct {
	Profile string `default:"default" env:"SCOPEWIRE_PROFILE" help:"Which login, where there are several."`
}

// loginCommand logs a person in.
type loginCommand struct {
	profileFlag
	Resource string `arg:"" optional:"" help:"The database's address for people, https://…: it says who issues its tokens." placeholder:"URL"`

	Issuer     string   `help:"Who issues the tokens: an https URL." placeholder:"URL"`
	ClientID   string   `name:"client-id" help:"OAuth client of the command line at the issuer."`
	SecretEnv  string   `name:"secret-env" help:"Environment variable that holds the client's secret, where it has one."`
	SecretFile string   `name:"secret-file" type:"path" help:"File that holds it."`
	Scope      []string `help:"A scope to ask for; may be repeated. offline_access is asked for besides, where the issuer has it."`
	Audience   string   `help:"Whom the tokens are for, at issuers that ask so."`
	Target     string   `name:"resource" help:"Whom the tokens are for (RFC 8707): a URI."`
	Details    string   `name:"authorization-details" help:"Grants to ask for (RFC 9396): a JSON array."`
	CAFile     string   `name:"ca-file" type:"path" help:"Authorities of the issuer's certificate (PEM)."`

	Address  string `help:"The proxy, host:port, for scopewire psql and exec."`
	Database string `help:"Their default database."`
	User     string `help:"Their default user."`
	RootCert string `name:"sslrootcert" type:"path" help:"Authorities of the proxy's certificate (PEM)."`

	Device  bool          `help:"Log in with another device's browser." xor:"flow"`
	Browser bool          `help:"Log in with this machine's browser. Default where there seems to be one." xor:"flow"`
	Store   string        `enum:"auto,keyring,file" default:"auto" help:"Where tokens are kept: keyring, file, or auto (the keyring, else a file)."`
	Prompt  string        `help:"What the issuer should ask the person even where it need not: login, consent or select_account. Some give a refresh token only after consent."`
	Timeout time.Duration `default:"10m" help:"How long to wait for the person."`
}

// Run implements the command.
func (c *loginCommand) Run(g *global) error {
	ctx, cancel := context.WithTimeout(g.ctx, c.Timeout)
	defer cancel()
	w, err := openWallet(g)
	if err != nil {
		return err
	}
	p, err := c.profile(ctx, g, w)
	if err != nil {
		return err
	}
	client, done, err := clientOf(ctx, g, p)
	if err != nil {
		return err
	}
	defer done()
	if slices.Contains(client.Server.ScopesOffered, offlineAccess) && !slices.Contains(client.Scopes, offlineAccess) {
		client.Scopes = append(slices.Clone(client.Scopes), offlineAccess)
		// A refresh asks for what the login did.
		p.Scopes = client.Scopes
	}
	tokens, err := c.flow(ctx, g, client)
	if err != nil {
		return err
	}
	kept, err := w.Save(ctx, c.Profile, p, tokens, map[string]wallet.Where{"keyring": wallet.InKeyring, "file": wallet.InFile}[c.Store])
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "logged in at %s; tokens are in %s\n", p.Issuer, kept)
	if tokens.Refresh.Len() == 0 {
		fmt.Fprintln(os.Stderr, "the issuer gave no refresh token: log in again when this token ends, or see --prompt")
	}
	return nil
}

// offlineAccess is the scope that asks for a refresh token (OpenID Connect Core
// section 11).
const offlineAccess = "offline_access"

// profile is what is asked for: the flags, laid over the login of the same name,
// laid over what the resource says of itself.
func (c *loginCommand) profile(ctx context.Context, g *global, w *wallet.Wallet) (*wallet.Profile, error) {
	p, err := w.Profile(c.Profile)
	if errors.Is(err, wallet.ErrNoProfile) {
		p, err = &wallet.Profile{}, nil
	}
	if err != nil {
		return nil, err
	}
	c.lay(p)
	if c.Resource != "" {
		if err := c.ask(ctx, g, p); err != nil {
			return nil, err
		}
	}
	switch {
	case p.Issuer == "":
		return nil, errors.New("name the issuer with --issuer, or the database's address for people")
	case p.ClientID == "":
		return nil, errors.New("name the OAuth client with --client-id")
	case p.SecretEnv != "" && p.SecretFile != "":
		return nil, errors.New("give the client's secret by --secret-env or --secret-file, not both")
	}
	if p.Address != "" {
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			return nil, fmt.Errorf("the proxy's address is host:port, not %q", p.Address)
		}
	}
	var details []json.RawMessage
	if len(p.Details) > 0 && json.Unmarshal(p.Details, &details) != nil {
		return nil, errors.New("authorization details are a JSON array of objects")
	}
	return p, nil
}

// lay puts what the flags say over p.
func (c *loginCommand) lay(p *wallet.Profile) {
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&p.Issuer, c.Issuer}, {&p.ClientID, c.ClientID}, {&p.SecretEnv, c.SecretEnv}, {&p.SecretFile, c.SecretFile},
		{&p.Audience, c.Audience}, {&p.Resource, c.Target}, {&p.CAFile, c.CAFile},
		{&p.Address, c.Address}, {&p.Database, c.Database}, {&p.User, c.User}, {&p.RootCert, c.RootCert},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if len(c.Scope) > 0 {
		p.Scopes = c.Scope
	}
	if c.Details != "" {
		p.Details = json.RawMessage(c.Details)
	}
}

// ask takes from the resource's metadata what no flag says.
func (c *loginCommand) ask(ctx context.Context, g *global, p *wallet.Profile) error {
	roots, err := login.Roots(g.system.FS, p.CAFile)
	if err != nil {
		return err
	}
	client := login.HTTPClient(g.system.Net, roots)
	defer client.CloseIdleConnections()
	r, err := login.Protected(ctx, client, c.Resource)
	if err != nil {
		return err
	}
	switch {
	case p.Issuer == "" && len(r.AuthorizationServers) > 1:
		return fmt.Errorf("several issuers have tokens for it: choose one with --issuer: %q", r.AuthorizationServers)
	case p.Issuer == "":
		p.Issuer = r.AuthorizationServers[0]
	case !slices.Contains(r.AuthorizationServers, p.Issuer):
		return fmt.Errorf("%s takes no tokens of %s", c.Resource, p.Issuer)
	}
	if p.Resource == "" && p.Audience == "" {
		p.Resource = r.Resource
	}
	if len(p.Scopes) == 0 {
		p.Scopes = r.Scopes
	}
	if p.Address == "" {
		p.Address = r.Address
	}
	if p.Database == "" && len(r.Databases) == 1 {
		p.Database = r.Databases[0]
	}
	return nil
}

// flow logs in by the flow that fits.
func (c *loginCommand) flow(ctx context.Context, g *global, client *login.Client) (login.Tokens, error) {
	if c.Device || !c.Browser && (!graphical() || client.Server.Authorization == "") && client.Server.Device != "" {
		return client.Device(ctx, func(address, code, complete string) {
			fmt.Fprintf(os.Stderr, "To log in, open\n\n    %s\n\nand enter the code %s\n", address, code)
			if complete != "" {
				fmt.Fprintf(os.Stderr, "(or open %s)\n", complete)
			}
		})
	}
	return client.Browser(ctx, g.system.Net, g.system.Rand, c.Prompt, func(address string) {
		fmt.Fprintf(os.Stderr, "To log in, your browser goes to\n\n    %s\n\n", address)
		openBrowser(ctx, address)
	})
}

// graphical reports whether a browser can likely be shown on this machine.
func graphical() bool {
	if os.Getenv("SSH_CONNECTION") != "" {
		return false
	}
	return runtime.GOOS == "darwin" || os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

// openBrowser tries to. The person has the address on the screen as well.
func openBrowser(ctx context.Context, address string) {
	if !graphical() {
		return
	}
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	cmd := exec.CommandContext(ctx, program, address) //nolint:gosec // G204: an https URL, checked by printable.
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}

// clientOf is a client of the profile's issuer. done gives up its connections.
func clientOf(ctx context.Context, g *global, p *wallet.Profile) (client *login.Client, done func(), err error) {
	roots, err := login.Roots(g.system.FS, p.CAFile)
	if err != nil {
		return nil, nil, err
	}
	c := login.HTTPClient(g.system.Net, roots)
	server, err := login.Discover(ctx, c, p.Issuer)
	if err != nil {
		return nil, nil, err
	}
	key, err := clientSecret(g, p.Secret())
	if err != nil {
		return nil, nil, err
	}
	return &login.Client{HTTP: c, Clock: g.system.Clock, Server: server, ID: p.ClientID, Secret: key, Scopes: p.Scopes,
		Audience: p.Audience, Resource: p.Resource, Details: strings.TrimSpace(string(p.Details))}, c.CloseIdleConnections, nil
}

// clientSecret reads a client's secret, empty for a public client.
func clientSecret(g *global, source config.Source) (secret.Bytes, error) {
	if source.IsZero() {
		return secret.Bytes{}, nil
	}
	return source.Read(g.system.FS)
}
