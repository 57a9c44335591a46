// Package store keeps audit records in segment files, durably, in one hash
// chain, each spool's record exactly once.
//
// Run owns all writing: it gathers the batches that wait, writes them with one
// write and one fsync, and only then answers them (group commit). A process
// writes only to segments it has created itself; at start it reads all segments
// and begins a new one with its first write.
//
// # Recovery
//
// Open reads every segment and checks the whole chain. What a crash can leave
// is put right: a torn tail of the newest segment is cut, a torn header is
// removed. Everything else that is not as it was written is a Problem: it is
// kept as it is, reported at each start, by Problems and by Verify, and the
// store goes on beside it; records behind the damage stay readable where they
// are still chained to the end of their segment. The file "head" says how far
// the store was, so that a tail that was cut at a record's end is missed too:
// it is written after each commit and synced now and then, so it knows all
// after a crash of the process, and at worst the last seconds less after a
// power cut.
//
// # Failing disks
//
// After a failed or short write or a failed fsync, what reached the disk since
// the last good fsync is unknown and cannot be known by trying again. The
// segment is cut back to its last durable byte and never written again, the
// waiting batches fail (the proxies keep them and come back), and the next batch
// starts a new segment.
//
// # Memory
//
// The index holds, for each record, its event id and place: about 60 bytes, so
// a million records take 60 MB and as many a minute of start-up at most. What
// is known of a spool is constant, plus 16 bytes for each hole in it.
//
// # Limits of the promise
//
// The chain is not keyed: who can write the directory, and rewrites every hash
// from the change to the end, and the head, is not found by Verify alone. One
// directory belongs to one process; the service opens its listener before its
// store, which keeps a second one away.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// Config is where and how records are kept.
type Config struct {
	// Directory holds the segments. It is made when missing, for the owner only.
	Directory string
	// SegmentBytes is the size after which a new segment is begun.
	SegmentBytes int64
}

// Deps is what a Store is made with. All are needed but Log.
type Deps struct {
	Clock sys.Clock
	FS    sys.FS
	Rand  sys.Rand
	// Log takes recoveries and failures; nil discards them.
	Log *slog.Logger
}

// Errors of the store.
var (
	// ErrStopped: the store does not take batches any more.
	ErrStopped = errors.New("the audit store has stopped")
	// ErrNotFound: there is no event with that id.
	ErrNotFound = errors.New("there is no such event")
	// ErrInvalid: the batch breaks the contract; sending it again changes nothing.
	ErrInvalid = errors.New("the batch is invalid")
	// ErrUnavailable: the batch is not durable; it may be sent again.
	ErrUnavailable = errors.New("the audit store cannot write")
)

const (
	// maxGroup bounds one write, in bytes of payload: what may be lost in one
	// failed write, and the memory it takes.
	maxGroup = 16 << 20
	// keptBuffer and keptRecords bound what is kept of one write for the next, in
	// bytes and records (136 bytes each): the batches of four proxies that drain.
	keptBuffer  = 8 << 20
	keptRecords = 1 << 15
	// queued batches beyond those being written; more wait in Append.
	queueLength = 64
	// headInterval is the least time between two syncs of the head.
	headInterval = 10 * time.Second
	// fileMode and directoryMode: audit is for its owner.
	fileMode      = 0o600
	directoryMode = 0o700
	// maxSequence is the largest sequence a spool may have: enough for any, and
	// far from where adding one wraps.
	maxSequence = 1 << 62
	// maxProblems bounds what is remembered and reported.
	maxProblems = 100
)

// Item is one record of a batch.
type Item struct {
	// Payload is the record as the spool holds it. The store keeps no reference.
	Payload []byte
	// EventID is the event's id; unused where Damage is set.
	EventID [16]byte
	// Damage says why the record is no event; empty when it is one. It is a
	// constant sentence.
	Damage string
}

// Span is a run of sequences, Last inclusive.
type Span struct{ First, Last uint64 }

// Batch is a run of one spool's records.
type Batch struct {
	Instance string
	Epoch    [16]byte
	// First is the sequence of the first item.
	First uint64
	Items []Item
	// Lost are sequences before First that the spool says it has lost.
	Lost []Span
}

// Result says what became of a batch.
type Result struct {
	// Durable is the sequence up to which the spool's records are stored, or
	// known to be missing.
	Durable uint64
	// Stored, Duplicates, Damaged count the batch's items; Gaps the gap events it
	// led to.
	Stored, Duplicates, Damaged, Gaps int
}

