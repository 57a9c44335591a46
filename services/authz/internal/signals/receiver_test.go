package signals

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// TestSessionRevoked: an event ends what its subject was issued until it, durably, and
// only once however often it comes.
func TestSessionRevoked(t *testing.T) {
	w := newWorld(t, nil)
	at := time.Now().Unix() - 60
	events := map[string]any{verify.SessionRevoked: map[string]any{"event_timestamp": at}}
	token := w.event(t, map[string]any{"events": events}, nil)
	for range 3 {
		if status, code := w.push(t, token, nil); status != http.StatusAccepted || code != "" {
			t.Fatalf("%d %q\n%s", status, code, &w.log)
		}
	}
	before := at + int64(skew.Seconds()) + 1
	want := []*authzv1.Revocation{{Number: 1, Issuer: idp, Subject: "alice", IssuedBefore: before, ExpiresAt: before + 3601}}
	if diff := cmp.Diff(want, w.state.Revocations().Entries(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if w.by[0] != "transmitter "+idp+": session-revoked, event e-1" {
		t.Errorf("who revoked: %q", w.by[0])
	}
	if strings.Contains(w.log.String(), bearer) || strings.Contains(w.log.String(), token) {
		t.Error("the log has a secret")
	}
}

// The forms in which a subject and a moment are said, and those that are refused.
func TestSubjects(t *testing.T) {
	subject := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	alice := subject("format", "iss_sub", "iss", idp, "sub", "alice")
	now := time.Now().Unix()
	revoked := func(event map[string]any) map[string]any { return map[string]any{verify.SessionRevoked: event} }
	for name, c := range map[string]struct {
		claims map[string]any
		status int
		code   string
		// about is the subject, at the moment before which it is about less than now.
		about string
		at    int64
	}{
		"sub_id":                      {map[string]any{"events": revoked(subject())}, 202, "", "alice", now},
		"complex with a user":         {map[string]any{"sub_id": subject("format", "complex", "user", alice, "session", subject("format", "opaque", "id", "x"))}, 202, "", "alice", now - 60},
		"a subject in the event":      {map[string]any{"sub_id": nil, "events": revoked(subject("subject", alice, "event_timestamp", now-7))}, 202, "", "alice", now - 7},
		"a subject of a draft":        {map[string]any{"sub_id": nil, "events": revoked(subject("subject", subject("subject_type", "iss_sub", "iss", idp, "sub", "bob")))}, 202, "", "bob", now},
		"sub":                         {map[string]any{"sub_id": nil, "sub": "carol", "events": revoked(subject())}, 202, "", "carol", now},
		"said twice, the same":        {map[string]any{"sub": "alice"}, 202, "", "alice", now - 60},
		"a moment to come":            {map[string]any{"events": revoked(subject("event_timestamp", now+4000))}, 202, "", "alice", now},
		"a moment in milliseconds":    {map[string]any{"events": revoked(subject("event_timestamp", now*1000))}, 202, "", "alice", now},
		"a moment that is none":       {map[string]any{"events": revoked(subject("event_timestamp", "noon"))}, 202, "", "alice", now},
		"beside another event":        {map[string]any{"events": map[string]any{"https://example.com/x": subject(), verify.SessionRevoked: subject()}}, 202, "", "alice", now},
		"another event":               {map[string]any{"events": map[string]any{"https://schemas.openid.net/secevent/ssf/event-type/verification": subject("state", "x")}}, 202, "", "", 0},
		"another event, no subject":   {map[string]any{"sub_id": nil, "events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/credential-change": subject()}}, 202, "", "", 0},
		"no subject":                  {map[string]any{"sub_id": nil}, 400, invalidRequest, "", 0},
		"said twice, not the same":    {map[string]any{"sub": "bob"}, 400, invalidRequest, "", 0},
		"an e-mail address":           {map[string]any{"sub_id": subject("format", "email", "email", "a@example.com")}, 400, invalidRequest, "", 0},
		"complex without a user":      {map[string]any{"sub_id": subject("format", "complex", "session", alice)}, 400, invalidRequest, "", 0},
		"iss_sub without iss":         {map[string]any{"sub_id": subject("format", "iss_sub", "sub", "alice")}, 400, invalidRequest, "", 0},
		"iss_sub without sub":         {map[string]any{"sub_id": subject("format", "iss_sub", "iss", idp)}, 400, invalidRequest, "", 0},
		"sub_id of another type":      {map[string]any{"sub_id": 7}, 400, invalidRequest, "", 0},
		"a subject of another issuer": {map[string]any{"sub_id": subject("format", "iss_sub", "iss", "https://other.example.com", "sub", "alice")}, 400, accessDenied, "", 0},
		"no events":                   {map[string]any{"events": subject()}, 400, invalidRequest, "", 0},
		"events of another type":      {map[string]any{"events": []any{verify.SessionRevoked}}, 400, invalidRequest, "", 0},
		"an event of another type":    {map[string]any{"events": map[string]any{verify.SessionRevoked: true}}, 400, invalidRequest, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			claims := map[string]any{"iat": now, "events": revoked(subject("event_timestamp", now-60))}
			maps.Copy(claims, c.claims)
			status, code := w.push(t, w.event(t, claims, nil), nil)
			if status != c.status || code != c.code {
				t.Errorf("%d %q, want %d %q\n%s", status, code, c.status, c.code, &w.log)
			}
			entries := w.state.Revocations().Entries()
			switch {
			case c.about == "":
				if len(entries) > 0 {
					t.Errorf("%v", entries)
				}
			case len(entries) != 1 || entries[0].GetSubject() != c.about || entries[0].GetIssuer() != idp ||
				entries[0].GetIssuedBefore() != c.at+int64(skew.Seconds())+1:
				t.Errorf("%v, want %s at %d", entries, c.about, c.at)
			}
		})
	}
}

