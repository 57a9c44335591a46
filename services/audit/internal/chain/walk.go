package chain

import "errors"

// Walked is what Walk found besides good frames.
type Walked struct {
	// Last is the hash of the last good frame, or the seed.
	Last Hash
	// End is where the last good frame ends.
	End int
	// Damaged is set when what stands from From to To is not good frames; where
	// the two are equal, frames are missing there.
	Damaged  bool
	From, To int
	// Torn is set when the damage runs to the end and nothing in it looks like a
	// frame: what a crash leaves of the last write.
	Torn bool
}

// Walk reads the frames of a segment that starts with header, and calls visit
// for each good one with its offset. A frame is good when its CRC holds and it
// follows the one before.
//
// Behind damage the walk goes on with the first frame from which everything
// to the end is whole and chained. A payload may hold bytes that look like a
// frame; those cannot be chained to what really follows, so they are never
// taken for records.
func Walk(segment []byte, header Header, visit func(offset int, f *Frame)) Walked {
	w := Walked{Last: header.Seed(), End: HeaderSize}
	next := w.run(segment, header.First, visit)
	if w.End == len(segment) {
		return w
	}
	w.Damaged, w.From, w.To = true, w.End, len(segment)
	w.Torn = true
	for at := w.From; at < len(segment); at++ {
		f, n, err := ParseFrame(segment[at:])
		if err != nil {
			continue
		}
		w.Torn = false
		// A sequence that was there already is a frame put in twice.
		if f.Sequence >= next && reachesEnd(segment[at+n:], &f) {
			w.To = at
			visit(at, &f)
			w.Last, w.End = f.Hash, at+n
			w.run(segment, f.Sequence+1, visit)
			break
		}
	}
	return w
}

// run visits good frames from w.End on, as far as they go, and returns the
// sequence that is next. Sequences grow by one inside a segment.
func (w *Walked) run(segment []byte, sequence uint64, visit func(int, *Frame)) uint64 {
	for w.End < len(segment) {
		f, n, err := ParseFrame(segment[w.End:])
		if err != nil || f.Sequence != sequence || !f.Follows(w.Last) {
			break
		}
		visit(w.End, &f)
		w.Last, w.End = f.Hash, w.End+n
		sequence++
	}
	return sequence
}

// reachesEnd reports whether b, which stands behind the frame f, is frames that
// are whole and chained to it, and nothing else.
func reachesEnd(b []byte, f *Frame) bool {
	prev, sequence := f.Hash, f.Sequence
	for len(b) > 0 {
		f, n, err := ParseFrame(b)
		sequence++
		if err != nil || f.Sequence != sequence || !f.Follows(prev) {
			return false
		}
		prev, b = f.Hash, b[n:]
	}
	return true
}

// IsTornHeader reports whether a segment is what a crash leaves of making one:
// shorter than a header, or nothing but zeros.
func IsTornHeader(segment []byte) bool {
	if _, err := ParseHeader(segment); !errors.Is(err, ErrHeader) {
		return false
	}
	if len(segment) < HeaderSize {
		return true
	}
	for _, c := range segment {
		if c != 0 {
			return false
		}
	}
	return true
}
