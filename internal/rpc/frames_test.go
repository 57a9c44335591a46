package rpc_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/scopewire/scopewire/internal/rpc"
)

// raw is an HTTP/2 client that says what a gRPC client would not.
type raw struct {
	conn   net.Conn
	framer *http2.Framer
	hpack  *hpack.Encoder
	block  bytes.Buffer
}

func newRaw(t *testing.T, p *rpc.Pipe) *raw {
	t.Helper()
	conn, err := p.DialContext(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	r := &raw{conn: conn, framer: http2.NewFramer(conn, conn)}
	r.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r.hpack = hpack.NewEncoder(&r.block)
	if err := r.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *raw) call(stream uint32, path string) error {
	r.block.Reset()
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "pipe"}, {":path", path}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		if err := r.hpack.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	return r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: r.block.Bytes(), EndHeaders: true, EndStream: true})
}

// status reads until the stream's grpc-status; "" when the stream is reset.
func (r *raw) status(t *testing.T, stream uint32) string {
	t.Helper()
	for {
		f, err := r.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header().StreamID != stream {
			continue
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			return ""
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				if h.Name == "grpc-status" {
					return h.Value
				}
			}
		}
	}
}

// TestSec_T41_Paths: a path that is not a service's method is refused, however
// it is spelled; the method of a service by another spelling is none.
func TestSec_T41_Paths(t *testing.T) {
	s := newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{})
	everything(s, query{})
	pipe := rpc.NewPipe()
	serve(t, s, pipe)
	r := newRaw(t, pipe)
	const ok, permissionDenied, unimplemented = "0", "7", "12"
	for i, c := range []struct {
		path string
		want []string
	}{
		{"/scopewire.audit.v1.AuditQueryService/Nothing", []string{permissionDenied}},
		{"scopewire.audit.v1.AuditQueryService/ListEvents", []string{permissionDenied, unimplemented, ""}},
		{"//scopewire.audit.v1.AuditQueryService/ListEvents", []string{permissionDenied, unimplemented, ""}},
		{"/x/scopewire.audit.v1.AuditQueryService/ListEvents", []string{permissionDenied, unimplemented, ""}},
		{"/scopewire.audit.v1.AuditQueryService//ListEvents", []string{permissionDenied, unimplemented, ""}},
		{"/scopewire.audit.v1.AuditQueryService/ListEvents/", []string{permissionDenied, unimplemented, ""}},
		{"/scopewire.audit.v1.AuditQueryService/%4cistEvents", []string{permissionDenied, unimplemented, ""}},
		{"/scopewire.audit.v1.AuditQueryService", []string{permissionDenied, unimplemented, ""}},
		{"/", []string{permissionDenied, unimplemented, ""}},
		{"*", []string{permissionDenied, unimplemented, ""}},
	} {
		stream := uint32(2*i + 1)
		if err := r.call(stream, c.path); err != nil {
			t.Fatal(err)
		}
		got := r.status(t, stream)
		found := false
		for _, w := range c.want {
			found = found || w == got
		}
		if !found || got == ok {
			t.Errorf("%q: status %q, want one of %q", c.path, got, c.want)
		}
	}
}

// TestSec_T41_ResetFlood: a client that opens and resets streams as fast as it
// can does not keep an honest one from being served.
func TestSec_T41_ResetFlood(t *testing.T) {
	s := newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{})
	everything(s, query{})
	pipe := rpc.NewPipe()
	serve(t, s, pipe)
	r := newRaw(t, pipe)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, r.conn)
	}()
	for i := range uint32(10_000) {
		stream := 2*i + 1
		if r.call(stream, "/scopewire.audit.v1.AuditQueryService/ListEvents") != nil || r.framer.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
			// The server hung up: as good.
			break
		}
	}
	if who, err := whoAmI(t, dial(t, rpc.ClientConfig{}, rpc.ClientDeps{Pipe: pipe})); who != "local" || err != nil {
		t.Errorf("%q, %v", who, err)
	}
	_ = r.conn.Close()
	<-drained
}
