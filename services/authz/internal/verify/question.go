package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/sys"
)

// maxIntrospection bounds an answer of the introspection endpoint, in bytes.
const maxIntrospection = 64 << 10

// endpoint knows where an issuer is asked.
type endpoint struct {
	fetcher *fetcher
	clock   sys.Clock
	issuer  string
	given   string
	refresh time.Duration

	mu    sync.Mutex
	found string
	at    time.Time
}

// address is the endpoint given, or the one that the issuer's metadata names (RFC 8414
// section 2), which is looked up again from time to time.
func (e *endpoint) address(ctx context.Context) (string, error) {
	if e.given != "" {
		return e.given, nil
	}
	e.mu.Lock()
	found, at := e.found, e.at
	e.mu.Unlock()
	now := e.clock.Now()
	if found != "" && now.Sub(at) < e.refresh {
		return found, nil
	}
	address, err := e.fetcher.discover(ctx, e.issuer, "introspection_endpoint")
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.found, e.at = address, now
	return address, nil
}

// forget makes the next question look the endpoint up again.
func (e *endpoint) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.found = ""
}

// asker returns what sends a token to the introspection endpoint (RFC 7662 section 2.1) and
// returns the body of the answer. An error holds no part of the token.
func (f *fetcher) asker(is Issuer, cfg Config, machine sys.System) func(context.Context, []byte) ([]byte, error) {
	e := &endpoint{fetcher: f, clock: machine.Clock, issuer: is.Issuer, given: is.Introspection.Endpoint, refresh: cfg.Refresh}
	return func(ctx context.Context, token []byte) ([]byte, error) {
		address, err := e.address(ctx)
		if err != nil {
			return nil, err
		}
		form := append([]byte("token_type_hint=access_token&token="), escaped(token)...)
		defer func() { clear(form) }()
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
		if form, err = is.Introspection.authenticate(header, form, is.Issuer, machine); err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(form))
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", address, err)
		}
		req.Header = header
		body, err := f.do(f.asking, req, maxIntrospection)
		if err != nil {
			e.forget()
		}
		return body, err
	}
}

// escaped is a token as the value of a form. It has been held against isOpaque, or is made
// of base64url and dots.
func escaped(token []byte) []byte {
	out := make([]byte, 0, len(token)+16)
	for _, c := range token {
		switch c {
		case '+', '/', '=', '~':
			out = fmt.Appendf(out, "%%%02X", c)
		default:
			out = append(out, c)
		}
	}
	return out
}

// authenticate adds to header or form who asks. The files are read now: a secret is
// replaced by replacing its file.
func (in Introspection) authenticate(header http.Header, form []byte, issuer string, machine sys.System) ([]byte, error) {
	if in.SecretFile != "" {
		word, err := machine.FS.ReadFile(in.SecretFile)
		if err != nil {
			return form, fmt.Errorf("read the client's secret: %w", err)
		}
		defer clear(word)
		word = bytes.TrimSpace(word)
		if len(word) == 0 {
			return form, fmt.Errorf("read the client's secret: %s holds none", in.SecretFile)
		}
		pair := url.QueryEscape(in.ClientID) + ":" + url.QueryEscape(string(word))
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
		return form, nil
	}
	assertion, err := in.assertion(issuer, machine)
	if err != nil {
		return form, fmt.Errorf("sign the client's assertion: %w", err)
	}
	form = fmt.Appendf(form, "&client_id=%s&client_assertion_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Aclient-assertion-type%%3Ajwt-bearer&client_assertion=%s",
		url.QueryEscape(in.ClientID), assertion)
	return form, nil
}

// assertionLife is for how long an assertion counts at the issuer.
const assertionLife = time.Minute

// assertion is a JWT by which the client authenticates (RFC 7523 section 3). Its audience
// is the issuer and nothing else: one of many audiences could be shown to another server.
func (in Introspection) assertion(issuer string, machine sys.System) ([]byte, error) {
	doc, err := machine.FS.ReadFile(in.KeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(doc)
	alg, key, err := clientKey(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.KeyFile, err)
	}
	now := machine.Clock.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": in.ClientID, "sub": in.ClientID, "aud": issuer, "jti": id.New(machine.Clock, machine.Rand).String(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return nil, err
	}
	headers := jws.NewHeaders()
	if in.KeyID != "" {
		if err := headers.Set(jws.KeyIDKey, in.KeyID); err != nil {
			return nil, err
		}
	}
	return jws.Sign(payload, jws.WithKey(alg, key, jws.WithProtectedHeaders(headers)))
}

// clientKey reads a private key and says what it signs with.
func clientKey(doc []byte) (jwa.SignatureAlgorithm, crypto.PrivateKey, error) {
	block, _ := pem.Decode(doc)
	if block == nil {
		return "", nil, errors.New("it holds no PEM block")
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", nil, errors.New("it holds no private key in PKCS 8")
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jwa.RS256, k, nil
	case ed25519.PrivateKey:
		return jwa.EdDSA, k, nil
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return jwa.ES256, k, nil
		case 384:
			return jwa.ES384, k, nil
		case 521:
			return jwa.ES512, k, nil
		}
	}
	return "", nil, errors.New("its key is of a kind that signs nothing here")
}
