package stmt_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

type op = stmt.Op[*text]

// client drives a tracker as a session does, with a server of the model behind
// it. Messages, the server's work and the delivery of its answers are apart, so
// that each can lag.
type client struct {
	t       *rapid.T
	tracker *stmt.Tracker[*text]
	server  *server
	// wire holds what the server has not read yet.
	wire []message
	// open are the ops that have not been answered or skipped.
	open map[*op]bool
	// skipping says that a substituted message has been sent: as the session, the
	// client sends nothing more before Sync.
	skipping bool
	texts    int
}

func newClient(t *rapid.T) *client {
	c := &client{t: t, tracker: stmt.NewTracker[*text](), open: map[*op]bool{}}
	c.tracker.Skipped = func(o *op) { c.finish(o) }
	c.server = newServer(func(m message, used *text) {
		if m.judged != used {
			t.Fatalf("%v of %q runs %v at the server, and was judged as %v", m.kind, m.name, used, m.judged)
		}
	})
	return c
}

func (c *client) finish(o *op) {
	if !c.open[o] {
		c.t.Fatalf("%v of %q is answered or skipped twice", o.Kind, o.Name)
	}
	delete(c.open, o)
}

func (c *client) push(o *op, m message) {
	c.open[o] = true
	if err := c.tracker.Push(o); err != nil {
		c.t.Fatal(err)
	}
	c.wire = append(c.wire, m)
}

// serve lets the server read a message.
func (c *client) serve() {
	if len(c.wire) == 0 {
		return
	}
	m := c.wire[0]
	c.wire = c.wire[1:]
	c.server.receive(m)
}

// deliver gives one answer to the tracker.
func (c *client) deliver() {
	if len(c.server.out) == 0 {
		return
	}
	a := c.server.out[0]
	c.server.out = c.server.out[1:]
	o, done, err := c.tracker.Answer(a.typ, a.status)
	if err != nil {
		c.t.Fatal(err)
	}
	if done {
		c.finish(o)
	}
}

// lookup asks the tracker, after letting it have what it would wait for.
func (c *client) lookup(space stmt.Space, name string) *text {
	for c.tracker.MustWait(space, name) {
		if len(c.wire) == 0 && len(c.server.out) == 0 {
			c.t.Fatalf("a look-up of %q waits for an answer that will not come", name)
		}
		if len(c.server.out) > 0 {
			c.deliver()
		} else {
			c.serve()
		}
	}
	v, ok, err := c.tracker.Lookup(space, name)
	if err != nil {
		c.t.Fatal(err)
	}
	if !ok {
		return nil
	}
	return v
}

// substitute stands for a message that is not forwarded.
func (c *client) substitute(name string) {
	c.skipping = true
	c.push(&op{Kind: stmt.Parse, Space: stmt.Statements, Name: name, Substituted: true},
		message{kind: stmt.Parse, space: stmt.Statements, name: name})
}

func (c *client) text() *text {
	c.texts++
	return &text{id: c.texts, effect: effect(rapid.IntRange(0, int(numEffects)-1).Draw(c.t, "effect"))}
}

var (
	names  = rapid.SampledFrom([]string{"", "", "a", "b", strings.Repeat("n", 63), strings.Repeat("n", 63) + "1", strings.Repeat("n", 63) + "2"})
	seldom = rapid.Custom(func(t *rapid.T) bool { return rapid.IntRange(0, 7).Draw(t, "seldom") == 0 })
	spaces = rapid.SampledFrom([]stmt.Space{stmt.Statements, stmt.Portals})
)

