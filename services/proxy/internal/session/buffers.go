package session

import (
	"bufio"
	"io"
	"sync"
)

// Buffers are what sessions write through. They are lent for as long as something is in
// them, so that an idle session has none. Safe for concurrent use.
type Buffers struct{ free sync.Pool }

// writeBuffer is the size of one, in bytes.
const writeBuffer = 16 << 10

// lend returns an empty buffer in front of w.
func (b *Buffers) lend(w io.Writer) *bufio.Writer {
	if free, ok := b.free.Get().(*bufio.Writer); ok {
		free.Reset(w)
		return free
	}
	return bufio.NewWriterSize(w, writeBuffer)
}

// takeBack takes a buffer that nothing is in.
func (b *Buffers) takeBack(w *bufio.Writer) {
	w.Reset(nil)
	b.free.Put(w)
}

// outbox is one direction of a session. It belongs to one goroutine.
type outbox struct {
	buffers *Buffers
	to      io.Writer
	lent    *bufio.Writer
}

// Write adds bytes, and may write some.
func (o *outbox) Write(p []byte) (int, error) {
	if o.lent == nil {
		o.lent = o.buffers.lend(o.to)
	}
	return o.lent.Write(p)
}

// Flush writes what has been added. After an error everything fails.
func (o *outbox) Flush() error {
	if o.lent == nil {
		return nil
	}
	if err := o.lent.Flush(); err != nil {
		return err
	}
	o.buffers.takeBack(o.lent)
	o.lent = nil
	return nil
}
