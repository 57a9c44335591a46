package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Server is what an authorization server says of itself (RFC 8414 section 2).
type Server struct {
	Issuer         string   `json:"issuer"`
	Authorization  string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	Device         string   `json:"device_authorization_endpoint"`
	Revocation     string   `json:"revocation_endpoint"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	NamesItself    bool     `json:"authorization_response_iss_parameter_supported"`
	PKCEMethods    []string `json:"code_challenge_methods_supported"`
	ScopesOffered  []string `json:"scopes_supported"`
	DetailsOffered []string `json:"authorization_details_types_supported"`
}

// Discover reads the metadata of an issuer: OpenID Connect Discovery 1.0 section
// 4, else RFC 8414 section 3. The issuer must call itself exactly as it was
// called, and all that is used of it must be HTTPS.
func Discover(ctx context.Context, client *http.Client, issuer string) (*Server, error) {
	if err := httpsURL("the issuer", issuer); err != nil {
		return nil, err
	}
	s, err := discover(ctx, client, issuer)
	if err != nil {
		return nil, fmt.Errorf("ask %s where its endpoints are: %w", issuer, err)
	}
	return s, nil
}

func discover(ctx context.Context, client *http.Client, issuer string) (*Server, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(issuer, "/")
	inserted := *u
	inserted.Path = "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")
	var s Server
	err = getJSON(ctx, client, base+"/.well-known/openid-configuration", &s)
	if errors.Is(err, errNotFound) {
		err = getJSON(ctx, client, inserted.String(), &s)
	}
	if err != nil {
		return nil, err
	}
	if s.Issuer != issuer {
		return nil, fmt.Errorf("it calls itself %q", s.Issuer)
	}
	for _, endpoint := range []struct {
		name, url string
		needed    bool
	}{
		{"token_endpoint", s.Token, true}, {"authorization_endpoint", s.Authorization, false},
		{"device_authorization_endpoint", s.Device, false}, {"revocation_endpoint", s.Revocation, false},
	} {
		if endpoint.url == "" && !endpoint.needed {
			continue
		}
		if err := httpsURL("its "+endpoint.name, endpoint.url); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// Resource is what a database says of itself (RFC 9728 section 2).
type Resource struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported"`
	// Address is where clients connect, host:port: a member of Scopewire's own.
	Address string `json:"scopewire_address"`
	// Databases are what they can ask for there.
	Databases []string `json:"scopewire_databases"`
}

// Protected reads the metadata of a protected resource (RFC 9728 section 3.1),
// which must name itself as it was named (section 3.3).
func Protected(ctx context.Context, client *http.Client, resource string) (*Resource, error) {
	if err := httpsURL("the resource", resource); err != nil {
		return nil, err
	}
	u, err := url.Parse(resource)
	if err != nil {
		return nil, err
	}
	u.Path = "/.well-known/oauth-protected-resource" + strings.TrimSuffix(u.Path, "/")
	var r Resource
	if err := getJSON(ctx, client, u.String(), &r); err != nil {
		return nil, fmt.Errorf("ask %s who issues its tokens: %w", resource, err)
	}
	if r.Resource != resource && r.Resource != strings.TrimSuffix(resource, "/") {
		return nil, fmt.Errorf("ask %s who issues its tokens: it calls itself %q", resource, r.Resource)
	}
	if len(r.AuthorizationServers) == 0 {
		return nil, fmt.Errorf("ask %s who issues its tokens: it names nobody", resource)
	}
	return &r, nil
}

// Basic reports whether a client shows its secret by HTTP Basic, which is the
// default (RFC 8414 section 2).
func (s *Server) Basic() bool {
	return len(s.AuthMethods) == 0 || slices.Contains(s.AuthMethods, "client_secret_basic")
}
