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
	// index finds an entry by its key; entries hold the same ones by their last use.
	index   map[cacheKey]*entry
	entries *simplelru.LRU[*entry, *Decision]
	// place is its index in the heap.
	place int
}

// entry stands for a key in the order of use.
type entry struct{ key cacheKey }

func newShares(bound int) (*shares, error) {
	if bound < 1 {
		return nil, errors.New("a decision cache needs at least one entry")
	}
	return &shares{bound: bound, of: map[string]*share{}}, nil
}

// get returns what a principal holds under a key. It allocates nothing.
func (s *shares) get(principal string, key *sought) (*Decision, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[principal]
	if own == nil {
		return nil, false
	}
	e := key.in(own.index)
	if e == nil {
		return nil, false
	}
	return own.entries.Get(e)
}

// put keeps a decision for a principal.
func (s *shares) put(principal string, key *sought, d *Decision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[principal]
	if own == nil {
		entries, err := simplelru.NewLRU[*entry, *Decision](s.bound, nil)
		if err != nil {
			return err
		}
		own = &share{principal: principal, index: map[cacheKey]*entry{}, entries: entries}
		s.of[principal] = own
		heap.Push(&s.order, own)
	}
	e := key.in(own.index)
	if e == nil {
		if s.held == s.bound {
			s.giveUp(own)
		}
		s.held++
		e = &entry{key: key.key()}
		own.index[e.key] = e
	}
	own.entries.Add(e, d)
	heap.Fix(&s.order, own.place)
	return nil
}

// giveUp makes room: own gives up its oldest if nobody holds more.
func (s *shares) giveUp(own *share) {
	from := s.order[0]
	if own.entries.Len() >= from.entries.Len() {
		from = own
	}
	if e, _, ok := from.entries.RemoveOldest(); ok {
		delete(from.index, e.key)
	}
	s.shrunk(from, own)
}

// remove drops a principal's decision.
func (s *shares) remove(principal string, key *sought) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[principal]
	if own == nil {
		return
	}
	if e := key.in(own.index); e != nil && own.entries.Remove(e) {
		delete(own.index, e.key)
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
