package pgboot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below 32768, where Linux's ephemeral range begins: a port
// of that range may be the local end of somebody's connection by the time a
// server listens on it.
const (
	lowestPort  = 20000
	highestPort = 32767
)

// Listen announces on a free TCP port of 127.0.0.1 below 32768. The caller
// closes the listener.
func Listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	var last error
	for range 100 {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1) //nolint:gosec // G404: any free port will do
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return l, nil
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("find a free port: %w", last)
}

// freePort picks a port that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	l, err := Listen(ctx)
	if err != nil {
		return 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil || !ok {
		return 0, errors.Join(errors.New("find a free port"), err)
	}
	return addr.Port, nil
}