// TestSec_T32: what is not exactly a security event token of the one who sends it, for us,
// changes nothing, and the transmitter hears why by RFC 8935's codes.
func TestSec_T32_EventsAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	good := w.event(t, nil, nil)
	access, err := w.issuer.Mint(devissuer.Claims{Audience: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := devissuer.New(devissuer.Config{Issuer: idp, Algorithms: []string{"ES256"}}, devissuer.Deps{Clock: sys.OS().Clock, Rand: sys.OS().Rand})
	if err != nil {
		t.Fatal(err)
	}
	stranger := &world{issuer: forged}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del(name)
			if value != "" {
				r.Header.Set(name, value)
			}
		}
	}
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		code   string
	}{
		"no secret":                    {good, header("Authorization", ""), 401, authenticationFailed},
		"a wrong secret":               {good, header("Authorization", "Bearer "+bearer+"x"), 401, authenticationFailed},
		"an empty secret":              {good, header("Authorization", "Bearer "), 401, authenticationFailed},
		"another scheme":               {good, header("Authorization", "Basic "+bearer), 401, authenticationFailed},
		"two secrets":                  {good, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+bearer) }, 401, authenticationFailed},
		"another transmitter's secret": {good, header("Authorization", "Bearer another-secret-of-the-test"), 400, invalidIssuer},
		"another method":               {good, func(r *http.Request) { r.Method = http.MethodPut }, 405, ""},
		"another path":                 {good, func(r *http.Request) { r.URL.Path = "/" }, 404, ""},
		"another media type":           {good, header("Content-Type", "application/json"), 400, invalidRequest},
		"no media type":                {good, header("Content-Type", ""), 400, invalidRequest},
		"nothing":                      {"", nil, 400, invalidRequest},
		"too much":                     {strings.Repeat("x", maxBody+1), nil, 400, invalidRequest},
		"an access token":              {access, nil, 400, invalidRequest},
		"typ JWT":                      {w.event(t, nil, map[string]any{"typ": "JWT"}), nil, 400, invalidRequest},
		"a logout token":               {w.event(t, nil, map[string]any{"typ": "logout+jwt"}), nil, 400, invalidRequest},
		"an unknown issuer":            {w.event(t, map[string]any{"iss": "https://nobody.example.com"}, nil), nil, 400, invalidIssuer},
		"another audience":             {w.event(t, map[string]any{"aud": "https://web.example.com"}, nil), nil, 400, invalidAudience},
		"no audience":                  {w.event(t, map[string]any{"aud": nil}, nil), nil, 400, invalidAudience},
		"a forged one":                 {stranger.event(t, nil, nil), nil, 400, invalidKey},
		"no jti":                       {w.event(t, map[string]any{"jti": nil}, nil), nil, 400, invalidRequest},
		"no iat":                       {w.event(t, map[string]any{"iat": nil}, nil), nil, 400, invalidRequest},
		"from the future":              {w.event(t, map[string]any{"iat": time.Now().Unix() + 600}, nil), nil, 400, invalidRequest},
		"expired":                      {w.event(t, map[string]any{"exp": time.Now().Unix() - 600}, nil), nil, 400, invalidRequest},
	} {
		if status, code := w.push(t, c.body, c.change); status != c.status || code != c.code {
			t.Errorf("%s: %d %q, want %d %q", name, status, code, c.status, c.code)
		}
	}
	if n := w.state.Revocations().Count(); n != 0 {
		t.Errorf("%d revocations", n)
	}
	// The secret is what its file says now, and one that could be guessed is nobody's.
	for _, c := range []struct {
		file, sent string
		want       int
	}{
		{"another-secret-altogether", bearer, 401}, {"", bearer, 401}, {"", "", 401}, {"short", "short", 401}, {bearer, bearer, 202},
		{"another-secret-altogether", "another-secret-altogether", 202},
	} {
		if err := os.WriteFile(w.bearer, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, _ := w.push(t, good, header("Authorization", "Bearer "+c.sent)); status != c.want {
			t.Errorf("file %q, sent %q: %d", c.file, c.sent, status)
		}
	}
	if err := os.Remove(w.bearer); err != nil {
		t.Fatal(err)
	}
	if status, _ := w.push(t, good, nil); status != 401 {
		t.Errorf("without a file: %d", status)
	}
}

