package state

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/scopewire/scopewire/internal/sys"
)

// errLocked says that another process, or another File of this one, has the
// state.
var errLocked = errors.New("in use by another process")

// openLock opens and locks the file beside the state. The lock is flock(2): the
// kernel drops it when the file is closed or the process dies, however it dies.
// The state file itself cannot carry it, since every write replaces it.
//
// A simulated machine has no other processes; its files have no descriptor and
// are not locked.
func openLock(fsys sys.FS, name string) (sys.File, error) {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
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
		return errLocked
	}
	return lockErr
}
