// Package spool keeps audit events in files until the audit service has them.
//
// An event is in a file before what it is about happens: an intent before the
// statement is forwarded, a denial before the client hears of it. Append returns
// once the record is in the file's mapped pages, so a killed proxy loses nothing; in mode
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
//
// # Room
//
// A segment takes its room on the disk when it begins, and a reserve beside it.
// So a full disk shows when the next segment is to begin, not in the middle of a
// record: Append fails, and AppendLast goes on into the reserve with what ends a
// transaction or a session. An eighth of what the spool may hold is kept for
// AppendLast, too. Beside both, each intent keeps room for its outcome until that is
// written, in the whole and in the segment of the time: however many are under way,
// a full disk or spool refuses the next intent, and none of the outcomes. Where the file
// system cannot allocate, records are written with write(2), a full disk seals the segment,
// and AppendLast fails with it.
//
// # Files that go away
//
// A segment that is removed, renamed or whose directory is replaced while it is
// written is noticed by its inode within checkInterval, in mode `strict` before
// the next record counts as written. It is sealed, and the next one is begun where
// the directory is now. Records in it that were not shipped are reported as lost. The
// same goes for one that is cut.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
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
	// segmentSize is where a segment is closed and the next one begun; a spool that
	// may hold little has smaller ones.
	segmentSize = 8 << 20
	// maxReserve bounds what is kept for AppendLast, in each segment and in the
	// whole.
	maxReserve = 4 << 20
	// checkInterval is how often the segment's name is held against its file.
	checkInterval = 2 * time.Second
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
	// MaxBytes is the most the files may hold together. The segment that is being
	// written takes its room in advance: on the disk there can be that much more.
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
	// origin is the part of a record that numbers it.
	origin auditv1.Origin
	// current is the segment being written, nil when the last one was sealed; retired are
	// those before it that are not on disk yet, in order.
	current  *segment
	retired  []*segment
	segments []*segment
	bytes    int64
	// owed is the room kept for the outcomes of intents that have none yet, in bytes.
	owed int64
	// delivered is the last of this process's records that is durable at the
	// audit service.
	delivered uint64
	closed    bool
	// alarmed says that the log has heard of a spool that is nearly full.
	alarmed bool
	buf     []byte
	// written counts records written, synced those that are on disk or given up, and syncing
	// those that the sync under way puts there; oldest and behind are when the first
	// record after synced and after syncing was written. cond is signalled when synced
	// moves or a segment is sealed.
	written, synced, syncing uint64
	oldest, behind           time.Time
	cond                     *sync.Cond
	// dirty wakes the syncer, more wakes the shipper. Both hold one token.
	dirty, more chan struct{}
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
	s.origin.Instance, s.origin.SpoolEpoch = cfg.Instance, s.epoch[:]
	if err := s.begin(0, 0); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.more <- struct{}{}
	return s, nil
}

// Append numbers the event, writes it and returns when the mode's promise holds.
// It sets ev.Origin while it runs, and keeps nothing of the event. After an error the
// event is not in the spool, or must be taken as not there.
func (s *Spool) Append(ev *auditv1.Event) error { return s.append(ev, claim{}) }

// AppendLast is Append for an event that ends something: a rollback, a cancel, a
// session. It may use the reserve.
func (s *Spool) AppendLast(ev *auditv1.Event) error { return s.append(ev, claim{last: true}) }

// AppendIntent is Append, or with last AppendLast, for an event that an outcome follows.
// It keeps room bytes for that, which the caller gives back with AppendAfter, once;
// after an error nothing is kept.
func (s *Spool) AppendIntent(ev *auditv1.Event, last bool) (room int64, err error) {
	c := claim{keeps: outcomeRoom(ev, s.cfg.Instance), last: last}
	if err := s.append(ev, c); err != nil {
		return 0, err
	}
	return c.keeps, nil
}

// AppendAfter is AppendLast for an event about what has happened already, an outcome,
// in the room that its intent kept. It waits for no disk: a record of a later Append is on
// disk only with it. The room is given back after an error, too.
func (s *Spool) AppendAfter(ev *auditv1.Event, room int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.owed -= room
	return s.write(ev, claim{last: true, after: true})
}

func (s *Spool) append(ev *auditv1.Event, c claim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.write(ev, c); err != nil {
		return err
	}
	s.owed += c.keeps
	err := s.await(s.written, s.current)
	if err != nil {
		s.owed -= c.keeps
	}
	return err
}

// write puts one record into the current segment.
func (s *Spool) write(ev *auditv1.Event, c claim) error {
	s.origin.Sequence = s.seq + 1
	ev.Origin = &s.origin
	buf, err := proto.MarshalOptions{}.MarshalAppend(append(s.buf[:0], make([]byte, recordHeader)...), ev)
	ev.Origin = nil
	if err != nil {
		return fmt.Errorf("encode audit event: %w", err)
	}
	s.buf = buf
	payload := buf[recordHeader:]
	if len(payload) > maxRecord {
		return fmt.Errorf("audit event of %d bytes is over the limit of %d", len(payload), maxRecord)
	}
	n := int64(len(buf))
	if err := s.ready(n, c); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(buf, uint32(len(payload))) //nolint:gosec // G115: at most maxRecord.
	binary.BigEndian.PutUint32(buf[4:], crc32.Checksum(payload, castagnoli))
	seg := s.current
	if err := seg.tail.append(buf, seg.size); err != nil {
		// What the segment holds is whole up to here, and is put on disk.
		s.log.Error("audit spool segment sealed", "error", err)
		s.retire()
		return fmt.Errorf("write audit spool: %w", orFull(err))
	}
	seg.size += n
	s.bytes += n
	s.seq++
	s.written++
	seg.last = s.written
	if s.written == s.synced+1 || s.written == s.syncing+1 || seg.size == n {
		s.came(seg, n)
	}
	s.alarm()
	signal(s.dirty)
	signal(s.more)
	return nil
}

// came notes when a record of n bytes was written that is the first of something.
func (s *Spool) came(seg *segment, n int64) {
	now := s.sys.Clock.Now()
	if s.written == s.synced+1 {
		s.oldest = now
	}
	if s.written == s.syncing+1 {
		s.behind = now
	}
	if seg.size == n {
		seg.since = now
	}
}

// alarm tells the log when nine tenths of what Append may fill are taken, once until
// it is below eight tenths again.
func (s *Spool) alarm() {
	limit := s.cfg.MaxBytes - s.reserve()
	switch {
	case !s.alarmed && s.bytes+s.owed > limit/10*9:
		s.alarmed = true
		s.log.Warn("audit spool nearly full: statements will be refused", "bytes", s.bytes, "max_bytes", s.cfg.MaxBytes)
	case s.alarmed && s.bytes+s.owed < limit/10*8:
		s.alarmed = false
	}
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
	s.retire()
	var err error
	for _, seg := range s.retired {
		fault := seg.failed
		if fault == nil {
			fault = seg.tail.file.Sync()
		}
		if fault == nil && !seg.named {
			fault = s.sys.FS.SyncDir(s.cfg.Dir)
		}
		err = errors.Join(err, fault)
		s.closeTail(seg)
	}
	s.retired = nil
	s.cond.Broadcast()
	return errors.Join(err, s.lock.Close())
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
