package cluster

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/scopewire/scopewire/internal/pgboot"
)

// host is the loopback address on which this process starts others. Processes that are
// killed and started again need their ports again, which nobody can hold for them in the
// meantime. So they listen where no other process of the machine looks for a port: Linux
// answers on all of 127.0.0.0/8, and whoever is not told otherwise uses 127.0.0.1.
// Elsewhere it is that, and a port can be taken in between.
func host(t testing.TB) net.IP {
	t.Helper()
	pid := os.Getpid()
	own := net.IPv4(127, byte(64|pid>>16&63), byte(pid>>8), byte(pid))
	l, err := listen(t.Context(), own)
	if err != nil {
		return net.IPv4(127, 0, 0, 1)
	}
	_ = l.Close()
	return own
}

// address is a free address of a host.
func address(t testing.TB, host net.IP) string {
	t.Helper()
	announce := func() (net.Listener, error) { return listen(t.Context(), host) }
	if host.Equal(net.IPv4(127, 0, 0, 1)) {
		announce = func() (net.Listener, error) { return pgboot.Listen(t.Context()) }
	}
	l, err := announce()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func listen(ctx context.Context, host net.IP) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", net.JoinHostPort(host.String(), "0"))
}
