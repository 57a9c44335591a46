package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

func record(sequence uint64, payload string) *chain.Record {
	return &chain.Record{
		Kind: chain.Event, Sequence: sequence, StoredMicros: -5, EventID: [16]byte{1, 2}, Epoch: [16]byte{3},
		Instance: "eu-1", First: 9, Last: 9, Payload: []byte(payload),
	}
}

// segment builds a segment of records with the payloads and returns where its
// frames begin and end.
func segment(first uint64, payloads ...string) (chain.Header, []byte, []int) {
	h := chain.Header{Segment: 3, First: first, CreatedMicros: 1, PrevLength: 99, PrevHash: chain.Hash{7}}
	b, prev := h.Append(nil), h.Seed()
	bounds := []int{len(b)}
	for i, p := range payloads {
		b, prev = chain.AppendFrame(b, prev, record(first+uint64(i), p))
		bounds = append(bounds, len(b))
	}
	return h, b, bounds
}

func TestRoundTrip(t *testing.T) {
	h, b, bounds := segment(5, "one", "", "three")
	if got, err := chain.ParseHeader(b); err != nil || got != h {
		t.Errorf("%+v, %v", got, err)
	}
	prev := h.Seed()
	for i, want := range []string{"one", "", "three"} {
		f, n, err := chain.ParseFrame(b[bounds[i]:])
		if err != nil || n != bounds[i+1]-bounds[i] || !f.Follows(prev) || f.Follows(chain.Hash{}) {
			t.Fatalf("frame %d: %+v, %d, %v", i, f, n, err)
		}
		if diff := cmp.Diff(record(5+uint64(i), want), &f.Record, cmp.Transformer("empty", func(b []byte) string { return string(b) })); diff != "" {
			t.Error(diff)
		}
		prev = f.Hash
	}
}

func TestParseRejects(t *testing.T) {
	_, b, bounds := segment(1, "payload")
	frame := b[bounds[0]:]
	for n := range frame {
		if _, _, err := chain.ParseFrame(frame[:n]); !errors.Is(err, chain.ErrShort) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	for i := range frame {
		for bit := range 8 {
			flipped := bytes.Clone(frame)
			flipped[i] ^= 1 << bit
			if _, _, err := chain.ParseFrame(flipped); err == nil {
				t.Errorf("bit %d of byte %d does not count", bit, i)
			}
		}
	}
	for i := range chain.HeaderSize {
		flipped := bytes.Clone(b)
		flipped[i] ^= 0x10
		if _, err := chain.ParseHeader(flipped); !errors.Is(err, chain.ErrHeader) {
			t.Errorf("byte %d of the header does not count", i)
		}
	}
	// Well framed, but not what the store writes.
	for name, r := range map[string]*chain.Record{
		"kind":        {Kind: 9, Sequence: 1, First: 1, Last: 1},
		"no kind":     {Sequence: 1, First: 1, Last: 1},
		"sequence 0":  {Kind: chain.Event, First: 1, Last: 1},
		"first 0":     {Kind: chain.Gap, Sequence: 1, Last: 1},
		"backwards":   {Kind: chain.Gap, Sequence: 1, First: 2, Last: 1},
		"event range": {Kind: chain.Event, Sequence: 1, First: 1, Last: 2},
	} {
		b, _ := chain.AppendFrame(nil, chain.Hash{}, r)
		if _, _, err := chain.ParseFrame(b); !errors.Is(err, chain.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAppendFramePanicsOverLimits(t *testing.T) {
	for _, r := range []*chain.Record{
		{Payload: make([]byte, chain.MaxPayload+1)}, {Instance: string(make([]byte, chain.MaxInstance+1))},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			chain.AppendFrame(nil, chain.Hash{}, r)
		}()
	}
}

// walk returns the payloads that Walk visits.
func walk(b []byte) (got []string, w chain.Walked, ok bool) {
	h, err := chain.ParseHeader(b)
	if err != nil {
		return nil, w, false
	}
	w = chain.Walk(b, h, func(_ int, f *chain.Frame) { got = append(got, string(f.Payload)) })
	return got, w, true
}

func TestWalk(t *testing.T) {
	_, b, at := segment(1, "a", "b", "c", "d")
	frame := func(i int) []byte { return b[at[i]:at[i+1]] }
	flip := func(i int) []byte { out := bytes.Clone(b); out[i] ^= 1; return out }
	for name, c := range map[string]struct {
		in      []byte
		want    string
		damaged bool
		torn    bool
	}{
		"whole":         {b, "[a b c d]", false, false},
		"torn":          {b[:at[4]-1], "[a b c]", true, true},
		"torn to zeros": {append(bytes.Clone(b[:at[3]]), make([]byte, 50)...), "[a b c]", true, true},
		"first damaged": {flip(at[0] + 20), "[b c d]", true, false},
		"one damaged":   {flip(at[1] + 20), "[a c d]", true, false},
		"last damaged":  {flip(at[3] + 20), "[a b c]", true, true},
		"length":        {flip(at[1] + 3), "[a c d]", true, false},
		"two damaged":   {func() []byte { o := flip(at[1] + 20); o[at[3]+20] ^= 1; return o }(), "[a]", true, false},
		"left out":      {slices.Concat(b[:at[1]], b[at[2]:]), "[a c d]", true, false},
		"doubled":       {slices.Concat(b[:at[2]], frame(1), b[at[2]:]), "[a b c d]", true, false},
		"swapped":       {slices.Concat(b[:at[1]], frame(2), frame(1), frame(3)), "[a d]", true, false},
		"header only":   {b[:at[0]], "[]", false, false},
	} {
		got, w, ok := walk(c.in)
		if !ok || fmt.Sprint(got) != c.want || w.Damaged != c.damaged || w.Torn != c.torn {
			t.Errorf("%s: %v, %+v", name, got, w)
		}
	}
}

// Whatever is done to a segment, Walk visits only records that were written, in
// their order, and says so when one is missing.
func TestWalkProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		payloads := rapid.SliceOfN(rapid.StringN(0, 20, 40), 1, 8).Draw(r, "payloads")
		for i := range payloads {
			payloads[i] = fmt.Sprintf("%d:%s", i, payloads[i])
		}
		_, b, _ := segment(1, payloads...)
		for range rapid.IntRange(0, 3).Draw(r, "edits") {
			from := rapid.IntRange(chain.HeaderSize, len(b)).Draw(r, "from")
			to := rapid.IntRange(from, min(len(b), from+200)).Draw(r, "to")
			switch rapid.IntRange(0, 3).Draw(r, "edit") {
			case 0:
				b = slices.Concat(b[:from], b[to:])
			case 1:
				b = slices.Concat(b[:to], b[from:])
			case 2:
				b = slices.Concat(b[:from], rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(r, "bytes"), b[from:])
			default:
				if from < len(b) {
					b = bytes.Clone(b)
					b[from] ^= byte(rapid.IntRange(1, 255).Draw(r, "xor"))
				}
			}
		}
		got, w, ok := walk(b)
		if !ok {
			t.Fatal("the header was not touched")
		}
		next := 0
		for _, p := range got {
			i := slices.Index(payloads[next:], p)
			if i < 0 {
				t.Fatalf("%q was not written, or not there", p)
			}
			next += i + 1
		}
		if !w.Damaged && !slices.Equal(got, payloads[:len(got)]) {
			t.Fatalf("a record is missing in the middle and nothing is said: %v", got)
		}
	})
}

