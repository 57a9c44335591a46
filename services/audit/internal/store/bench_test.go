package store_test

import (
	"testing"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/audit/internal/store"
)

// BenchmarkAppend stores batches of 500 events of 400 bytes, each batch with
// its fsync: what an outage is drained with.
func BenchmarkAppend(b *testing.B) {
	s := open(b, b.TempDir(), sys.OS().FS, 64<<20)
	payload := make([]byte, 400)
	sequence := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		batch := store.Batch{Instance: "a", Epoch: spool, First: sequence, Items: make([]store.Item, 500)}
		for i := range batch.Items {
			batch.Items[i] = store.Item{Payload: payload, EventID: eventID("a", sequence)}
			sequence++
		}
		put(b, s, batch)
	}
	b.ReportMetric(float64(sequence-1)/b.Elapsed().Seconds(), "events/s")
}
