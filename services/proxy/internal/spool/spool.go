// Package spool keeps audit events in files until the audit service has them.
//
// An event is in a file before what it is about happens: an intent before the
// statement is forwarded, a denial before the client hears of it. Append returns
// once write(2) has taken the record, so a killed proxy loses nothing; in mode
// `group` it also waits while the oldest record that is not on disk is older
// than 10 ms, in mode `strict` until this record is. Ship sends what is there to
// the audit service and deletes a segment once all of it is durable there.
//
// A spool belongs to one process. Every start begins a new spool epoch, numbered
// from 1; segments that an earlier process left behind are shipped first, under
// their own epoch, and the store drops what it already has. A segment that cannot
// be written or synced is sealed and never written again. When neither it nor a
// new one takes a record, or the spool holds as much as it may, Append fails, and
// its caller refuses the statement.
package spool

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/filelock"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/sys"
)

// Mode says when Append returns.
type Mode string

// The modes.
const (
	// ModeGroup loses nothing when the process dies, and at most 10 ms of records
	// when the machine does.
	ModeGroup Mode = "group"
	// ModeStrict loses nothing in either case.
	ModeStrict Mode = "strict"
)

const (
	// groupWindow is the age of the oldest record not on disk beyond which
	// forwarding waits.
	groupWindow = 10 * time.Millisecond
	// segmentSize is where a segment is closed and the next one begun.
	segmentSize = 8 << 20
	// maxRecord bounds one record: the audit service's own limit.
	maxRecord = 1 << 20
	// recordHeader is a length and a CRC-32C, big-endian.
	recordHeader = 8
	suffix       = ".spool"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// ErrFull is returned while the spool holds as much as it may.
	ErrFull = errors.New("the audit spool is full")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the audit spool is closed")
)

// Config says where a spool is and how much it may hold.
type Config struct {
	// Dir is the spool's own directory; it is made when it is not there.
	Dir string
	// Instance names the proxy in every event.
	Instance string
	// MaxBytes is the most the files may hold together.
	MaxBytes int64
	// Mode says when Append returns.
	Mode Mode
}

// Deps are what a spool works with.
type Deps struct {
	System sys.System
	Logger *slog.Logger
}

// Spool is an open spool. Safe for concurrent use.
type Spool struct {
	cfg  Config
	sys  sys.System
	log  *slog.Logger
	lock sys.File

	mu    sync.Mutex
	epoch [16]byte
	seq   uint64
	// file is the segment being written, nil when the last one was sealed.
	file     sys.File
	segments []*segment
	bytes    int64
	// delivered is the last of this process's records that is durable at the
	// audit service.
	delivered uint64
	closed    bool
	buf       []byte
	// written counts records written, synced those on disk, and syncing those that
	// the sync under way puts there; oldest and behind are when the first record
	// after synced and after syncing was written. cond is signalled when synced
	// moves or a segment is sealed.
	written, synced, syncing uint64
	oldest, behind           time.Time
	cond                     *sync.Cond
	// dirty wakes the syncer, more wakes the shipper. Both hold one token.
	dirty, more chan struct{}
}

// segment is one file.
type segment struct {
	path  string
	epoch [16]byte
	first uint64
	// size is how much of it holds whole records, as far as is known.
	size int64
	// sealed means that nothing more will be written.
	sealed bool
	// shipped is how much of it the audit service has made durable, and
	// shippedRecords how many records that is; damaged says that the rest was
	// reported as lost.
	shipped        int64
	shippedRecords uint64
	damaged        bool
}

// Open takes the directory and finds what an earlier process left in it. It
// fails when another process holds the directory.
func Open(cfg Config, deps Deps) (*Spool, error) {
	s := &Spool{cfg: cfg, sys: deps.System, log: deps.Logger,
		dirty: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	s.cond = sync.NewCond(&s.mu)
	if err := s.sys.FS.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool directory: %w", err)
	}
	var err error
	if s.lock, err = filelock.Take(s.sys.FS, filepath.Join(cfg.Dir, "lock")); err != nil {
		return nil, err
	}
	if err := s.findSegments(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	// Sorted by time, so that leftovers are found in the order they were written.
	s.epoch = id.New(s.sys.Clock, s.sys.Rand)
	if err := s.openSegment(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.more <- struct{}{}
	return s, nil
}

// findSegments lists the segments of earlier processes, in order.
func (s *Spool) findSegments() error {
	entries, err := s.sys.FS.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("read spool directory: %w", err)
	}
	for _, e := range entries {
		epoch, first, ok := parseName(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("read spool directory: %w", err)
		}
		s.segments = append(s.segments, &segment{path: filepath.Join(s.cfg.Dir, e.Name()), epoch: epoch,
			first: first, size: info.Size(), sealed: true})
		s.bytes += info.Size()
	}
	return nil
}

func segmentName(epoch [16]byte, first uint64) string {
	return fmt.Sprintf("%s-%016x%s", hex.EncodeToString(epoch[:]), first, suffix)
}

func parseName(name string) (epoch [16]byte, first uint64, ok bool) {
	if len(name) != 32+1+16+len(suffix) || filepath.Ext(name) != suffix {
		return epoch, 0, false
	}
	e, err1 := hex.DecodeString(name[:32])
	f, err2 := hex.DecodeString(name[33:49])
	if err1 != nil || err2 != nil {
		return epoch, 0, false
	}
	copy(epoch[:], e)
	return epoch, binary.BigEndian.Uint64(f), true
}

// openSegment begins a new segment. Called with mu held, or before the spool is
// shared.
func (s *Spool) openSegment() error {
	path := filepath.Join(s.cfg.Dir, segmentName(s.epoch, s.seq+1))
	last := len(s.segments) - 1
	again := last >= 0 && s.segments[last].path == path
	if again {
		// The last segment was sealed before it took a record. What may be in it is
		// half of one, and the next segment has the same name.
		if err := s.sys.FS.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("begin spool segment: %w", err)
		}
	}
	f, err := s.sys.FS.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("begin spool segment: %w", err)
	}
	if err := s.sys.FS.SyncDir(s.cfg.Dir); err != nil {
		return errors.Join(fmt.Errorf("begin spool segment: %w", err), f.Close(), s.sys.FS.Remove(path))
	}
	s.file = f
	if again {
		s.segments = s.segments[:last]
	}
	s.segments = append(s.segments, &segment{path: path, epoch: s.epoch, first: s.seq + 1})
	return nil
}

