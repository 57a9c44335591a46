package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/stack"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/services/authz"
)

// explainCommand says how a statement would be decided, and by which line of the
// policy. It needs no service: a policy file and a database are enough.
type explainCommand struct {
	SQL string `arg:"" help:"The statement, as one message; - reads it from standard input."`

	Policy       string `type:"path" help:"Policy file."`
	Database     string `help:"Database, as postgres://user@host:port/name; with --config the name of one that it has."`
	PasswordEnv  string `name:"password-env" help:"Environment variable that holds the password for --database."`
	PasswordFile string `name:"password-file" type:"path" help:"File that holds it."`
	Config       string `short:"c" type:"path" help:"Configuration of scopewire up, to take policy and database from."`

	Scope     []string `help:"A scope of the token; may be repeated." placeholder:"SCOPE"`
	TokenFile string   `name:"token-file" type:"path" help:"File with an access token. Its claims are believed: the signature is not checked."`
	TokenEnv  string   `name:"token-env" help:"Environment variable with an access token."`

	Login       string        `help:"Role that the session runs as. Default: the policy's login for the database."`
	SearchPath  string        `name:"search-path" help:"Its search_path, as SHOW prints it. Default: what a session of the login starts with."`
	Parse       bool          `help:"Read the statement as a Parse message: one statement, with parameters."`
	Client      string        `help:"Address of the client, for conditions." placeholder:"ADDRESS"`
	TLS         bool          `name:"tls" help:"The client's connection is encrypted."`
	Application string        `help:"application_name of the client."`
	At          time.Time     `help:"Time of the decision, as 2026-07-01T09:00:00+02:00. Default: now."`
	Timeout     time.Duration `default:"10s" help:"How long reading the catalog may take."`
	JSON        bool          `help:"Print JSON."`
}

// maxExplained bounds a statement from standard input.
const maxExplained = 1 << 20

// Run implements the command. It ends the process with 0 when the statement would
// be allowed, with 1 when it would not, and with 2 when that could not be told.
func (c *explainCommand) Run(g *global) error {
	allowed, err := c.explain(g, os.Stdin, os.Stdout)
	switch {
	case err != nil:
		return &exit{code: 2, err: err}
	case !allowed:
		return &exit{code: 1}
	default:
		return nil
	}
}

func (c *explainCommand) explain(g *global, in io.Reader, out io.Writer) (allowed bool, err error) {
	sql := []byte(c.SQL)
	if c.SQL == "-" {
		if sql, err = io.ReadAll(io.LimitReader(in, maxExplained+1)); err != nil {
			return false, fmt.Errorf("read the statement: %w", err)
		}
		if len(sql) > maxExplained {
			return false, fmt.Errorf("the statement is over %d bytes", maxExplained)
		}
	}
	policyFile, database, roles, err := c.sources(g)
	if err != nil {
		return false, err
	}
	q := authz.Question{
		SQL: sql, Parse: c.Parse, Scopes: c.Scope, Login: c.Login, Roles: roles, SearchPath: c.SearchPath, Now: c.At,
		Client: c.Client, TLS: c.TLS, ApplicationName: c.Application,
	}
	if q.Now.IsZero() {
		q.Now = g.system.Clock.Now()
	}
	if q.Token, err = c.token(g); err != nil {
		return false, err
	}
	defer q.Token.Wipe()
	explainer, err := authz.NewExplainer(g.ctx, policyFile, database, c.Timeout, g.system)
	if err != nil {
		return false, err
	}
	answer, err := explainer.Explain(q)
	if err != nil {
		return false, err
	}
	if c.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(answer)
	} else {
		err = answer.Print(out)
	}
	return answer.Verdict == authz.VerdictAllow, err
}

// sources are the policy file, the database, and the roles behind its logins as far
// as they are known.
func (c *explainCommand) sources(g *global) (string, authz.Database, map[string]string, error) {
	password := config.Source{Env: c.PasswordEnv, File: c.PasswordFile}
	if c.Config == "" {
		if c.Policy == "" || c.Database == "" {
			return "", authz.Database{}, nil, errors.New("give --policy and --database, or --config")
		}
		d, err := authz.ParseDatabaseURL(c.Database, password)
		return c.Policy, d, nil, err
	}
	if !password.IsZero() {
		return "", authz.Database{}, nil, errors.New("with --config the password is where it says")
	}
	var cfg stack.Config
	if err := config.Load(g.system.FS, c.Config, &cfg); err != nil {
		return "", authz.Database{}, nil, err
	}
	file := cfg.Authz.Policy.File
	if c.Policy != "" {
		file = c.Policy
	}
	var names []string
	for _, d := range cfg.Authz.Catalog.Databases {
		if d.Name == c.Database || c.Database == "" && len(cfg.Authz.Catalog.Databases) == 1 {
			return file, d, rolesOf(cfg, d.Name), nil
		}
		names = append(names, d.Name)
	}
	return "", authz.Database{}, nil, fmt.Errorf("name one of the databases with --database: %s", strings.Join(names, ", "))
}

// rolesOf lists the server's roles of a database's logins.
func rolesOf(cfg stack.Config, database string) map[string]string {
	roles := map[string]string{}
	for _, d := range cfg.Proxy.Databases {
		for _, l := range d.Logins {
			if d.Name == database && l.User != "" {
				roles[l.Name] = l.User
			}
		}
	}
	return roles
}

// token reads the token, if one was named.
func (c *explainCommand) token(g *global) (secret.Bytes, error) {
	source := config.Source{File: c.TokenFile, Env: c.TokenEnv}
	switch {
	case source.IsZero():
		return secret.Bytes{}, nil
	case source.File != "" && source.Env != "":
		return secret.Bytes{}, errors.New("give --token-file or --token-env, not both")
	case len(c.Scope) > 0:
		return secret.Bytes{}, errors.New("a token has its own scopes: leave --scope out")
	default:
		return source.Read(g.system.FS)
	}
}
