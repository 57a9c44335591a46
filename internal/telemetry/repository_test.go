package telemetry_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Instruments are made by this package from catalog entries, which the compiler
// checks: Metric is a type of its own, and a name cannot be passed for one.
// What is left to check is that nobody goes round it: no other package of the
// repository imports a library that makes instruments, or the SDK.
func TestOnlyTelemetryMakesInstruments(t *testing.T) {
	root := filepath.Join("..", "..")
	forbidden := []string{
		"go.opentelemetry.io/otel/sdk",
		"go.opentelemetry.io/otel/exporters",
		"go.opentelemetry.io/otel/metric",
		"github.com/prometheus/client_golang",
		"expvar",
	}
	allowed := map[string]bool{
		// Says "no metrics" to the gRPC instrumentation.
		"internal/rpc go.opentelemetry.io/otel/metric/noop": true,
	}
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); rel != "." && strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || filepath.Dir(rel) == "." || filepath.Dir(rel) == filepath.Join("internal", "telemetry") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		for _, imp := range f.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			for _, prefix := range forbidden {
				if (name == prefix || strings.HasPrefix(name, prefix+"/")) && !allowed[filepath.ToSlash(filepath.Dir(rel))+" "+name] {
					t.Errorf("%s imports %s: make instruments and spans through internal/telemetry", rel, name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files were seen: the test does not look at the repository", files)
	}
}
