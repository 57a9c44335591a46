package devissuer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/internal/secret"
)

// The addresses below the issuer.
const (
	pathJWKS  = "/jwks"
	pathToken = "/token"
	// pathOIDC is OpenID Connect Discovery 1.0 section 4, pathOAuth RFC 8414
	// section 3.
	pathOIDC  = "/.well-known/openid-configuration"
	pathOAuth = "/.well-known/oauth-authorization-server"
)

// maxForm bounds the body of a token request, in bytes.
const maxForm = 16 << 10

func (is *Issuer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathOIDC, is.metadata)
	mux.HandleFunc("GET "+pathOAuth, is.metadata)
	mux.HandleFunc("GET "+pathJWKS, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, is.JWKS())
	})
	mux.HandleFunc("POST "+pathToken, is.token)
	return mux
}

// metadata is the discovery document. What RFC 8414 section 2 or OpenID Connect
// Discovery section 3 requires is there even when it is empty.
func (is *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	var scopes []string
	for _, c := range is.clients {
		scopes = append(scopes, c.Scopes...)
	}
	slices.Sort(scopes)
	algs := make([]string, len(is.algs))
	for i, a := range is.algs {
		algs[i] = string(a)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                is.issuer,
		"jwks_uri":                              is.JWKSURI(),
		"token_endpoint":                        is.TokenEndpoint(),
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"grant_types_supported":                 []string{"client_credentials"},
		"response_types_supported":              []string{},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": algs,
		"scopes_supported":                      slices.Compact(scopes),
	})
}

// token is the token endpoint: RFC 6749 section 4.4, errors by section 5.2.
func (is *Issuer) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		tokenError(w, http.StatusBadRequest, "invalid_request", "the body is no form or too long")
		return
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			tokenError(w, http.StatusBadRequest, "invalid_request", "a parameter is given twice")
			return
		}
	}
	client, ok := is.authenticate(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="scopewire-dev"`)
		tokenError(w, http.StatusUnauthorized, "invalid_client", "unknown client or wrong secret")
		return
	}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		tokenError(w, http.StatusBadRequest, "unsupported_grant_type", "client_credentials is the one grant here")
		return
	}
	scopes, ok := client.scopes(r.PostForm.Get("scope"))
	if !ok {
		tokenError(w, http.StatusBadRequest, "invalid_scope", "the client may have none of these scopes")
		return
	}
	audience, ok := client.audience(r.PostForm)
	if !ok {
		tokenError(w, http.StatusBadRequest, "invalid_target", "the client may have no token for this audience")
		return
	}
	subject := client.Subject
	if subject == "" {
		subject = client.ID
	}
	token, err := is.Mint(Claims{
		Subject: subject, ClientID: client.ID, Audience: []string{audience}, Scopes: scopes, Set: client.Claims,
	})
	if err != nil {
		tokenError(w, http.StatusInternalServerError, "server_error", "the token could not be signed")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": token,
		"token_type":   "Bearer",
		"expires_in":   int64(is.lifetime.Seconds()),
		"scope":        strings.Join(scopes, " "),
	})
}

// authenticate checks client_secret_basic, whose parts are form-encoded (RFC 6749
// section 2.3.1), or client_secret_post; not both.
func (is *Issuer) authenticate(r *http.Request) (Client, bool) {
	name, word := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if n, p, basic := r.BasicAuth(); basic {
		if word != "" {
			return Client{}, false
		}
		var err1, err2 error
		name, err1 = url.QueryUnescape(n)
		word, err2 = url.QueryUnescape(p)
		if err1 != nil || err2 != nil {
			return Client{}, false
		}
	}
	client, known := is.clients[name]
	// An empty secret never matches: New refuses clients without one.
	if !client.Secret.Equal(secret.FromString(word)) || !known {
		return Client{}, false
	}
	return client, true
}

// scopes limits what was asked for to what the client may have (RFC 6749 section
// 3.3); nothing asked for is everything.
func (c Client) scopes(asked string) ([]string, bool) {
	if asked == "" {
		return c.Scopes, true
	}
	var got []string
	for _, s := range strings.Fields(asked) {
		if slices.Contains(c.Scopes, s) && !slices.Contains(got, s) {
			got = append(got, s)
		}
	}
	return got, len(got) > 0
}

// audience takes `audience`, or `resource` (RFC 8707), from the form.
func (c Client) audience(form url.Values) (string, bool) {
	asked := form.Get("audience")
	if asked == "" {
		asked = form.Get("resource")
	}
	if asked == "" {
		return c.Audiences[0], true
	}
	return asked, slices.Contains(c.Audiences, asked)
}

func tokenError(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": description})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The client may have gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
