package rpc

import (
	"context"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
)

const conditionalPolicy = policyHead + `
scopes:
  office:
    - actions: [select]
      objects: [public.orders]
      when: cidr('10.0.0.0/8').containsIP(client.address) && client.tls && client.application_name == 'psql' && client.database == 'app'
  today:
    - actions: [select]
      objects: [public.orders]
      when: now < timestamp('2000-01-01T00:00:00Z') + duration('876000h')
  yesterday:
    - actions: [select]
      objects: [public.orders]
      when: now < timestamp('2000-01-01T00:00:00Z')
  dba:
    - actions: [select]
      objects: [public.orders]
      when: "'dba' in principal.claims.groups && principal.subject == 'alice' && principal.client_id == 'alice'"
  plain:
    - actions: [select]
      objects: [public.orders]
deny:
  - objects: [public.secrets]
    when: "!client.tls"
`

// TestConditions: what hangs on the client or the time is judged by what the
// request says of them, and is kept by nobody; what hangs on the token alone is an
// answer like any other.
func TestConditions(t *testing.T) {
	w := newWorld(t, nil)
	w.setPolicy(t, conditionalPolicy, 8)
	office := &authzv1.ClientInfo{Address: "10.1.2.3:55555", Tls: true, ApplicationName: "psql"}
	groups, err := w.issuer.Mint(devissuer.Claims{Subject: "alice", Scopes: []string{"dba"}, Set: map[string]any{"groups": []string{"dba"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token  string
		client *authzv1.ClientInfo
		sql    string
		want   authzv1.Verdict
		reason authzv1.Reason
		kept   bool
	}{
		"from the office": {token: w.token(t, "office"), client: office, want: allow, reason: authzv1.Reason_REASON_GRANTED},
		"from elsewhere": {token: w.token(t, "office"), want: deny, reason: authzv1.Reason_REASON_CONDITION,
			client: &authzv1.ClientInfo{Address: "192.0.2.1:55555", Tls: true, ApplicationName: "psql"}},
		"from a malformed address": {token: w.token(t, "office"), want: deny, reason: authzv1.Reason_REASON_CONDITION,
			client: &authzv1.ClientInfo{Address: "10.1.2.3", Tls: true, ApplicationName: "psql"}},
		"from an unknown client":  {token: w.token(t, "office"), want: deny, reason: authzv1.Reason_REASON_CONDITION},
		"the time":                {token: w.token(t, "today"), want: allow, reason: authzv1.Reason_REASON_GRANTED},
		"another time":            {token: w.token(t, "yesterday"), want: deny, reason: authzv1.Reason_REASON_CONDITION},
		"a claim":                 {token: groups, want: allow, reason: authzv1.Reason_REASON_GRANTED, kept: true},
		"a claim that is missing": {token: w.token(t, "dba"), want: deny, reason: authzv1.Reason_REASON_NOT_GRANTED},
		"a deny": {token: w.token(t, "plain"), sql: "SELECT id FROM secrets", want: deny, reason: authzv1.Reason_REASON_EXPLICIT_DENY,
			client: &authzv1.ClientInfo{Address: "10.1.2.3:1"}},
		"none": {token: w.token(t, "plain"), want: allow, reason: authzv1.Reason_REASON_GRANTED, kept: true},
	} {
		if tt.sql == "" {
			tt.sql = "SELECT id FROM orders"
		}
		req := request(tt.token, tt.sql)
		req.Client = tt.client
		got := w.ask(t, req)
		if got.GetVerdict() != tt.want || got.GetReason() != tt.reason {
			t.Errorf("%s: %s, %s, %q", name, got.GetVerdict(), got.GetReason(), got.GetReasonDetail())
		}
		if kept := got.GetCacheability() == authzv1.Cacheability_CACHEABILITY_FINGERPRINT; kept != tt.kept {
			t.Errorf("%s: cacheability %s", name, got.GetCacheability())
		}
		if ttl := got.GetTtl().AsDuration(); tt.want == allow && !tt.kept && ttl > time.Second {
			t.Errorf("%s: the session may use it for %s", name, ttl)
		}
	}
}

// TestTokenGrants: what a token carries counts up to the ceiling of its issuer,
// and one that is malformed is refused wherever it is shown.
func TestTokenGrants(t *testing.T) {
	w := newWorld(t, nil)
	mint := func(details any) string {
		t.Helper()
		token, err := w.issuer.Mint(devissuer.Claims{Subject: "alice", Set: map[string]any{"authorization_details": details}})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	detail := func(object string) map[string]any {
		return map[string]any{"type": "postgresql", "actions": []string{"select", "delete"}, "objects": []string{object}}
	}
	orders := mint([]any{detail("public.orders")})
	if got := w.ask(t, request(orders, "SELECT id FROM orders")); got.GetVerdict() != deny {
		t.Errorf("without a ceiling: %s", got.GetVerdict())
	}
	w.setPolicy(t, `
version: 1
issuers:
  - issuer: https://idp.example.com
    audiences: [postgres]
    jwks_file: unused
    trust_authorization_details: {actions: [select], objects: ['public.*']}
logins: {app: {default: app_ro}}
`, 8)
	got := w.ask(t, request(orders, "SELECT id FROM orders"))
	if got.GetVerdict() != allow || got.GetReasonDetail() != "authorization_details[0]" || got.GetCacheability() != authzv1.Cacheability_CACHEABILITY_FINGERPRINT {
		t.Errorf("below the ceiling: %s", got)
	}
	if got := w.ask(t, request(orders, "DELETE FROM orders")); got.GetVerdict() != deny {
		t.Errorf("above the ceiling: %s", got.GetVerdict())
	}
	for name, token := range map[string]string{
		"a name that is none": mint([]any{detail("orders")}),
		"an unknown member":   mint([]any{map[string]any{"type": "postgresql", "presets": []string{"session"}, "trusted": true}}),
		"an unknown preset":   mint([]any{map[string]any{"type": "postgresql", "presets": []string{"root"}}}),
	} {
		if got := w.ask(t, request(token, "SELECT 1")); got.GetVerdict() != refuse || got.GetReason() != authzv1.Reason_REASON_TOKEN_INVALID {
			t.Errorf("%s: %s", name, got)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		resp, err := w.client.Authenticate(ctx, &authzv1.AuthenticateRequest{Token: []byte(token), Database: "app", SessionId: newID()})
		cancel()
		if err != nil || resp.GetRefusal().GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_CLAIMS {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
}

// TestDenyOfConnect: who must not connect is refused at the door, and where a session
// is open already, at its next statement.
func TestDenyOfConnect(t *testing.T) {
	w := newWorld(t, nil)
	token := w.token(t, "plain")
	if w.login(t, token, "app", "x").GetAuthenticated() == nil {
		t.Fatal("no login")
	}
	w.setPolicy(t, conditionalPolicy+`  - actions: [connect]
    objects: ['database:app']
    when: client.application_name != 'psql'
`, 9)
	psql := &authzv1.ClientInfo{Address: "10.1.2.3:1", ApplicationName: "psql"}
	for _, sql := range []string{"SELECT id FROM orders", "BEGIN", "SELECT 1"} {
		req := request(token, sql)
		if got := w.ask(t, req); got.GetVerdict() != deny || got.GetReason() != authzv1.Reason_REASON_EXPLICIT_DENY || got.GetReasonDetail() != "connect on database:app: deny[1]" {
			t.Errorf("%s: %v", sql, got)
		}
		req = request(token, sql)
		req.Client = psql
		if got := w.ask(t, req); got.GetVerdict() != allow || got.GetCacheability() != authzv1.Cacheability_CACHEABILITY_NONE {
			t.Errorf("%s, by psql: %v", sql, got)
		}
	}
	if got := w.login(t, token, "app", "x").GetRefusal(); got.GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_DATABASE {
		t.Errorf("%v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resp, err := w.client.Authenticate(ctx, &authzv1.AuthenticateRequest{Token: []byte(token), Database: "app", SessionId: newID(), Client: psql})
	if err != nil || resp.GetAuthenticated() == nil {
		t.Errorf("by psql: %v, %v", resp, err)
	}
}
