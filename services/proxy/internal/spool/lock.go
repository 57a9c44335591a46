package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/scopewire/scopewire/internal/sys"
)

// lockDir takes the directory for this process by flock(2) on a file in it. The
// kernel gives the lock back when the process dies, however it dies. A file
// system without descriptors (a simulated one) has one process and needs none.
func lockDir(fsys sys.FS, dir string) (sys.File, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock spool directory: %w", err)
	}
	if d, ok := f.(interface{ Fd() uintptr }); ok {
		if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { //nolint:gosec // G115: a descriptor fits.
			return nil, errors.Join(fmt.Errorf("spool directory %s is in use by another process: %w", dir, err), f.Close())
		}
	}
	return f, nil
}
