package startup_test

import (
	"encoding/binary"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/proxy/internal/startup"
)

// initial is a SASLInitialResponse.
func initial(mechanism, data string) string {
	return password(mechanism + "\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(data)))) + data)
}

// withoutData is one without a first message.
func withoutData(mechanism string) string { return password(mechanism + "\x00\xff\xff\xff\xff") }

func oauthListener(word string) startup.Config {
	return startup.Config{AllowPlaintext: true, OAuth: &startup.OAuth{Discovery: "https://idp.example.com/.well-known/openid-configuration", Scope: "orders.read"},
		Word: func(map[string]string) (string, error) { return word, nil }}
}

const (
	sasl      = "R\x00\x00\x00\x15\x00\x00\x00\x0aOAUTHBEARER\x00\x00"
	challenge = `{"status":"invalid_token","openid-configuration":"https://idp.example.com/.well-known/openid-configuration","scope":"orders.read"}`
)

// TestOAuthBearer: what comes by OAUTHBEARER is the token, in the form that PostgreSQL's
// server takes it in; all else is refused.
func TestOAuthBearer(t *testing.T) {
	hello := start("user", "a")
	for name, tc := range map[string]struct {
		sent, token, code string
	}{
		"a token":                    {initial("OAUTHBEARER", "n,,\x01auth=Bearer a.b-c_d~e+f/g==\x01\x01"), "a.b-c_d~e+f/g==", ""},
		"scheme in small letters":    {initial("OAUTHBEARER", "n,,\x01auth=bearer token\x01\x01"), "token", ""},
		"several spaces":             {initial("OAUTHBEARER", "n,,\x01auth=Bearer   token\x01\x01"), "token", ""},
		"other pairs":                {initial("OAUTHBEARER", "y,,\x01host=db\x01port=5432\x01auth=Bearer token\x01\x01"), "token", ""},
		"an empty challenge first":   {withoutData("OAUTHBEARER") + password("n,,\x01auth=Bearer token\x01\x01"), "token", ""},
		"channel binding":            {initial("OAUTHBEARER", "p=tls-unique,,\x01auth=Bearer token\x01\x01"), "", "08P01"},
		"an identity":                {initial("OAUTHBEARER", "n,a=root,\x01auth=Bearer token\x01\x01"), "", "08P01"},
		"auth twice":                 {initial("OAUTHBEARER", "n,,\x01auth=Bearer token\x01auth=Bearer other\x01\x01"), "", "08P01"},
		"no auth":                    {initial("OAUTHBEARER", "n,,\x01host=db\x01\x01"), "", "08P01"},
		"no pairs":                   {initial("OAUTHBEARER", "n,,\x01\x01"), "", "08P01"},
		"no end":                     {initial("OAUTHBEARER", "n,,\x01auth=Bearer token\x01"), "", "08P01"},
		"bytes behind the end":       {initial("OAUTHBEARER", "n,,\x01auth=Bearer token\x01\x01x"), "", "08P01"},
		"an empty name":              {initial("OAUTHBEARER", "n,,\x01=x\x01auth=Bearer token\x01\x01"), "", "08P01"},
		"Basic":                      {initial("OAUTHBEARER", "n,,\x01auth=Basic token\x01\x01"), "", "08P01"},
		"no token behind the scheme": {initial("OAUTHBEARER", "n,,\x01auth=Bearer \x01\x01"), "", "08P01"},
		"padding alone":              {initial("OAUTHBEARER", "n,,\x01auth=Bearer ==\x01\x01"), "", "08P01"},
		"a token with a space":       {initial("OAUTHBEARER", "n,,\x01auth=Bearer a b\x01\x01"), "", "08P01"},
		"a token with NUL":           {initial("OAUTHBEARER", "n,,\x01auth=Bearer a\x00b\x01\x01"), "", "08P01"},
		"another mechanism":          {initial("SCRAM-SHA-256", "n,,n=,r=x"), "", "28000"},
		"a password":                 {password("token\x00"), "", "28000"},
		"a length too long":          {password("OAUTHBEARER\x00\x00\x00\x00\x09n,,"), "", "28000"},
		"an empty message":           {password(""), "", "28000"},
		"a query":                    {"Q\x00\x00\x00\x0dSELECT 1\x00", "", "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			r := negotiate(t, oauthListener("oauth"), hello+tc.sent)
			if tc.code == "" {
				if r.err != nil || string(r.client.Token.Expose()) != tc.token {
					t.Fatalf("%+v, %v", r.client, r.err)
				}
			} else if got, _ := code(t, r.answered); got != tc.code || r.err == nil || r.client != nil {
				t.Errorf("%q, %v", got, r.err)
			}
			if !strings.HasPrefix(r.answered, sasl) {
				t.Errorf("answered %q", r.answered)
			}
		})
	}
}

