package state

import (
	"sync"

	"github.com/scopewire/scopewire/internal/sys"
)

// Memory is a Store that forgets when the process ends. Epochs do not survive
// it, so nothing that outlives the process may hold a decision made under it.
type Memory struct {
	clock sys.Clock
	mu    sync.Mutex
	// ledger is guarded by mu.
	ledger *ledger
}

// NewMemory returns an empty store.
func NewMemory(clock sys.Clock) *Memory { return &Memory{clock: clock, ledger: newLedger()} }

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

// Revocation implements Store. Nothing revokes yet, so the count is 0.
func (m *Memory) Revocation() uint64 { return 0 }