// Append numbers the event, writes it and returns when the mode's promise holds.
// It sets ev.Origin; the event may not be changed afterwards. After an error the
// event is not in the spool, or must be taken as not there.
func (s *Spool) Append(ev *auditv1.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.write(ev); err != nil {
		return err
	}
	return s.await(s.written)
}

// write puts one record into the current segment.
func (s *Spool) write(ev *auditv1.Event) error {
	if err := s.ready(); err != nil {
		return err
	}
	ev.Origin = &auditv1.Origin{Instance: s.cfg.Instance, SpoolEpoch: s.epoch[:], Sequence: s.seq + 1}
	buf, err := proto.MarshalOptions{}.MarshalAppend(append(s.buf[:0], make([]byte, recordHeader)...), ev)
	if err != nil {
		return fmt.Errorf("encode audit event: %w", err)
	}
	s.buf = buf
	payload := buf[recordHeader:]
	if len(payload) > maxRecord {
		return fmt.Errorf("audit event of %d bytes is over the limit of %d", len(payload), maxRecord)
	}
	if s.bytes+int64(len(buf)) > s.cfg.MaxBytes {
		return s.full()
	}
	binary.BigEndian.PutUint32(buf, uint32(len(payload))) //nolint:gosec // G115: at most maxRecord.
	binary.BigEndian.PutUint32(buf[4:], crc32.Checksum(payload, castagnoli))
	n, err := s.file.Write(buf)
	if err != nil || n != len(buf) {
		// What the segment holds is whole up to here, and is put on disk before the
		// segment is given up.
		if s.file.Sync() == nil {
			s.advance(s.written)
		}
		s.seal(fmt.Errorf("write spool segment: %w", errors.Join(err, shortWrite(n, len(buf)))))
		return fmt.Errorf("write audit spool: %w", errors.Join(err, shortWrite(n, len(buf))))
	}
	seg := s.segments[len(s.segments)-1]
	seg.size += int64(n)
	s.bytes += int64(n)
	s.seq++
	s.written++
	if s.written == s.synced+1 {
		s.oldest = s.sys.Clock.Now()
	}
	if s.written == s.syncing+1 {
		s.behind = s.sys.Clock.Now()
	}
	signal(s.dirty)
	signal(s.more)
	return nil
}

// full makes way for a spool that may hold little more than one segment: only a
// segment that is closed can be deleted once it has been shipped.
func (s *Spool) full() error {
	if s.segments[len(s.segments)-1].size > 0 {
		if err := s.rotate(); err != nil {
			return errors.Join(ErrFull, err)
		}
		signal(s.more)
	}
	return ErrFull
}

func shortWrite(n, want int) error {
	if n == want {
		return nil
	}
	return fmt.Errorf("%d of %d bytes written", n, want)
}

// ready makes sure that there is a segment with room.
func (s *Spool) ready() error {
	if s.file != nil && s.segments[len(s.segments)-1].size < segmentSize {
		return nil
	}
	return s.rotate()
}

// rotate closes the current segment, if there is one, and begins the next.
func (s *Spool) rotate() error {
	if s.file != nil {
		if err := s.file.Sync(); err != nil {
			s.seal(fmt.Errorf("sync spool segment: %w", err))
			return fmt.Errorf("sync audit spool: %w", err)
		}
		s.advance(s.written)
		s.closeFile()
	}
	return s.openSegment()
}

// seal gives up the current segment: what could not be written or synced is
// never retried as if it had been.
func (s *Spool) seal(cause error) {
	s.log.Error("audit spool segment sealed", "error", cause)
	s.closeFile()
}

func (s *Spool) closeFile() {
	if s.file == nil {
		return
	}
	if err := s.file.Close(); err != nil {
		s.log.Warn("close spool segment", "error", err)
	}
	s.file = nil
	s.segments[len(s.segments)-1].sealed = true
	s.cond.Broadcast()
}

// Bytes is how much the files hold.
func (s *Spool) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Lag is how many of this process's records the audit service has not made
// durable yet.
func (s *Spool) Lag() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq - s.delivered
}

// Epoch identifies this process's part of the spool.
func (s *Spool) Epoch() [16]byte { return s.epoch }

// Close syncs and closes the spool. Append fails from then on.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.file != nil {
		if err = s.file.Sync(); err == nil {
			s.advance(s.written)
		}
		s.closeFile()
	}
	s.cond.Broadcast()
	return errors.Join(err, s.lock.Close())
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
