package session

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The reference of the protocol has a row for each type that a client may send, with its
// limit, and for no other.
func TestProtocolReference(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/reference/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, " | ")
		if len(cells) >= 5 && strings.HasPrefix(cells[1], "`") {
			got[cells[1]] = cells[2]
		}
	}
	want := map[string]string{}
	for typ := range 256 {
		if limit := frontendLimit(byte(typ)); limit != 0 {
			want[fmt.Sprintf("`%c`", typ)] = fmt.Sprint(limit)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the code (-) and docs/reference/protocol.md (+):\n%s", diff)
	}
}