// send has the client send one message.
func (c *client) send(kind stmt.Kind) {
	name, denied, refused := names.Draw(c.t, "name"), seldom.Draw(c.t, "denied"), seldom.Draw(c.t, "refused")
	switch {
	case kind == stmt.Sync:
		c.skipping = false
		c.push(&op{Kind: stmt.Sync}, message{kind: stmt.Sync, refused: refused})
	case c.skipping:
	case kind == stmt.Query && denied:
		c.push(&op{Kind: stmt.Query, Substituted: true}, message{kind: stmt.Query})
	case kind == stmt.Query:
		v := c.text()
		c.push(&op{Kind: stmt.Query}, message{kind: kind, text: v, judged: v, refused: refused})
	case kind == stmt.Parse && denied:
		c.substitute(name)
	case kind == stmt.Parse:
		v := c.text()
		c.push(&op{Kind: kind, Space: stmt.Statements, Name: name, Value: v, Weight: 1},
			message{kind: kind, space: stmt.Statements, name: name, text: v, refused: refused})
	case kind == stmt.Bind:
		source := names.Draw(c.t, "statement")
		v := c.lookup(stmt.Statements, source)
		if v == nil || denied {
			c.substitute("_reserved")
			return
		}
		c.push(&op{Kind: kind, Space: stmt.Portals, Name: name, Value: v},
			message{kind: kind, space: stmt.Portals, name: name, source: source, judged: v, refused: refused})
	case kind == stmt.Describe, kind == stmt.Execute:
		space := stmt.Portals
		if kind == stmt.Describe {
			space = spaces.Draw(c.t, "space")
		}
		v := c.lookup(space, name)
		if v == nil || denied {
			c.substitute("_reserved")
			return
		}
		c.push(&op{Kind: kind, Space: space}, message{kind: kind, space: space, name: name, judged: v, refused: refused,
			suspends: rapid.Bool().Draw(c.t, "suspends")})
	case kind == stmt.Close:
		space := spaces.Draw(c.t, "space")
		c.push(&op{Kind: kind, Space: space, Name: name}, message{kind: kind, space: space, name: name})
	}
}

// drain lets everything be answered.
func (c *client) drain() {
	c.send(stmt.Sync)
	for len(c.wire) > 0 || len(c.server.out) > 0 {
		c.serve()
		for len(c.server.out) > 0 {
			c.deliver()
		}
	}
}

// settled checks what holds when nothing is under way.
func (c *client) settled() {
	if n := c.tracker.InFlight(); n != 0 || len(c.open) != 0 {
		c.t.Fatalf("%d messages in flight, %d neither answered nor skipped", n, len(c.open))
	}
	status := byte(wire.StatusIdle)
	if c.server.failed {
		status = wire.StatusFailed
	} else if c.server.explicit {
		status = wire.StatusActive
	}
	if got := c.tracker.Status(); got != status || c.tracker.Failed() != c.server.failed {
		c.t.Fatalf("transaction state %q, want %q", got, status)
	}
	for _, name := range []string{"", "a", "b", strings.Repeat("n", 64), "_reserved"} {
		if got, want := c.lookup(stmt.Statements, name), c.server.statements[known(name)]; got != want {
			c.t.Fatalf("statement %q is %v at the server and %v here", name, want, got)
		}
		// A portal may be gone at the server before the transaction's end; it is
		// never another one.
		if got, want := c.lookup(stmt.Portals, name), c.server.portals[known(name)]; want != nil && got != want {
			c.t.Fatalf("portal %q is %v at the server and %v here", name, want, got)
		}
	}
	held, weight := c.tracker.Held()
	if status == wire.StatusIdle && held != len(c.server.statements) {
		c.t.Fatalf("%d names are held for %d statements, and no portal outlives its transaction", held, len(c.server.statements))
	}
	if weight != len(c.server.statements) || held < weight {
		c.t.Fatalf("%d names of weight %d are held for %d statements", held, weight, len(c.server.statements))
	}
}

// Whatever the server runs for a message is what the tracker said it would, for
// any order of messages and any lag of the server and of its answers.
//
// Checked by changing the code: within 3,000 runs this fails for names that are
// not cut at 63 bytes, an overlay that survives Sync, a look-up that does not
// wait, a Query or a failed Parse that keeps the unnamed statement, portals that
// survive an idle ReadyForQuery, a failed Query that skips to Sync, messages
// behind an error that are queued as if they were to be answered, a skip that
// does not end at Sync, and a weight that is not counted.
func TestTrackerAgreesWithTheServer(t *testing.T) {
	// One Check is 100 runs.
	for range 50 {
		rapid.Check(t, agrees)
	}
}

func agrees(t *rapid.T) {
	c := newClient(t)
	kinds := rapid.SampledFrom([]stmt.Kind{stmt.Query, stmt.Parse, stmt.Parse, stmt.Bind, stmt.Bind, stmt.Describe,
		stmt.Execute, stmt.Execute, stmt.Close, stmt.Sync})
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		switch rapid.IntRange(0, 5).Draw(t, "who") {
		case 0:
			c.serve()
		case 1:
			c.deliver()
		case 2:
			if seldom.Draw(t, "drain") {
				c.drain()
				c.settled()
			}
		default:
			c.send(kinds.Draw(t, "kind"))
		}
	}
	c.drain()
	c.settled()
}
