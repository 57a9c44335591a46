package session

import (
	"sync"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// transaction numbers the session's transaction blocks for audit. The frontend
// side counts by what statements will do, the backend side corrects by what the
// server says; no decision depends on it.
type transaction struct {
	mu     sync.Mutex
	number uint64
	open   bool
}

// current is the number of the open transaction block, 0 without one.
func (t *transaction) current() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open {
		return 0
	}
	return t.number
}

// rollsBack reports whether a unit does nothing but end the transaction block without
// a trace.
func rollsBack(statements []*authzv1.Statement) bool {
	if len(statements) != 1 {
		return false
	}
	effects := statements[0].GetEffects()
	return len(effects) == 1 && effects[0].GetKind() == authzv1.EffectKind_EFFECT_KIND_ROLLBACK && !effects[0].GetChain()
}

// apply follows the effects of statements that are about to be forwarded.
func (t *transaction) apply(statements []*authzv1.Statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range statements {
		for _, e := range s.GetEffects() {
			switch e.GetKind() {
			case authzv1.EffectKind_EFFECT_KIND_BEGIN:
				if !t.open {
					t.number++
				}
				t.open = true
			case authzv1.EffectKind_EFFECT_KIND_COMMIT, authzv1.EffectKind_EFFECT_KIND_ROLLBACK:
				t.open = e.GetChain()
				if t.open {
					t.number++
				}
			default:
				// Savepoints open and close no block.
			}
		}
	}
}

// ready takes the state of a ReadyForQuery behind which nothing is unanswered.
func (t *transaction) ready(status byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if open := status != wire.StatusIdle; open != t.open {
		t.open = open
		if open {
			t.number++
		}
	}
}
