package state

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/filelock"
	"github.com/scopewire/scopewire/internal/revocation"
	"github.com/scopewire/scopewire/internal/sys"
)

// File is a Store in one file, for one process at a time.
type File struct {
	fsys  sys.FS
	clock sys.Clock
	path  string
	mu    sync.Mutex
	// ledger and encoder are guarded by mu. The ledger is what the file holds, but for acts
	// that were reported since: owed says that there are such.
	ledger  *ledger
	encoder encoder
	owed    bool
	// lock is guarded by mu; nil once closed.
	lock sys.File
	// revoked is that of the ledger, for those who only look.
	revoked atomic.Pointer[revocation.List]
}

// marker is what the lock file holds once there was a state file, so that a
// state file that has gone is told from one that has never been.
const marker = "state\n"

// Open opens the state at path, or begins a new one where there has been none.
// Beside it lies path.lock. A file that cannot be read in full, or that is
// missing though it has been there, is an error: to begin again with number 1
// would let old decisions pass for new ones. The caller closes the File.
func Open(fsys sys.FS, clock sys.Clock, path string) (*File, error) {
	lock, err := filelock.Take(fsys, path+".lock")
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	f := &File{fsys: fsys, clock: clock, path: path, lock: lock}
	if err := f.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", path, err), lock.Close())
	}
	return f, nil
}

// load reads the file, or begins it.
func (f *File) load() error {
	mark, err := f.fsys.ReadFile(f.path + ".lock")
	if err != nil {
		return err
	}
	data, err := f.fsys.ReadFile(f.path)
	switch {
	case err == nil:
		l, err := decode(data)
		if err != nil {
			return fmt.Errorf("it is damaged, restore it from a copy: %w", err)
		}
		f.hold(l)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case len(mark) > 0:
		return errors.New("it is gone, restore it from a copy")
	default:
		if err := f.write(newLedger()); err != nil {
			return err
		}
	}
	if len(mark) > 0 {
		return nil
	}
	// The state file is durable by now; only after it comes the mark.
	if _, err := f.lock.Write([]byte(marker)); err != nil {
		return err
	}
	return f.lock.Sync()
}

// write makes a ledger durable and then the current one. Called with mu held,
// or before the File is shared.
//
// After an error the file may hold the new ledger all the same. Nobody has
// heard its number, so the next write may give it to another digest.
func (f *File) write(next *ledger) error {
	data, err := f.encoder.encode(next)
	if err != nil {
		return err
	}
	if err := sys.WriteFileAtomic(f.fsys, f.path, data, 0o600); err != nil {
		return err
	}
	f.hold(next)
	f.owed = false
	return nil
}

// hold makes a ledger the current one.
func (f *File) hold(l *ledger) {
	f.ledger = l
	f.revoked.Store(l.revoked)
}

// commit finishes an assignment. Called with mu held.
func (f *File) commit(number uint64, next *ledger, err error) (uint64, error) {
	if err == nil && f.lock == nil {
		err = fs.ErrClosed
	}
	if err == nil && next != nil {
		err = f.write(next)
	}
	if err != nil {
		return 0, fmt.Errorf("state: %w", err)
	}
	return number, nil
}

// NextPolicy implements Store.
func (f *File) NextPolicy(digest Digest) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commit(f.ledger.nextPolicy(digest, f.clock.Now()))
}

// NextCatalog implements Store.
func (f *File) NextCatalog(database string, digest Digest) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commit(f.ledger.nextCatalog(database, digest))
}

// Policies implements Store.
func (f *File) Policies() []Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ledger.revisions()
}

// Revoke implements Store.
func (f *File) Revoke(r *authzv1.Revocation, by Actor) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commit(f.ledger.revoke(r, by, f.clock.Now()))
}

// EndDecisions implements Store.
func (f *File) EndDecisions() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next, err := f.ledger.endDecisions()
	_, err = f.commit(0, next, err)
	return err
}

// Revocations implements Store.
func (f *File) Revocations() *revocation.List { return f.revoked.Load() }

// Lease implements Store.
func (f *File) Lease() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ledger.lease
}

// KeepLease implements Store.
func (f *File) KeepLease(lease time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.commit(0, f.ledger.keepLease(lease), nil)
	return err
}

// KeepActs implements Store.
func (f *File) KeepActs(epoch ActEpoch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.commit(0, f.ledger.keepActs(epoch), nil)
	return err
}

// Acts implements Store.
func (f *File) Acts() (ActEpoch, uint64, []Act) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ledger.acts.epoch, f.ledger.acts.reported, f.ledger.acts.waiting
}

// Reported implements Store. It does not wait for the disk: what audit has is written with
// what is written next, and at Close. After a crash acts are reported again that audit has,
// which it knows by their numbers.
func (f *File) Reported(number uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lock == nil {
		return fmt.Errorf("state: %w", fs.ErrClosed)
	}
	if next := f.ledger.forget(number); next != nil {
		f.ledger, f.owed = next, true
	}
	return nil
}

// Close gives the file up. No number is assigned afterwards.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lock == nil {
		return nil
	}
	var err error
	if f.owed {
		err = f.write(f.ledger)
	}
	err = errors.Join(err, f.lock.Close())
	f.lock = nil
	return err
}
