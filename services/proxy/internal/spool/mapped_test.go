package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// portable, in the environment, has all tests run where nothing can be mapped.
const portable = "SCOPEWIRE_SPOOL_PORTABLE"

// unmapped is a file system that allocates no room and maps nothing.
type unmapped struct{ sys.FS }

func (u unmapped) OpenFile(name string, flag int, perm fs.FileMode) (sys.File, error) {
	f, err := u.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if _, ok := f.(interface {
		SyscallConn() (syscall.RawConn, error)
	}); ok && !isSegment(name) {
		// The lock needs the real file's descriptor.
		return f, nil
	}
	return unmappedFile{f}, nil
}

func isSegment(name string) bool { return bytes.HasSuffix([]byte(name), []byte(".spool")) }

type unmappedFile struct{ sys.File }

func (unmappedFile) Map(int64) (sys.Mapping, error) { return nil, errors.ErrUnsupported }

// Everything holds where segments are written with write(2), too.
func TestWithoutMapping(t *testing.T) {
	if os.Getenv(portable) != "" {
		return
	}
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run", "^Test", "-test.v", "-test.timeout", "4m")
	cmd.Env = append(os.Environ(), portable+"=yes", "SCOPEWIRE_NIGHTLY=")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Count(out, []byte("--- PASS: Test")) < 20 {
		var failed bytes.Buffer
		for line := range bytes.Lines(out) {
			if !bytes.Contains(line, []byte("--- PASS")) && !bytes.Contains(line, []byte("=== RUN")) {
				failed.Write(line)
			}
		}
		t.Errorf("%v\n%s", err, failed.Bytes())
	}
}

// Recording costs no memory of its own.
func TestAppendAllocatesNothing(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir()}, nil)
	in := newIngest()
	in.down = true
	running(t, s, in)
	intent, outcome := event("0123456789abcdef", 350), &auditv1.Event{Follows: []byte("0123456789abcdef")}
	if n := testing.AllocsPerRun(1000, func() {
		room, err := s.AppendIntent(intent, false)
		must(t, err)
		must(t, s.AppendAfter(outcome, room))
	}); n >= 1 {
		t.Errorf("%v allocations a statement", n)
	}
	if intent.GetOrigin() != nil {
		t.Error("an event keeps what belongs to the spool")
	}
}

// What a killed process leaves has room that it took and did not write to. It is given back
// at the next start, counts for nothing, and is no loss; every byte of what was written
// is there.
func TestFault_F21_UnwrittenRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, spool.Config{Dir: dir}, nil)
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprintf("event-%d", i))
		must(t, s.AppendAfter(event(names[i], 100), 0))
	}
	held := s.Bytes()
	left := copyDir(t, dir)
	info, err := os.Stat(segments(t, left)[0])
	must(t, err)
	if os.Getenv(portable) == "" && info.Size() < 1<<20 {
		t.Fatalf("a segment of %d bytes has no room: this shows nothing", info.Size())
	}
	next := open(t, spool.Config{Dir: left}, nil)
	if next.Bytes() != held {
		t.Errorf("%d bytes are held, %d were written", next.Bytes(), held)
	}
	in := newIngest()
	stop := running(t, next, in)
	wantAll(t, in, names)
	stop()
}

// A file that is cut while it is written ends neither the process nor the records to
// come: it is noticed, and what was in it is reported as lost. In mode strict nothing counts as
// recorded there.
func TestFault_F24_SegmentCut(t *testing.T) {
	for _, mode := range []spool.Mode{spool.ModeGroup, spool.ModeStrict} {
		// Of the last, records to come are in the page that is left.
		for _, to := range []int64{0, 50, 5000, -10} {
			t.Run(fmt.Sprintf("%s to %d", mode, to), func(t *testing.T) {
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) { segmentCut(t, dir, mode, to) })
			})
		}
	}
}

func segmentCut(t *testing.T, dir string, mode spool.Mode, to int64) {
	s, err := tryOpen(spool.Config{Dir: dir, Mode: mode}, nil)
	must(t, err)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	for i := range 20 {
		must(t, s.Append(event(fmt.Sprintf("before-%d", i), 1000)))
	}
	synctest.Wait()
	if to < 0 {
		to += s.Bytes()
	}
	must(t, os.Truncate(segments(t, dir)[0], to))
	// The last page of what is left takes records that nobody finds again.
	var refused error
	for i := 0; i < 20 && refused == nil; i++ {
		refused = s.Append(event(fmt.Sprintf("amid-%d", i), 1000))
		if mode == spool.ModeStrict && refused == nil {
			t.Fatal("an event was recorded in a file that was cut")
		}
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	must(t, s.Append(event("after", 10)))
	in.up()
	time.Sleep(10 * time.Second)
	synctest.Wait()
	if in.ids()["after"] != 1 {
		t.Error("what came after did not arrive")
	}
	// Of one epoch, what arrived and what was lost leave no hole.
	last := uint64(0)
	for r := range in.events {
		last = max(last, r.seq)
	}
	for seq := uint64(1); seq <= last; seq++ {
		r := record{string(epochOf(s)), seq}
		if in.events[r] == nil && !in.lost[r] {
			t.Errorf("record %d of %d neither arrived nor was reported", seq, last)
		}
	}
	if len(in.lost) == 0 {
		t.Error("nothing is reported as lost")
	}
	stop()
	must(t, s.Close())
}

func epochOf(s *spool.Spool) []byte { e := s.Epoch(); return e[:] }

// A segment begins without waiting for the disk that the one before it is put on. When
// that fails, those who wait for it are refused, and nobody else.
func TestFault_F20_SyncFailsBehindARotation(t *testing.T) {
	for _, verdict := range []error{nil, syscall.EIO} {
		entered, answer, released := make(chan struct{}), make(chan error), make(chan struct{})
		fsys := &faults{FS: sys.OS().FS, onSync: func(n int) error {
			if n > 1 {
				// Whoever wrote would be stuck here.
				<-released
				return nil
			}
			close(entered)
			return <-answer
		}}
		dir := t.TempDir()
		s := open(t, spool.Config{Dir: dir, Mode: spool.ModeStrict, MaxBytes: 128 << 10}, fsys)
		in := newIngest()
		in.down = true
		stop := running(t, s, in)
		waits := make(chan error)
		go func() { waits <- s.Append(event("waits", 10)) }()
		<-entered
		var names []string
		for i := range 80 {
			names = append(names, fmt.Sprintf("event-%d", i))
			must(t, s.AppendAfter(event(names[i], 1000), 0))
		}
		if n := len(segments(t, dir)); n < 3 {
			t.Fatalf("%d segments: this shows nothing", n)
		}
		close(released)
		answer <- verdict
		if err := <-waits; !errors.Is(err, verdict) {
			t.Errorf("a sync that says %v: %v", verdict, err)
		}
		must(t, s.Append(event("later", 10)))
		in.up()
		wantAll(t, in, append(names, "later"))
		stop()
		fsys.onSync = nil
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
