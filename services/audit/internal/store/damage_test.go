package store_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// small makes a store of three segments with nine events, stopped, and returns
// its files.
func small(t *testing.T) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, nil, 1)
	for i := range uint64(3) {
		put(t, s, batch("a", i*3+1, 3))
	}
	s.stop()
	files := readAll(t, dir)
	if len(files) != 4 {
		t.Fatalf("%d files", len(files))
	}
	return files
}

func segmentNames(files map[string][]byte) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".seg") {
			names = append(names, name)
		}
	}
	return names
}

func changed(files map[string][]byte, name string, content []byte) map[string][]byte {
	out := maps.Clone(files)
	if content == nil {
		delete(out, name)
	} else {
		out[name] = content
	}
	return out
}

// frames are the frames of a segment.
func frames(t *testing.T, segment []byte) (out [][]byte) {
	t.Helper()
	for at := chain.HeaderSize; at < len(segment); {
		_, n, err := chain.ParseFrame(segment[at:])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, segment[at:at+n])
		at += n
	}
	return out
}

// TestFault_F23_EveryByteCounts: any byte flipped and any cut, in any segment,
// is found: by a store that was running, by one that starts on it, and by
// Verify of both. The store goes on, and all that is not damaged is there.
func TestFault_F23_EveryByteCounts(t *testing.T) {
	files := small(t)
	dir := t.TempDir()
	writeAll(t, dir, files)
	before := open(t, dir, nil, 1<<20) // not written to: it keeps what it knows
	if p := append(verify(t, before.Store), before.Problems()...); len(p) > 0 {
		t.Fatal(p)
	}
	try := func(what string, damaged map[string][]byte, readable int, resend bool) {
		writeAll(t, dir, damaged)
		if len(verify(t, before.Store)) == 0 {
			t.Errorf("%s: the running store sees nothing", what)
		}
		again := t.TempDir()
		writeAll(t, again, damaged)
		after := open(t, again, nil, 1<<20)
		defer after.stop()
		if len(after.Problems()) == 0 {
			t.Errorf("%s: a store that starts on it sees nothing", what)
		}
		if len(verify(t, after.Store)) == 0 {
			t.Errorf("%s: a store that started on it verifies", what)
		}
		if n := len(contents(t, after.Store)); n < readable {
			t.Errorf("%s: %d of 9 records can be read, want %d", what, n, readable)
		}
		if !resend {
			return
		}
		// What was lost is sent again, as a proxy would from its spool.
		put(t, after, batch("a", 1, 12))
		if _, err := after.Get(eventID("a", 12)); err != nil {
			t.Errorf("%s: the store does not go on: %v", what, err)
		}
		got := map[string]int{}
		for _, c := range contents(t, after.Store) {
			got[c]++
		}
		for q := 1; q <= 12; q++ {
			if got[fmt.Sprintf("a %d", q)] != 1 {
				t.Errorf("%s: record %d is there %d times after redelivery", what, q, got[fmt.Sprintf("a %d", q)])
			}
		}
	}
	for _, name := range segmentNames(files) {
		for i := range files[name] {
			flipped := bytes.Clone(files[name])
			flipped[i] ^= 1 << (i % 8)
			// A damaged header costs its segment, a damaged record itself.
			readable := 8
			if i < chain.HeaderSize {
				readable = 6
			}
			try(fmt.Sprintf("byte %d of %s flipped", i, name), changed(files, name, flipped), readable, i%5 == 0)
			if i%7 == 0 {
				try(fmt.Sprintf("%s cut at %d", name, i), changed(files, name, files[name][:i]), 6, i%5 == 0)
			}
		}
		try(name+" removed", changed(files, name, nil), 6, true)
	}
	writeAll(t, dir, files)
	if p := verify(t, before.Store); len(p) > 0 {
		t.Errorf("put back as it was: %v", p)
	}
}

