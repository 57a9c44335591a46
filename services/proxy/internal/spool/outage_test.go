package spool_test

import (
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// nightly lengthens what has its own make target.
func nightly() bool { return os.Getenv("SCOPEWIRE_NIGHTLY") != "" }

// What an hour of events is stays in the spool while audit is down, in no more room
// than the events take, and all of it arrives, in order and once. Every run makes a
// hundred seconds' worth of a thousand events a second, the long one an hour's.
func TestFault_F17_AuditDown(t *testing.T) {
	n := 100_000
	if nightly() {
		n = 3_600_000
	}
	s := open(t, spool.Config{Dir: t.TempDir(), MaxBytes: 4 << 30}, nil)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	names := make([]string, n)
	begin := time.Now()
	for i := range names {
		names[i] = fmt.Sprintf("event-%d", i)
		if err := s.Append(event(names[i], 200)); err != nil {
			t.Fatal(err)
		}
	}
	if perEvent := s.Bytes() / int64(n); perEvent > 300 {
		t.Errorf("an event of 200 bytes takes %d", perEvent)
	}
	if lag := s.Lag(); lag != uint64(n) {
		t.Errorf("%d of %d events wait", lag, n)
	}
	made, held := time.Since(begin), s.Bytes()
	in.up()
	begin = time.Now()
	in.until(t, func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		return len(in.events) == n
	})
	drained := time.Since(begin)
	wantAll(t, in, names)
	if !in.ordered() {
		t.Error("events arrived out of order")
	}
	stop()
	t.Logf("%d events: written %.0f a second, %d bytes held, drained %.0f a second to an audit service in memory",
		n, float64(n)/made.Seconds(), held, float64(n)/drained.Seconds())
}

// An audit service that takes what it is sent and never answers holds nobody up, and
// is given up after a while: what it had is sent again, and is there once.
func TestFault_F18_AuditSilent(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := tryOpen(spool.Config{Dir: dir}, nil)
		must(t, err)
		in := newIngest()
		in.mute = true
		stop := running(t, s, in)
		start := time.Now()
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprintf("event-%d", i))
			must(t, s.Append(event(names[i], 100)))
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("events waited %v for audit", waited)
		}
		synctest.Wait()
		if lag := s.Lag(); lag != 1000 {
			t.Errorf("%d events wait for an acknowledgement", lag)
		}
		in.mu.Lock()
		in.mute = false
		in.mu.Unlock()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if lag := s.Lag(); lag != 0 {
			t.Errorf("%d events still wait", lag)
		}
		for name, count := range in.ids() {
			if count != 1 {
				t.Errorf("%s is there %d times", name, count)
			}
		}
		if len(in.ids()) != len(names) || in.again == 0 {
			t.Errorf("%d events arrived, %d again", len(in.ids()), in.again)
		}
		stop()
		must(t, s.Close())
	})
}
