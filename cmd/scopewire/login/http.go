package login

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
)

const (
	// requestTimeout bounds one request.
	requestTimeout = 15 * time.Second
	// maxAnswer bounds what is read of one answer, in bytes.
	maxAnswer = 256 << 10
)

// HTTPClient is a client that trusts the authorities in roots, nil for the
// machine's, and follows no redirects: an issuer is where its name says. The
// caller closes its idle connections.
func HTTPClient(dialer sys.Dialer, roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			DialContext:     dialer.DialContext,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Roots reads a file of authorities (PEM); an empty name is the machine's own.
func Roots(fsys sys.FS, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // The machine's authorities are nil to crypto/tls.
	}
	pem, err := fsys.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read authorities: %s holds no certificate", file)
	}
	return roots, nil
}

// errNotFound is an answer with status 404.
var errNotFound = errors.New("there is none")

// getJSON reads a JSON document.
func getJSON(ctx context.Context, client *http.Client, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	status, body, err := do(client, req)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return errNotFound
	case status != http.StatusOK:
		return fmt.Errorf("status %d", status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errors.New("the answer is not the JSON it should be")
	}
	return nil
}

// do makes a request and reads its answer, whole or not at all.
func do(client *http.Client, req *http.Request) (status int, body []byte, err error) {
	resp, err := client.Do(req)
	if err != nil {
		// A url.Error repeats the address, which may carry a code or a state.
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return 0, nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return resp.StatusCode, body, nil
}

// httpsURL is an error unless s is an absolute https URL without user or
// fragment, of characters that can be printed to a terminal.
func httpsURL(what, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || !printable(s) {
		return fmt.Errorf("%s has to be an https URL, not %q", what, s)
	}
	return nil
}

// printable reports whether s is ASCII without blanks and control characters, so
// that it can do nothing to a terminal.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
