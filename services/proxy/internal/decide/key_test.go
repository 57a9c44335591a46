package decide

import (
	"reflect"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/fingerprint"
	"github.com/scopewire/scopewire/internal/sys"
)

// What is sought finds its own entry alone: a change of any field misses it, and no field
// of the key is left out of what is sought. A new field fails this test until somebody
// says how it may differ.
func TestSec_T24_EveryFieldOfTheKeyIsCompared(t *testing.T) {
	base := func() sought {
		return sought{token: TokenHash{1}, context: "c", answers: "a", kind: UnitQuery, types: []byte("t"), settled: []byte("s"), text: []byte("x")}
	}
	change := map[string]func(*sought){
		"token":   func(k *sought) { k.token[31]++ },
		"context": func(k *sought) { k.context += "\x00" },
		"answers": func(k *sought) { k.answers = "" },
		"kind":    func(k *sought) { k.kind = UnitParse },
		"types":   func(k *sought) { k.types = []byte("ts") },
		"settled": func(k *sought) { k.settled = nil },
		"text":    func(k *sought) { k.text = []byte("y") },
		"printed": func(k *sought) { k.printed = true },
	}
	keys, seeks := reflect.TypeFor[cacheKey](), reflect.TypeFor[sought]()
	if keys.NumField() != seeks.NumField() || keys.NumField() != len(change) {
		t.Errorf("%d fields of the key, %d are sought, %d are tried", keys.NumField(), seeks.NumField(), len(change))
	}
	own := base()
	e := &entry{key: own.key()}
	index := map[cacheKey]*entry{e.key: e}
	if same := base(); same.in(index) != e || same.key() != e.key {
		t.Fatal("a key does not find its own entry")
	}
	for i := range keys.NumField() {
		name := keys.Field(i).Name
		alter, ok := change[name]
		if _, sought := seeks.FieldByName(name); !ok || !sought {
			t.Errorf("field %s is not looked at", name)
			continue
		}
		other := base()
		alter(&other)
		if other.in(index) != nil || other.key() == e.key {
			t.Errorf("another %s finds the entry", name)
		}
	}
}

// Where the parameter types end and the settled ones begin is part of the key.
func TestSec_T24_TypesDoNotRunTogether(t *testing.T) {
	seen := map[cacheKey]int{}
	for i, r := range []Request{
		{}, {ParameterTypes: []uint32{23}}, {SettledTypes: []uint32{23}}, {ParameterTypes: []uint32{23, 25}}, {SettledTypes: []uint32{23, 25}},
		{ParameterTypes: []uint32{23}, SettledTypes: []uint32{25}},
	} {
		k := (&room{}).sought(&r, nil, false)
		if before, ok := seen[k.key()]; ok {
			t.Errorf("request %d has the key of request %d", i, before)
		}
		seen[k.key()] = i
	}
}

// The room that keys are put together in is used again: what is kept has bytes of its own.
func TestSec_T24_KeptKeysAreNotOverwritten(t *testing.T) {
	clock := sys.OS().Clock
	fence := NewFence(clock, time.Hour)
	next := &counted{answer: func(r *Request) (*Decision, error) {
		d := allowAt(fence, clock.Now(), time.Hour)
		d.Fingerprint, d.Detail = r.Kind == UnitQuery, string(r.Text)
		return d, nil
	}}
	c := newCache(t, next, fence)
	texts := []string{"SELECT a FROM t WHERE b = 1", "SELECT c FROM u WHERE b = 2", "DELETE FROM t WHERE d = 'x'", "SELECT"}
	for range 3 {
		for _, text := range texts {
			for _, kind := range []UnitKind{UnitQuery, UnitParse} {
				req := cacheRequest(t)
				req.Text, req.Kind = []byte(text), kind
				d := askCache(t, c, req)
				clear(req.Text)
				if d.Detail != text {
					t.Errorf("%s: found the decision for %s", text, d.Detail)
				}
			}
		}
	}
	if next.asked != 2*len(texts) {
		t.Errorf("asked %d times for %d texts of two kinds", next.asked, len(texts))
	}
}

// hit is a cache that holds a decision, and a request for it.
func hit(t testing.TB, printed bool) (*Cache, *Request) {
	clock := sys.OS().Clock
	fence := NewFence(clock, time.Hour)
	next := &counted{answer: func(*Request) (*Decision, error) {
		d := allowAt(fence, clock.Now(), time.Hour)
		d.Fingerprint = printed
		return d, nil
	}}
	c, err := NewCache(next, fence, 16)
	if err != nil {
		t.Fatal(err)
	}
	session := &authzv1.SessionContext{Database: "db", ServerVersionNum: 150020, Login: "app", Role: "app", SearchPath: `"$user", public`,
		Settings: map[string]string{"DateStyle": "ISO, MDY", "TimeZone": "Europe/Berlin", "IntervalStyle": "postgres", "client_encoding": "UTF8"}}
	key, err := ContextKey(session)
	if err != nil {
		t.Fatal(err)
	}
	req := &Request{Principal: "https://idp.example.com alice", TokenHash: TokenHash{1}, Context: session, ContextKey: key, Kind: UnitQuery,
		Text: []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 12345;")}
	if _, err := c.Authorize(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	return c, req
}

// A decision that is kept is found without an allocation, by its fingerprint and by its text.
func TestHitsAllocateNothing(t *testing.T) {
	for _, printed := range []bool{true, false} {
		c, req := hit(t, printed)
		req.ParameterTypes = nil
		if n := testing.AllocsPerRun(200, func() {
			if d, err := c.Authorize(t.Context(), req); err != nil || !d.Cached {
				t.Error("not found")
			}
		}); n >= 1 {
			t.Errorf("by fingerprint %t: %v allocations", printed, n)
		}
	}
}

// BenchmarkCacheHit is a hit as it costs a statement, but for what the session does: the
// fingerprint, its key, the look-up, and whether it still holds.
func BenchmarkCacheHit(b *testing.B) {
	for name, printed := range map[string]bool{"fingerprint": true, "text": false} {
		b.Run(name, func(b *testing.B) {
			c, req := hit(b, printed)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Authorize(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLookup is the fingerprint, its key and the look-up alone.
func BenchmarkLookup(b *testing.B) {
	c, req := hit(b, true)
	b.ReportAllocs()
	for b.Loop() {
		r := c.room()
		r.print, _ = fingerprint.Append(r.print[:0], req.Text)
		k := r.sought(req, r.print, true)
		if _, ok := c.entries.get(req.Principal, &k); !ok {
			b.Fatal("not found")
		}
		c.rooms.Put(r)
	}
}
