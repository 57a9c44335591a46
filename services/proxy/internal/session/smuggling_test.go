package session_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// substitute is found in what the proxy makes itself: what stands for a denial, and its
// own questions.
var substitute = regexp.MustCompile("sw[0-9a-f]{24}_")

// messagesIn cuts a stream of messages apart, without what the proxy adds.
func messagesIn(t *testing.T, stream []byte) (out []string) {
	t.Helper()
	for len(stream) > 0 {
		if len(stream) < wire.HeaderLen || int(binary.BigEndian.Uint32(stream[1:]))+1 > len(stream) {
			t.Fatalf("the server was sent part of a message: %q", stream)
		}
		n := int(binary.BigEndian.Uint32(stream[1:])) + 1
		msg := stream[:n]
		stream = stream[n:]
		if msg[0] != wire.Flush && !substitute.Match(msg) {
			out = append(out, string(msg))
		}
	}
	return out
}

// TestSec_T10_NothingIsSmuggled: of streams whose texts, names and values hold messages
// themselves, and whatever their order, the server is sent exactly the messages that were
// judged and allowed, in their order, and each text that reaches it was asked about.
func TestSec_T10_NothingIsSmuggled(t *testing.T) {
	database := dbname(t)
	r := newRig(t, database)
	random := rand.New(rand.NewPCG(10, 10))
	inner, err := q("SELECT 'denied inside'").Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	// A NUL would end the text; the rest of a message fits into one.
	hidden := strings.ReplaceAll(string(inner), "\x00", " ")
	for round := range 150 {
		before := len(r.recorder.Sent()[0])
		var want []string
		var msgs []pgproto3.FrontendMessage
		skipping := false
		send := func(m pgproto3.FrontendMessage, denied, extended bool) {
			msgs = append(msgs, m)
			raw, err := m.Encode(nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := m.(*pgproto3.Sync); ok {
				skipping = false
			}
			if !skipping && !denied {
				want = append(want, string(raw))
			}
			skipping = skipping || denied && extended
		}
		for n := range 1 + random.IntN(8) {
			tag := fmt.Sprintf("%d %d", round, n)
			text, denied := "SELECT '"+tag+"', length($x$"+strings.Repeat(strings.ReplaceAll(hidden, "denied", "quiet"), random.IntN(3))+"$x$)", false
			if random.IntN(3) == 0 {
				text, denied = text+" /* denied */", true
			}
			name := fmt.Sprintf("n%d", n) + strings.Repeat("Q", random.IntN(80))
			switch random.IntN(3) {
			case 0:
				send(&pgproto3.Sync{}, false, true)
				send(q(text), denied, false)
			case 1:
				send(prep("", text), denied, true)
				send(bind("", ""), false, true)
				send(exec(""), false, true)
			case 2:
				// The value is a denied Query, byte for byte.
				send(closeS(name), false, true)
				send(prep(name, "SELECT $1::bytea"), false, true)
				send(&pgproto3.Bind{PreparedStatement: name, ParameterFormatCodes: []int16{1}, Parameters: [][]byte{bytes.Repeat(inner, random.IntN(200))}}, false, true)
				send(exec(""), false, true)
				send(closeS(name), false, true)
			}
		}
		send(&pgproto3.Sync{}, false, true)
		r.client.run(msgs...)
		got := messagesIn(t, r.recorder.Sent()[0][before:])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("round %d, judged (-) and sent (+):\n%s", round, diff)
		}
	}
	r.judge.mu.Lock()
	defer r.judge.mu.Unlock()
	asked := map[string]bool{}
	for _, text := range r.judge.asked {
		asked[text] = true
	}
	for _, msg := range messagesIn(t, afterLogin(t, r.recorder.Sent()[0])) {
		switch msg[0] {
		case wire.Query:
			if text, err := wire.DecodeQuery([]byte(msg[wire.HeaderLen:])); err != nil || !asked[string(text)] {
				t.Errorf("a Query was not asked about: %q, %v", text, err)
			}
		case wire.Parse:
			if f, err := wire.DecodeParse([]byte(msg[wire.HeaderLen:])); err != nil || !asked[string(f.Text)] {
				t.Errorf("a Parse was not asked about: %q, %v", f.Text, err)
			}
		}
	}
}

// afterLogin is what follows the proxy's own Query at the start of a session.
func afterLogin(t *testing.T, sent []byte) []byte {
	t.Helper()
	at := bytes.Index(sent, []byte("SHOW search_path; ")) - wire.HeaderLen
	if at < 0 {
		t.Fatal("the recording has no beginning")
	}
	return sent[at+1+int(binary.BigEndian.Uint32(sent[at+1:])):]
}
