package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/scopewire/scopewire/internal/sys"
)

const (
	// trailerSize is a mark, the file's size, and a CRC-32C of both, big-endian.
	trailerSize = 8 + 8 + 4
	// trailerMark begins with a length that no record has.
	trailerMark = "\xffspool\x01\n"
	// pageSize divides the size of a mapped file.
	pageSize = 4096
)

// tail is a segment's file while records are appended to it. One goroutine at a time
// may use it.
//
// It is mapped where room can be allocated, and then has its full size from the
// beginning: behind the records there are zeros, and at the end a trailer, which says that
// the zeros were never written. Both are cut off when the segment is closed, so a file
// with a trailer was left by a process that was killed. Elsewhere it is written with
// write(2), and is as long as its records.
type tail struct {
	file   sys.File
	mapped sys.Mapping
	// end is the file's size, and 0 when it is not mapped.
	end int64
}

// makeTail makes a file with room for records of so many bytes. The file is not there after an
// error.
func makeTail(fsys sys.FS, path string, room int64) (*tail, error) {
	t, err := makeMapped(fsys, path, room)
	if errors.Is(err, errors.ErrUnsupported) {
		return makeWritten(fsys, path, room)
	}
	return t, err
}

func makeMapped(fsys sys.FS, path string, room int64) (*tail, error) {
	f, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	t := &tail{file: f, end: (room + trailerSize + pageSize - 1) / pageSize * pageSize}
	// Room first: a mapped page without room on the disk is SIGBUS.
	if err = f.Allocate(t.end); err == nil {
		err = t.mapAll()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), fsys.Remove(path))
	}
	return t, nil
}

// mapAll gives the file its size, with the trailer in one write, and maps it.
func (t *tail) mapAll() error {
	if _, err := t.file.Seek(t.end-trailerSize, io.SeekStart); err != nil {
		return err
	}
	if n, err := t.file.Write(trailer(t.end)); err != nil || n != trailerSize {
		return errors.Join(err, shortWrite(n, trailerSize))
	}
	mapped, err := t.file.Map(t.end)
	t.mapped = mapped
	return err
}

// makeWritten opens the file for appending, so that its size tells when somebody cuts it.
func makeWritten(fsys sys.FS, path string, room int64) (*tail, error) {
	f, err := fsys.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Allocate(room); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(err, f.Close(), fsys.Remove(path))
	}
	return &tail{file: f}, nil
}

// append writes a record behind the at bytes that are there.
func (t *tail) append(record []byte, at int64) error {
	if t.mapped == nil {
		n, err := t.file.Write(record)
		return errors.Join(err, shortWrite(n, len(record)))
	}
	if at+int64(len(record)) > t.end-trailerSize {
		return fmt.Errorf("a record of %d bytes at %d has no room", len(record), at)
	}
	n, err := t.mapped.WriteAt(record, at)
	return errors.Join(err, shortWrite(n, len(record)))
}

// finish takes no more records and gives back what is behind size.
func (t *tail) finish(size int64) error {
	var err error
	if t.mapped != nil {
		err = t.mapped.Close()
	}
	info, serr := t.file.Stat()
	if serr == nil {
		// Nothing is put where somebody cut the file.
		t.end = min(size, info.Size())
		serr = t.file.Truncate(t.end)
	}
	return errors.Join(err, serr)
}

func shortWrite(n, want int) error {
	if n == want {
		return nil
	}
	return fmt.Errorf("%d of %d bytes written", n, want)
}

// trailer ends a mapped file of so many bytes.
func trailer(size int64) []byte {
	b := append(make([]byte, 0, trailerSize), trailerMark...)
	b = binary.BigEndian.AppendUint64(b, uint64(size)) //nolint:gosec // G115: a file's size.
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// unwritten reports whether rest, which a file of size bytes ends with, is what a killed
// process had not written to: zeros and the trailer.
func unwritten(rest []byte, size int64) bool {
	zeros := len(rest) - trailerSize
	return zeros >= 0 && string(rest[zeros:]) == string(trailer(size)) && allZero(rest[:zeros])
}

// torn reports whether rest is that behind a record which the process was writing when it
// was killed: its header, which is stored last, is not there. Nobody acted upon it. Where
// a whole record follows it is damage.
func torn(rest []byte, size int64) bool {
	begun := recordHeader + maxRecord
	if len(rest) < recordHeader || !allZero(rest[:recordHeader]) {
		return false
	}
	return unwritten(rest[min(begun, max(0, len(rest)-trailerSize)):], size)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