// What cannot be kept is not acknowledged, and comes again.
func TestEventsThatCannotBeKept(t *testing.T) {
	w := newWorld(t, nil)
	w.fail = errors.New("the disk is full")
	token := w.event(t, nil, nil)
	if status, code := w.push(t, token, nil); status != http.StatusServiceUnavailable || code != "" {
		t.Errorf("%d %q", status, code)
	}
	w.mu.Lock()
	w.fail = nil
	w.mu.Unlock()
	if status, _ := w.push(t, token, nil); status != http.StatusAccepted || w.state.Revocations().Count() != 1 {
		t.Errorf("%d, %d revocations", status, w.state.Revocations().Count())
	}
	other := w.event(t, map[string]any{"events": map[string]any{"https://example.com/other": map[string]any{}}}, nil)
	if status, _ := w.push(t, other, nil); status != http.StatusAccepted {
		t.Errorf("an event that asks for nothing: %d", status)
	}
	w.push(t, "nonsense", nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.done, " "); got != "unavailable revoked nothing_asked refused" {
		t.Errorf("counted: %s", got)
	}
}

// A transmitter has its rate, and all of them together what is under way at once.
func TestEventsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Transmitters[1].Rate = 1 })
	token := w.event(t, nil, nil)
	for i := range burst {
		if status, _ := w.push(t, token, nil); status != http.StatusAccepted {
			t.Fatalf("%d: %d", i, status)
		}
	}
	limited := false
	for range 2 * burst {
		status, _ := w.push(t, token, nil)
		limited = limited || status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("the rate is not held")
	}
	for range maxAtOnce {
		w.slots <- struct{}{}
	}
	if status, _ := w.push(t, token, nil); status != http.StatusServiceUnavailable {
		t.Errorf("with all slots taken: %d", status)
	}
}

// What a transmitter does not say of its tokens' life policy may say; what nobody says is kept
// for ever.
func TestRevocationsAreForgotten(t *testing.T) {
	const foreign = "https://foreign.example.com"
	w := newWorld(t, func(c *Config) {
		c.Transmitters[1].TokenLifetime, c.Transmitters[1].Subjects = 0, []string{idp, foreign}
	})
	for _, of := range []string{idp, foreign} {
		subject := map[string]any{"sub_id": map[string]any{"format": "iss_sub", "iss": of, "sub": "alice"}}
		if status, _ := w.push(t, w.event(t, subject, nil), nil); status != http.StatusAccepted {
			t.Fatalf("%s: %d", of, status)
		}
	}
	list := w.state.Revocations().Entries()
	if len(list) != 2 || list[0].GetExpiresAt() != list[0].GetIssuedBefore()+7201 || list[1].GetExpiresAt() != 0 {
		t.Errorf("%v", list)
	}
}
