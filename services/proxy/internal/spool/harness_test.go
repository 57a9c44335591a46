package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimOf); dir != "" {
		os.Exit(victim(dir))
	}
	goleak.VerifyTestMain(m)
}

// faults is a file system that fails where it is told to.
type faults struct {
	sys.FS

	mu sync.Mutex
	// writes counts writes so far; onWrite, asked with the number from 1 of each
	// write, says how many of its bytes are taken and the error that follows.
	writes  int
	onWrite func(n, size int) (int, error)
	syncs   int
	onSync  func(n int) error
	onOpen  func(name string) error
}

func (f *faults) OpenFile(name string, flag int, perm fs.FileMode) (sys.File, error) {
	f.mu.Lock()
	hook := f.onOpen
	f.mu.Unlock()
	if hook != nil {
		if err := hook(name); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if filepath.Base(name) == "lock" {
		// The lock needs the real file's descriptor.
		return file, nil
	}
	return &faultyFile{File: file, f: f}, nil
}

type faultyFile struct {
	sys.File
	f *faults
}

func (w *faultyFile) Write(b []byte) (int, error) {
	if at, err := w.Seek(0, io.SeekCurrent); err != nil || at > 0 && len(b) == 20 {
		// What makes a segment ready is no record.
		n, werr := w.File.Write(b)
		return n, errors.Join(err, werr)
	}
	return w.f.write(b, w.File.Write)
}

func (w *faultyFile) Map(size int64) (sys.Mapping, error) {
	m, err := w.File.Map(size)
	return &faultyMapping{Mapping: m, f: w.f}, err
}

type faultyMapping struct {
	sys.Mapping
	f *faults
}

func (m *faultyMapping) WriteAt(b []byte, off int64) (int, error) {
	return m.f.write(b, func(b []byte) (int, error) { return m.Mapping.WriteAt(b, off) })
}

// write makes a write, or so much of it as its hook says.
func (f *faults) write(b []byte, call func([]byte) (int, error)) (int, error) {
	f.mu.Lock()
	f.writes++
	n, hook := f.writes, f.onWrite
	f.mu.Unlock()
	if hook != nil {
		if taken, err := hook(n, len(b)); err != nil || taken < len(b) {
			if _, werr := call(b[:taken]); werr != nil {
				return 0, werr
			}
			return taken, err
		}
	}
	return call(b)
}

func (w *faultyFile) Sync() error { return w.sync(w.File.Sync) }

func (w *faultyFile) SyncData() error { return w.sync(w.File.SyncData) }

func (w *faultyFile) sync(call func() error) error {
	w.f.mu.Lock()
	w.f.syncs++
	n, hook := w.f.syncs, w.f.onSync
	w.f.mu.Unlock()
	if hook != nil {
		if err := hook(n); err != nil {
			return err
		}
	}
	return call()
}

// record is where an event came from.
type record struct {
	epoch string
	seq   uint64
}

// ingest is an audit service in memory: it drops what it has by epoch and
// sequence, as the contract says.
type ingest struct {
	mu      sync.Mutex
	events  map[record]*auditv1.Event
	order   []record
	lost    map[record]bool
	batches int
	again   int
	// fault, asked with each batch's number from 1, says whether the stream breaks
	// before the batch is taken or after, with its acknowledgement lost.
	fault func(batch int) (before, after bool)
	// down makes the service unreachable.
	down bool
	// mute makes it take batches and never say so.
	mute  bool
	moved chan struct{}
}

// up makes the service reachable.
func (in *ingest) up() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.down = false
}

func newIngest() *ingest {
	return &ingest{events: map[record]*auditv1.Event{}, lost: map[record]bool{}, moved: make(chan struct{}, 1)}
}

type ingestStream struct {
	grpc.ClientStream
	in   *ingest
	ctx  context.Context
	acks chan uint64
	end  chan struct{}
}

var errBroken = errors.New("stream broken by the test")

func (in *ingest) Append(ctx context.Context, _ ...grpc.CallOption) (grpc.BidiStreamingClient[auditv1.AppendRequest, auditv1.AppendResponse], error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.down {
		return nil, errBroken
	}
	return &ingestStream{in: in, ctx: ctx, acks: make(chan uint64, 1), end: make(chan struct{})}, nil
}

