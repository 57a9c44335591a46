package proxy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/sys"
)

// TestMetadata: RFC 9728's document is at the path of the resource's name, over HTTPS
// alone, and nothing else is.
func TestMetadata(t *testing.T) {
	system := sys.OS()
	ca, err := devca.New(system.Clock, system.Rand)
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.WriteFiles(system.FS, t.TempDir(), "db", devca.Options{Server: true, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{system: system, log: slog.New(slog.DiscardHandler), cfg: Config{Databases: []DatabaseConfig{{Name: "shop"}}, Metadata: MetadataConfig{
		Address: "127.0.0.1:0", TLS: ServerTLS{CertFile: files.Cert, KeyFile: files.Key}, Resource: "https://db.example.com/shop/",
		AuthorizationServers: []string{"https://idp.example.com"}, Scopes: []string{"orders.read"}, ClientAddress: "db.example.com:6432",
	}}}
	m, err := p.newMetadata()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.listen(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- m.run(ctx) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}}}
	ask := func(method, url string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	at := "https://" + m.l.Addr().String()
	status, body := ask(http.MethodGet, at+"/.well-known/oauth-protected-resource/shop")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v: %s", status, err, body)
	}
	want := map[string]any{"resource": "https://db.example.com/shop/", "authorization_servers": []any{"https://idp.example.com"},
		"scopes_supported": []any{"orders.read"}, "bearer_methods_supported": []any{}, "scopewire_address": "db.example.com:6432",
		"scopewire_databases": []any{"shop"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct {
		method, url string
		status      int
	}{
		{http.MethodHead, at + "/.well-known/oauth-protected-resource/shop", http.StatusOK},
		{http.MethodPost, at + "/.well-known/oauth-protected-resource/shop", http.StatusMethodNotAllowed},
		{http.MethodGet, at + "/.well-known/oauth-protected-resource", http.StatusNotFound},
		{http.MethodGet, at + "/", http.StatusNotFound},
		{http.MethodGet, strings.Replace(at, "https", "http", 1) + "/.well-known/oauth-protected-resource/shop", http.StatusBadRequest},
	} {
		if status, body := ask(tt.method, tt.url); status != tt.status {
			t.Errorf("%s %s: %d %s", tt.method, tt.url, status, body)
		}
	}
	client.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := m.close(); err != nil {
		t.Error(err)
	}
}

func TestMetadataProblems(t *testing.T) {
	good := MetadataConfig{Address: ":443", TLS: ServerTLS{CertFile: "c", KeyFile: "k"}, Resource: "https://db", AuthorizationServers: []string{"https://idp"}}
	for name, tt := range map[string]struct {
		change func(*MetadataConfig)
		want   string
	}{
		"good":          {func(*MetadataConfig) {}, ""},
		"nothing":       {func(m *MetadataConfig) { *m = MetadataConfig{} }, ""},
		"no address":    {func(m *MetadataConfig) { m.Address = "" }, "metadata.address"},
		"bad address":   {func(m *MetadataConfig) { m.Address = "db" }, "metadata.address"},
		"no TLS":        {func(m *MetadataConfig) { m.TLS = ServerTLS{} }, "metadata.tls"},
		"plain HTTP":    {func(m *MetadataConfig) { m.Resource = "http://db" }, "metadata.resource"},
		"a query":       {func(m *MetadataConfig) { m.Resource = "https://db?x" }, "metadata.resource"},
		"nobody":        {func(m *MetadataConfig) { m.AuthorizationServers = nil }, "metadata.authorization_servers"},
		"a plain issue": {func(m *MetadataConfig) { m.AuthorizationServers = []string{"http://idp"} }, "authorization_servers[0]"},
	} {
		m := good
		tt.change(&m)
		var p config.Problems
		m.validate(&p, "metadata")
		if err := p.Err(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
