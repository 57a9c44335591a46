package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/audit/internal/store"
)

// faulty is a disk that fails at the n-th call that changes something.
type faulty struct {
	sys.FS
	mu      sync.Mutex
	left    int   // calls until the failure; -1: none any more
	err     error // of the failing call
	short   bool  // the failing write writes half
	dead    bool  // every call after the failing one fails too
	failed  bool
	opened  []*faultyFile
	lastOps []string
}

func (f *faulty) fail(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed && f.dead {
		return f.err
	}
	if f.left < 0 {
		return nil
	}
	f.left--
	if f.left >= 0 {
		return nil
	}
	f.failed = true
	f.lastOps = append(f.lastOps, op)
	return f.err
}

func (f *faulty) OpenFile(name string, flag int, perm fs.FileMode) (sys.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := f.fail("open"); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	ff := &faultyFile{File: file, disk: f}
	f.mu.Lock()
	f.opened = append(f.opened, ff)
	f.mu.Unlock()
	return ff, nil
}

func (f *faulty) SyncDir(name string) error {
	if err := f.fail("syncdir"); err != nil {
		return err
	}
	return f.FS.SyncDir(name)
}

func (f *faulty) Remove(name string) error {
	if err := f.fail("remove"); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

type faultyFile struct {
	sys.File
	disk   *faulty
	synced int64
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.disk.fail("write"); err != nil {
		n := 0
		if f.disk.short {
			n, _ = f.File.Write(p[:len(p)/2])
		}
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) Sync() error {
	if err := f.disk.fail("sync"); err != nil {
		return err
	}
	if info, err := f.File.Stat(); err == nil {
		f.synced = info.Size()
	}
	return f.File.Sync()
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.disk.fail("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// powerCut drops what was not synced, but for the first keep bytes of it.
func (f *faulty) powerCut(t *testing.T, keep int64) {
	t.Helper()
	for _, file := range f.opened {
		info, err := os.Stat(file.Name())
		if err != nil || !strings.HasSuffix(file.Name(), ".seg") || file.synced == 0 || info.Size() <= file.synced+keep {
			continue
		}
		if err := os.Truncate(file.Name(), file.synced+keep); err != nil {
			t.Fatal(err)
		}
	}
}

// delivery sends 8 batches of two; each until it is acknowledged, tries times
// at most.
func delivery(s running, tries int) (acknowledged uint64) {
	for b := range uint64(8) {
		ok := false
		for range tries {
			if _, err := s.Append(context.Background(), batch("a", b*2+1, 2)); err == nil {
				ok = true
				break
			} else if !errors.Is(err, store.ErrUnavailable) {
				return acknowledged
			}
		}
		if !ok {
			return acknowledged
		}
		acknowledged = b*2 + 2
	}
	return acknowledged
}

const everything = "[a 1 a 2 a 3 a 4 a 5 a 6 a 7 a 8 a 9 a 10 a 11 a 12 a 13 a 14 a 15 a 16]"

// TestFault_F20_OneFailure: the disk fails once, at each call in turn. The
// failed batch is not acknowledged, the next try succeeds, and nothing is lost
// or doubled, in this life or the next.
func TestFault_F20_OneFailure(t *testing.T) {
	for _, fault := range []struct {
		name  string
		err   error
		short bool
	}{{"EIO", syscall.EIO, false}, {"ENOSPC after half a write", syscall.ENOSPC, true}} {
		calls := 0
		for n := 0; ; n++ {
			dir := t.TempDir()
			disk := &faulty{FS: newFast(), left: n, err: fault.err, short: fault.short}
			s := open(t, dir, disk, 500)
			if got := delivery(s, 3); got != 16 {
				t.Errorf("%s at call %d (%v): acknowledged up to %d", fault.name, n, disk.lastOps, got)
			}
			if got := fmt.Sprint(contents(t, s.Store)); got != everything {
				t.Errorf("%s at call %d (%v): %s", fault.name, n, disk.lastOps, got)
			}
			if p := verify(t, s.Store); len(p) > 0 {
				t.Errorf("%s at call %d (%v): %v", fault.name, n, disk.lastOps, p)
			}
			s.stop()
			again := open(t, dir, nil, 500)
			if got := fmt.Sprint(contents(t, again.Store)); got != everything {
				t.Errorf("%s at call %d (%v), reopened: %s", fault.name, n, disk.lastOps, got)
			}
			if p := again.Problems(); len(p) > 0 {
				t.Errorf("%s at call %d (%v), reopened: %v", fault.name, n, disk.lastOps, p)
			}
			again.stop()
			if !disk.failed {
				calls = n
				break
			}
		}
		if calls < 30 {
			t.Errorf("only %d calls were made to fail", calls)
		}
	}
}

// TestFault_F21_Crash: the process dies at each call in turn, or the power
// goes and takes what was not synced. What was acknowledged is there; after
// redelivery everything is there once, and nothing is reported.
func TestFault_F21_Crash(t *testing.T) {
	for _, short := range []bool{false, true} {
		for _, keep := range []int64{-1, 0, 1, 50, 100, 300} {
			for n := 0; ; n++ {
				dir := t.TempDir()
				disk := &faulty{FS: newFast(), left: n, err: syscall.EIO, short: short, dead: true}
				s := open(t, dir, disk, 500)
				acknowledged := delivery(s, 1)
				s.stop()
				if keep >= 0 {
					disk.powerCut(t, keep)
				}
				what := fmt.Sprintf("died at call %d (%v), short %v, keep %d", n, disk.lastOps, short, keep)
				again := open(t, dir, nil, 500)
				got := contents(t, again.Store)
				for q := uint64(1); q <= acknowledged; q++ {
					if uint64(len(got)) < q || got[q-1] != fmt.Sprintf("a %d", q) {
						t.Errorf("%s: acknowledged up to %d, there is %v", what, acknowledged, got)
						break
					}
				}
				delivery(again, 1)
				if got := fmt.Sprint(contents(t, again.Store)); got != everything {
					t.Errorf("%s: %s after redelivery", what, got)
				}
				if p := append(verify(t, again.Store), again.Problems()...); len(p) > 0 {
					t.Errorf("%s: %v", what, p)
				}
				again.stop()
				if !disk.failed {
					break
				}
			}
		}
	}
}

// A disk that stays broken is told of, and never acknowledged.
func TestFault_F20_DiskStaysBroken(t *testing.T) {
	dir := t.TempDir()
	disk := &faulty{FS: newFast(), left: 12, err: syscall.EIO, dead: true}
	s := open(t, dir, disk, 1<<20)
	acknowledged := delivery(s, 1)
	if acknowledged == 16 {
		t.Fatal("the disk did not break")
	}
	for range 3 {
		if _, err := s.Append(t.Context(), batch("a", acknowledged+1, 2)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
	if got := contents(t, s.Store); uint64(len(got)) != acknowledged {
		t.Errorf("acknowledged %d, readable %v", acknowledged, got)
	}
}
