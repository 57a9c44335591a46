package filelock_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/scopewire/scopewire/internal/filelock"
	"github.com/scopewire/scopewire/internal/sys"
)

func TestOneHolder(t *testing.T) {
	fsys, name := sys.OS().FS, filepath.Join(t.TempDir(), "lock")
	first, err := filelock.Take(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := filelock.Take(fsys, name); !errors.Is(err, filelock.ErrInUse) {
		t.Errorf("a second holder: %v, %v", second, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := filelock.Take(fsys, name)
	if err != nil {
		t.Fatalf("after the first has let go: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
