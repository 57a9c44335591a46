package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// victimOf names the directory of a process that is to be killed, victimAt the call at
// which and how: "12 half".
const (
	victimOf = "SCOPEWIRE_SPOOL_VICTIM"
	victimAt = "SCOPEWIRE_SPOOL_KILL"
)

// The writers of a victim, and how many events each appends.
const (
	victimWriters = 4
	victimEvents  = 500
)

// mortal is a file system whose process is killed at one of its calls, before it, after
// it, or with half of a write done.
type mortal struct {
	sys.FS
	at    int64
	how   string
	calls atomic.Int64
}

// die ends the process as kill -9 does.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// around counts a call, and makes it unless the process ends before.
func (m *mortal) around(call func() error) error {
	n := m.calls.Add(1)
	if n == m.at && m.how == "before" {
		die()
	}
	err := call()
	if n == m.at {
		die()
	}
	return err
}

func (m *mortal) OpenFile(name string, flag int, perm fs.FileMode) (f sys.File, err error) {
	if filepath.Base(name) == "lock" {
		// The lock needs the real file's descriptor.
		return m.FS.OpenFile(name, flag, perm)
	}
	err = m.around(func() error {
		f, err = m.FS.OpenFile(name, flag, perm)
		return err
	})
	return &mortalFile{File: f, m: m}, err
}

func (m *mortal) Remove(name string) error {
	return m.around(func() error { return m.FS.Remove(name) })
}

func (m *mortal) SyncDir(name string) error {
	return m.around(func() error { return m.FS.SyncDir(name) })
}

type mortalFile struct {
	sys.File
	m *mortal
}

func (f *mortalFile) Write(b []byte) (n int, err error) {
	err = f.m.around(func() error {
		if f.m.how == "half" && f.m.calls.Load() == f.m.at {
			b = b[:len(b)/2]
		}
		n, err = f.File.Write(b)
		return err
	})
	return n, err
}

func (f *mortalFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.m.around(func() error {
		n, err = f.File.ReadAt(b, off)
		return err
	})
	return n, err
}

func (f *mortalFile) Map(size int64) (m sys.Mapping, err error) {
	err = f.m.around(func() error {
		m, err = f.File.Map(size)
		return err
	})
	return &mortalMapping{Mapping: m, m: f.m}, err
}

type mortalMapping struct {
	sys.Mapping
	m *mortal
}

// WriteAt is a call, too, for whose half the head of a record is not there yet.
func (f *mortalMapping) WriteAt(b []byte, off int64) (n int, err error) {
	err = f.m.around(func() error {
		if f.m.how == "half" && f.m.calls.Load() == f.m.at {
			b, off = b[8:8+len(b)/2], off+8
		}
		n, err = f.Mapping.WriteAt(b, off)
		return err
	})
	return n, err
}

func (f *mortalFile) SyncData() error { return f.m.around(f.File.SyncData) }

func (f *mortalFile) Sync() error { return f.m.around(f.File.Sync) }

func (f *mortalFile) Close() error { return f.m.around(f.File.Close) }

func (f *mortalFile) Truncate(size int64) error {
	return f.m.around(func() error { return f.File.Truncate(size) })
}

func (f *mortalFile) Allocate(size int64) error {
	return f.m.around(func() error { return f.File.Allocate(size) })
}

// ledger is an audit service that keeps, in a file, what it has been sent before it
// acknowledges: a line a record. What write(2) has taken outlives the process.
type ledger struct{ out *os.File }

type ledgerStream struct {
	grpc.ClientStream
	*ledger
	acks chan uint64
	ctx  context.Context
}

func (l *ledger) Append(ctx context.Context, _ ...grpc.CallOption) (grpc.BidiStreamingClient[auditv1.AppendRequest, auditv1.AppendResponse], error) {
	return &ledgerStream{ledger: l, acks: make(chan uint64, 1), ctx: ctx}, nil
}

func (s *ledgerStream) Send(b *auditv1.AppendRequest) error {
	for i, raw := range b.GetRecords() {
		ev := &auditv1.Event{}
		if err := proto.Unmarshal(raw, ev); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.out, "%x %d %s\n", b.GetSpoolEpoch(), b.GetFirstSequence()+uint64(i), ev.GetEventId()); err != nil {
			return err
		}
	}
	for _, lost := range b.GetLost() {
		if _, err := fmt.Fprintf(s.out, "%x %d-%d lost\n", b.GetSpoolEpoch(), lost.GetFirst(), lost.GetLast()); err != nil {
			return err
		}
	}
	s.acks <- b.GetBatchId()
	return nil
}

