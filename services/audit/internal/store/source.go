package store

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// sourceKey names a spool.
type sourceKey struct {
	instance string
	epoch    [16]byte
}

// source is what the store knows of a spool: everything up to high is stored,
// but for the holes, which are on record as gaps. It is a value; holes are
// never changed in place.
type source struct {
	high  uint64
	holes []Span // ascending, apart
}

// has reports whether the sequence is stored.
func (s source) has(sequence uint64) bool {
	if sequence > s.high {
		return false
	}
	_, inHole := s.hole(sequence)
	return !inHole
}

func (s source) hole(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(s.holes, sequence, func(h Span, n uint64) int {
		switch {
		case h.Last < n:
			return -1
		case h.First > n:
			return 1
		default:
			return 0
		}
	})
}

// store notes that the sequence is stored.
func (s *source) store(sequence uint64) {
	if sequence > s.high {
		if sequence > s.high+1 {
			s.skip(sequence - 1)
		}
		s.high = sequence
		return
	}
	i, ok := s.hole(sequence)
	if !ok {
		return
	}
	h := s.holes[i]
	var rest []Span
	if h.First < sequence {
		rest = append(rest, Span{h.First, sequence - 1})
	}
	if sequence < h.Last {
		rest = append(rest, Span{sequence + 1, h.Last})
	}
	s.holes = slices.Concat(s.holes[:i], rest, s.holes[i+1:])
}

// skip notes that everything after high up to last is missing.
func (s *source) skip(last uint64) {
	if last <= s.high {
		return
	}
	s.holes = append(slices.Clip(s.holes), Span{s.high + 1, last})
	s.high = last
}

// replay notes a record found at start.
func (s *source) replay(r *chain.Record) {
	switch r.Kind {
	case chain.Gap:
		s.skip(r.Last)
	default:
		s.store(r.First)
	}
}

// plan turns a batch into the records to write, in order, appended to records,
// and the source's state once they are durable. Payloads are not copied.
func (s *Store) plan(b *Batch, src source, records []chain.Record) ([]chain.Record, source, Result) {
	p := planner{store: s, batch: b, src: src, records: slices.Grow(records, len(b.Items))}
	for _, lost := range b.Lost {
		if lost.First > p.src.high+1 {
			p.gap(lost.First-1, "are missing, and the spool does not say why")
		}
		p.gap(lost.Last, "were lost by the spool")
	}
	if len(b.Items) > 0 && b.First > p.src.high+1 {
		p.gap(b.First-1, "are missing, and the spool does not say why")
	}
	for i, item := range b.Items {
		sequence := b.First + uint64(i) //nolint:gosec // G115: an index.
		if p.src.has(sequence) {
			p.result.Duplicates++
			continue
		}
		p.src.store(sequence)
		record := chain.Record{Kind: chain.Event, EventID: item.EventID, First: sequence, Last: sequence, Payload: item.Payload}
		if item.Damage == "" {
			p.result.Stored++
			p.add(record)
			continue
		}
		p.result.Damaged++
		record.Kind, record.EventID = chain.Damaged, [16]byte{}
		p.add(record)
		p.gapEvent(Span{sequence, sequence}, fmt.Sprintf("record %d of the spool is kept as it is, but is no event: %s", sequence, item.Damage))
	}
	p.result.Durable = p.src.high
	return p.records, p.src, p.result
}

type planner struct {
	store   *Store
	batch   *Batch
	src     source
	records []chain.Record
	result  Result
}

// gap records that everything not stored up to last is missing.
func (p *planner) gap(last uint64, why string) {
	if last <= p.src.high {
		return
	}
	missing := Span{p.src.high + 1, last}
	p.src.skip(last)
	p.gapEvent(missing, fmt.Sprintf("records %d to %d of the spool %s", missing.First, missing.Last, why))
}

// gapEvent is an event of the store's own. Its id is minted here, and its
// origin names the spool and the first sequence that is missing.
func (p *planner) gapEvent(missing Span, detail string) {
	p.result.Gaps++
	eventID := id.New(p.store.deps.Clock, p.store.deps.Rand)
	event := &auditv1.Event{
		SchemaVersion: 1,
		EventId:       eventID[:],
		Time:          timestamppb.New(p.store.deps.Clock.Now()),
		Type:          auditv1.EventType_EVENT_TYPE_GAP,
		Origin:        &auditv1.Origin{Instance: p.batch.Instance, SpoolEpoch: p.batch.Epoch[:], Sequence: missing.First},
		ReasonDetail:  detail,
		Gap:           &auditv1.SequenceRange{First: missing.First, Last: missing.Last},
	}
	payload, err := proto.Marshal(event)
	if err != nil {
		// Every string in it was checked or made here.
		panic("a gap event cannot be serialised: " + err.Error())
	}
	p.add(chain.Record{Kind: chain.Gap, EventID: eventID, First: missing.First, Last: missing.Last, Payload: payload})
}

func (p *planner) add(r chain.Record) {
	r.Instance, r.Epoch = p.batch.Instance, p.batch.Epoch
	p.records = append(p.records, r)
}
