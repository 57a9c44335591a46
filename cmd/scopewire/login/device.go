package login

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"golang.org/x/oauth2"
)

// Prompt tells a person where to go and which code to show there. The address
// with the code inside is empty when the server has none.
type Prompt func(address, code, complete string)

// Device logs a person in by the device flow (RFC 8628): it prompts, and waits
// until the person has agreed, refused or let the time pass.
func (c *Client) Device(ctx context.Context, prompt Prompt) (Tokens, error) {
	if c.Server.Device == "" {
		return Tokens{}, errors.New("the issuer has no device flow (device_authorization_endpoint)")
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.HTTP)
	cfg := c.config()
	asked, err := cfg.DeviceAuth(ctx, c.options()...)
	if err != nil {
		return c.tokens(nil, err)
	}
	if err := httpsURL("where the issuer sends people to", asked.VerificationURI); err != nil {
		return Tokens{}, err
	}
	complete := asked.VerificationURIComplete
	if complete != "" {
		if err := sameOrigin(complete, asked.VerificationURI); err != nil {
			return Tokens{}, err
		}
	}
	if len(asked.UserCode) > 64 || asked.UserCode == "" || !printable(asked.UserCode) {
		return Tokens{}, errors.New("the issuer's code is none that a person can type")
	}
	prompt(asked.VerificationURI, asked.UserCode, complete)
	// The resource again: RFC 8707 section 2.2.
	t, err := cfg.DeviceAccessToken(ctx, asked, c.options()...)
	return c.tokens(t, err)
}

// sameOrigin is an error unless both are https URLs of one host.
func sameOrigin(a, b string) error {
	if err := httpsURL("where the issuer sends people to", a); err != nil {
		return err
	}
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	if errA != nil || errB != nil || ua.Host != ub.Host {
		return fmt.Errorf("the issuer sends people to two places, %q and %q", a, b)
	}
	return nil
}
