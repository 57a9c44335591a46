package login

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/oauth2"

	"github.com/scopewire/scopewire/internal/sys"
)

// callback is the path that the browser comes back to.
const callback = "/callback"

// Browser logs a person in by code and PKCE (RFC 7636, S256). The browser comes
// back to a listener on 127.0.0.1 at a port of the machine's choice (RFC 8252
// section 7.3), which hears one answer and is closed. open is given the address
// to show to the person; ask is the `prompt` of OpenID Connect Core section 3.1.2.1,
// empty for none.
func (c *Client) Browser(ctx context.Context, network sys.Net, rand sys.Rand, ask string, open func(address string)) (Tokens, error) {
	if c.Server.Authorization == "" {
		return Tokens{}, errors.New("the issuer has no authorization_endpoint")
	}
	if m := c.Server.PKCEMethods; len(m) > 0 && !slices.Contains(m, "S256") {
		return Tokens{}, errors.New("the issuer does not take PKCE by S256")
	}
	l, err := network.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return Tokens{}, fmt.Errorf("listen for the browser: %w", err)
	}
	cfg := c.config()
	cfg.RedirectURL = "http://" + l.Addr().String() + callback
	state, verifier := random(rand), random(rand)
	answers := make(chan answer, 1)
	srv := &http.Server{Handler: c.callback(l.Addr().String(), state, answers), ReadHeaderTimeout: requestTimeout,
		MaxHeaderBytes: maxAnswer, ErrorLog: log.New(nowhere{}, "", 0)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l) // Ends with Shutdown; what a browser did wrong is told to it.
	}()
	defer func() { <-served }()
	// Shutdown lets the page be read first.
	defer func() { _ = srv.Shutdown(context.WithoutCancel(ctx)) }()
	opts := append(c.options(), oauth2.S256ChallengeOption(verifier))
	if ask != "" {
		opts = append(opts, oauth2.SetAuthURLParam("prompt", ask))
	}
	open(cfg.AuthCodeURL(state, opts...))
	var got answer
	select {
	case <-ctx.Done():
		return Tokens{}, fmt.Errorf("wait for the browser: %w", ctx.Err())
	case got = <-answers:
	}
	if got.err != nil {
		return Tokens{}, got.err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.HTTP)
	t, err := cfg.Exchange(ctx, got.code, append(c.options(), oauth2.VerifierOption(verifier))...)
	return c.tokens(t, err)
}

// answer is what the browser came back with.
type answer struct {
	code string
	err  error
}

// callback takes the first answer that carries the state, and no other.
func (c *Client) callback(host, state string, answers chan<- answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		// A page of another name that points here (DNS rebinding), and whoever guesses.
		if r.Host != host || r.URL.Path != callback || r.Method != http.MethodGet ||
			subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not the answer that is waited for.", http.StatusBadRequest)
			return
		}
		got := c.read(q)
		select {
		case answers <- got:
		default:
			http.Error(w, "An answer has come already.", http.StatusBadRequest)
			return
		}
		text := "You are logged in. This window can be closed."
		if got.err != nil {
			text = "The login failed: see the terminal."
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = fmt.Fprintln(w, text) // The browser may have gone.
	})
}

// read takes an authorization response (RFC 6749 section 4.1.2) whose state is
// right. The issuer names itself (RFC 9207), so that no other server's code is
// sent to it.
func (c *Client) read(q url.Values) answer {
	if iss := q.Get("iss"); iss != c.Server.Issuer && (iss != "" || c.Server.NamesItself) {
		return answer{err: errors.New("the answer is another issuer's")}
	}
	if code := q.Get("error"); code != "" {
		if !plain(code) {
			code = "unknown"
		}
		return answer{err: &Error{code}}
	}
	if q.Get("code") == "" {
		return answer{err: errors.New("the issuer's answer holds no code")}
	}
	return answer{code: q.Get("code")}
}

// random is 256 bits in base64url: 43 characters, as PKCE asks for.
func random(rand sys.Rand) string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

type nowhere struct{}

// Write drops p.
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
