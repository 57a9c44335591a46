package sys_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/scopewire/scopewire/internal/sys"
)

// What is written to a mapping is in the file; what cannot be is an error, and ends
// nothing: outside of it, after Close, or where somebody cut the file.
func TestMapping(t *testing.T) {
	const size = 3 * 4096
	name := filepath.Join(t.TempDir(), "file")
	f, err := sys.OS().FS.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	m, err := f.Map(size)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("nothing can be mapped here")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off int64
		b   string
	}{{0, "short"}, {4090, "across a page, longer than its head"}, {size - 4, "last"}, {100, ""}} {
		if n, err := m.WriteAt([]byte(c.b), c.off); err != nil || n != len(c.b) {
			t.Errorf("%q at %d: %d, %v", c.b, c.off, n, err)
		}
		got := make([]byte, len(c.b))
		if _, err := f.ReadAt(got, c.off); err != nil || !bytes.Equal(got, []byte(c.b)) {
			t.Errorf("%q at %d: %q is in the file, %v", c.b, c.off, got, err)
		}
	}
	for _, off := range []int64{-1, size, size - 3, 1<<63 - 1} {
		if _, err := m.WriteAt([]byte("last"), off); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("at %d: %v", off, err)
		}
	}
	if err := errors.Join(f.SyncData(), f.Truncate(4096)); err != nil {
		t.Fatal(err)
	}
	var at *fs.PathError
	if n, err := m.WriteAt([]byte("gone"), 5000); n != 0 || !errors.As(err, &at) || at.Path != name {
		t.Errorf("where the file was cut: %d, %v", n, err)
	}
	if n, err := m.WriteAt([]byte("there"), 0); n != 5 || err != nil {
		t.Errorf("where it was not: %d, %v", n, err)
	}
	if err := errors.Join(f.Close(), m.Close(), m.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.WriteAt([]byte("late"), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
