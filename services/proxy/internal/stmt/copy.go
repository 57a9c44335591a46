package stmt

import "github.com/scopewire/scopewire/services/proxy/internal/wire"

// copyState is where the server stands in a COPY that a message has started
// (commands/copyfromparse.c, ReceiveCopyBegin and CopyGetData; commands/copyto.c,
// SendCopyBegin and SendCopyEnd).
type copyState int

const (
	// copyNone: it copies nothing for the message.
	copyNone copyState = iota
	// copyIn: it reads data. Until it hears CopyDone or CopyFail it says nothing but
	// that something is wrong.
	copyIn
	// copyOut: it sends data.
	copyOut
	// copyEnded: all data is sent, one way or the other, and the command is not
	// complete yet.
	copyEnded
)

// fitsCopy says whether a message can come in the state the COPY is in.
func (o *Op[P]) fitsCopy(typ byte) bool {
	if typ == wire.ErrorResponse {
		return true
	}
	switch o.copying {
	case copyIn:
		return false
	case copyOut:
		return typ == wire.CopyData || typ == wire.CopyDone
	case copyEnded:
		return typ == wire.CommandComplete
	default:
		switch typ {
		case wire.CopyInResponse, wire.CopyOutResponse:
			return o.Copies && !o.Substituted && (o.Kind == Query || o.Kind == Execute)
		case wire.CopyData, wire.CopyDone:
			return false
		default:
			return true
		}
	}
}

// moveCopy moves the COPY on by a message that fits.
func (o *Op[P]) moveCopy(typ byte) {
	switch typ {
	case wire.CopyInResponse:
		o.copying = copyIn
	case wire.CopyOutResponse:
		o.copying = copyOut
	case wire.CopyDone:
		o.copying = copyEnded
	case wire.CommandComplete, wire.ErrorResponse:
		o.copying = copyNone
	default:
		// Rows and data change nothing.
	}
}

// AwaitCopy waits until the server says what becomes of a message that Copies: reads
// is true when it reads data for it now, false when the message is answered in full
// or was skipped. For an Execute that takes a Flush behind it.
func (t *Tracker[P]) AwaitCopy(op *Op[P]) (reads bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.undecided(op) {
		t.moved.Wait()
	}
	if t.ended {
		return false, ErrEnded
	}
	return op.queued, nil
}

// MustAwaitCopy reports whether AwaitCopy would wait for the server, so that the
// caller can first send what it holds back.
func (t *Tracker[P]) MustAwaitCopy(op *Op[P]) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.undecided(op)
}

func (t *Tracker[P]) undecided(op *Op[P]) bool { return op.queued && op.copying != copyIn && !t.ended }

// EndCopy notes that the end of the data is about to be forwarded, a CopyDone or
// CopyFail.
func (t *Tracker[P]) EndCopy(op *Op[P]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if op.copying == copyIn {
		op.copying = copyEnded
	}
}
