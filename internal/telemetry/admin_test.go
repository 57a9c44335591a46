package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

func TestAdminRoutes(t *testing.T) {
	var ready error
	a, err := telemetry.NewAdmin(telemetry.AdminConfig{}, telemetry.AdminDeps{
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
		Ready:   func(context.Context) error { return ready },
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("canary")))
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/metrics", 200, "metrics"},
		{"GET", "/healthz", 200, "alive"},
		{"GET", "/readyz", 200, "ready"},
		{"GET", "/debug/pprof/", 404, "not found"},
		{"GET", "/canary", 404, "not found"},
		{"POST", "/healthz", 404, "not found"},
	} {
		code, body := get(c.method, c.path)
		if code != c.code || strings.TrimSpace(body) != c.body {
			t.Errorf("%s %s: %d %q", c.method, c.path, code, body)
		}
	}
	ready = errors.New("no policy\nis loaded")
	if code, body := get("GET", "/readyz"); code != 503 || body != `not ready: no policy\nis loaded`+"\n" {
		t.Errorf("%d %q", code, body)
	}
}

// TestSec_T47_AdminIsLoopbackOnly: no configuration and no listener makes the
// unauthenticated server reachable from elsewhere.
func TestSec_T47_AdminIsLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:6482", ":6482", "[::]:6482", "10.0.0.1:6482", "example.com:6482", "6482"} {
		if _, err := telemetry.NewAdmin(telemetry.AdminConfig{Address: address}, telemetry.AdminDeps{}); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
	a, err := telemetry.NewAdmin(telemetry.AdminConfig{}, telemetry.AdminDeps{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("served on %s: %v", l.Addr(), err)
	}
}

func TestAdminServesAndStops(t *testing.T) {
	a, err := telemetry.NewAdmin(telemetry.AdminConfig{Address: "127.0.0.1:0"}, telemetry.AdminDeps{Net: sys.OS().Net})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	client.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, status %d", err, resp.StatusCode)
	}
}
