package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/cmd/scopewire/wallet"
	"github.com/scopewire/scopewire/internal/sys"
)

// whoamiCommand says who is logged in, as the token says. Nothing is asked of the
// issuer, and no signature is checked.
type whoamiCommand struct {
	profileFlag
}

// Run implements the command.
func (c *whoamiCommand) Run(g *global) error {
	w, err := openWallet(g)
	if err != nil {
		return err
	}
	p, err := w.Profile(c.Profile)
	if err != nil {
		return err
	}
	t, err := w.Tokens(c.Profile, p)
	if err != nil {
		return err
	}
	return describe(os.Stdout, g.system.Clock, p, t)
}

// claims are the members of an access token that name its holder (RFC 9068 section
// 2.2).
type claims struct {
	Subject  string          `json:"sub"`
	Scope    string          `json:"scope"`
	Audience json.RawMessage `json:"aud"`
}

// errOpaque is a token that says nothing to us.
var errOpaque = errors.New("the token is opaque")

// read reads a token's claims, as far as it has any that can be read.
func read(token []byte) (claims, error) {
	var c claims
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return c, errOpaque
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(b, &c) != nil {
		return c, errOpaque
	}
	return c, nil
}

func describe(out io.Writer, clock sys.Clock, p *wallet.Profile, t login.Tokens) error {
	c, err := read(t.Access.Expose())
	if err != nil {
		c.Subject = "(the token does not say)"
	}
	scope := t.Scope
	if scope == "" {
		scope = c.Scope
	}
	if scope == "" {
		scope = strings.Join(p.Scopes, " ")
	}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	// Quoted where a token's own words are printed: they come from outside.
	fmt.Fprintf(tw, "subject\t%s\nissuer\t%s\nclient\t%s\nscopes\t%s\n", line(c.Subject), p.Issuer, p.ClientID, line(scope))
	if len(c.Audience) > 0 {
		fmt.Fprintf(tw, "audience\t%s\n", line(string(c.Audience)))
	}
	fmt.Fprintf(tw, "token\t%s\n", ends(clock.Now(), t))
	if p.Address != "" {
		fmt.Fprintf(tw, "proxy\t%s\n", p.Address)
	}
	where := "file"
	if p.Keyring != "" {
		where = "keyring"
	}
	fmt.Fprintf(tw, "kept in\t%s\n", where)
	return tw.Flush()
}

// ends says how long a token is good for.
func ends(now time.Time, t login.Tokens) string {
	renewed := "; renewed by itself"
	if t.Refresh.Len() == 0 {
		renewed = "; cannot be renewed"
	}
	switch {
	case t.Access.Len() == 0:
		return "none is kept" + renewed
	case t.Expires.IsZero():
		return "its end is not known" + renewed
	case !now.Before(t.Expires):
		return "has ended" + renewed
	default:
		return "ends in " + t.Expires.Sub(now).Round(time.Second).String() + renewed
	}
}

// line is s without what could move a terminal's cursor.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return '\ufffd'
		}
		return r
	}, s)
}
