package stmt_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

type kinds = stmt.Op[int]

// A look-up of a name that is on its way behind a Sync waits for the answer, and
// returns what the server has made of it.
func TestLookupWaitsForTheAnswer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer byte
		value  int
		exists bool
	}{
		{"it came to be", wire.ParseComplete, 7, true},
		{"it failed", wire.ErrorResponse, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := stmt.NewTracker[int]()
				push(t, tr, &kinds{Kind: stmt.Parse, Space: stmt.Statements, Name: "a", Value: 7})
				push(t, tr, &kinds{Kind: stmt.Sync})
				found := make(chan struct{})
				go func() {
					defer close(found)
					v, ok, err := tr.Lookup(stmt.Statements, "a")
					if v != tc.value || ok != tc.exists || err != nil {
						t.Errorf("%d, %v, %v", v, ok, err)
					}
				}()
				synctest.Wait()
				select {
				case <-found:
					t.Error("the look-up did not wait")
				default:
				}
				answerWith(t, tr, tc.answer, 0)
				<-found
			})
		})
	}
}

// End wakes a look-up and a Push that wait, and both say so.
func TestEndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := stmt.NewTracker[int]()
		push(t, tr, &kinds{Kind: stmt.Parse, Space: stmt.Statements, Name: "a"})
		push(t, tr, &kinds{Kind: stmt.Sync})
		done := make(chan error)
		go func() {
			_, ok, err := tr.Lookup(stmt.Statements, "a")
			if ok {
				t.Error("a name of a session that has ended")
			}
			done <- err
		}()
		synctest.Wait()
		tr.End()
		if err := <-done; !errors.Is(err, stmt.ErrEnded) {
			t.Error(err)
		}
		if err := tr.Push(&kinds{Kind: stmt.Sync}); !errors.Is(err, stmt.ErrEnded) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		tr := stmt.NewTracker[int]()
		done := make(chan error)
		pushed := 0
		go func() {
			for {
				if err := tr.Push(&kinds{Kind: stmt.Sync}); err != nil {
					done <- err
					return
				}
				pushed++
			}
		}()
		synctest.Wait()
		if n := tr.InFlight(); n != pushed || n < 1000 {
			t.Errorf("%d in flight, %d pushed", n, pushed)
		}
		// An answer lets one more in.
		answerWith(t, tr, wire.ReadyForQuery, 'I')
		synctest.Wait()
		if n := tr.InFlight(); n != pushed-1 {
			t.Errorf("%d in flight, %d pushed", n, pushed)
		}
		tr.End()
		if err := <-done; !errors.Is(err, stmt.ErrEnded) {
			t.Error(err)
		}
	})
}

// An answer that the oldest message cannot have is a desync, whatever it is.
func TestAnswersThatDoNotFit(t *testing.T) {
	fits := map[stmt.Kind]string{
		stmt.Query: "TDCIEZ", stmt.Parse: "1E", stmt.Bind: "2E", stmt.Close: "3E", stmt.Sync: "EZ",
		stmt.Describe: "tTnE", stmt.Execute: "DCIsE", stmt.Kind(99): "E",
	}
	for kind, allowed := range fits {
		for typ := range 256 {
			tr := stmt.NewTracker[int]()
			push(t, tr, &kinds{Kind: kind, Space: stmt.Statements})
			_, _, err := tr.Answer(byte(typ), 'I')
			want := false
			for _, a := range []byte(allowed) {
				want = want || int(a) == typ
			}
			if (err == nil) != want || err != nil && !errors.Is(err, stmt.ErrDesync) {
				t.Errorf("kind %d, answer %d: %v", kind, typ, err)
			}
			// What was substituted can only fail.
			tr = stmt.NewTracker[int]()
			push(t, tr, &kinds{Kind: kind, Space: stmt.Statements, Substituted: true})
			if _, _, err := tr.Answer(byte(typ), 'I'); (err == nil) != (want && (typ == 'E' || typ == 'Z')) {
				t.Errorf("substituted kind %d, answer %d: %v", kind, typ, err)
			}
		}
	}
	tr := stmt.NewTracker[int]()
	for typ := range 256 {
		if _, _, err := tr.Answer(byte(typ), 'I'); !errors.Is(err, stmt.ErrDesync) {
			t.Errorf("answer %d to nothing: %v", typ, err)
		}
	}
	for status := range 256 {
		tr := stmt.NewTracker[int]()
		push(t, tr, &kinds{Kind: stmt.Sync})
		_, _, err := tr.Answer(wire.ReadyForQuery, byte(status))
		if known := status == 'I' || status == 'T' || status == 'E'; known != (err == nil) {
			t.Errorf("transaction state %d: %v", status, err)
		}
	}
	// A portal has no parameters to describe.
	tr = stmt.NewTracker[int]()
	push(t, tr, &kinds{Kind: stmt.Describe, Space: stmt.Portals})
	if _, _, err := tr.Answer(wire.ParameterDescription, 0); !errors.Is(err, stmt.ErrDesync) {
		t.Error(err)
	}
}

// In the failed state nothing is failed any more once something has completed.
func TestFailedEndsWithACompletion(t *testing.T) {
	tr := stmt.NewTracker[int]()
	push(t, tr, &kinds{Kind: stmt.Query})
	answerWith(t, tr, wire.ErrorResponse, 0)
	answerWith(t, tr, wire.ReadyForQuery, 'E')
	if !tr.Failed() {
		t.Error("not failed")
	}
	push(t, tr, &kinds{Kind: stmt.Execute})
	push(t, tr, &kinds{Kind: stmt.Execute})
	answerWith(t, tr, wire.CommandComplete, 0)
	if tr.Failed() {
		t.Error("failed after the transaction's end")
	}
}

func push(t *testing.T, tr *stmt.Tracker[int], o *kinds) {
	t.Helper()
	if err := tr.Push(o); err != nil {
		t.Fatal(err)
	}
}

func answerWith(t *testing.T, tr *stmt.Tracker[int], typ, status byte) {
	t.Helper()
	if _, _, err := tr.Answer(typ, status); err != nil {
		t.Fatal(err)
	}
}
