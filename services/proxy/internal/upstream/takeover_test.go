package upstream_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/proxy/internal/upstream"
)

// late is a connection whose write of a text returns only when what the server says to
// it has been read, and the next read has begun: as on a machine that has stopped the
// writer right behind the write.
type late struct {
	net.Conn
	text []byte

	mu      sync.Mutex
	moved   *sync.Cond
	written bool
	reads   int
}

func (c *late) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Contains(p, c.text) {
		c.written = true
		for c.reads < 2 {
			c.moved.Wait()
		}
	}
	return n, err
}

func (c *late) Read(p []byte) (int, error) {
	c.mu.Lock()
	if c.written {
		c.reads++
		c.moved.Broadcast()
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// TestTakenOverBehindALateWrite: pgconn reads in the background while a write of its own
// takes long. Nothing of what the server says to the session afterwards may be lost to
// that reader.
func TestTakenOverBehindALateWrite(t *testing.T) {
	srv := pgtest.Start(t)
	dialer := dialTo(func() (net.Conn, error) {
		conn, err := net.Dial("tcp", srv.Addr)
		if err != nil {
			return nil, err
		}
		c := &late{Conn: conn, text: []byte("SHOW search_path")}
		c.moved = sync.NewCond(&c.mu)
		return c, nil
	})
	c, err := upstream.Connect(t.Context(), dialer, upstream.Target{Host: "db.test", Port: 5432, Database: "postgres",
		User: srv.Superuser, Password: srv.Password, Login: "login"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	f := pgproto3.NewFrontend(c, c)
	f.Send(&pgproto3.Query{String: "SELECT 'whole'"})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	for row := ""; ; {
		m, err := f.Receive()
		if err != nil {
			t.Fatalf("the session's first answer: %v", err)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			row = string(m.Values[0])
		case *pgproto3.ReadyForQuery:
			if row != "whole" {
				t.Errorf("the session's first answer has %q", row)
			}
			return
		}
	}
}
