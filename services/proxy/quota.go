package proxy

import "sync"

// quota counts what each holder has of something, and gives nobody more than most. Safe
// for concurrent use. A holder who has nothing takes no memory.
type quota struct {
	most int
	mu   sync.Mutex
	held map[string]int
}

func newQuota(most int) *quota { return &quota{most: most, held: make(map[string]int)} }

// take gives one to the holder, or says that it has as many as it may.
func (q *quota) take(holder string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[holder] >= q.most {
		return false
	}
	q.held[holder]++
	return true
}

// giveBack takes one back from a holder that take gave it to.
func (q *quota) giveBack(holder string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[holder]--; q.held[holder] <= 0 {
		delete(q.held, holder)
	}
}
