package cancel_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/cancel"
)

// hands is a clock that stands until it is moved.
type hands struct {
	sys.Clock
	now time.Time
}

func (h *hands) Now() time.Time { return h.now }

// dice is a source of numbers that the test chose; it counts on when they run out.
type dice struct {
	numbers []uint32
	next    uint32
}

func (d *dice) Read(p []byte) {
	for i := 0; i+4 <= len(p); i += 4 {
		n := d.next
		if len(d.numbers) > 0 {
			n, d.numbers = d.numbers[0], d.numbers[1:]
		} else {
			d.next++
		}
		binary.BigEndian.PutUint32(p[i:], n)
	}
}

func from(host string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(host), Port: 1234} }

// other is a secret with one bit changed.
func other(secret []byte) []byte {
	b := bytes.Clone(secret)
	b[len(b)-1] ^= 1
	return b
}

// A key cancels its own session and no other; half of it, or a key that has been
// forgotten, cancels nothing.
func TestKeysCancelTheirOwnSession(t *testing.T) {
	clock := &hands{now: time.Unix(1000, 0)}
	r := cancel.New(clock, sys.OS().Rand)
	const n = 200
	cancelled := make([]int, n)
	keys := make([]cancel.Key, n)
	for i := range n {
		length := cancel.ShortSecret
		if i%2 == 1 {
			length = cancel.LongSecret
		}
		keys[i] = r.Add(func() { cancelled[i]++ }, length)
		if len(keys[i].Secret) != length {
			t.Errorf("a secret of %d bytes", len(keys[i].Secret))
		}
		if keys[i].ProcessID == 0 || keys[i].ProcessID >= 1<<31 {
			t.Errorf("process id %d", keys[i].ProcessID)
		}
	}
	for i, k := range keys {
		if !r.Request(k, from("192.0.2.1")) {
			t.Fatalf("key %d misses", i)
		}
		// Misses of addresses of their own, so that no limit hides a hit.
		for j, wrong := range []cancel.Key{{k.ProcessID, other(k.Secret)}, {k.ProcessID, make([]byte, 4)}, {k.ProcessID, nil}, {k.ProcessID ^ 1<<31, k.Secret}, {},
			{k.ProcessID, k.Secret[:3]}, {k.ProcessID, append(k.Secret[:len(k.Secret):len(k.Secret)], 0)},
			{k.ProcessID, keys[(i+1)%n].Secret}, {keys[(i+1)%n].ProcessID, k.Secret}} {
			if r.Request(wrong, from(fmt.Sprintf("198.51.100.%d", j))) {
				t.Fatalf("key %d: a wrong key hits", i)
			}
		}
		clock.now = clock.now.Add(time.Second)
	}
	for i, c := range cancelled {
		if c != 1 {
			t.Fatalf("session %d was cancelled %d times", i, c)
		}
	}
	for i, k := range keys {
		r.Remove(k)
		if r.Request(k, from("203.0.113.9")) || cancelled[i] != 1 {
			t.Fatalf("key %d is remembered", i)
		}
	}
}

// Process ids are never given twice, and 0 is none.
func TestKeysAreMintedAnew(t *testing.T) {
	r := cancel.New(&hands{}, &dice{numbers: []uint32{0, 9, 7, 1, 7, 2, 7 | 1<<31, 3, 8, 4}})
	a, b := r.Add(func() {}, cancel.ShortSecret), r.Add(func() {}, cancel.ShortSecret)
	if diff := cmp.Diff([]cancel.Key{{7, []byte{0, 0, 0, 1}}, {8, []byte{0, 0, 0, 4}}}, []cancel.Key{a, b}); diff != "" {
		t.Error(diff)
	}
}

// An address that misses ten times in a second is not heard for the rest of it,
// also with the right key; others are, and the next second is another. The port
// does not make another address.
func TestMissesAreLimited(t *testing.T) {
	clock := &hands{now: time.Unix(1000, 0)}
	r := cancel.New(clock, sys.OS().Rand)
	cancelled := 0
	k := r.Add(func() { cancelled++ }, cancel.LongSecret)
	wrong := cancel.Key{ProcessID: k.ProcessID, Secret: other(k.Secret)}
	for port := range 10 {
		if r.Request(wrong, &net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: port}) {
			t.Fatal("a wrong key hits")
		}
	}
	if r.Request(k, from("192.0.2.1")) || cancelled != 0 {
		t.Error("heard after ten misses")
	}
	if !r.Request(k, from("192.0.2.2")) || !r.Request(k, &net.UnixAddr{Name: "socket"}) {
		t.Error("another address is not heard")
	}
	clock.now = clock.now.Add(time.Second)
	for range 50 {
		if !r.Request(k, from("192.0.2.1")) {
			t.Fatal("hits are limited")
		}
	}
	if cancelled != 52 {
		t.Errorf("%d cancels", cancelled)
	}
}
