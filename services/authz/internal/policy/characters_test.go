package policy

import (
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestPoliciesReadAsTheyLook: what a reader of the file cannot see is no part of it.
func TestPoliciesReadAsTheyLook(t *testing.T) {
	for name, c := range map[string]struct{ more, at string }{
		"no UTF-8":               {"deny: [{objects: ['a\xff.*']}]\n", "line 5, column 21: the byte 0xff"},
		"half a character":       {"deny: [{objects: ['a\xc3'", "line 5, column 21: the byte 0xc3"},
		"an overlong form":       {"# \xc0\xaf\n", "line 5, column 3: the byte 0xc0"},
		"NUL":                    {"\x00deny: []\n", "line 5, column 1: the character U+0000"},
		"end of file of DOS":     {"# x\n\x1adeny: []\n", "line 6, column 1: the character U+001A"},
		"a line that is hidden":  {"# a comment\rscopes: {}\n", "line 5, column 12: the character U+000D"},
		"a break of YAML 1.1":    {"# a\u0085scopes: {}\n", "line 5, column 4: the character U+0085"},
		"a line separator":       {"# a\u2028scopes: {}\n", "line 5, column 4: the character U+2028"},
		"text turned around":     {"# \u202e x\n", "line 5, column 3: the character U+202E"},
		"isolates":               {"# \u2066 x\n", "line 5, column 3: the character U+2066"},
		"a mark inside":          {"\ufeffscopes: {}\n", "line 5, column 1: the character U+FEFF"},
		"nothing wide in a name": {"deny: [{objects: ['a\u200b.*']}]\n", "line 5, column 21: the character U+200B"},
		"a soft hyphen":          {"deny: [{objects: ['a\u00ad.*']}]\n", "line 5, column 21: the character U+00AD"},
		"an escape sequence":     {"# \x1b[8mhidden\n", "line 5, column 3: the character U+001B"},
		"a tag":                  {"# \U000e0061\n", "line 5, column 3: the character U+E0061"},
	} {
		if _, err := Parse([]byte(minimal + c.more)); err == nil || !strings.Contains(err.Error(), c.at) {
			t.Errorf("%s: %v, want %s", name, err, c.at)
		}
	}
	// Windows' line ends, letters of any script, and what is spelled out.
	p, err := Parse([]byte(strings.ReplaceAll(minimal+"# größe 表 😀\nscopes: {s: [{actions: [select], objects: [\"\\\"a\\u200b\\\".größe\"]}]}\n", "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	a := access.Access{Action: access.Select, AllColumns: true, Resolved: access.Object{Kind: access.Table, Schema: "a\u200b", Name: "größe"}}
	if ok, _ := p.Principal([]string{"s"}).Covers(a); !ok {
		t.Error("a name that is spelled by an escape is another")
	}
}
