package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate is fallocate(2) that leaves the size alone.
func allocate(f *os.File, size int64) error {
	return control(f, "allocate", func(fd int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, size)
	})
}

// syncData is fdatasync(2).
func syncData(f *os.File) error { return control(f, "sync", unix.Fdatasync) }

// mapFile is mmap(2), shared.
func mapFile(f *os.File, size int64) (Mapping, error) {
	var data []byte
	err := control(f, "map", func(fd int) (err error) {
		data, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &mapping{data: data, name: f.Name(), unmap: unix.Munmap}, nil
}

// control makes a system call upon a file, again when a signal came first.
func control(f *os.File, op string, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var fault error
	if err := raw.Control(func(fd uintptr) {
		for fault = unix.EINTR; errors.Is(fault, unix.EINTR); {
			fault = call(int(fd))
		}
	}); err != nil {
		return err
	}
	switch {
	case errors.Is(fault, unix.EOPNOTSUPP), errors.Is(fault, unix.ENOSYS), errors.Is(fault, unix.ENODEV):
		return errors.ErrUnsupported
	case fault != nil:
		return &os.PathError{Op: op, Path: f.Name(), Err: fault}
	default:
		return nil
	}
}
