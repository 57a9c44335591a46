package sys

import (
	"io/fs"
	"runtime/debug"
)

// published is how much of a write is stored last.
const published = 8

// mapping is a Mapping of the machine's.
type mapping struct {
	// data is nil after Close.
	data  []byte
	name  string
	unmap func([]byte) error
}

// WriteAt relies on one thread's stores being in the page cache in their order when it
// dies.
func (m *mapping) WriteAt(b []byte, off int64) (n int, err error) {
	if m.data == nil {
		return 0, &fs.PathError{Op: "write", Path: m.name, Err: fs.ErrClosed}
	}
	if off < 0 || off > int64(len(m.data))-int64(len(b)) {
		return 0, &fs.PathError{Op: "write", Path: m.name, Err: fs.ErrInvalid}
	}
	// A page that cannot be had is SIGBUS, and would end the process.
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			if _, fault := r.(interface{ Addr() uintptr }); !fault {
				panic(r)
			}
			n, err = 0, &fs.PathError{Op: "write", Path: m.name, Err: errFault}
		}
	}()
	to, head := m.data[off:off+int64(len(b))], min(published, len(b))
	copy(to[head:], b[head:])
	copy(to, b[:head])
	return len(b), nil
}

func (m *mapping) Close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	return m.unmap(data)
}

// errFault is what the machine says of a page that it cannot give.
const errFault = faultError("a page of the mapped file is not to be had: the disk fails, or the file was cut")

type faultError string

func (e faultError) Error() string { return string(e) }
