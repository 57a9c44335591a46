package spool_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// wantAll waits until the audit service has every acknowledged event, and checks
// that it has each once, in order, and heard of no loss.
func wantAll(t *testing.T, in *ingest, acknowledged []string) {
	t.Helper()
	in.until(t, func() bool {
		have := in.ids()
		for _, name := range acknowledged {
			if have[name] == 0 {
				return false
			}
		}
		return true
	})
	for name, n := range in.ids() {
		if n != 1 {
			t.Errorf("event %s is there %d times", name, n)
		}
	}
	if !in.ordered() {
		t.Error("records arrived out of order")
	}
	if len(in.lost) != 0 {
		t.Errorf("losses were reported: %v", in.lost)
	}
}

// A failed write, at any write, short or not, costs the event it was for and no
// other: the next ones are taken, and everything that was acknowledged is
// shipped, by this process or by one that finds the files.
func TestFault_F20_WriteFails(t *testing.T) {
	for _, fault := range []struct {
		name  string
		taken func(size int) int
		err   error
	}{
		{"no space", func(int) int { return 0 }, syscall.ENOSPC},
		{"half written", func(size int) int { return size / 2 }, syscall.ENOSPC},
		{"short without an error", func(size int) int { return size - 1 }, nil},
		{"header alone", func(int) int { return 8 }, syscall.EIO},
	} {
		for at := 1; at <= 4; at++ {
			for length := 1; length <= 3; length++ {
				t.Run(fmt.Sprintf("%s at %d for %d", fault.name, at, length), func(t *testing.T) {
					dir := t.TempDir()
					fsys := &faults{FS: sys.OS().FS, onWrite: func(n, size int) (int, error) {
						if n >= at && n < at+length {
							return fault.taken(size), fault.err
						}
						return size, nil
					}}
					s := open(t, spool.Config{Dir: dir}, fsys)
					in := newIngest()
					in.down = true
					stop := running(t, s, in)
					var acknowledged []string
					for i := 1; i <= 8; i++ {
						name := fmt.Sprintf("event-%d", i)
						err := s.Append(event(name, 10))
						if broken := i >= at && i < at+length; broken != (err != nil) {
							t.Fatalf("event %d: %v", i, err)
						}
						if err == nil {
							acknowledged = append(acknowledged, name)
						}
					}
					// One process ships after a restart, and finds what failed writes left.
					again := newIngest()
					next := open(t, spool.Config{Dir: copyDir(t, dir)}, nil)
					stopNext := running(t, next, again)
					wantAll(t, again, acknowledged)
					stopNext()
					in.up()
					wantAll(t, in, acknowledged)
					stop()
				})
			}
		}
	}
}

// A sync that fails seals the segment; what waits for it fails, in strict mode
// always, and the next segment takes over.
func TestFault_F20_SyncFails(t *testing.T) {
	for at := 1; at <= 3; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			fsys := &faults{FS: sys.OS().FS, onSync: func(n int) error {
				if n == at {
					return syscall.EIO
				}
				return nil
			}}
			dir := t.TempDir()
			s := open(t, spool.Config{Dir: dir, Mode: spool.ModeStrict}, fsys)
			in := newIngest()
			stop := running(t, s, in)
			var acknowledged []string
			failed := 0
			for i := range 6 {
				name := fmt.Sprintf("event-%d", i)
				if err := s.Append(event(name, 10)); err != nil {
					failed++
					continue
				}
				acknowledged = append(acknowledged, name)
			}
			if failed != 1 {
				t.Errorf("%d events failed, want 1", failed)
			}
			wantAll(t, in, acknowledged)
			stop()
		})
	}
}

// A full spool refuses, and takes events again once it has been shipped, also
// when it may hold less than one segment.
func TestFullSpoolRecovers(t *testing.T) {
	for _, size := range []int64{2 << 10, 64 << 10, 20 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := open(t, spool.Config{Dir: t.TempDir(), MaxBytes: size}, nil)
			in := newIngest()
			in.down = true
			stop := running(t, s, in)
			var acknowledged []string
			payload := int(size / 64)
			fill := func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("event-%d", len(acknowledged))
					err := s.Append(event(name, payload))
					if errors.Is(err, spool.ErrFull) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					acknowledged = append(acknowledged, name)
				}
				if s.Bytes() > size {
					t.Errorf("the spool holds %d bytes of %d", s.Bytes(), size)
				}
			}
			fill()
			if len(acknowledged) < 10 {
				t.Fatalf("%d events fill the spool", len(acknowledged))
			}
			if err := s.Append(event("one more", payload)); !errors.Is(err, spool.ErrFull) {
				t.Fatalf("a full spool answers %v", err)
			}
			in.up()
			wantAll(t, in, acknowledged)
			// The last segment is deleted after its acknowledgement has been read; the
			// next event can be a moment early.
			n := len(acknowledged)
			for {
				err := s.Append(event("after", payload))
				if err == nil {
					break
				}
				if !errors.Is(err, spool.ErrFull) {
					t.Fatal(err)
				}
				if t.Context().Err() != nil {
					t.Fatal("the spool stays full")
				}
			}
			acknowledged = append(acknowledged[:n], "after")
			wantAll(t, in, acknowledged)
			stop()
		})
	}
}

