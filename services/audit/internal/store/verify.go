package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// Verify reads the whole store from disk and checks every byte of it against
// the chain, and the chain's end against what this process knows. progress is
// called now and then, and may be nil; an error of it ends the check. The
// problems are one line each, at most a hundred. Memory: one segment at a time.
func (s *Store) Verify(ctx context.Context, progress func(checked, total uint64) error) (problems []string, checked uint64, err error) {
	report := func(format string, args ...any) {
		if len(problems) < maxProblems {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	v := s.view()
	head := v.head
	names, err := s.segmentNames()
	if err != nil {
		return nil, 0, fmt.Errorf("verify audit store: %w", err)
	}
	total, ends, known := v.extent(head)
	for _, name := range names {
		delete(known, name)
	}
	for name := range known {
		report("segment %s is missing", filepath.Base(name))
	}
	check := newChecker(report)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, checked, err
		}
		if number, _ := segmentNumber(filepath.Base(name)); number > head.segment {
			// Made since the check began.
			break
		}
		data, err := s.deps.FS.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			report("segment %s is missing", filepath.Base(name))
			continue
		}
		if err != nil {
			return nil, checked, fmt.Errorf("verify audit store: %w", err)
		}
		n := s.verifySegment(check, name, data, ends)
		checked += n
		if progress != nil {
			if err := progress(checked, total); err != nil {
				return nil, checked, err
			}
		}
	}
	if check.hash != head.hash {
		report("the chain does not end in the hash that was stored last")
	}
	for _, p := range s.Problems() {
		report("at start: %s", p)
	}
	return problems, checked, nil
}

// extent counts what the index knows up to head: records, and where each
// segment ends.
func (v *view) extent(head position) (total uint64, ends map[string]int64, known map[string]bool) {
	ends, known = map[string]int64{}, map[string]bool{}
	for _, g := range v.segments {
		if g.header.Segment > head.segment {
			continue
		}
		known[g.name] = true
		ends[g.name] = g.length
		for _, e := range g.entries {
			if e.sequence <= head.sequence {
				total++
			}
		}
	}
	return total, ends, known
}

func (s *Store) verifySegment(check *checker, name string, data []byte, ends map[string]int64) (n uint64) {
	header, ok := check.open(name, data)
	if !ok {
		return 0
	}
	size := int64(len(data))
	end, ours := ends[name]
	switch {
	case !ours:
		check.report("segment %s is not one of this store's", filepath.Base(name))
		end = size
	case size < end:
		check.report("segment %s is cut: %d of %d bytes are there", filepath.Base(name), size, end)
		end = size
	case size > s.limit(name):
		check.report("segment %s: %d bytes stand behind its end", filepath.Base(name), size-end)
	default:
		// Batches that came since the check began.
		size = end
	}
	var last uint64
	w := chain.Walk(data[:end], header, func(_ int, f *chain.Frame) { n, last = n+1, f.Sequence })
	check.close(name, w, last, size)
	return n
}

// limit is how long a segment may be now.
func (s *Store) limit(name string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, g := range s.segments {
		if g.name == name {
			return g.limit
		}
	}
	return 0
}
