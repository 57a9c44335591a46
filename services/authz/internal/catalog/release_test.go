package catalog_test

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func TestHasRelease(t *testing.T) {
	for _, tt := range []struct {
		version          int
		august, november bool
	}{
		{130020, false, false}, {140023, false, false}, {140024, true, false}, {140025, true, true},
		{150018, false, false}, {150019, true, false}, {150020, true, true},
		{160014, false, false}, {160015, true, false}, {160016, true, true},
		{170010, false, false}, {170011, true, false}, {170012, true, true},
		{180004, false, false}, {180005, true, false}, {180006, true, false}, {180007, true, true},
		{190000, true, true},
	} {
		if got := catalog.HasRelease(tt.version, catalog.August2026); got != tt.august {
			t.Errorf("%d has August 2026: %t", tt.version, got)
		}
		if got := catalog.HasRelease(tt.version, catalog.November2026); got != tt.november {
			t.Errorf("%d has November 2026: %t", tt.version, got)
		}
	}
}
