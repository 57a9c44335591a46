package spool_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// What has happened already is recorded without waiting for a disk, in mode `strict` too,
// and is on its way like any other record.
func TestAppendAfterWaitsForNoDisk(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), Mode: spool.ModeStrict}, nil)
	// Nobody syncs yet: an Append would not return.
	must(t, s.AppendAfter(event("outcome", 10), 0))
	in := newIngest()
	stop := running(t, s, in)
	must(t, s.Append(event("intent", 10)))
	wantAll(t, in, []string{"outcome", "intent"})
	stop()
}

// A spool that takes no more statements takes the outcomes of those it has taken.
func TestFault_F19_OutcomesHaveRoom(t *testing.T) {
	s := open(t, spool.Config{Dir: t.TempDir(), MaxBytes: 1 << 20}, nil)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	var names []string
	var rooms []int64
	for {
		name := fmt.Sprintf("intent-%d", len(names))
		room, err := s.AppendIntent(event(name, 500), false)
		if errors.Is(err, spool.ErrFull) {
			break
		}
		must(t, err)
		names, rooms = append(names, name), append(rooms, room)
	}
	// What ends a session takes the whole reserve, and nothing that is kept.
	for i := 0; ; i++ {
		name := fmt.Sprintf("last-%d", i)
		err := s.AppendLast(event(name, 500))
		if errors.Is(err, spool.ErrFull) && i > 100 {
			break
		}
		must(t, err)
		names = append(names, name)
	}
	if err := s.Append(event("late", 1)); !errors.Is(err, spool.ErrFull) {
		t.Errorf("a full spool answers %v", err)
	}
	for i, room := range rooms {
		name := fmt.Sprintf("outcome-%d", i)
		if err := s.AppendAfter(event(name, 300), room); err != nil {
			t.Fatalf("outcome %d: %v", i, err)
		}
		names = append(names, name)
	}
	in.up()
	wantAll(t, in, names)
	stop()
}
