package spool_test

import (
	"bytes"
	"encoding/hex"
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

// A segment damaged at any byte: records that are whole are shipped, before the damage
// and behind it, those that are not are reported as lost, nothing damaged is shipped,
// and what another process writes comes through.
func TestFault_F23_DamagedSegments(t *testing.T) {
	const n = 4
	from, file := written(t, n)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(filepath.Base(file)[:32])
	if err != nil {
		t.Fatal(err)
	}
	epoch := string(raw)
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
			// Which records are whole, and where the last of them ends.
			perRecord, end, last := len(whole)/n, 0, 0
			for i := range n {
				frame := whole[i*perRecord : (i+1)*perRecord]
				r := record{epoch, uint64(i + 1)}
				found := bytes.Index(damaged, frame)
				if found >= 0 {
					end, last = found+perRecord, i+1
				}
				if ev := in.events[r]; (ev != nil) != (found >= 0) || ev != nil && (in.lost[r] || string(ev.GetEventId()) != fmt.Sprintf("event-%d", i+1)) {
					t.Errorf("%s at %d: record %d whole: %v; arrived: %v, lost: %v", name, at, i+1, found >= 0, ev.GetEventId(), in.lost[r])
				}
			}
			for i := 1; i <= n; i++ {
				r := record{epoch, uint64(i)}
				// A cut between records is what an orderly end looks like; how many followed the
				// last that is whole cannot be known.
				want := in.events[r] == nil && (i < last || i == last+1 && len(damaged) > end)
				if in.lost[r] != want {
					t.Errorf("%s at %d: record %d lost: %v", name, at, i, in.lost[r])
				}
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
