package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// An empty file name is a file's; the parser's tree is that of STDIN and STDOUT.
func TestCopyOfAnEmptyFileName(t *testing.T) {
	snap := fixture(t).index()
	for sql, denied := range map[string]bool{
		"COPY orders TO ''":                                           true,
		"COPY orders FROM E''":                                        true,
		"COPY orders TO $$$$":                                         true,
		"COPY orders TO $a$$a$":                                       true,
		"COPY orders TO U&''":                                         true,
		"COPY orders TO/**/''\n''":                                    true,
		"COPY orders TO ''--a\n''":                                    true,
		"COPY (SELECT id FROM orders) TO ''":                          true,
		"SELECT 1; COPY orders TO ''":                                 true,
		"COPY orders TO STDOUT":                                       false,
		"COPY (SELECT trim(from U&'e') FROM orders) TO STDOUT":        false,
		"COPY (SELECT substring(note from '') FROM orders) TO STDOUT": false,
		"COPY orders TO STDOUT WITH (NULL '')":                        false,
		"COPY (SELECT note || '' FROM orders) TO STDOUT":              false,
		"COPY orders TO STDOUT (DELIMITER '$')":                       false,
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		if (got.Outcome == access.Denied) != denied {
			t.Errorf("%s: %v %s", sql, got.Outcome, got.Detail)
		}
	}
}
