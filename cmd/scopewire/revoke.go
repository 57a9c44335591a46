package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/status"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/rpc"
)

// revokeCommand ends tokens.
type revokeCommand struct {
	Address  string `help:"Authz, host:port. Default: the scopewire that runs as the same user."`
	CertFile string `name:"cert" type:"path" help:"Client certificate of role admin (PEM)."`
	KeyFile  string `name:"key" type:"path" help:"Its key (PEM)."`
	CAFile   string `name:"ca" type:"path" help:"Authorities of authz's certificate (PEM)."`

	TokenFile    string        `type:"path" help:"End the token in this file, - for standard input. It is not sent anywhere, only its SHA-256."`
	TokenSHA256  string        `name:"token-sha256" help:"End the token with this SHA-256, in hexadecimal."`
	TokenID      string        `name:"jti" help:"End tokens of this id (jti)."`
	Issuer       string        `help:"Only tokens of this issuer."`
	Subject      string        `help:"End tokens of this subject."`
	Client       string        `help:"End tokens of this OAuth client."`
	IssuedBefore time.Time     `format:"2006-01-02T15:04:05Z07:00" help:"Only what was issued before this moment (RFC 3339). Default, where no single token is named: now."`
	Expires      time.Duration `help:"After such a time everything that this ends has expired anyway, and it may be forgotten."`
	Note         string        `help:"Who asks and why, for the log."`
}

// revokeTimeout is how long to wait for proxies: the longest lease, and some.
const revokeTimeout = 70 * time.Second

// Run implements the command.
func (c *revokeCommand) Run(g *global) (err error) {
	req, err := c.request(g, os.Stdin)
	if err != nil {
		return err
	}
	client, done, err := c.client(g)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	ctx, cancel := context.WithTimeout(g.ctx, revokeTimeout)
	defer cancel()
	resp, err := client.Revoke(ctx, req)
	if err != nil {
		return fmt.Errorf("revoke: %s", status.Convert(err).Message())
	}
	fmt.Printf("revoked (number %d): %d proxies have applied it, %d leases have run out\n",
		resp.GetEpoch().GetRevocation(), resp.GetAcknowledged(), resp.GetLeasesExpired())
	return nil
}

// request is what the flags ask for.
func (c *revokeCommand) request(g *global, stdin io.Reader) (*authzv1.RevokeRequest, error) {
	r := &authzv1.Revocation{TokenId: c.TokenID, Issuer: c.Issuer, Subject: c.Subject, ClientId: c.Client}
	var err error
	switch {
	case c.TokenFile != "" && c.TokenSHA256 != "":
		return nil, errors.New("give either --token-file or --token-sha256")
	case c.TokenFile != "":
		r.TokenSha256, err = tokenSum(g, c.TokenFile, stdin)
	case c.TokenSHA256 != "":
		if r.TokenSha256, err = hex.DecodeString(c.TokenSHA256); err == nil && len(r.TokenSha256) != sha256.Size {
			err = errors.New("it has 64 digits")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the token: %w", err)
	}
	if !c.IssuedBefore.IsZero() {
		r.IssuedBefore = c.IssuedBefore.Unix()
	}
	if c.Expires > 0 {
		r.ExpiresAt = g.system.Clock.Now().Add(c.Expires).Unix()
	}
	return &authzv1.RevokeRequest{Revocation: r, Note: c.Note}, nil
}

// maxTokenFile is the most that is read of a token's file.
const maxTokenFile = 64 << 10

// tokenSum is the digest of the token in a file.
func tokenSum(g *global, path string, stdin io.Reader) ([]byte, error) {
	var b []byte
	var err error
	if path == "-" {
		b, err = io.ReadAll(io.LimitReader(stdin, maxTokenFile))
	} else {
		b, err = g.system.FS.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil, errors.New("there is none")
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// client connects to authz.
func (c *revokeCommand) client(g *global) (authzv1.AuthorizationAdminServiceClient, func() error, error) {
	cfg := rpc.ClientConfig{Address: c.Address, TLS: rpc.TLSFiles{CertFile: c.CertFile, KeyFile: c.KeyFile, CAFile: c.CAFile}}
	if c.Address == "" {
		dir, err := runtimeDir()
		if err != nil {
			return nil, nil, err
		}
		path := filepath.Join(dir, authzSocket)
		if _, err := g.system.FS.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, errors.New("no scopewire is running as this user: start one, or give --address")
		}
		cfg.Address = "unix:" + path
	}
	cfg.InsecureLoopback = cfg.TLS.IsZero()
	conn, err := rpc.Dial(cfg, rpc.ClientDeps{Clock: g.system.Clock, Net: g.system.Net, FS: g.system.FS, Server: rpc.Authz})
	if err != nil {
		return nil, nil, err
	}
	return authzv1.NewAuthorizationAdminServiceClient(conn), conn.Close, nil
}
