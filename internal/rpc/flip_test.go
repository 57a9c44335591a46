package rpc_test

import (
	"context"
	"net"
	"os"
	"sync"
	"testing"

	"google.golang.org/grpc"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
)

// flipping is a network on whose first connection one bit of one direction flips.
type flipping struct {
	sys.Net
	sent bool
	at   int

	mu    sync.Mutex
	dials int
	// flipped says that the bit was reached.
	flipped bool
}

func (f *flipping) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := f.Net.DialContext(ctx, network, address)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials++
	if err != nil || f.dials > 1 {
		return conn, err
	}
	return &flippingConn{Conn: conn, of: f}, nil
}

type flippingConn struct {
	net.Conn
	of *flipping
	// read and written are how many bytes have passed, each of its own goroutine.
	read, written int
}

func (c *flippingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.of.sent {
		c.of.flip(p[:n], c.read)
	}
	c.read += n
	return n, err
}

func (c *flippingConn) Write(p []byte) (int, error) {
	if c.of.sent {
		p = append([]byte(nil), p...)
		c.of.flip(p, c.written)
	}
	c.written += len(p)
	return c.Conn.Write(p)
}

// flip flips the bit if it is among the bytes that come at an offset.
func (f *flipping) flip(p []byte, offset int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.at - offset; i >= 0 && i < len(p) {
		p[i] ^= 1 << (f.at % 8)
		f.flipped = true
	}
}

// echo answers what it was asked, and keeps it.
type echo struct {
	auditv1.UnimplementedAuditQueryServiceServer
	mu   sync.Mutex
	seen map[string]bool
}

func (e *echo) ListEvents(_ context.Context, req *auditv1.ListEventsRequest) (*auditv1.ListEventsResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[req.GetPageToken()] = true
	return &auditv1.ListEventsResponse{NextPageToken: req.GetPageToken()}, nil
}

// TestFault_F39_FlippedBits: wherever one bit flips between two services, neither sees
// anything but what the other has said: the connection ends, and the call is made over
// another or fails. With SCOPEWIRE_NIGHTLY set every byte has its turn.
func TestFault_F39_FlippedBits(t *testing.T) {
	const token = "SELECT v FROM t WHERE id = 1"
	stride := 101
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		stride = 1
	}
	ca := newAuthority(t)
	e := &echo{seen: map[string]bool{}}
	s := newServer(t, rpc.ServerConfig{Address: "127.0.0.1:0", TLS: ca.files(t, leaf{uris: []string{"spiffe://scopewire/audit"}})}, rpc.ServerDeps{})
	everything(s, e)
	l, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s, l)
	client := ca.files(t, leaf{uris: []string{"spiffe://scopewire/admin"}})
	tried, noticed := 0, 0
	for _, sent := range []bool{true, false} {
		for at := 0; ; at += stride {
			f := &flipping{Net: sys.OS().Net, sent: sent, at: at}
			c := dial(t, rpc.ClientConfig{Address: l.Addr().String(), ServerName: "localhost", TLS: client}, rpc.ClientDeps{Net: f, Server: rpc.Audit})
			ask := auditv1.NewAuditQueryServiceClient(c)
			// The second is over the connection that the first was over, if that is there yet.
			for range 2 {
				resp, err := ask.ListEvents(deadline(t), &auditv1.ListEventsRequest{PageToken: token}, grpc.WaitForReady(true))
				if err == nil && resp.GetNextPageToken() != token {
					t.Errorf("bit %d of byte %d, sent %v: answered %q", at%8, at, sent, resp.GetNextPageToken())
				}
				if err != nil {
					noticed++
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			f.mu.Lock()
			flipped, dials := f.flipped, f.dials
			f.mu.Unlock()
			if !flipped {
				break // The exchange is shorter.
			}
			// The version of the first record in each direction means nothing, and is ignored
			// (RFC 8446, 5.1, legacy_record_version): such a bit changes nothing for anybody.
			if tried++; dials == 1 && at < 1000 && at != 1 && at != 2 {
				t.Errorf("byte %d, sent %v: nobody noticed", at, sent)
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d bits were reached", tried)
	}
	for got := range e.seen {
		if got != token {
			t.Errorf("the service was asked for %q", got)
		}
	}
	t.Logf("%d bits flipped, %d calls failed by it", tried, noticed)
}
