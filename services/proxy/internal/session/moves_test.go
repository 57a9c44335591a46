package session_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// mover is an authorizer during whose work somebody else changes the catalog, so often.
type mover struct {
	*judge
	fence    *decide.Fence
	database string
	mu       sync.Mutex
	left     int
	fresh    []bool
}

func (m *mover) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := m.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh = append(m.fresh, req.Fresh)
	if m.left != 0 {
		m.left--
		m.fence.Move(m.database)
	}
	return d, nil
}

// TestChangedWhileDeciding: a decision that was made while the catalog changed is made
// again from one that is read since; where it changes again and again, the statement is
// refused within the bound and does not reach the server.
func TestChangedWhileDeciding(t *testing.T) {
	m := &mover{database: dbname(t)}
	r := newRig(t, m.database, func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			m.judge = j
		}
		m.fence, deps.Authorizer = deps.Fence, m
		deps.Limits.Decision, deps.Limits.Fresh = 200*time.Millisecond, 200*time.Millisecond
	})
	set := func(left int) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.left, m.fresh = left, nil
	}
	set(2)
	wantLines(t, r.client.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")
	m.mu.Lock()
	if len(m.fresh) != 3 || m.fresh[0] || !m.fresh[1] || !m.fresh[2] {
		t.Errorf("asked for fresh ones: %v", m.fresh)
	}
	m.mu.Unlock()
	set(-1)
	wantLines(t, r.client.run(q("SELECT 'outrun'")), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
	if r.received("outrun") {
		t.Error("the server was sent what was decided by an older catalog")
	}
}
