package state

import (
	"sync"
	"sync/atomic"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/revocation"
	"github.com/scopewire/scopewire/internal/sys"
)

// Memory is a Store that forgets when the process ends. Epochs do not survive
// it, so nothing that outlives the process may hold a decision made under it.
type Memory struct {
	clock sys.Clock
	mu    sync.Mutex
	// ledger is guarded by mu.
	ledger *ledger
	// revoked is that of the ledger, for those who only look.
	revoked atomic.Pointer[revocation.List]
}

// NewMemory returns an empty store.
func NewMemory(clock sys.Clock) *Memory {
	m := &Memory{clock: clock, ledger: newLedger()}
	m.revoked.Store(m.ledger.revoked)
	return m
}

// NextPolicy implements Store.
func (m *Memory) NextPolicy(digest Digest) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	number, next, err := m.ledger.nextPolicy(digest, m.clock.Now())
	if next != nil {
		m.ledger = next
	}
	return number, err
}

// NextCatalog implements Store.
func (m *Memory) NextCatalog(database string, digest Digest) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	number, next, err := m.ledger.nextCatalog(database, digest)
	if next != nil {
		m.ledger = next
	}
	return number, err
}

// Policies implements Store.
func (m *Memory) Policies() []Revision {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ledger.revisions()
}

// Revoke implements Store.
func (m *Memory) Revoke(r *authzv1.Revocation, by Actor) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	number, next, err := m.ledger.revoke(r, by, m.clock.Now())
	if next != nil {
		m.ledger = next
		m.revoked.Store(next.revoked)
	}
	return number, err
}

// EndDecisions implements Store.
func (m *Memory) EndDecisions() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next, err := m.ledger.endDecisions()
	if next != nil {
		m.ledger = next
		m.revoked.Store(next.revoked)
	}
	return err
}

// Revocations implements Store.
func (m *Memory) Revocations() *revocation.List { return m.revoked.Load() }

// Lease implements Store.
func (m *Memory) Lease() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ledger.lease
}

// KeepLease implements Store.
func (m *Memory) KeepLease(lease time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if next := m.ledger.keepLease(lease); next != nil {
		m.ledger = next
	}
	return nil
}

// KeepActs implements Store.
func (m *Memory) KeepActs(epoch ActEpoch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if next := m.ledger.keepActs(epoch); next != nil {
		m.ledger = next
	}
	return nil
}

// Acts implements Store.
func (m *Memory) Acts() (ActEpoch, uint64, []Act) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ledger.acts.epoch, m.ledger.acts.reported, m.ledger.acts.waiting
}

// Reported implements Store.
func (m *Memory) Reported(number uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if next := m.ledger.forget(number); next != nil {
		m.ledger = next
	}
	return nil
}
