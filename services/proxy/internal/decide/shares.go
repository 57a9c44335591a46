package decide

import (
	"container/heap"
	"errors"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// shares keeps decisions under one bound for all principals. When it is full, the
// principal that holds the most gives up the one it used longest ago, so that
// nobody can push out what others hold within an equal share. Safe for concurrent
// use.
type shares struct {
	mu    sync.Mutex
	bound int
	held  int
	of    map[string]*share
	// order is a heap with the largest share on top.
	order shareHeap
}

// share is what one principal holds.
type share struct {
	principal string
	entries   *simplelru.LRU[cacheKey, *Decision]
	// place is its index in the heap.
	place int
}

func newShares(bound int) (*shares, error) {
	if bound < 1 {
		return nil, errors.New("a decision cache needs at least one entry")
	}
	return &shares{bound: bound, of: map[string]*share{}}, nil
}

// get returns what a principal holds under a key.
func (s *shares) get(principal string, key cacheKey) (*Decision, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[principal]
	if own == nil {
		return nil, false
	}
	return own.entries.Get(key)
}

// put keeps a decision for a principal.
func (s *shares) put(principal string, key cacheKey, d *Decision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[principal]
	if own == nil {
		entries, err := simplelru.NewLRU[cacheKey, *Decision](s.bound, nil)
		if err != nil {
			return err
		}
		own = &share{principal: principal, entries: entries}
		s.of[principal] = own
		heap.Push(&s.order, own)
	}
	if !own.entries.Contains(key) {
		if s.held == s.bound {
			s.giveUp(own)
		}
		s.held++
	}
	own.entries.Add(key, d)
	heap.Fix(&s.order, own.place)
	return nil
}

// giveUp makes room: own gives up its oldest if nobody holds more.
func (s *shares) giveUp(own *share) {
	from := s.order[0]
	if own.entries.Len() >= from.entries.Len() {
		from = own
	}
	from.entries.RemoveOldest()
	s.shrunk(from, own)
}

// remove drops a principal's decision.
func (s *shares) remove(principal string, key cacheKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own := s.of[principal]; own != nil && own.entries.Remove(key) {
		s.shrunk(own, nil)
	}
}

// shrunk follows a share that has lost a decision. An empty one is forgotten,
// unless it is kept for what is about to be put.
func (s *shares) shrunk(from, kept *share) {
	s.held--
	if from.entries.Len() == 0 && from != kept {
		heap.Remove(&s.order, from.place)
		delete(s.of, from.principal)
		return
	}
	heap.Fix(&s.order, from.place)
}

// shareHeap orders shares by size, the largest first (container/heap).
type shareHeap []*share

func (h shareHeap) Len() int           { return len(h) }
func (h shareHeap) Less(i, j int) bool { return h[i].entries.Len() > h[j].entries.Len() }

func (h shareHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is heap.Interface's; nothing but shares are pushed.
func (h *shareHeap) Push(x any) {
	if s, ok := x.(*share); ok {
		s.place = len(*h)
		*h = append(*h, s)
	}
}

// Pop is heap.Interface's.
func (h *shareHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
