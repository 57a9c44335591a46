package proxy

import (
	"fmt"
	"testing"
	"time"
)

// TestPaces: a principal has ten seconds' worth at once and waits from then on, in all of
// its sessions together and when it comes again; nobody else does.
func TestPaces(t *testing.T) {
	p := newPaces(10)
	now := time.Unix(1_700_000_000, 0)
	one, leaveOne := p.enter("a", now)
	two, leaveTwo := p.enter("a", now)
	other, leaveOther := p.enter("b", now)
	for i := range 100 {
		count := []func(time.Time) time.Duration{one, two}[i%2]
		if d := count(now); d != 0 {
			t.Fatalf("thing %d waits %v", i, d)
		}
	}
	for i, count := range []func(time.Time) time.Duration{one, two, one} {
		if d, want := count(now), time.Duration(i+1)*100*time.Millisecond; d != want {
			t.Errorf("over the burst: %v, want %v", d, want)
		}
	}
	if d := other(now); d != 0 {
		t.Errorf("b waits %v for a", d)
	}
	leaveOne()
	leaveTwo()
	again, leaveAgain := p.enter("a", now.Add(time.Second))
	for range 7 {
		if d := again(now.Add(time.Second)); d != 0 {
			t.Errorf("what a second brings: %v", d)
		}
	}
	if d := again(now.Add(time.Second)); d != 100*time.Millisecond {
		t.Errorf("who comes again waits %v", d)
	}
	leaveAgain()
	leaveOther()
	// Who has all of it again is forgotten, when somebody new comes.
	for i := range 100 {
		_, leave := p.enter(fmt.Sprint("new", i), now.Add(time.Hour+time.Duration(i)*time.Minute))
		leave()
	}
	if len(p.known) != 1 {
		t.Errorf("%d principals are known", len(p.known))
	}
}
