package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate is fallocate(2) that leaves the size alone.
func allocate(f *os.File, size int64) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var fault error
	if err := raw.Control(func(fd uintptr) {
		for fault = unix.EINTR; errors.Is(fault, unix.EINTR); {
			fault = unix.Fallocate(int(fd), unix.FALLOC_FL_KEEP_SIZE, 0, size)
		}
	}); err != nil {
		return err
	}
	switch {
	case errors.Is(fault, unix.EOPNOTSUPP), errors.Is(fault, unix.ENOSYS):
		return errors.ErrUnsupported
	case fault != nil:
		return &os.PathError{Op: "allocate", Path: f.Name(), Err: fault}
	default:
		return nil
	}
}
