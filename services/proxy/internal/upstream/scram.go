package upstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	// maxIterations bounds what a server may ask SCRAM to work, about half a second of
	// one processor. PostgreSQL's default is 4096; pgconn's own bound is ten times this.
	maxIterations = 1_000_000
	// maxAuthentication is more than a server's message about authentication has.
	maxAuthentication = 64 << 10
	// Kinds of authentication messages ("Message Formats").
	authOK, authSASLContinue = 0, 11
)

// scramGuard reads what a server says ahead of pgconn, and ends the connection where it
// asks for more work than maxIterations. It stands behind TLS, and inside of pgconn,
// which binds SCRAM to the connection only as long as nothing is around that.
type scramGuard struct {
	r io.Reader
	// head is as much of a message's type and length as has come, body of an
	// authentication message's body; left is what is still to come of the body.
	head, body []byte
	left       int
	// over: the server is content.
	over bool
}

// buildFrontend is pgconn's hook.
func buildFrontend(r io.Reader, w io.Writer) *pgproto3.Frontend {
	return pgproto3.NewFrontend(&scramGuard{r: r}, w)
}

func (g *scramGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if bad := g.look(p[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// look follows the messages that bytes are part of.
func (g *scramGuard) look(b []byte) error {
	const header = 5
	for len(b) > 0 && !g.over {
		if len(g.head) < header {
			n := min(header-len(g.head), len(b))
			g.head, b = append(g.head, b[:n]...), b[n:]
			if len(g.head) < header {
				return nil
			}
			length := binary.BigEndian.Uint32(g.head[1:])
			if length < 4 || length > 1<<30 || g.head[0] == 'R' && length > maxAuthentication {
				return fmt.Errorf("the server announces a message of %d bytes", length)
			}
			g.left, g.body = int(length)-4, g.body[:0]
		}
		n := min(g.left, len(b))
		if g.head[0] == 'R' {
			g.body = append(g.body, b[:n]...)
		}
		g.left, b = g.left-n, b[n:]
		if g.left > 0 {
			return nil
		}
		if g.head[0] == 'R' {
			if err := g.authentication(); err != nil {
				return err
			}
		}
		g.head = g.head[:0]
	}
	return nil
}

// authentication looks into a whole authentication message.
func (g *scramGuard) authentication() error {
	if len(g.body) < 4 {
		return errors.New("the server's authentication message is cut short")
	}
	switch binary.BigEndian.Uint32(g.body) {
	case authOK:
		g.over = true
	case authSASLContinue:
		for attribute := range strings.SplitSeq(string(g.body[4:]), ",") {
			count, ok := strings.CutPrefix(attribute, "i=")
			if n, err := strconv.ParseUint(count, 10, 64); ok && (err != nil || n > maxIterations) {
				return fmt.Errorf("the server asks for %.20q iterations of SCRAM, more than %d", count, maxIterations)
			}
		}
	default:
		// pgconn knows which of the others it takes.
	}
	return nil
}
