package spool_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// goneCases are ways in which the segment that is being written goes away.
var goneCases = map[string]func(t *testing.T, dir, segment string){
	"removed": func(t *testing.T, _, segment string) { must(t, os.Remove(segment)) },
	"renamed": func(t *testing.T, _, segment string) { must(t, os.Rename(segment, segment+".old")) },
	"replaced": func(t *testing.T, _, segment string) {
		must(t, os.Remove(segment))
		must(t, os.WriteFile(segment, nil, 0o600))
	},
	"directory removed": func(t *testing.T, dir, _ string) { must(t, os.RemoveAll(dir)) },
	"directory replaced": func(t *testing.T, dir, _ string) {
		must(t, os.Rename(dir, dir+".old"))
		must(t, os.Mkdir(dir, 0o700))
	},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A segment that goes away is noticed within five seconds, in mode strict before the
// next event counts as recorded: the log hears of it, a new segment is begun where the
// directory is now, and every event either arrives or is reported as lost.
func TestFault_F24_SegmentGone(t *testing.T) {
	for name, goes := range goneCases {
		for _, mode := range []spool.Mode{spool.ModeGroup, spool.ModeStrict} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "spool")
				synctest.Test(t, func(t *testing.T) { segmentGone(t, dir, mode, goes) })
			})
		}
	}
}

func segmentGone(t *testing.T, dir string, mode spool.Mode, goes func(t *testing.T, dir, segment string)) {
	var log bytes.Buffer
	s, err := spool.Open(spool.Config{Dir: dir, Instance: "proxy-1", MaxBytes: 1 << 30, Mode: mode},
		spool.Deps{System: system(nil), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	recorded := map[string]bool{}
	add := func(name string) error {
		err := s.Append(event(name, 100))
		recorded[name] = err == nil
		return err
	}
	for i := range 3 {
		must(t, add(fmt.Sprintf("before-%d", i)))
	}
	synctest.Wait()
	goes(t, dir, segments(t, dir)[0])
	if mode == spool.ModeStrict {
		if add("refused") == nil {
			t.Error("an event was recorded in a file that is not there")
		}
	} else {
		time.Sleep(5 * time.Second)
		synctest.Wait()
	}
	for i := range 3 {
		must(t, add(fmt.Sprintf("after-%d", i)))
	}
	if !bytes.Contains(log.Bytes(), []byte("removed or replaced")) {
		t.Errorf("the log says nothing of it: %s", log.String())
	}
	if _, err := tryOpen(spool.Config{Dir: dir}, nil); err == nil {
		t.Error("another process took the directory")
	}
	in.up()
	want := []string{"after-0", "after-1", "after-2"}
	for {
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if ids := in.ids(); ids[want[0]]+ids[want[1]]+ids[want[2]] == 3 {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("what came after did not arrive")
		}
	}
	// Of one epoch, the sequences that arrived and those that were lost leave no hole.
	var seen []uint64
	for r := range in.events {
		seen = append(seen, r.seq)
	}
	for r := range in.lost {
		seen = append(seen, r.seq)
	}
	slices.Sort(seen)
	for i, seq := range seen {
		if seq != uint64(i+1) {
			t.Fatalf("arrived and lost: %v", seen)
		}
	}
	if len(seen) < 6 {
		t.Errorf("arrived and lost: %v", seen)
	}
	stop()
	must(t, s.Close())
}
