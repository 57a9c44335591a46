package pgtest_test

import (
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
)

func TestVersionNum(t *testing.T) {
	for reported, want := range map[string]int{
		"15.20 (Debian 15.20-0+deb12u1)": 150020, "18.4": 180004, "19beta1": 190000, "17": 170000, "": 0, "none": 0,
	} {
		if got := pgtest.VersionNum(reported); got != want {
			t.Errorf("%q is %d, not %d", reported, got, want)
		}
	}
}

func TestMinors(t *testing.T) {
	minors := pgtest.Minors{15: 20, 16: 16}
	for version, want := range map[int]bool{140030: false, 150019: false, 150020: true, 160015: false, 160016: true, 170000: true} {
		if got := minors.In(version); got != want {
			t.Errorf("%d: %v", version, got)
		}
	}
	if (pgtest.Minors{}).In(170000) {
		t.Error("a change that came nowhere is in a version")
	}
}
