package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func TestQuota(t *testing.T) {
	q := newQuota(2)
	if got := []bool{q.take("a"), q.take("a"), q.take("a")}; !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("of two, a gets %v", got)
	}
	if !q.take("b") {
		t.Error("what a has is taken from b")
	}
	q.giveBack("a")
	if !q.take("a") || q.take("a") {
		t.Error("a does not get one again")
	}
	q.giveBack("a")
	q.giveBack("a")
	q.giveBack("b")
	if len(q.held) != 0 {
		t.Errorf("%v are kept of nobody", q.held)
	}
}

// However many ask at once, no more have it at any time than may.
func TestQuotaAtOnce(t *testing.T) {
	const most = 3
	q := newQuota(most)
	var now, over atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 200 {
				if q.take("a") {
					if now.Add(1) > most {
						over.Add(1)
					}
					now.Add(-1)
					q.giveBack("a")
				}
			}
		})
	}
	wg.Wait()
	if over.Load() != 0 || len(q.held) != 0 {
		t.Errorf("%d times more than %d had it; left over: %v", over.Load(), most, q.held)
	}
}