// TestOAuthDiscovery: a client without a token is told where to get one, and the
// exchange ends as RFC 7628 has it.
func TestOAuthDiscovery(t *testing.T) {
	ask := start("user", "a") + initial("OAUTHBEARER", "n,,\x01auth=\x01\x01")
	r := negotiate(t, oauthListener("oauth"), ask+password("\x01"))
	var discovery *startup.DiscoveryError
	if !errors.As(r.err, &discovery) {
		t.Fatal(r.err)
	}
	if got, _ := code(t, r.answered); got != "28000" || !strings.Contains(r.answered, challenge) {
		t.Errorf("answered %q", r.answered)
	}
	r = negotiate(t, oauthListener("oauth"), ask+password("x"))
	var refused *startup.RefusedError
	if !errors.As(r.err, &refused) || refused.Response.Code != "08P01" {
		t.Errorf("another answer: %v", r.err)
	}
	r = negotiate(t, oauthListener("oauth"), ask)
	if r.err == nil || errors.As(r.err, &refused) && refused.Response.Code != "08P01" {
		t.Errorf("no answer: %v", r.err)
	}
}

// TestDoors: the client's word goes before the name in TLS, and that before the listener's
// default.
func TestDoors(t *testing.T) {
	const passwordDoor = "R\x00\x00\x00\x08\x00\x00\x00\x03"
	hello := start("user", "a")
	for name, tc := range map[string]struct {
		cfg        startup.Config
		door, code string
	}{
		"default":                        {oauthListener(""), passwordDoor, ""},
		"chosen":                         {oauthListener("oauth"), sasl, ""},
		"default of the listener":        {func() startup.Config { c := oauthListener(""); c.Door = startup.DoorOAuth; return c }(), sasl, ""},
		"password where OAuth is usual":  {func() startup.Config { c := oauthListener("password"); c.Door = startup.DoorOAuth; return c }(), passwordDoor, ""},
		"no such door":                   {oauthListener("kerberos"), "", "28000"},
		"OAuth where there is none":      {startup.Config{AllowPlaintext: true, Word: func(map[string]string) (string, error) { return "oauth", nil }}, "", "28000"},
		"names do not match without TLS": {func() startup.Config { c := oauthListener(""); c.OAuthServerNames = []string{"oauth.test"}; return c }(), passwordDoor, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := negotiate(t, tc.cfg, hello)
			if got, _ := code(t, r.answered); got != tc.code || !strings.HasPrefix(r.answered, tc.door) {
				t.Errorf("answered %q", r.answered)
			}
		})
	}
	server, client := serverTLS(t)
	client.NextProtos = []string{"postgresql"}
	cfg := oauthListener("")
	cfg.TLS, cfg.OAuthServerNames = server, []string{"Proxy.Test"}
	r := overTLS(t, cfg, client, hello+initial("OAUTHBEARER", "n,,\x01auth=Bearer token\x01\x01"))
	if r.err != nil || string(r.client.Token.Expose()) != "token" {
		t.Errorf("by name: %v", r.err)
	}
	_ = r.client.Conn.Close()
}

// FuzzBearer: whatever a client sends by OAUTHBEARER, in one message or after an empty
// challenge, what is taken for a token is one value of auth and has a token's letters.
func FuzzBearer(f *testing.F) {
	for _, data := range []string{"n,,\x01auth=Bearer a.b-c_d~e+f/g==\x01\x01", "y,,\x01host=db\x01port=5432\x01auth=bearer  t\x01\x01", "n,,\x01auth=\x01\x01",
		"p=tls-unique,,\x01auth=Bearer t\x01\x01", "n,a=x,\x01auth=Bearer t\x01\x01", "n,,\x01\x01", "n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01"} {
		f.Add([]byte(data), false, []byte("\x01"))
		f.Add([]byte(data), true, []byte("x"))
	}
	f.Fuzz(func(t *testing.T, data []byte, late bool, rest []byte) {
		sent := start("user", "a") + initial("OAUTHBEARER", string(data))
		if late {
			sent = start("user", "a") + withoutData("OAUTHBEARER") + password(string(data))
		}
		conn := &script{in: strings.NewReader(sent + password(string(rest)))}
		c, err := startup.Negotiate(t.Context(), conn, oauthListener("oauth"))
		if err != nil {
			if c != nil {
				t.Error("a client that was turned away")
			}
			return
		}
		token := string(c.Token.Expose())
		if !bearerForm.MatchString(token) || !strings.HasPrefix(string(data), "n,,\x01") && !strings.HasPrefix(string(data), "y,,\x01") ||
			!strings.HasSuffix(string(data), "\x01\x01") || !strings.Contains(string(data), token+"\x01") {
			t.Errorf("%q is taken for a token, of %q", token, data)
		}
	})
}

// bearerForm is RFC 6750's.
var bearerForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)