func (s *ingestStream) Send(b *auditv1.AppendRequest) error {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.in.batches++
	var before, after bool
	if s.in.fault != nil {
		before, after = s.in.fault(s.in.batches)
	}
	if before {
		close(s.end)
		return errBroken
	}
	epoch := string(b.GetSpoolEpoch())
	for _, r := range b.GetLost() {
		for seq := r.GetFirst(); seq <= r.GetLast(); seq++ {
			s.in.lost[record{epoch, seq}] = true
		}
	}
	for i, raw := range b.GetRecords() {
		key := record{epoch, b.GetFirstSequence() + uint64(i)}
		if _, have := s.in.events[key]; have {
			s.in.again++
			continue
		}
		ev := &auditv1.Event{}
		if err := proto.Unmarshal(raw, ev); err != nil {
			return fmt.Errorf("a record does not decode: %w", err)
		}
		if ev.GetOrigin().GetSequence() != key.seq || string(ev.GetOrigin().GetSpoolEpoch()) != epoch {
			return fmt.Errorf("record %d says it is %d", key.seq, ev.GetOrigin().GetSequence())
		}
		s.in.events[key] = ev
		s.in.order = append(s.in.order, key)
	}
	if after {
		close(s.end)
		return nil
	}
	select {
	case s.in.moved <- struct{}{}:
	default:
	}
	if s.in.mute {
		return nil
	}
	s.acks <- b.GetBatchId()
	return nil
}

func (s *ingestStream) Recv() (*auditv1.AppendResponse, error) {
	select {
	case id := <-s.acks:
		return &auditv1.AppendResponse{BatchId: id}, nil
	case <-s.end:
		return nil, errBroken
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// has reports whether an event has arrived, by its id.
func (in *ingest) ids() map[string]int {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := map[string]int{}
	for _, ev := range in.events {
		out[string(ev.GetEventId())]++
	}
	return out
}

// ordered reports whether records of one epoch arrived in their order.
func (in *ingest) ordered() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	last := map[string]uint64{}
	for _, r := range in.order {
		if r.seq <= last[r.epoch] {
			return false
		}
		last[r.epoch] = r.seq
	}
	return true
}

func system(fsys sys.FS) sys.System {
	s := sys.OS()
	if fsys != nil {
		s.FS = fsys
	}
	if os.Getenv(portable) != "" {
		s.FS = unmapped{s.FS}
	}
	return s
}

func open(t *testing.T, cfg spool.Config, fsys sys.FS) *spool.Spool {
	t.Helper()
	s, err := tryOpen(cfg, fsys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func tryOpen(cfg spool.Config, fsys sys.FS) (*spool.Spool, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 30
	}
	if cfg.Mode == "" {
		cfg.Mode = spool.ModeGroup
	}
	cfg.Instance = "proxy-1"
	return spool.Open(cfg, spool.Deps{System: system(fsys), Logger: slog.New(slog.DiscardHandler)})
}

// event is the event with a name for an id and some weight.
func event(name string, size int) *auditv1.Event {
	return &auditv1.Event{EventId: []byte(name), ReasonDetail: strings.Repeat("x", size)}
}

// running ships until the test, or stop, ends it.
func running(t *testing.T, s *spool.Spool, in auditv1.AuditIngestServiceClient) (stop func()) {
	t.Helper()
	stop = run(s, in)
	t.Cleanup(stop)
	return stop
}

// run ships until stop is called.
func run(s *spool.Spool, in auditv1.AuditIngestServiceClient) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx, in)
	}()
	return func() {
		cancel()
		<-done
	}
}

// until waits for ok, asked whenever the audit service has taken a batch.
func (in *ingest) until(t *testing.T, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-in.moved:
		case <-t.Context().Done():
			t.Fatal("the audit service never got what it should")
		}
	}
}

// copyDir is what another process finds after this one was killed: what write(2)
// has taken is in the page cache.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.spool"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}