// Whole records, left as they are but for their place.
func TestRecordsMoved(t *testing.T) {
	files := small(t)
	names := segmentNames(files)
	first, last := files[names[0]], files[names[2]]
	join := func(head []byte, parts ...[]byte) []byte {
		return slices.Concat(append([][]byte{head[:chain.HeaderSize]}, parts...)...)
	}
	f, g := frames(t, first), frames(t, last)
	foreign := small(t)
	// rewrite changes a record and gives it the CRC and the hash that fit.
	rewrite := func(frame []byte, prev []byte) []byte {
		p, _, err := chain.ParseFrame(prev)
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := chain.ParseFrame(frame)
		if err != nil {
			t.Fatal(err)
		}
		r.Payload = bytes.ToUpper(r.Payload)
		out, _ := chain.AppendFrame(nil, p.Hash, &r.Record)
		return out
	}
	for what, damaged := range map[string]map[string][]byte{
		"doubled":               changed(files, names[0], join(first, f[0], f[1], f[1], f[2])),
		"doubled at the end":    changed(files, names[0], join(first, f[0], f[1], f[2], f[2])),
		"doubled at the head":   changed(files, names[2], join(last, g[0], g[1], g[2], g[2])),
		"swapped":               changed(files, names[0], join(first, f[1], f[0], f[2])),
		"swapped at the end":    changed(files, names[2], join(last, g[0], g[2], g[1])),
		"rewritten":             changed(files, names[0], join(first, f[0], rewrite(f[1], f[0]), f[2])),
		"rewritten at the end":  changed(files, names[0], join(first, f[0], f[1], rewrite(f[2], f[1]))),
		"rewritten at the head": changed(files, names[2], join(last, g[0], g[1], rewrite(g[2], g[1]))),
		"left out":              changed(files, names[0], join(first, f[0], f[2])),
		"first left out":        changed(files, names[0], join(first, f[1], f[2])),
		"last left out":         changed(files, names[0], join(first, f[0], f[1])),
		"last of all left out":  changed(files, names[2], join(last, g[0], g[1])),
		"all left out":          changed(files, names[2], join(last)),
		"of another segment":    changed(files, names[0], join(first, f[0], g[1], f[2])),
		"segments swapped":      changed(changed(files, names[0], last), names[2], first),
		"segment doubled":       changed(files, "00000000000000000004.seg", last),
		"another store's":       changed(files, names[1], foreign[names[1]]),
		"all segments removed":  {"head": files["head"]},
		"zeros behind the end":  changed(files, names[0], append(bytes.Clone(first), 0, 0, 0)),
		"zeros instead of last": changed(files, names[2], append(bytes.Clone(join(last, g[0], g[1])), make([]byte, len(g[2]))...)),
	} {
		dir := t.TempDir()
		writeAll(t, dir, files)
		running := open(t, dir, nil, 1<<20)
		writeAll(t, dir, damaged)
		if len(verify(t, running.Store)) == 0 && what != "segment doubled" {
			t.Errorf("%s: the running store sees nothing", what)
		}
		running.stop()
		writeAll(t, dir, damaged)
		again := open(t, dir, nil, 1<<20)
		if len(again.Problems()) == 0 || len(verify(t, again.Store)) == 0 {
			t.Errorf("%s: a store that starts on it sees %v and %v", what, again.Problems(), verify(t, again.Store))
		}
		put(t, again, batch("a", 10, 1))
		if _, err := again.Get(eventID("a", 10)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		// What is damaged is evidence: it stays as it is.
		now := readAll(t, dir)
		for name, b := range damaged {
			if name != "head" && !bytes.Equal(now[name], b) {
				t.Errorf("%s: %s was changed by the store", what, name)
			}
		}
		again.stop()
	}
}

// A payload may hold what looks like a record. Damage around it must not bring
// it to life.
func TestForgedRecordInPayload(t *testing.T) {
	forged, _ := chain.AppendFrame(nil, chain.Hash{}, &chain.Record{
		Kind: chain.Event, Sequence: 2, EventID: eventID("forged", 1), Instance: "forged", Epoch: spool, First: 1, Last: 1, Payload: []byte("forged"),
	})
	for _, at := range []int{0, 1, 2} {
		dir := t.TempDir()
		s := open(t, dir, nil, 1<<20)
		b := batch("a", 1, 3)
		b.Items[at].Payload = slices.Concat([]byte("padding"), forged)
		put(t, s, b)
		s.stop()
		files := readAll(t, dir)
		name := segmentNames(files)[0]
		files[name][bytes.Index(files[name], []byte("padding"))] ^= 1
		for _, withHead := range []bool{true, false} {
			if !withHead {
				delete(files, "head")
			}
			again := t.TempDir()
			writeAll(t, again, files)
			after := open(t, again, nil, 1<<20)
			if len(after.Problems()) == 0 {
				t.Errorf("damage of record %d is not seen, head %v", at+1, withHead)
			}
			for _, c := range contents(t, after.Store) {
				if strings.HasPrefix(c, "forged") {
					t.Errorf("the forged record in record %d is served", at+1)
				}
			}
			after.stop()
		}
	}
}

// TestFault_F21_TornTail: the newest segment cut at every byte of a write that
// was never acknowledged, with the head of before: nothing is wrong, what was
// acknowledged is there, and redelivery makes it whole.
func TestFault_F21_TornTail(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil, 1<<20)
	put(t, s, batch("a", 1, 2))
	acknowledged := readAll(t, dir)
	put(t, s, batch("a", 3, 3))
	s.stop()
	whole := readAll(t, dir)
	name := segmentNames(whole)[0]
	from := len(acknowledged[name])
	for n := from; n <= len(whole[name]); n++ {
		for _, tail := range [][]byte{nil, make([]byte, len(whole[name])-n)} {
			dir := t.TempDir()
			writeAll(t, dir, changed(acknowledged, name, append(bytes.Clone(whole[name][:n]), tail...)))
			s := open(t, dir, nil, 1<<20)
			if got := contents(t, s.Store); len(got) < 2 || got[0] != "a 1" || got[1] != "a 2" {
				t.Errorf("cut at %d: %v", n, got)
			}
			put(t, s, batch("a", 3, 3))
			if got := fmt.Sprint(contents(t, s.Store)); got != "[a 1 a 2 a 3 a 4 a 5]" {
				t.Errorf("cut at %d: %s after redelivery", n, got)
			}
			if p := append(verify(t, s.Store), s.Problems()...); len(p) > 0 {
				t.Errorf("cut at %d: %v", n, p)
			}
			s.stop()
		}
	}
	// And a segment whose header was never finished.
	header := whole[name][:chain.HeaderSize]
	for n := range header {
		dir := t.TempDir()
		writeAll(t, dir, changed(acknowledged, "00000000000000000002.seg", header[:n]))
		s := open(t, dir, nil, 1<<20)
		put(t, s, batch("a", 3, 1))
		if p := append(verify(t, s.Store), s.Problems()...); len(p) > 0 || len(contents(t, s.Store)) != 3 {
			t.Errorf("header cut at %d: %v", n, p)
		}
		s.stop()
	}
}

// A head that cannot be read costs only what it proves.
func TestHeadDamaged(t *testing.T) {
	files := small(t)
	for i := range files["head"] {
		b := bytes.Clone(files["head"])
		b[i] ^= 0x55
		dir := t.TempDir()
		writeAll(t, dir, changed(files, "head", b))
		s := open(t, dir, nil, 1<<20)
		if n := len(contents(t, s.Store)); n != 9 {
			t.Errorf("byte %d: %d records", i, n)
		}
		put(t, s, batch("a", 10, 1))
		s.stop()
	}
	dir := t.TempDir()
	writeAll(t, dir, changed(files, "head", make([]byte, 200)))
	if p := open(t, dir, nil, 1<<20).Problems(); len(p) != 1 || !strings.Contains(p[0], "head") {
		t.Error(p)
	}
}
