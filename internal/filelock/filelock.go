// Package filelock keeps a directory or a file for one process.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/scopewire/scopewire/internal/sys"
)

// ErrInUse is returned when another process, or another part of this one, holds
// the lock.
var ErrInUse = errors.New("in use by another process")

// Take opens the file, making it when it is missing, and locks it by flock(2).
// Closing the file gives the lock back; so does the kernel when the process
// dies, however it dies. Lock a file that is never replaced: the lock goes with
// the file, not with its name.
//
// A simulated machine has no other processes; its files have no descriptor and
// are not locked.
func Take(fsys sys.FS, name string) (sys.File, error) {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if c, ok := f.(syscall.Conn); ok {
		if err := flock(c); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
	}
	return f, nil
}

func flock(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	if err := raw.Control(func(fd uintptr) {
		lockErr = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB)
	}); err != nil {
		return err
	}
	if errors.Is(lockErr, unix.EWOULDBLOCK) {
		return ErrInUse
	}
	return lockErr
}