// validate checks what the store relies on.
func (b *Batch) validate() error {
	switch n := uint64(len(b.Items)); {
	case b.Instance == "" || len(b.Instance) > chain.MaxInstance || !utf8.ValidString(b.Instance):
		return fmt.Errorf("%w: the instance's name is empty, too long or not UTF-8", ErrInvalid)
	case b.Epoch == [16]byte{}:
		return fmt.Errorf("%w: it names no spool", ErrInvalid)
	case n > 0 && b.First == 0:
		return fmt.Errorf("%w: sequences start at 1", ErrInvalid)
	case b.First > maxSequence-n:
		return fmt.Errorf("%w: its sequences end beyond %d", ErrInvalid, uint64(maxSequence))
	}
	for _, i := range b.Items {
		if len(i.Payload) > chain.MaxPayload {
			return fmt.Errorf("%w: a record is larger than %d bytes", ErrInvalid, chain.MaxPayload)
		}
	}
	before := uint64(0)
	for _, l := range b.Lost {
		if l.First <= before || l.Last < l.First || l.Last > maxSequence || len(b.Items) > 0 && l.Last >= b.First {
			return fmt.Errorf("%w: the lost ranges are not ascending and before the first record", ErrInvalid)
		}
		before = l.Last
	}
	return nil
}

type request struct {
	batch  Batch
	result Result
	err    error
	done   chan struct{}
}

// Store is an open store. Safe for concurrent use.
type Store struct {
	cfg  Config
	deps Deps

	requests chan *request
	stopped  chan struct{} // closed when Run has ended

	// Of Run alone, after Open.
	active     sys.File // nil: the next write makes a segment
	headFile   sys.File // nil: not opened yet, or failed
	headSlot   int64
	headSynced time.Time
	sources    map[sourceKey]source
	buffer     []byte         // empty, of the last write; see room
	records    []chain.Record // empty and cleared, of the last write; see keep

	mu       sync.RWMutex // guards all below
	segments []*segment
	index    map[[16]byte]place
	head     position
	problems []string
	changed  chan struct{} // closed and replaced when head moves
}

// position is a point in the chain.
type position struct {
	sequence uint64
	segment  uint64 // the segment's number
	length   int64  // where the segment ends
	hash     chain.Hash
}

// segment is one file. entries grows only, under the store's lock.
type segment struct {
	name    string
	header  chain.Header
	length  int64 // end of what is durable and good
	limit   int64 // end of what a write under way may reach
	entries []entry
}

// entry is a record's place in its segment.
type entry struct {
	sequence uint64
	offset   int64
}

// place is an event's: index of the segment and offset in it.
type place struct {
	segment int32
	offset  int32
}

// Append stores a batch and returns when it is durable. After an error it may
// have been stored all the same; sent again, it is stored once. The batch
// becomes the store's: after an early return it may still be read.
func (s *Store) Append(ctx context.Context, batch Batch) (Result, error) {
	if err := batch.validate(); err != nil {
		return Result{}, err
	}
	r := &request{batch: batch, done: make(chan struct{})}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-s.stopped:
		return Result{}, ErrStopped
	}
	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-s.stopped:
		return Result{}, ErrStopped
	}
}

// Run writes until ctx ends, then closes the files. Call it once.
func (s *Store) Run(ctx context.Context) error {
	defer close(s.stopped)
	for {
		select {
		case <-ctx.Done():
			return s.close()
		case r := <-s.requests:
			group, size := []*request{r}, r.size()
			for size < maxGroup {
				select {
				case r := <-s.requests:
					group, size = append(group, r), size+r.size()
					continue
				default:
				}
				break
			}
			s.commit(group)
			for _, r := range group {
				close(r.done)
			}
		}
	}
}

func (r *request) size() (n int) {
	for _, i := range r.batch.Items {
		n += len(i.Payload)
	}
	return n
}

// Problems are what Open and Run found wrong, one line each.
func (s *Store) Problems() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]string(nil), s.problems...)
}

// Bytes is the size of the segments.
func (s *Store) Bytes() (n int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, g := range s.segments {
		n += g.length
	}
	return n
}

// Head is the sequence of the newest record and the chain's hash there.
func (s *Store) Head() (uint64, chain.Hash) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.head.sequence, s.head.hash
}

// problem remembers and logs damage. The caller holds the lock, or is Open.
func (s *Store) problem(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.deps.Log.Error("the audit store is damaged", "problem", line)
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, line)
	}
}
