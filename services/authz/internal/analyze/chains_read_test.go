package analyze

import (
	"bytes"
	"os"
	"testing"

	"github.com/goccy/go-yaml"
)

// chainCase is a chain of statements that is followed to its end.
type chainCase struct {
	Name string   `yaml:"name"`
	SQL  []string `yaml:"sql"`
}

func readChains(t *testing.T) []chainCase {
	t.Helper()
	data, err := os.ReadFile("testdata/chains.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []chainCase
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.DisallowUnknownField()).Decode(&cases); err != nil || len(cases) == 0 {
		t.Fatalf("read chains: %v", err)
	}
	return cases
}
