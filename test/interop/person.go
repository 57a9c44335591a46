package interop

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/scopewire/scopewire/cmd/scopewire/login"
	"github.com/scopewire/scopewire/internal/sys"
)

// Person sits at a browser. Name is what is typed into the login form.
type Person struct {
	Name string
	// Refuses ends at the page that asks for consent.
	Refuses bool
	client  *http.Client
	// pages are the titles that were seen.
	pages []string
}

// NewPerson is a person whose browser trusts the authorities of a file.
func NewPerson(name, caFile string) (*Person, error) {
	roots, err := login.Roots(sys.OS().FS, caFile)
	if err != nil {
		return nil, err
	}
	client := login.HTTPClient(sys.OS().Net, roots)
	client.CheckRedirect = nil
	if client.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	return &Person{Name: name, client: client}, nil
}

var (
	form   = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	input  = regexp.MustCompile(`<input[^>]*>`)
	attr   = regexp.MustCompile(`(name|value|type)="([^"]*)"`)
	title  = regexp.MustCompile(`<title>([^<]*)</title>`)
	cancel = regexp.MustCompile(`href="([^"]*/abort)"`)
)

// maxForms is more forms than a login has.
const maxForms = 8

// Visit opens a page and fills in one form after the other until there is none. code
// is what is typed where a code is asked for. It returns the last page's text.
func (p *Person) Visit(ctx context.Context, address, code string) (string, error) {
	page, at, err := p.open(ctx, http.MethodGet, address, nil)
	for range maxForms {
		if err != nil {
			return "", err
		}
		f := form.FindStringSubmatch(page)
		if f == nil {
			return page, nil
		}
		if m := cancel.FindStringSubmatch(page); p.Refuses && m != nil {
			page, _, err = p.open(ctx, http.MethodGet, resolve(at, m[1]), nil)
			return page, err
		}
		page, at, err = p.open(ctx, http.MethodPost, resolve(at, f[1]), p.fill(f[2], code))
	}
	return "", fmt.Errorf("after %d forms there is still one: %q", maxForms, p.pages)
}

func (p *Person) fill(fields, code string) url.Values {
	values := url.Values{}
	for _, tag := range input.FindAllString(fields, -1) {
		a := map[string]string{}
		for _, m := range attr.FindAllStringSubmatch(tag, -1) {
			a[m[1]] = html.UnescapeString(m[2])
		}
		switch {
		case a["name"] == "":
		case a["name"] == "login":
			values.Set("login", p.Name)
		case a["type"] == "password":
			values.Set(a["name"], "any")
		case a["name"] == "user_code" && a["type"] == "text" && code != "":
			values.Set("user_code", code)
		default:
			values.Set(a["name"], a["value"])
		}
	}
	return values
}

func resolve(at *url.URL, ref string) string {
	u, err := at.Parse(html.UnescapeString(ref))
	if err != nil {
		return ref
	}
	return u.String()
}

func (p *Person) open(ctx context.Context, method, address string, values url.Values) (page string, at *url.URL, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(values.Encode()))
	if err != nil {
		return "", nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", nil, err
	}
	if m := title.FindSubmatch(body); m != nil {
		p.pages = append(p.pages, string(m[1]))
	}
	if resp.StatusCode >= 500 {
		return "", nil, fmt.Errorf("%s %s: status %d\n%s", method, address, resp.StatusCode, body)
	}
	return string(body), resp.Request.URL, nil
}
