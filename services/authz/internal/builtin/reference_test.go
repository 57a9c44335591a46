package builtin

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:generate go test . -count=1 -run TestReferenceIsFresh -update

func TestReferenceIsFresh(t *testing.T) {
	const file = "../../../../docs/reference/builtins.md"
	if *update {
		if err := os.WriteFile(file, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Reference(), string(b)); diff != "" {
		t.Errorf("run go generate ./services/authz/internal/builtin (-want +got):\n%s", diff)
	}
}