// The directory, copied at any moment while events are written and shipped, is
// what a killed process leaves: whoever opens it ships everything that had been
// acknowledged, and the store has each event once.
func TestFault_F21_KilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	in := newIngest()
	s := open(t, spool.Config{Dir: dir}, nil)
	stop := running(t, s, in)
	var mu sync.Mutex
	var acknowledged []string
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("event-%d-%d", w, i)
				if err := s.Append(event(name, 200)); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, name)
				mu.Unlock()
			}
		})
	}
	for range 20 {
		mu.Lock()
		then := append([]string(nil), acknowledged...)
		mu.Unlock()
		// What was acknowledged before the copy is in the copy, or had been shipped.
		shipped := in.ids()
		copied := copyDir(t, dir)
		next := open(t, spool.Config{Dir: copied}, nil)
		store := newIngest()
		end := running(t, next, store)
		store.until(t, func() bool {
			have := store.ids()
			for _, name := range then {
				if have[name] == 0 && shipped[name] == 0 {
					return false
				}
			}
			return true
		})
		end()
		if !store.ordered() {
			t.Error("records arrived out of order")
		}
	}
	wg.Wait()
	wantAll(t, in, acknowledged)
	stop()
}

// The stream to audit breaks before batches and after them: the store ends up
// with each event once, and duplicates are on the wire alone.
func TestFault_F22_AcknowledgementsLost(t *testing.T) {
	in := newIngest()
	in.fault = func(batch int) (before, after bool) { return batch%3 == 1 && batch < 12, batch%3 == 2 && batch < 12 }
	s := open(t, spool.Config{Dir: t.TempDir()}, nil)
	stop := running(t, s, in)
	var acknowledged []string
	for i := range 50 {
		name := fmt.Sprintf("event-%d", i)
		if err := s.Append(event(name, 10)); err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, name)
	}
	wantAll(t, in, acknowledged)
	stop()
	if in.again == 0 {
		t.Error("no acknowledgement was lost: the test proves nothing")
	}
}

// A directory belongs to one process.
func TestOneProcessPerDirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Config{Dir: dir}, nil)
	if _, err := tryOpen(spool.Config{Dir: dir}, nil); err == nil {
		t.Fatal("the directory was taken twice")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(event("late", 1)); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("a closed spool answers %v", err)
	}
	open(t, spool.Config{Dir: dir}, nil)
}

// An event over the limit is refused, and leaves the spool in order.
func TestEventOverTheLimit(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir()}, nil)
	if err := s.Append(event("long", 1<<20)); err == nil {
		t.Fatal("taken")
	}
	in := newIngest()
	stop := running(t, s, in)
	if err := s.Append(event("short", 1)); err != nil {
		t.Fatal(err)
	}
	wantAll(t, in, []string{"short"})
	stop()
}

// What several processes left behind is shipped in the order they lived.
func TestLeftoversOfSeveralProcesses(t *testing.T) {
	dir := t.TempDir()
	var acknowledged []string
	for p := range 4 {
		s := open(t, spool.Config{Dir: dir}, nil)
		down := newIngest()
		down.down = true
		stop := running(t, s, down)
		for i := range 3 {
			name := fmt.Sprintf("event-%d-%d", p, i)
			if err := s.Append(event(name, 1)); err != nil {
				t.Fatal(err)
			}
			acknowledged = append(acknowledged, name)
		}
		stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, spool.Config{Dir: dir}, nil)
	in := newIngest()
	stop := running(t, s, in)
	wantAll(t, in, acknowledged)
	stop()
	for i, r := range in.order {
		if got := string(in.events[r].GetEventId()); got != acknowledged[i] {
			t.Fatalf("event %d is %s, want %s", i, got, acknowledged[i])
		}
	}
	if n := len(segments(t, dir)); n != 1 {
		t.Errorf("%d files are left, want the open one", n)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}
