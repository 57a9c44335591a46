package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/audit/internal/chain"
	"github.com/scopewire/scopewire/services/audit/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var spool = [16]byte{1}

// running is a store that runs.
type running struct {
	*store.Store
	stop func()
}

// open opens and runs the store in dir until the test ends or stop is called.
func open(t testing.TB, dir string, fsys sys.FS, segment int64) running {
	t.Helper()
	machine := sys.OS()
	if fsys == nil {
		fsys = newFast()
	}
	s, err := store.Open(store.Config{Directory: dir, SegmentBytes: segment}, store.Deps{Clock: machine.Clock, Rand: machine.Rand, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop := func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(stop)
	return running{s, stop}
}

// eventID is the id of a spool's record in these tests.
func eventID(instance string, sequence uint64) (id [16]byte) {
	copy(id[:], fmt.Sprintf("%s/%d----------------", instance, sequence))
	return id
}

func items(instance string, first, n uint64) (out []store.Item) {
	for i := range n {
		id := eventID(instance, first+i)
		out = append(out, store.Item{EventID: id, Payload: []byte(fmt.Sprintf("%s event %d", instance, first+i))})
	}
	return out
}

func batch(instance string, first, n uint64) store.Batch {
	return store.Batch{Instance: instance, Epoch: spool, First: first, Items: items(instance, first, n)}
}

func put(t testing.TB, s running, b store.Batch) store.Result {
	t.Helper()
	r, err := s.Append(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents lists the store, oldest first: "a 3" for an event, "a gap 1-2",
// "a damaged 4".
func contents(t testing.TB, s *store.Store) (out []string) {
	t.Helper()
	_, err := s.Forward(context.Background(), 0, func(f *chain.Frame) error {
		switch f.Kind {
		case chain.Gap:
			out = append(out, fmt.Sprintf("%s gap %d-%d", f.Instance, f.First, f.Last))
		case chain.Damaged:
			out = append(out, fmt.Sprintf("%s damaged %d", f.Instance, f.First))
		default:
			out = append(out, fmt.Sprintf("%s %d", f.Instance, f.First))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var back []string
	err = s.Backward(context.Background(), 1<<63, func(f *chain.Frame) bool {
		back = append(back, fmt.Sprint(f.Sequence))
		return true
	})
	if err != nil || len(back) != len(out) {
		t.Errorf("backward sees %d of %d records, %v", len(back), len(out), err)
	}
	return out
}

func verify(t testing.TB, s *store.Store) []string {
	t.Helper()
	problems, _, err := s.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func TestDeliveries(t *testing.T) {
	damaged := batch("a", 1, 3)
	damaged.Items[1].Damage = "it does not decode"
	withLost := func(b store.Batch, lost ...store.Span) store.Batch { b.Lost = lost; return b }
	for name, c := range map[string]struct {
		batches []store.Batch
		want    []string
		durable uint64 // after the last one
	}{
		"in order":         {[]store.Batch{batch("a", 1, 2), batch("a", 3, 1)}, []string{"a 1", "a 2", "a 3"}, 3},
		"twice":            {[]store.Batch{batch("a", 1, 2), batch("a", 1, 2)}, []string{"a 1", "a 2"}, 2},
		"overlap":          {[]store.Batch{batch("a", 1, 3), batch("a", 2, 3)}, []string{"a 1", "a 2", "a 3", "a 4"}, 4},
		"older again":      {[]store.Batch{batch("a", 1, 3), batch("a", 1, 1)}, []string{"a 1", "a 2", "a 3"}, 3},
		"hole":             {[]store.Batch{batch("a", 1, 1), batch("a", 4, 1)}, []string{"a 1", "a gap 2-3", "a 4"}, 4},
		"hole twice":       {[]store.Batch{batch("a", 4, 1), batch("a", 4, 1)}, []string{"a gap 1-3", "a 4"}, 4},
		"hole filled":      {[]store.Batch{batch("a", 5, 1), batch("a", 2, 2), batch("a", 1, 5)}, []string{"a gap 1-4", "a 5", "a 2", "a 3", "a 1", "a 4"}, 5},
		"lost":             {[]store.Batch{batch("a", 1, 1), withLost(batch("a", 4, 1), store.Span{First: 2, Last: 3})}, []string{"a 1", "a gap 2-3", "a 4"}, 4},
		"lost in part":     {[]store.Batch{batch("a", 1, 2), withLost(batch("a", 7, 1), store.Span{First: 2, Last: 3}, store.Span{First: 5, Last: 5})}, []string{"a 1", "a 2", "a gap 3-3", "a gap 4-4", "a gap 5-5", "a gap 6-6", "a 7"}, 7},
		"lost alone":       {[]store.Batch{{Instance: "a", Epoch: spool, Lost: []store.Span{{First: 1, Last: 9}}}}, []string{"a gap 1-9"}, 9},
		"lost alone twice": {[]store.Batch{{Instance: "a", Epoch: spool, Lost: []store.Span{{First: 1, Last: 9}}}, {Instance: "a", Epoch: spool, Lost: []store.Span{{First: 1, Last: 9}}}}, []string{"a gap 1-9"}, 9},
		"lost twice":       {[]store.Batch{withLost(batch("a", 4, 1), store.Span{First: 1, Last: 3}), withLost(batch("a", 4, 2), store.Span{First: 1, Last: 3})}, []string{"a gap 1-3", "a 4", "a 5"}, 5},
		"lost was stored":  {[]store.Batch{batch("a", 1, 3), withLost(batch("a", 4, 1), store.Span{First: 2, Last: 3})}, []string{"a 1", "a 2", "a 3", "a 4"}, 4},
		"damaged":          {[]store.Batch{damaged, damaged}, []string{"a 1", "a damaged 2", "a gap 2-2", "a 3"}, 3},
		"two instances":    {[]store.Batch{batch("a", 1, 1), batch("b", 1, 1)}, []string{"a 1", "b 1"}, 1},
		"nothing":          {[]store.Batch{{Instance: "a", Epoch: spool}}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			// Both in one life and with a restart after each batch.
			s := open(t, dir, nil, 1<<20)
			again := t.TempDir()
			for i, b := range c.batches {
				r := put(t, s, b)
				each := open(t, again, nil, 1<<20)
				restarted := put(t, each, b)
				each.stop()
				if r != restarted {
					t.Errorf("batch %d: %+v, and with restarts %+v", i, r, restarted)
				}
				if i == len(c.batches)-1 && r.Durable != c.durable {
					t.Errorf("durable %d, want %d", r.Durable, c.durable)
				}
			}
			if diff := cmp.Diff(c.want, contents(t, s.Store)); diff != "" {
				t.Error(diff)
			}
			each := open(t, again, nil, 1<<20)
			if diff := cmp.Diff(c.want, contents(t, each.Store)); diff != "" {
				t.Error("with restarts: " + diff)
			}
			for _, s := range []running{s, each} {
				if p := append(verify(t, s.Store), s.Problems()...); len(p) > 0 {
					t.Error(p)
				}
			}
		})
	}
}

func TestGapEventSaysWhich(t *testing.T) {
	s := open(t, t.TempDir(), nil, 1<<20)
	put(t, s, batch("a", 6, 1))
	var gap auditv1.Event
	_, err := s.Forward(t.Context(), 0, func(f *chain.Frame) error {
		if f.Kind != chain.Gap {
			return nil
		}
		if got, err := s.Get(f.EventID); err != nil || got.Sequence != f.Sequence {
			t.Errorf("the gap event cannot be had by its id: %v", err)
		}
		return proto.Unmarshal(f.Payload, &gap)
	})
	if err != nil || gap.Type != auditv1.EventType_EVENT_TYPE_GAP || gap.Origin.Instance != "a" || gap.Origin.Sequence != 1 ||
		gap.ReasonDetail != "records 1 to 5 of the spool are missing, and the spool does not say why" {
		t.Errorf("%v, %v", &gap, err)
	}
}

func TestInvalidBatches(t *testing.T) {
	s := open(t, t.TempDir(), nil, 1<<20)
	lost := func(spans ...store.Span) store.Batch { b := batch("a", 10, 1); b.Lost = spans; return b }
	for name, b := range map[string]store.Batch{
		"no instance":  {Epoch: spool, First: 1, Items: items("a", 1, 1)},
		"not UTF-8":    {Instance: "\xff", Epoch: spool, First: 1, Items: items("a", 1, 1)},
		"no epoch":     {Instance: "a", First: 1, Items: items("a", 1, 1)},
		"sequence 0":   {Instance: "a", Epoch: spool, Items: items("a", 1, 1)},
		"wraps":        {Instance: "a", Epoch: spool, First: 1<<64 - 1, Items: items("a", 1, 2)},
		"too far":      {Instance: "a", Epoch: spool, First: 1 << 62, Items: items("a", 1, 1)},
		"too large":    {Instance: "a", Epoch: spool, First: 1, Items: []store.Item{{Payload: make([]byte, 1<<20+1)}}},
		"lost 0":       lost(store.Span{First: 0, Last: 1}),
		"lost back":    lost(store.Span{First: 3, Last: 2}),
		"lost overlap": lost(store.Span{First: 1, Last: 3}, store.Span{First: 3, Last: 4}),
		"lost beyond":  lost(store.Span{First: 9, Last: 10}),
	} {
		if _, err := s.Append(t.Context(), b); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := contents(t, s.Store); got != nil {
		t.Error(got)
	}
}

func TestFirstEventKeepsItsID(t *testing.T) {
	s := open(t, t.TempDir(), nil, 1<<20)
	put(t, s, batch("a", 1, 1))
	forged := batch("b", 1, 1)
	forged.Items[0].EventID = eventID("a", 1)
	put(t, s, forged)
	f, err := s.Get(eventID("a", 1))
	if err != nil || f.Instance != "a" {
		t.Errorf("%v, %v", f.Instance, err)
	}
	if _, err := s.Get(eventID("c", 1)); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// TestFault_F22_ExactlyOnce: whatever is sent, however often, in whatever
// overlap, with restarts in between: each sequence is stored at most once, all
// that was acknowledged is there, and every sequence below is either stored or
// in a gap.
func TestFault_F22_ExactlyOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "audit")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		segment := rapid.SampledFrom([]int64{1, 2000, 1 << 20}).Draw(r, "segment")
		s := open(t, dir, nil, segment)
		sent, durable := map[uint64]bool{}, uint64(0)
		for range rapid.IntRange(1, 12).Draw(r, "batches") {
			if rapid.IntRange(0, 3).Draw(r, "restart") == 0 {
				s.stop()
				s = open(t, dir, nil, segment)
			}
			first := rapid.Uint64Range(1, 30).Draw(r, "first")
			n := rapid.Uint64Range(0, 6).Draw(r, "n")
			got := put(t, s, batch("a", first, n)).Durable
			for i := range n {
				sent[first+i] = true
			}
			if got < durable || n > 0 && got < first+n-1 {
				t.Fatalf("durable went from %d to %d after %d+%d", durable, got, first, n)
			}
			durable = got
		}
		stored, missing := map[uint64]int{}, map[uint64]bool{}
		if _, err := s.Forward(context.Background(), 0, func(f *chain.Frame) error {
			for q := f.First; q <= f.Last; q++ {
				if f.Kind == chain.Gap {
					missing[q] = true
				} else {
					stored[q]++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for q := uint64(1); q <= durable; q++ {
			if stored[q] > 1 || sent[q] != (stored[q] == 1) || stored[q] == 0 && !missing[q] {
				t.Fatalf("sequence %d: sent %v, stored %d times, gap %v", q, sent[q], stored[q], missing[q])
			}
		}
		if p := verify(t, s.Store); len(p) > 0 {
			t.Fatal(p)
		}
		s.stop()
	})
}

func TestConcurrentStreams(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil, 4000)
	const streams, batches, each = 8, 20, 5
	var wg sync.WaitGroup
	for n := range streams {
		instance := fmt.Sprintf("p%d", n)
		// Two streams of the same spool, as after a reconnect.
		for range 2 {
			wg.Go(func() {
				for b := range uint64(batches) {
					if _, err := s.Append(context.Background(), batch(instance, b*each+1, each)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	tail := make(chan int, 1)
	go func() {
		seen, after := 0, uint64(0)
		for seen < streams*batches*each {
			if err := s.Wait(context.Background(), after); err != nil {
				t.Error(err)
				break
			}
			var err error
			if after, err = s.Forward(context.Background(), after, func(*chain.Frame) error { seen++; return nil }); err != nil {
				t.Error(err)
				break
			}
		}
		tail <- seen
	}()
	for range 5 {
		if p := verify(t, s.Store); len(p) > 0 {
			t.Error("while writing:", p)
		}
	}
	wg.Wait()
	if n := <-tail; n != streams*batches*each {
		t.Errorf("the tail saw %d events", n)
	}
	s.stop()
	s = open(t, dir, nil, 4000)
	if got := contents(t, s.Store); len(got) != streams*batches*each {
		t.Errorf("%d records", len(got))
	}
	for n := range streams {
		for q := range uint64(batches * each) {
			if _, err := s.Get(eventID(fmt.Sprintf("p%d", n), q+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p := append(verify(t, s.Store), s.Problems()...); len(p) > 0 {
		t.Error(p)
	}
}

func TestStopped(t *testing.T) {
	s := open(t, t.TempDir(), nil, 1<<20)
	s.stop()
	if _, err := s.Append(t.Context(), batch("a", 1, 1)); !errors.Is(err, store.ErrStopped) {
		t.Error(err)
	}
	if err := s.Wait(t.Context(), 0); !errors.Is(err, store.ErrStopped) {
		t.Error(err)
	}
}

// segments lists the segment files of dir.
func segments(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func readAll(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = b
	}
	return out
}

func writeAll(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name := range readAll(t, dir) {
		if _, ok := files[name]; !ok {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesAreTheOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s := open(t, dir, nil, 1<<20)
	put(t, s, batch("a", 1, 1))
	for _, name := range append(segments(t, dir), filepath.Join(dir, "head"), dir) {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if got := segments(t, dir); len(got) != 1 || !strings.HasSuffix(got[0], "00000000000000000001.seg") {
		t.Error(got)
	}
}
