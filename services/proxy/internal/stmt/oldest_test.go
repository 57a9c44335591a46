package stmt_test

import (
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// The oldest message is the one that the server is at, since the one before it was
// answered, and it was asked for when a Flush, a Sync or a Query came behind it.
func TestOldest(t *testing.T) {
	now := time.Unix(0, 0)
	tr := stmt.NewTracker[int]()
	tr.Now = func() time.Time { return now }
	want := func(what string, o *stmt.Op[int], second int64, asked bool) {
		t.Helper()
		got, since, is := tr.Oldest()
		if got != o || is != asked || o != nil && !since.Equal(time.Unix(second, 0)) {
			t.Errorf("%s: %v since %d, asked for: %v", what, got, since.Unix(), is)
		}
	}
	push := func(o *stmt.Op[int]) *stmt.Op[int] {
		t.Helper()
		if err := tr.Push(o); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		return o
	}
	answer := func(typ byte) {
		t.Helper()
		if _, _, err := tr.Answer(typ, wire.StatusIdle); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	want("nothing", nil, 0, false)
	parse := push(&stmt.Op[int]{Kind: stmt.Parse, Space: stmt.Statements})
	bind := push(&stmt.Op[int]{Kind: stmt.Bind, Space: stmt.Portals})
	want("a Parse", parse, 0, false)
	tr.Asked()
	execute := push(&stmt.Op[int]{Kind: stmt.Execute, Copies: true})
	want("a Parse and a Flush", parse, 0, true)
	answer(wire.ParseComplete)
	want("the Bind in front of the Flush", bind, 3, true)
	answer(wire.BindComplete)
	want("the Execute behind the Flush", execute, 4, false)
	answer(wire.CopyOutResponse)
	want("an Execute that copies", execute, 4, true)
	answer(wire.CopyDone)
	answer(wire.CommandComplete)
	want("all answered", nil, 0, false)
	failing := push(&stmt.Op[int]{Kind: stmt.Parse, Space: stmt.Statements})
	push(&stmt.Op[int]{Kind: stmt.Execute})
	want("another pipeline", failing, 8, false)
	sync := push(&stmt.Op[int]{Kind: stmt.Sync})
	want("with its Sync", failing, 8, true)
	answer(wire.ErrorResponse)
	want("behind a failure", sync, 11, true)
	answer(wire.ReadyForQuery)
	query := push(&stmt.Op[int]{Kind: stmt.Query})
	want("a Query", query, 13, true)
}
