package store_test

import (
	"runtime"
	"testing"

	"github.com/scopewire/scopewire/services/audit/internal/store"
)

// TestWritesShareABuffer: what a write allocates does not grow with its payload,
// which is already in memory, and what one write leaves in the shared room is not
// in the next one's records.
func TestWritesShareABuffer(t *testing.T) {
	const writes, records, size = 40, 200, 4096
	s := open(t, t.TempDir(), nil, 256<<20)
	sequence := uint64(1)
	next := func(n, size int) store.Batch {
		b := store.Batch{Instance: "a", Epoch: spool, First: sequence, Items: make([]store.Item, n)}
		for i := range b.Items {
			payload := make([]byte, size)
			for j := range payload {
				payload[j] = byte(sequence)
			}
			b.Items[i] = store.Item{Payload: payload, EventID: eventID("a", sequence)}
			sequence++
		}
		return b
	}
	var batches []store.Batch
	for i := range writes {
		batches = append(batches, next(records-i, size-i)) // Each smaller than what the last one left.
	}
	put(t, s, batches[0]) // It makes the buffer.
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range batches[1:] {
		put(t, s, b)
	}
	runtime.ReadMemStats(&after)
	if got, written := after.TotalAlloc-before.TotalAlloc, uint64((writes-1)*records*size); got > written/4 {
		t.Errorf("%d bytes were allocated to write %d", got, written)
	}
	if problems := verify(t, s.Store); len(problems) > 0 {
		t.Error(problems)
	}
	if got := contents(t, s.Store); uint64(len(got)) != sequence-1 {
		t.Errorf("%d records of %d", len(got), sequence-1)
	}
}
