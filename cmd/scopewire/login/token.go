package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// Client asks an authorization server for tokens. It keeps nothing.
type Client struct {
	HTTP   *http.Client
	Clock  sys.Clock
	Server *Server
	// ID is the OAuth client; Secret its secret, empty for a public client.
	ID     string
	Secret secret.Bytes
	// Scopes are what to ask for.
	Scopes []string
	// Audience, Resource (RFC 8707) and Details (RFC 9396, a JSON array) go with
	// each request where they are set.
	Audience, Resource, Details string
}

// Tokens are what a server gave.
type Tokens struct {
	Access, Refresh secret.Bytes
	// Scope is what the access token has, if the server says.
	Scope string
	// Obtained is when they came, Expires when the access token ends; zero when the
	// server does not say.
	Obtained, Expires time.Time
}

// Error is a server's refusal, by the code that it gave (RFC 6749 section 5.2,
// RFC 8628 section 3.5).
type Error struct{ Code string }

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("the issuer gave no token: %q", e.Code) }

// NeedsLogin reports whether only a new login helps: the refresh token is spent,
// withdrawn or too old.
func (e *Error) NeedsLogin() bool { return e.Code == "invalid_grant" }

// config is what x/oauth2 needs to know.
func (c *Client) config() *oauth2.Config {
	style := oauth2.AuthStyleInParams
	if c.Secret.Len() > 0 && c.Server.Basic() {
		style = oauth2.AuthStyleInHeader
	}
	return &oauth2.Config{ClientID: c.ID, ClientSecret: string(c.Secret.Expose()), Scopes: c.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: c.Server.Authorization, DeviceAuthURL: c.Server.Device, TokenURL: c.Server.Token, AuthStyle: style}}
}

// options are the parameters beside those of the flow itself.
func (c *Client) options() []oauth2.AuthCodeOption {
	var opts []oauth2.AuthCodeOption
	for name, value := range c.further() {
		opts = append(opts, oauth2.SetAuthURLParam(name, value))
	}
	return opts
}

func (c *Client) further() map[string]string {
	further := map[string]string{}
	for name, value := range map[string]string{"audience": c.Audience, "resource": c.Resource, "authorization_details": c.Details} {
		if value != "" {
			further[name] = value
		}
	}
	return further
}

// tokens takes what x/oauth2 was given.
func (c *Client) tokens(t *oauth2.Token, err error) (Tokens, error) {
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && plain(refused.ErrorCode):
		return Tokens{}, &Error{refused.ErrorCode}
	case errors.As(err, &refused):
		return Tokens{}, fmt.Errorf("the issuer gave no token: status %d", refused.Response.StatusCode)
	case err != nil:
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return Tokens{}, fmt.Errorf("ask for a token: %w", err)
	}
	scope, _ := t.Extra("scope").(string)
	return c.made(t.AccessToken, t.TokenType, t.RefreshToken, scope, t.ExpiresIn)
}

// made checks an answer's members and makes tokens of them.
func (c *Client) made(access, kind, refresh, scope string, expiresIn int64) (Tokens, error) {
	if access == "" || !strings.EqualFold(kind, "bearer") || !printable(access) {
		return Tokens{}, errors.New("the issuer's answer holds no bearer token")
	}
	now := c.Clock.Now()
	t := Tokens{Access: secret.FromString(access), Refresh: secret.FromString(refresh), Scope: scope, Obtained: now}
	if expiresIn > 0 {
		t.Expires = now.Add(time.Duration(min(expiresIn, maxExpiresIn)) * time.Second)
	}
	return t, nil
}

// maxExpiresIn bounds a token's announced life, in seconds: a year.
const maxExpiresIn = 365 * 24 * 3600

// Refresh asks for new tokens (RFC 6749 section 6). Where the server gives no new
// refresh token, the old one stays.
func (c *Client) Refresh(ctx context.Context, old Tokens) (Tokens, error) {
	if old.Refresh.Len() == 0 {
		return Tokens{}, &Error{"invalid_grant"}
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(old.Refresh.Expose())}}
	t, err := c.ask(ctx, form)
	if err != nil {
		return Tokens{}, err
	}
	if t.Refresh.Len() == 0 {
		t.Refresh = old.Refresh
	}
	return t, nil
}

// Credentials asks by the client's own secret (RFC 6749 section 4.4).
func (c *Client) Credentials(ctx context.Context) (Tokens, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(c.Scopes) > 0 {
		form.Set("scope", strings.Join(c.Scopes, " "))
	}
	if c.Details != "" {
		form.Set("authorization_details", c.Details)
	}
	return c.ask(ctx, form)
}

// ask posts to the token endpoint.
func (c *Client) ask(ctx context.Context, form url.Values) (Tokens, error) {
	for name, value := range c.further() {
		if name != "authorization_details" { // A refresh has those of its grant.
			form.Set(name, value)
		}
	}
	status, body, err := c.post(ctx, c.Server.Token, form)
	if err != nil {
		return Tokens{}, fmt.Errorf("ask for a token: %w", err)
	}
	var answer struct {
		Access    string `json:"access_token"`
		Kind      string `json:"token_type"`
		Refresh   string `json:"refresh_token"`
		Scope     string `json:"scope"`
		ExpiresIn int64  `json:"expires_in"`
		Error     string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		if plain(answer.Error) {
			return Tokens{}, &Error{answer.Error}
		}
		return Tokens{}, fmt.Errorf("the issuer gave no token: status %d", status)
	}
	return c.made(answer.Access, answer.Kind, answer.Refresh, answer.Scope, answer.ExpiresIn)
}

// Revoke withdraws tokens at the server (RFC 7009), the refresh token first: with
// it the grant ends. It is false when the server has no way to.
func (c *Client) Revoke(ctx context.Context, t Tokens) (bool, error) {
	if c.Server.Revocation == "" {
		return false, nil
	}
	for _, one := range []struct {
		token secret.Bytes
		hint  string
	}{{t.Refresh, "refresh_token"}, {t.Access, "access_token"}} {
		if one.token.Len() == 0 {
			continue
		}
		form := url.Values{"token": {string(one.token.Expose())}, "token_type_hint": {one.hint}}
		status, body, err := c.post(ctx, c.Server.Revocation, form)
		if err != nil {
			return true, fmt.Errorf("revoke: %w", err)
		}
		var answer struct {
			Error string `json:"error"`
		}
		// Servers that revoke no self-contained access tokens say so (RFC 7009 section
		// 2.2.1); such a token ends by itself.
		if status != http.StatusOK && (json.Unmarshal(body, &answer) != nil || answer.Error != "unsupported_token_type") {
			return true, fmt.Errorf("revoke: the issuer answers with status %d", status)
		}
	}
	return true, nil
}

// post sends a form with the client's name, and its secret where it has one.
func (c *Client) post(ctx context.Context, address string, form url.Values) (status int, body []byte, err error) {
	basic := c.Secret.Len() > 0 && c.Server.Basic()
	if !basic {
		form.Set("client_id", c.ID)
		if c.Secret.Len() > 0 {
			form.Set("client_secret", string(c.Secret.Expose()))
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if basic {
		req.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(string(c.Secret.Expose())))
	}
	return do(c.HTTP, req)
}

// plain reports whether an error code is one that can be shown.
func plain(code string) bool { return code != "" && len(code) <= 64 && printable(code) }
