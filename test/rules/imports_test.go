package rules

import (
	"slices"
	"strings"
	"testing"
)

const grpcPath = "google.golang.org/grpc"

// under reports whether the import path is prefix or below it.
func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// onlyImporters are packages that few may import, and why.
var onlyImporters = []struct {
	path string
	from []string
	why  string
}{
	{"github.com/pganalyze/pg_query_go", []string{"services/authz/internal/analyze"}, "a C parser of hostile text has one door, with its checks in front"},
	{"github.com/lestrrat-go/jwx", []string{"services/authz/internal/verify"}, "its successor must be one change"},
	{"cel.dev/cel-go", []string{"services/authz/internal/policy"}, "conditions are one package's business"},
	{"github.com/hashicorp/golang-lru", []string{"services/proxy/internal/decide"}, "the decision cache alone may keep decisions"},
	{"go.opentelemetry.io/otel/sdk", []string{"internal/telemetry"}, "others use the API, so that exporting is decided in one place"},
	{"github.com/jackc/pgx/v5/pgproto3", []string{"services/proxy", "test", "internal/pgtest"}, "the wire protocol is the proxy's"},
	{"github.com/go-jose/go-jose", []string{"internal/devissuer"}, "it signs development tokens, independently of the library that verifies"},
	{module + "/internal/pgboot", []string{"internal/pgtest", "cmd/scopewire", "test"}, "a service never boots a database"},
	{module + "/internal/devissuer", []string{"cmd/scopewire", "test"}, "a service never issues tokens"},
	{module + "/internal/devca", []string{"cmd/scopewire", "test", "internal/devissuer"}, "a service never makes certificates"},
	{module + "/internal/pgtest", []string{"test"}, "it is for tests"},
	{"unsafe", nil, "memory safety is the reason for Go"},
}

func TestOnlyImporters(t *testing.T) {
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			for _, rule := range onlyImporters {
				if under(withoutMajor(i), withoutMajor(rule.path)) && !slices.ContainsFunc(rule.from, p.within) && !under(p.ImportPath, rule.path) {
					t.Errorf("%s imports %s, which is for %v alone: %s", p.path(), i, rule.from, rule.why)
				}
			}
		}
	}
}

// withoutMajor drops a version such as v5 from the path, so that a rule holds
// for the next one too.
func withoutMajor(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool {
		return len(s) > 1 && s[0] == 'v' && strings.Trim(s[1:], "0123456789") == ""
	}), "/")
}

func TestServicesMeetInTheContractsAlone(t *testing.T) {
	services := []string{"proxy", "authz", "audit"}
	for _, p := range packages(t) {
		for _, i := range p.Deps {
			for _, s := range services {
				if !under(i, module+"/services/"+s) {
					continue
				}
				own := p.within("services/" + s)
				if !own && !p.within("cmd/scopewire") && !p.within("test") {
					t.Errorf("%s depends on %s: services meet in proto/ alone", p.path(), i)
				}
			}
		}
	}
}

func TestInternalPackagesAreLeaves(t *testing.T) {
	for _, p := range packages(t) {
		if !p.within("internal") {
			continue
		}
		for _, i := range p.Deps {
			for _, no := range []string{"services", "cmd", "test"} {
				if under(i, module+"/"+no) {
					t.Errorf("%s depends on %s: internal packages are leaves", p.path(), i)
				}
			}
		}
	}
}

func TestProxyNeverLinksTheParser(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		if !p.within("services/proxy") {
			continue
		}
		if p.path() == "services/proxy/cmd/scopewire-proxy" {
			seen++
		}
		for _, i := range p.Deps {
			if under(withoutMajor(i), "github.com/pganalyze/pg_query_go") {
				t.Errorf("%s depends on %s: the proxy is pure Go, and hostile SQL must not reach C code in it", p.path(), i)
			}
		}
	}
	if seen == 0 {
		t.Error("the proxy's program was not found")
	}
}

// pure are packages that compute and do nothing else, so that they can be fuzzed
// and table-tested in microseconds and every answer depends on its input alone.
var pure = []string{
	"services/authz/internal/access",
	"services/authz/internal/analyze",
	"services/authz/internal/builtin",
	"services/authz/internal/catalog",
	"services/authz/internal/policy",
	"services/authz/internal/resolve",
}

func TestAnalysisAndPolicyArePure(t *testing.T) {
	direct := []string{"context", "net", "os", "log", "syscall", "crypto/rand", "math/rand", module + "/internal/sys", module + "/internal/telemetry"}
	// Addresses and URLs are values; config decodes the policy file's bytes, its
	// own imports serve its other half.
	values := []string{"net/netip", "net/url"}
	others := []string{module + "/internal/secret", module + "/internal/config", module + "/internal/sys"}
	all := packages(t)
	for _, dir := range pure {
		if !slices.ContainsFunc(all, func(p pkg) bool { return p.within(dir) }) {
			t.Errorf("no package in %s", dir)
		}
	}
	for _, p := range all {
		if !slices.ContainsFunc(pure, p.within) {
			continue
		}
		for _, i := range p.Imports {
			for _, no := range direct {
				if under(i, no) && !slices.Contains(values, i) {
					t.Errorf("%s imports %s: analysis and policy are pure", p.path(), i)
				}
			}
		}
		for _, i := range p.Deps {
			switch {
			case under(i, grpcPath), i == "net/http":
				t.Errorf("%s depends on %s: analysis and policy know no network", p.path(), i)
			case under(i, module) && !slices.ContainsFunc(pure, pkg{ImportPath: i}.within) && !slices.Contains(others, i):
				t.Errorf("%s depends on %s, which is not among the pure packages", p.path(), i)
			}
		}
	}
}
