package session_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/record"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// heard is a server's side that keeps what the server said.
type heard struct {
	session.Backend
	mu   sync.Mutex
	said []byte
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Backend.Read(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, p[:n]...)
	return n, err
}

// canned is a server that says the same to whatever it is sent, and is gone then.
type canned struct {
	net.Conn
	once   sync.Once
	asked  chan struct{}
	answer *bytes.Reader
}

func (c *canned) Write(p []byte) (int, error) {
	c.once.Do(func() { close(c.asked) })
	return len(p), nil
}

func (c *canned) Read(p []byte) (int, error) {
	<-c.asked
	return c.answer.Read(p)
}

func (c *canned) SetDeadline(at time.Time) error {
	if !at.IsZero() {
		c.once.Do(func() { close(c.asked) })
	}
	return nil
}

func (c *canned) Close() error                 { return nil }
func (c *canned) Cancel(context.Context) error { return nil }

// gathered is a client that has sent all it will and takes what comes.
type gathered struct {
	net.Conn
	sent  *bytes.Reader
	mu    sync.Mutex
	got   bytes.Buffer
	ended chan struct{}
	once  sync.Once
}

func (g *gathered) Read(p []byte) (int, error) {
	if n, err := g.sent.Read(p); err == nil {
		return n, nil
	}
	<-g.ended
	return 0, io.EOF
}

func (g *gathered) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(p)
}

func (g *gathered) SetDeadline(time.Time) error { return nil }

func (g *gathered) SetReadDeadline(time.Time) error  { g.once.Do(func() { close(g.ended) }); return nil }
func (g *gathered) SetWriteDeadline(time.Time) error { return nil }
func (g *gathered) Close() error                     { return nil }

// TestSec_T12_GarbledServers: whatever becomes of any field of what a server says, and
// wherever it breaks off, the session ends by itself and without a panic; the client gets
// the messages that came whole and a FATAL error, or a message that breaks off, and never
// a denial that nobody made.
func TestSec_T12_GarbledServers(t *testing.T) {
	database := dbname(t)
	text := "SELECT id, v, NULL FROM t ORDER BY id; DO 'BEGIN RAISE NOTICE ''x''; END'; SET DateStyle = 'German'; SELECT 1/0 /* open */"
	h := &heard{}
	r := newRig(t, database, func(p *session.Params, _ *session.Deps) {
		h.Backend = p.Server
		p.Server = h
	})
	if got := strings.Join(r.client.run(q(text)), " "); !strings.Contains(got, "NoticeResponse") || !strings.Contains(got, "22012") {
		t.Fatalf("the script does not do what it is for: %s", got)
	}
	h.mu.Lock()
	said := bytes.Clone(h.said)
	h.mu.Unlock()
	query, err := q(text).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := framed(said)
	if len(whole) < 8 {
		t.Fatalf("only %d messages", len(whole))
	}
	check := func(what string, stream []byte) {
		log := &bytes.Buffer{}
		end, got := garbledSession(query, stream, log)
		if end == "" || strings.Contains(log.String(), "panic") {
			t.Errorf("%s: ended %q: %s", what, end, log)
		}
		if bytes.Contains(got, []byte("C42501\x00")) {
			t.Errorf("%s: a denial that nobody made", what)
		}
		messages := framed(got)
		rest := got[len(bytes.Join(messages, nil)):]
		if len(rest) > 0 {
			// It breaks off, which tells the client as much.
			return
		}
		if len(messages) == 0 || !bytes.Contains(messages[len(messages)-1], []byte("SFATAL\x00")) {
			t.Errorf("%s: ends without an error: %q", what, got)
		}
	}
	for at := range said {
		check(fmt.Sprintf("cut at %d", at), said[:at])
		for _, v := range []uint32{0xfffffffe, 0xffffffff, 0, 0x7fffffff, 1<<30 + 5} {
			if at+4 <= len(said) {
				changed := bytes.Clone(said)
				binary.BigEndian.PutUint32(changed[at:], v)
				check(fmt.Sprintf("%#x at %d", v, at), changed)
			}
		}
		for _, v := range []byte{0, 0xff, 'E', 'Z', 'D', 'G', 'W', 'R', 'v'} {
			changed := bytes.Clone(said)
			changed[at] = v
			check(fmt.Sprintf("byte %#x at %d", v, at), changed)
		}
	}
}

// framed are the whole messages at the beginning of a stream.
func framed(stream []byte) (out [][]byte) {
	for len(stream) >= 5 {
		n := int64(binary.BigEndian.Uint32(stream[1:])) + 1
		if n < 5 || n > int64(len(stream)) {
			return out
		}
		out = append(out, stream[:n])
		stream = stream[n:]
	}
	return out
}

// garbledSession runs a session whose server says so, and returns what its client got.
func garbledSession(query, stream []byte, log io.Writer) (session.End, []byte) {
	system := sys.OS()
	clock := system.Clock
	j := &judge{clock: clock, policy: 1}
	fence := decide.NewFence(clock, time.Hour)
	fence.Observe(&authzv1.Epoch{Policy: 1})
	client := &gathered{sent: bytes.NewReader(query), ended: make(chan struct{})}
	server := &canned{asked: make(chan struct{}), answer: bytes.NewReader(stream)}
	s := session.New(session.Params{Client: client, Server: server, Record: record.NewSession(clock, system.Rand),
		Context: &authzv1.SessionContext{Generation: 1, Database: "d", ServerVersionNum: 150000, SearchPath: "public", Settings: map[string]string{}},
		Token:   secret.FromString("token"), Expires: clock.Now().Add(time.Hour)},
		session.Deps{System: system, Logger: slog.New(slog.NewTextHandler(log, nil)), Authorizer: j, Fence: fence, Spool: &memory{}, Observer: silent{},
			Limits: session.Limits{Statement: 1 << 20, Prepared: 100, PreparedText: 1 << 20, Decision: time.Minute, Fresh: time.Minute}})
	end := s.Run(context.Background())
	return end, client.got.Bytes()
}