func (s *ledgerStream) Recv() (*auditv1.AppendResponse, error) {
	select {
	case n := <-s.acks:
		return &auditv1.AppendResponse{BatchId: n}, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// victim writes events from several goroutines and ships them, until it is killed. What
// is done after an event was appended, as the server of a proxy would do it, is a line in
// a file. It returns the exit code.
func victim(dir string) int {
	m := &mortal{FS: sys.OS().FS}
	if _, err := fmt.Sscan(os.Getenv(victimAt), &m.at, &m.how); err != nil {
		return 2
	}
	files := make([]*os.File, 2)
	for i, name := range []string{"done", "ledger"} {
		var err error
		if files[i], err = os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return 2
		}
	}
	s, err := tryOpen(spool.Config{Dir: filepath.Join(dir, "spool"), MaxBytes: 256 << 10}, m)
	if err != nil {
		return 2
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run, write sync.WaitGroup
	run.Go(func() { _ = s.Run(ctx, &ledger{files[1]}) })
	var failed atomic.Bool
	events := victimEvents
	if m.at == 0 {
		// It is killed from outside.
		events = math.MaxInt
	}
	for w := range victimWriters {
		write.Go(func() {
			for i := range events {
				name := fmt.Sprintf("event-%d-%d", w, i)
				if err := s.Append(event(name, 300)); err != nil {
					failed.Store(!errors.Is(err, spool.ErrFull) || failed.Load())
					continue
				}
				if _, err := fmt.Fprintln(files[0], name); err != nil {
					failed.Store(true)
				}
				// Whoever kills at random counts these.
				_, _ = os.Stdout.Write([]byte{'.'})
			}
		})
	}
	write.Wait()
	cancel()
	run.Wait()
	if err := s.Close(); err != nil || failed.Load() {
		return 2
	}
	return 0
}

// linesOf returns the whole lines of a file. A process that is killed amid write(2) can
// leave part of one, across two pages: it had not gone on from there.
func linesOf(t *testing.T, name string) (lines []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(t, err)
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	for line := range strings.Lines(string(whole)) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// A process that is killed by SIGKILL at any of its calls upon the spool's files, amid
// writers and a shipper, has what it acted upon on record, once; what it was writing is
// there whole or not at all, half of a record being reported as lost. Every run takes some of the calls, the
// long one each of the first thousand and more.
func TestFault_F21_KilledAtEachCall(t *testing.T) {
	points := []int{1, 2, 3, 4, 5, 6, 7, 8, 17, 40, 77, 120, 203, 350, 411, 500, 620, 900, 1100}
	if nightly() {
		points = points[:0]
		for n := range 1100 {
			points = append(points, n+1)
		}
	}
	self, err := os.Executable()
	must(t, err)
	killed, acted := 0, 0
	for _, n := range points {
		for i, how := range []string{"before", "half", "after"} {
			if !nightly() && n > 8 && i != n%3 {
				continue
			}
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), victimOf+"="+dir, fmt.Sprintf("%s=%d %s", victimAt, n, how))
			err := cmd.Run()
			var exit *exec.ExitError
			switch {
			case err == nil:
				// It made fewer calls.
			case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL: //nolint:forcetypeassert // Unix.
				killed++
			default:
				t.Fatalf("call %d, %s: %v", n, how, err)
			}
			acted += checkVictim(t, dir, fmt.Sprintf("call %d, %s", n, how))
		}
	}
	// Those of the last calls may be over before.
	if want := len(points) * 9 / 10; killed < want || acted < want {
		t.Errorf("%d processes were killed, %d events acted upon", killed, acted)
	}
	t.Logf("%d processes killed, %d events acted upon", killed, acted)
}

// A process under load that is killed at any moment, be it between two instructions that
// write a record, has what it acted upon on record, once. The record it was writing is no
// loss; but where nothing is mapped half of it may be there, and is reported.
func TestFault_F21_KilledUnderLoad(t *testing.T) {
	kills := 10
	if nightly() {
		kills = 300
	}
	self, err := os.Executable()
	must(t, err)
	killed, acted := 0, 0
	for i := range kills {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), victimOf+"="+dir, victimAt+"=0 never")
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		// Spread over what a victim does, and not twice at the same event.
		_, _ = io.CopyN(io.Discard, out, int64(1+i*7919%10_000))
		must(t, cmd.Process.Kill())
		var exit *exec.ExitError
		if errors.As(cmd.Wait(), &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL { //nolint:forcetypeassert // Unix.
			killed++
		}
		what := fmt.Sprintf("kill %d", i)
		if os.Getenv(portable) != "" {
			what += ", maybe half of a record"
		}
		acted += checkVictim(t, dir, what)
	}
	if killed < kills || acted < kills {
		t.Errorf("%d of %d processes were killed", killed, kills)
	}
	t.Logf("%d processes killed, %d events acted upon", killed, acted)
}

// checkVictim ships what a victim has left, and holds what the audit service has then
// against what was acted upon, whose number it returns.
func checkVictim(t *testing.T, dir, what string) int {
	t.Helper()
	names, places := map[string]string{}, map[string]string{}
	enter := func(place, name string) {
		if have, ok := places[place]; ok && have != name {
			t.Errorf("%s: record %s is %s and %s", what, place, have, name)
		}
		if have, ok := names[name]; ok && have != place {
			t.Errorf("%s: %s is on record twice, as %s and %s", what, name, have, place)
		}
		places[place], names[name] = name, place
	}
	for _, line := range linesOf(t, filepath.Join(dir, "ledger")) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] == "lost" {
			t.Fatalf("%s: %q", what, line)
		}
		enter(f[0]+" "+f[1], f[2])
	}
	acted := linesOf(t, filepath.Join(dir, "done"))
	in := newIngest()
	s := open(t, spool.Config{Dir: filepath.Join(dir, "spool")}, nil)
	must(t, s.Append(event("the next process", 1)))
	stop := running(t, s, in)
	in.until(t, func() bool { return in.ids()["the next process"] > 0 })
	stop()
	must(t, s.Close())
	in.mu.Lock()
	defer in.mu.Unlock()
	for r, ev := range in.events {
		enter(fmt.Sprintf("%x %d", r.epoch, r.seq), string(ev.GetEventId()))
	}
	for _, name := range acted {
		if names[name] == "" {
			t.Errorf("%s: %s was acted upon and is not on record", what, name)
		}
	}
	for r := range in.lost {
		name, stored := places[fmt.Sprintf("%x %d", r.epoch, r.seq)]
		if !strings.Contains(what, "half") || len(in.lost) > 1 || stored {
			t.Errorf("%s: record %d, %q, is reported as lost", what, r.seq, name)
		}
	}
	return len(acted)
}
