package id_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/sys"
)

// A widely used implementation reads our identifiers as version 7 of RFC 9562,
// with our time in them.
func TestNewIsVersion7(t *testing.T) {
	s := sys.OS()
	u := id.New(s.Clock, s.Rand)
	parsed, err := uuid.Parse(u.String())
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Version() != 7 || parsed.Variant() != uuid.RFC4122 {
		t.Errorf("version %d variant %v", parsed.Version(), parsed.Variant())
	}
	back, err := id.Parse(u.String())
	if err != nil || back != u {
		t.Errorf("Parse(String()) = %v, %v", back, err)
	}
}

func TestSortsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sys.OS()
		prev := id.New(s.Clock, s.Rand)
		for range 1000 {
			time.Sleep(time.Microsecond)
			next := id.New(s.Clock, s.Rand)
			if next.String() <= prev.String() {
				t.Fatalf("%v is not after %v", next, prev)
			}
			prev = next
		}
	})
}

func TestParseRejects(t *testing.T) {
	for _, s := range []string{"", "x", "0190f3b6", "0190f3b6-5c1e-7d2a-9c3b-1f2e3d4c5b6", "zz90f3b6-5c1e-7d2a-9c3b-1f2e3d4c5b6a"} {
		if _, err := id.Parse(s); err == nil {
			t.Errorf("Parse(%q) accepted", s)
		}
	}
}
