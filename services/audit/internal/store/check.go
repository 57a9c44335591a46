package store

import (
	"path/filepath"

	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// checker follows the chain from segment to segment and reports every break. It
// is used at start and by Verify, so that both find the same.
type checker struct {
	report   func(format string, args ...any)
	begun    bool
	sequence uint64     // of the last good record
	hash     chain.Hash // the chain's hash there
	end      int64      // where the last segment really ends
}

func newChecker(report func(string, ...any)) *checker { return &checker{report: report} }

// open judges a segment's header.
func (c *checker) open(name string, data []byte) (chain.Header, bool) {
	base := filepath.Base(name)
	h, err := chain.ParseHeader(data)
	if err != nil {
		c.report("segment %s: its header is damaged; nothing in it can be read", base)
		return h, false
	}
	if n, _ := segmentNumber(base); n != h.Segment {
		c.report("segment %s: it was written as segment %d", base, h.Segment)
	}
	if !c.begun && (h.First != 1 || h.PrevHash != chain.Hash{}) {
		c.report("segment %s: what came before it is missing", base)
	}
	if c.begun {
		if h.PrevHash != c.hash || h.First <= c.sequence {
			c.report("segment %s: it does not follow the segment before it", base)
		}
		if h.PrevLength != uint64(c.end) { //nolint:gosec // G115: a length.
			c.report("segment %s: the segment before it is %d bytes long and was sealed at %d", base, c.end, h.PrevLength)
		}
	}
	if h.First > c.sequence+1 {
		c.report("segment %s: records %d to %d are missing before it", base, c.sequence+1, h.First-1)
	}
	c.begun = true
	if h.First > c.sequence {
		c.sequence = h.First - 1
	}
	return h, true
}

// close judges what a walk over the segment found. last is the sequence of its
// last good record, 0 without any; size is how long the file is.
func (c *checker) close(name string, w chain.Walked, last uint64, size int64) {
	switch {
	case w.Damaged && w.From == w.To:
		c.report("segment %s: records are missing at byte %d", filepath.Base(name), w.From)
	case w.Damaged:
		c.report("segment %s: bytes %d to %d are not what was written", filepath.Base(name), w.From, w.To-1)
	}
	if last > c.sequence {
		c.sequence = last
	}
	c.hash, c.end = w.Last, size
}
