package demo

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/scopewire/scopewire/internal/pgboot"
)

// freePort is the wanted port if it is free, else any free one.
func freePort(ctx context.Context, want int) (int, error) {
	if want != 0 {
		var lc net.ListenConfig
		if l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(want))); err == nil {
			return want, l.Close()
		}
	}
	l, err := pgboot.Listen(ctx)
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
