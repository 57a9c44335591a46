package rpc

import (
	"context"
	"net"

	"google.golang.org/grpc/test/bufconn"
)

// Pipe is a listener without a socket: what dials it is in this process. It is
// how the all-in-one and tests join services over the same contracts. Safe for
// concurrent use.
type Pipe struct{ l *bufconn.Listener }

var _ net.Listener = (*Pipe)(nil)

// pipeBuffer is the room between the two ends of a connection, in bytes: one
// HTTP/2 flow-control window, so that a write does not wait for a reader.
const pipeBuffer = 64 << 10

// NewPipe returns an open Pipe. Whoever serves it closes it.
func NewPipe() *Pipe { return &Pipe{bufconn.Listen(pipeBuffer)} }

// Accept implements net.Listener.
func (p *Pipe) Accept() (net.Conn, error) {
	c, err := p.l.Accept()
	if err != nil {
		return nil, err
	}
	return pipeConn{c}, nil
}

// Close implements net.Listener. Open connections stay.
func (p *Pipe) Close() error { return p.l.Close() }

// Addr implements net.Listener.
func (p *Pipe) Addr() net.Addr { return p.l.Addr() }

// DialContext connects to whoever serves the Pipe, and waits for it within ctx.
func (p *Pipe) DialContext(ctx context.Context) (net.Conn, error) {
	c, err := p.l.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	return pipeConn{c}, nil
}

// pipeConn marks a connection that no other process can have made.
type pipeConn struct{ net.Conn }
