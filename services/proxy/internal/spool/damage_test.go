package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// written makes a directory with one segment of n events and returns its file.
func written(t *testing.T, n int) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, spool.Config{Dir: dir}, nil)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	for i := 1; i <= n; i++ {
		if err := s.Append(event(fmt.Sprintf("event-%d", i), 5)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, segments(t, dir)[0]
}

// A segment damaged at any byte: records before the damage are shipped, what is
// behind it is reported as lost from the first number on, nothing damaged is
// shipped, and what another process writes comes through.
func TestDamagedSegments(t *testing.T) {
	const n = 4
	from, file := written(t, n)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damages := map[string]func(b []byte, at int) []byte{
		"flipped": func(b []byte, at int) []byte { b[at] ^= 0x20; return b },
		"cut":     func(b []byte, at int) []byte { return b[:at] },
		"zeroed":  func(b []byte, at int) []byte { clear(b[at:]); return b },
		"doubled": func(b []byte, at int) []byte { return append(b[:at:at], append(bytes.Clone(b[at:at+1]), b[at:]...)...) },
	}
	for name, damage := range damages {
		for at := 0; at < len(whole); at += 3 {
			dir := copyDir(t, from)
			damaged := damage(bytes.Clone(whole), at)
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, spool.Config{Dir: dir}, nil)
			in := newIngest()
			stop := running(t, s, in)
			if err := s.Append(event("after", 1)); err != nil {
				t.Fatal(err)
			}
			in.until(t, func() bool { return in.ids()["after"] == 1 })
			stop()
			perRecord := len(whole) / n
			same := 0
			for same < min(len(damaged), len(whole)) && damaged[same] == whole[same] {
				same++
			}
			intact := same / perRecord
			old := 0
			for r, ev := range in.events {
				if string(ev.GetEventId()) == "after" {
					continue
				}
				old++
				if want := fmt.Sprintf("event-%d", r.seq); string(ev.GetEventId()) != want || in.lost[r] {
					t.Errorf("%s at %d: record %d is %q, lost: %v", name, at, r.seq, ev.GetEventId(), in.lost[r])
				}
			}
			if old != intact {
				t.Errorf("%s at %d: %d records shipped, %d are intact", name, at, old, intact)
			}
			// A cut between records is what an orderly end looks like.
			if lost, want := len(in.lost), len(damaged) > intact*perRecord; (lost > 0) != want {
				t.Errorf("%s at %d: %d losses reported", name, at, lost)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// In mode strict Append returns when its record is on disk; in mode group it
// waits only while the oldest record that is not is older than 10 ms, however
// often a slow disk has just finished with older ones.
func TestModesOnASlowDisk(t *testing.T) {
	const disk = 40 * time.Millisecond
	for _, tc := range []struct {
		mode spool.Mode
		// waits says how long each of the appends, one a millisecond at the
		// earliest, may and must take.
		check func(t *testing.T, i int, since, took time.Duration)
	}{
		{spool.ModeStrict, func(t *testing.T, i int, _, took time.Duration) {
			if took < disk {
				t.Errorf("append %d returned after %v, before it was on disk", i, took)
			}
		}},
		{spool.ModeGroup, func(t *testing.T, i int, since, took time.Duration) {
			if since <= 10*time.Millisecond && took != 0 {
				t.Errorf("append %d, %v after the first, waited for %v", i, since, took)
			}
		}},
	} {
		t.Run(string(tc.mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type write struct{ at, durable time.Time }
				// A sync puts on disk what was written when it began.
				var mu sync.Mutex
				var records []write
				upTo := 0
				fsys := &faults{FS: sys.OS().FS}
				fsys.onWrite = func(_, size int) (int, error) {
					mu.Lock()
					defer mu.Unlock()
					records = append(records, write{at: time.Now()})
					return size, nil
				}
				fsys.onSync = func(int) error {
					mu.Lock()
					defer mu.Unlock()
					n := len(records)
					mu.Unlock()
					time.Sleep(disk)
					mu.Lock()
					for ; upTo < n; upTo++ {
						records[upTo].durable = time.Now()
					}
					return nil
				}
				s := open(t, spool.Config{Dir: t.TempDir(), Mode: tc.mode}, fsys)
				in := newIngest()
				in.down = true
				stop := running(t, s, in)
				began := time.Now()
				for i := range 30 {
					at := time.Now()
					if err := s.Append(event(fmt.Sprint(i), 1)); err != nil {
						t.Fatal(err)
					}
					tc.check(t, i, at.Sub(began), time.Since(at))
					// What the mode promises, seen from outside: nothing older than the
					// window is still at risk when Append returns.
					mu.Lock()
					for j, r := range records[:i+1] {
						risk := tc.mode == spool.ModeStrict || time.Since(r.at) > 10*time.Millisecond
						if risk && r.durable.IsZero() {
							t.Errorf("append %d returned while record %d, %v old, was not on disk", i, j, time.Since(r.at))
						}
					}
					mu.Unlock()
					time.Sleep(time.Millisecond)
				}
				stop()
				fsys.onSync = nil
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A spool that cannot be opened says so and holds nothing.
func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	for n, name := range []string{"lock", ".spool"} {
		fsys := &faults{FS: sys.OS().FS, onOpen: func(file string) error {
			if filepath.Base(file) == name || filepath.Ext(file) == name {
				return syscall.EACCES
			}
			return nil
		}}
		if _, err := tryOpen(spool.Config{Dir: dir}, fsys); !errors.Is(err, syscall.EACCES) {
			t.Errorf("%d: %v", n, err)
		}
	}
	open(t, spool.Config{Dir: dir}, nil)
}
