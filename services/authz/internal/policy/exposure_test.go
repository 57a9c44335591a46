package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

func TestErrorRule(t *testing.T) {
	const base = "version: 1\nissuers: [{issuer: \"https://idp.example.com\", audiences: [pg]}]\n"
	for text, want := range map[string]ErrorRule{"": ErrorsGranted, "errors: granted\n": ErrorsGranted, "errors: closed\n": ErrorsClosed, "errors: open\n": ErrorsOpen} {
		p, err := Parse([]byte(base + text))
		if err != nil {
			t.Fatal(err)
		}
		if p.Errors() != want {
			t.Errorf("%q: %s", text, p.Errors())
		}
	}
	for _, text := range []string{"errors: all\n", "errors: true\n", "errors: ''\n", "errors: [open]\n"} {
		if _, err := Parse([]byte(base + text)); err == nil || !strings.Contains(err.Error(), "errors") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReadsAll(t *testing.T) {
	p, err := Parse([]byte(`version: 1
issuers: [{issuer: "https://idp.example.com", audiences: [pg]}]
scopes:
  some:
    - {actions: [select], objects: [public.orders, "sequence:public.ids"]}
    - {actions: [select], objects: [public.items], columns: [id]}
    - {actions: [insert], objects: [public.log]}
    - {actions: [select], objects: [public.hourly], when: "now.getMinutes() >= 0"}
deny:
  - {actions: [select], objects: [public.secret], columns: [pin]}
`))
	if err != nil {
		t.Fatal(err)
	}
	g := p.Principal([]string{"some"})
	table := func(name string) access.Object {
		return access.Object{Kind: access.Table, Schema: "public", Name: name}
	}
	for _, tt := range []struct {
		name        string
		objects     []access.Object
		all, hangOn bool
	}{
		{"nothing", nil, true, false},
		{"all columns", []access.Object{table("orders")}, true, false},
		{"a sequence", []access.Object{{Kind: access.Sequence, Schema: "public", Name: "ids"}}, true, false},
		{"some columns", []access.Object{table("items")}, false, false},
		{"no select", []access.Object{table("log")}, false, false},
		{"one of two", []access.Object{table("orders"), table("hidden")}, false, false},
		{"a condition", []access.Object{table("hourly")}, true, true},
		{"a denied column", []access.Object{table("secret")}, false, false},
	} {
		all, hung := g.ReadsAll(Request{Now: time.Unix(1700000000, 0)}, tt.objects)
		if all != tt.all || hung != tt.hangOn {
			t.Errorf("%s: %t, %t", tt.name, all, hung)
		}
	}
}

// TestSeesAll: reading everything is not enough where code can read the server's files.
func TestSeesAll(t *testing.T) {
	p, err := Parse([]byte(`version: 1
issuers: [{issuer: "https://idp.example.com", audiences: [pg]}]
scopes:
  reader:
    - {actions: [select], objects: [public.orders]}
  admin:
    - {actions: [admin], objects: ["database:app"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	orders := []access.Object{{Kind: access.Table, Schema: "public", Name: "orders"}}
	for _, tt := range []struct {
		scopes   []string
		database string
		want     bool
	}{
		{[]string{"reader"}, "app", false},
		{[]string{"admin"}, "app", false},
		{[]string{"admin", "reader"}, "app", true},
		{[]string{"admin", "reader"}, "other", false},
	} {
		if all, _ := p.Principal(tt.scopes).SeesAll(Request{Database: tt.database}, orders); all != tt.want {
			t.Errorf("%v in %s: %t", tt.scopes, tt.database, all)
		}
	}
}
