package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/stack"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/authz"
	"github.com/scopewire/scopewire/services/proxy"
)

// configCommand is about configuration files.
type configCommand struct {
	Check configCheck `cmd:"" help:"Check a configuration, its policy and the databases behind it."`
}

// configCheck says what is wrong with a configuration, and what would let somebody past
// the proxy.
type configCheck struct {
	Config  string        `short:"c" required:"" type:"path" help:"Configuration of scopewire up, or of scopewire-proxy with --proxy."`
	Proxy   bool          `help:"The file is scopewire-proxy's."`
	Offline bool          `help:"Leave the databases alone."`
	Strict  bool          `help:"End with 1 when there is a warning."`
	Timeout time.Duration `default:"30s" help:"How long the databases may take."`
}

// proxyFile is the configuration of scopewire-proxy.
type proxyFile struct {
	proxy.Config `yaml:",inline"`
}

// Validate implements config.Validator.
func (c *proxyFile) Validate(p *config.Problems) {
	c.Config.Validate(p)
	c.ValidateRemote(p)
}

// Run implements the command. It ends with 1 when sessions could not be opened, or with
// --strict when anything is to be warned of.
func (c *configCheck) Run(g *global) error {
	cfg, known, warnings, err := c.load(g)
	if err != nil {
		return err
	}
	var found []proxy.Finding
	if !c.Offline {
		ctx, cancel := context.WithTimeout(g.ctx, c.Timeout)
		defer cancel()
		found = proxy.CheckDatabases(ctx, cfg, g.system, known)
	}
	return report(os.Stdout, warnings, found, c.Strict)
}

func report(out io.Writer, warnings []string, found []proxy.Finding, strict bool) error {
	bad := strict && len(warnings)+len(found) > 0
	for _, w := range warnings {
		fmt.Fprintln(out, "warning: "+w)
	}
	for _, f := range found {
		fmt.Fprintln(out, f)
		bad = bad || f.Broken
	}
	if bad {
		return &exit{code: 1, err: errors.New("the configuration is not what it should be")}
	}
	fmt.Fprintln(out, "configuration ok")
	return nil
}

// load reads the file. known are the roles by which authz reads catalogs, warnings what is
// to be said of authz's part.
func (c *configCheck) load(g *global) (cfg proxy.Config, known map[string][]string, warnings []string, err error) {
	if c.Proxy {
		var f proxyFile
		err := config.Load(g.system.FS, c.Config, &f)
		return f.Config, nil, nil, err
	}
	var f stack.Config
	if err := config.Load(g.system.FS, c.Config, &f); err != nil {
		return cfg, nil, nil, err
	}
	known = make(map[string][]string)
	for _, d := range f.Authz.Catalog.Databases {
		known[d.Name] = append(known[d.Name], d.User)
	}
	warnings, err = authz.Check(g.system.FS, f.Authz)
	return f.Proxy, known, warnings, err
}
