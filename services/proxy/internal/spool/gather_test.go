package spool_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// TestSyncsAreGathered: in mode group records of the same few milliseconds share a sync, and
// nobody waits for it; in mode strict nothing is held back.
func TestSyncsAreGathered(t *testing.T) {
	for mode, most := range map[spool.Mode]int{spool.ModeGroup: 6, spool.ModeStrict: 20} {
		t.Run(string(mode), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				fsys := &faults{FS: sys.OS().FS}
				s := open(t, spool.Config{Dir: dir, MaxBytes: 1 << 30, Mode: mode}, fsys)
				in := newIngest()
				stop := running(t, s, in)
				begin := time.Now()
				for i := range 20 {
					must(t, s.Append(event(fmt.Sprint(i), 100)))
					time.Sleep(time.Millisecond)
				}
				if took := time.Since(begin); took != 20*time.Millisecond {
					t.Errorf("20 records a millisecond apart took %v", took)
				}
				time.Sleep(50 * time.Millisecond)
				synctest.Wait()
				fsys.mu.Lock()
				syncs := fsys.syncs
				fsys.mu.Unlock()
				if syncs == 0 || syncs > most || mode == spool.ModeStrict && syncs != most {
					t.Errorf("%d syncs of 20 records, at most %d were to be", syncs, most)
				}
				in.mu.Lock()
				events, batches := len(in.events), in.batches
				in.mu.Unlock()
				if events != 20 || batches > 4 {
					t.Errorf("%d of 20 records arrived, in %d batches", events, batches)
				}
				stop()
			})
		})
	}
}