func TestTornHeader(t *testing.T) {
	_, b, _ := segment(1, "a")
	for n := range chain.HeaderSize {
		if !chain.IsTornHeader(b[:n]) || !chain.IsTornHeader(make([]byte, n*2)) {
			t.Errorf("%d bytes", n)
		}
	}
	flipped := bytes.Clone(b)
	flipped[9] ^= 1
	if chain.IsTornHeader(b) || chain.IsTornHeader(flipped) {
		t.Error("a header that was there is taken for torn")
	}
}

// FuzzSegment: no bytes make the reader panic, run on, or give out a record that
// does not write back to the bytes it came from.
func FuzzSegment(f *testing.F) {
	_, whole, at := segment(1, "a", "b", "c")
	f.Add(whole)
	f.Add(whole[:at[2]+7])
	f.Add(slices.Concat(whole[:at[1]], whole[at[2]:]))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0}, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := chain.ParseHeader(b)
		if err != nil {
			// Frames alone: reach them although the header is no good.
			h = chain.Header{Segment: 1, First: 1}
			b = append(h.Append(nil), b...)
		}
		end, prev, sequence := chain.HeaderSize, chain.Hash{}, uint64(0)
		w := chain.Walk(b, h, func(offset int, fr *chain.Frame) {
			if offset < end || fr.Sequence <= sequence {
				t.Fatalf("record %d at %d after %d at %d", fr.Sequence, offset, sequence, end)
			}
			sequence = fr.Sequence
			_, n, err := chain.ParseFrame(b[offset:])
			if err != nil {
				t.Fatal(err)
			}
			back, _ := chain.AppendFrame(nil, prev, &fr.Record)
			if len(back) != n || !bytes.Equal(back[8:n-32], b[offset+8:offset+n-32]) {
				t.Fatalf("record %d writes back differently", fr.Sequence)
			}
			end, prev = offset+n, fr.Hash
		})
		if w.End > len(b) || w.Damaged && (w.From > w.To || w.To > len(b)) || !w.Damaged && w.End != len(b) {
			t.Fatalf("%+v of %d bytes", w, len(b))
		}
	})
}
