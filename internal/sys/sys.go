// Package sys holds the seams between Scopewire and the machine: clock,
// network, files and randomness.
//
// Everything that waits, dials, listens, touches a file or draws a random
// number takes one of these interfaces, so that the whole system can run in one
// process with a simulated machine underneath and every failure replays from
// its seed. OS returns the real machine. Outside this package, mains and tests,
// time.Now, net.Dial, net.Listen, os file functions and crypto/rand are linter
// errors.
package sys

import (
	"context"
	"io"
	"io/fs"
	"net"
	"time"
)

// System is a machine to run on. The zero value is unusable; take OS() or a
// simulation and replace single fields in tests.
type System struct {
	Clock Clock
	Net   Net
	FS    FS
	Rand  Rand
}

// Clock tells time and waits. Times it returns carry a monotonic reading where
// the machine has one, so Sub and Since are safe against steps of the wall
// clock. Safe for concurrent use.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// NewTimer returns a timer that sends once on its channel after d.
	NewTimer(d time.Duration) Timer
	// AfterFunc runs f in its own goroutine after d, unless stopped.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a running timer. Stop and Reset follow time.Timer.
type Timer interface {
	// C is the channel; nil for a timer made by AfterFunc.
	C() <-chan time.Time
	// Stop prevents the timer from firing and reports whether it did.
	Stop() bool
	// Reset restarts the timer and reports whether it was running.
	Reset(d time.Duration) bool
}

// Dialer opens connections. Safe for concurrent use.
type Dialer interface {
	// DialContext connects within ctx. The caller closes the connection.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Net opens and accepts connections. Safe for concurrent use.
type Net interface {
	Dialer
	// Listen announces on address. The caller closes the listener.
	Listen(ctx context.Context, network, address string) (net.Listener, error)
}

// Rand is a source of cryptographically strong randomness. Read always fills
// p; a machine without randomness ends the process instead of returning an
// error. Safe for concurrent use.
type Rand interface {
	Read(p []byte)
}

// FS is a file system. Errors are those of package os and answer to errors.Is
// with fs.ErrNotExist and its kin. Safe for concurrent use.
type FS interface {
	// OpenFile opens name with the flags of package os.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// ReadFile reads a whole file.
	ReadFile(name string) ([]byte, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes a file.
	Stat(name string) (fs.FileInfo, error)
	// MkdirAll makes a directory and its parents.
	MkdirAll(name string, perm fs.FileMode) error
	// Rename replaces newname atomically where the file system can.
	Rename(oldname, newname string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
}

// File is an open file. It follows os.File.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	// Name is the name the file was opened with.
	Name() string
	// Sync makes the content durable. After an error, what was written since the
	// last successful Sync may be lost for good; retrying proves nothing.
	Sync() error
	// Truncate changes the size.
	Truncate(size int64) error
	// Stat describes the open file.
	Stat() (fs.FileInfo, error)
	// Allocate takes room on the disk for the first size bytes without changing the
	// file's size, so that writing them cannot meet a full disk. It returns
	// errors.ErrUnsupported where the system or the file system has no such thing.
	Allocate(size int64) error
	// SyncData is Sync for the content, and of the file's description for what finding the
	// content again needs.
	SyncData() error
	// Map maps the first size bytes of a file opened for reading and writing, which has
	// as many. It returns errors.ErrUnsupported where the system or the file system has
	// no such thing. The mapping outlives the file's Close.
	Map(size int64) (Mapping, error)
}

// Mapping is a file's content in memory, shared with all who read the file: what is
// written to it is in the file at once, as with write(2), and outlives the process; it is
// on the disk after the file's SyncData. One goroutine at a time may use it.
type Mapping interface {
	// WriteAt copies b to offset off, its first eight bytes last: a process that is killed
	// amid it leaves them as they were. It returns len(b), or what the machine says about a
	// page that is not to be had, because the disk fails or the file was cut; then any part
	// of b may be there. It makes no system call.
	WriteAt(b []byte, off int64) (int, error)
	// Close gives the memory back. WriteAt fails from then on.
	Close() error
}

// WriteFileAtomic writes data to name through a temporary file in the same
// directory, synced before and after the rename: a reader, or a crash at any
// point, finds the old content or the new.
func WriteFileAtomic(fsys FS, name string, data []byte, perm fs.FileMode) error {
	return writeFileAtomic(fsys, name, data, perm)
}
