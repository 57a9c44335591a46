package decide

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
)

// alwaysAllow is a cache over an authorizer that allows whatever it is asked.
func alwaysAllow(t *testing.T, entries int) (*Cache, *counted) {
	t.Helper()
	clock := sys.OS().Clock
	fence := NewFence(clock, time.Hour)
	next := &counted{answer: func(*Request) (*Decision, error) { return allowAt(fence, clock.Now(), time.Hour), nil }}
	c, err := NewCache(next, fence, entries)
	if err != nil {
		t.Fatal(err)
	}
	return c, next
}

// TestSec_T22_LiteralsThatCarryAuthority: a decision is found for the exact text
// only, so that no literal that names a role, file, sequence or text of SQL is
// ever passed over.
func TestSec_T22_LiteralsThatCarryAuthority(t *testing.T) {
	for _, pair := range [][2]string{
		{"SELECT set_config('work_mem', '1', false)", "SELECT set_config('role', 'admin', false)"},
		{"SELECT pg_read_file('/a')", "SELECT pg_read_file('/b')"},
		{"SELECT lo_export(1, '/a')", "SELECT lo_export(1, '/b')"},
		{"SELECT dblink('a', 'SELECT 1')", "SELECT dblink('a', 'SELECT 2')"},
		{"SELECT query_to_xml('SELECT 1', true, true, '')", "SELECT query_to_xml('SELECT 2', true, true, '')"},
		{"COPY t TO PROGRAM 'a'", "COPY t TO PROGRAM 'b'"},
		{"SELECT nextval('s1')", "SELECT nextval('s2')"},
		{"SELECT 'public.a'::regclass", "SELECT 'hr.b'::regclass"},
		{"EXECUTE a('1')", "EXECUTE a('2')"},
		{"DO 'BEGIN NULL; END'", "DO 'BEGIN PERFORM 1; END'"},
		{"SET search_path = 'a'", "SET search_path = 'b'"},
		{"SELECT * FROM t LIMIT 1", "SELECT * FROM t LIMIT 2"},
		{"SELECT 1::varchar(1)", "SELECT 1::varchar(2)"},
		{"SELECT * FROM t ORDER BY 1", "SELECT * FROM t ORDER BY 2"},
		{"SELECT 1", "SELECT 1 "},
	} {
		c, next := alwaysAllow(t, 16)
		for _, text := range pair {
			r := cacheRequest(t)
			r.Text = []byte(text)
			if d := askCache(t, c, r); d.Cached {
				t.Errorf("%q found the decision of %q", pair[1], pair[0])
			}
		}
		if next.asked != 2 {
			t.Errorf("asked %d times for %q", next.asked, pair)
		}
	}
}

// TestSec_T23_SessionStateIsInTheKey: the same text under another search_path,
// setting, role, login, database, temporary table, prepared statement, cursor or
// parameter type is judged anew.
func TestSec_T23_SessionStateIsInTheKey(t *testing.T) {
	for name, alter := range map[string]func(*Request){
		"search_path": func(r *Request) { r.Context.SearchPath = "hr, public" },
		"setting":     func(r *Request) { r.Context.Settings["a"] = "2" },
		"role":        func(r *Request) { r.Context.Role = "admin" },
		"login":       func(r *Request) { r.Context.Login = "admin" },
		"database":    func(r *Request) { r.Context.Database = "other" },
		"temporary":   func(r *Request) { r.Context.TemporaryRelations = []string{"orders"} },
		"prepared":    func(r *Request) { r.Context.PreparedStatements = map[string][]byte{"a": []byte("SELECT 1")} },
		"cursor":      func(r *Request) { r.Context.Cursors = map[string][]byte{"a": []byte("SELECT 1")} },
		"generation":  func(r *Request) { r.Context.Generation++ },
		"types":       func(r *Request) { r.ParameterTypes = []uint32{25} },
		"types moved": func(r *Request) { r.ParameterTypes = []uint32{0, 23} },
		"no types":    func(r *Request) { r.ParameterTypes = nil },
	} {
		c, next := alwaysAllow(t, 16)
		askCache(t, c, cacheRequest(t))
		r := cacheRequest(t)
		alter(r)
		key, err := ContextKey(r.Context)
		if err != nil {
			t.Fatal(err)
		}
		r.ContextKey = key
		if d := askCache(t, c, r); d.Cached || next.asked != 2 {
			t.Errorf("%s: another session's decision was found", name)
		}
	}
}

// TestSec_T24_KeysDoNotRunTogether moves bytes from one field of a context into
// the next, over every split of a text: no two contexts have one key, and no other
// principal's decision is ever found.
func TestSec_T24_KeysDoNotRunTogether(t *testing.T) {
	const text = "\x0a\x02ab\x12\x00public\x1a"
	seen := map[string]string{}
	note := func(what string, c *authzv1.SessionContext) {
		t.Helper()
		key, err := ContextKey(c)
		if err != nil {
			t.Fatal(err)
		}
		if had, ok := seen[key]; ok {
			t.Errorf("%s and %s have one key", what, had)
		}
		seen[key] = what
	}
	for i := range len(text) + 1 {
		head, tail := text[:i], text[i:]
		note(fmt.Sprintf("database %d", i), &authzv1.SessionContext{Database: head, Login: tail, Role: "r"})
		note(fmt.Sprintf("login %d", i), &authzv1.SessionContext{Login: head, Role: tail, SearchPath: "r"})
		note(fmt.Sprintf("path %d", i), &authzv1.SessionContext{SearchPath: head, Settings: map[string]string{"s": tail}})
		note(fmt.Sprintf("setting %d", i), &authzv1.SessionContext{Database: "s", Settings: map[string]string{head: tail}})
		note(fmt.Sprintf("temporary %d", i), &authzv1.SessionContext{TemporaryRelations: []string{head, tail}})
		note(fmt.Sprintf("cursor %d", i), &authzv1.SessionContext{Cursors: map[string][]byte{head: []byte(tail)}})
		note(fmt.Sprintf("prepared %d", i), &authzv1.SessionContext{PreparedStatements: map[string][]byte{head: []byte(tail)}})
	}
	types := map[string]bool{}
	for _, list := range [][]uint32{nil, {0}, {0, 0}, {1}, {256}, {1, 0}, {0, 1}, {1 << 24}, {1, 2}, {258}} {
		if key := string(appendTypes(nil, list)); types[key] {
			t.Errorf("types %v have a key that was there", list)
		} else {
			types[key] = true
		}
	}
	// Another token with everything else alike: its own decision, even as the same
	// principal's.
	c, next := alwaysAllow(t, 16)
	for i := range byte(8) {
		r := cacheRequest(t)
		r.TokenHash[0] = i
		if d := askCache(t, c, r); d.Cached {
			t.Errorf("token %d found another's decision", i)
		}
	}
	if next.asked != 8 {
		t.Errorf("asked %d times for 8 tokens", next.asked)
	}
}

// TestSec_T25_WhatIsNeverKept: errors, time-outs, cancelled calls, denials and
// answers of another epoch are asked for again, and a lifetime does not slide.
func TestSec_T25_WhatIsNeverKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := sys.OS().Clock
		fence := NewFence(clock, time.Hour)
		var answer func() (*Decision, error)
		next := &counted{answer: func(*Request) (*Decision, error) { return answer() }}
		c := newCache(t, next, fence)
		for name, a := range map[string]func() (*Decision, error){
			"error":     func() (*Decision, error) { return nil, errors.New("no") },
			"timeout":   func() (*Decision, error) { return nil, context.DeadlineExceeded },
			"cancelled": func() (*Decision, error) { return nil, context.Canceled },
			"nothing":   func() (*Decision, error) { return &Decision{}, nil },
			"deny": func() (*Decision, error) {
				d := allowAt(fence, clock.Now(), time.Minute)
				d.Verdict = authzv1.Verdict_VERDICT_DENY
				return d, nil
			},
			"error of the statement": func() (*Decision, error) {
				d := allowAt(fence, clock.Now(), time.Minute)
				d.Verdict = authzv1.Verdict_VERDICT_ERROR
				return d, nil
			},
			"an allow with an error": func() (*Decision, error) { return allowAt(fence, clock.Now(), time.Minute), errors.New("no") },
		} {
			c.entries.purge()
			next.asked, answer = 0, a
			for range 3 {
				_, _ = c.Authorize(t.Context(), cacheRequest(t))
			}
			if next.asked != 3 || c.entries.held != 0 {
				t.Errorf("%s: asked %d of 3 times, %d kept", name, next.asked, c.entries.held)
			}
		}
		// Used every 100 ms, a decision of 300 ms is asked for again after 300 ms.
		next.asked, answer = 0, func() (*Decision, error) { return allowAt(fence, clock.Now(), 300*time.Millisecond), nil }
		for range 10 {
			askCache(t, c, cacheRequest(t))
			time.Sleep(100 * time.Millisecond)
		}
		if next.asked != 4 {
			t.Errorf("asked %d times in a second, want 4", next.asked)
		}
	})
}

// TestSec_T26_OneTenantCannotEvictTheOthers floods the cache from one principal,
// with many tokens, and finds what the others hold within their share untouched.
func TestSec_T26_OneTenantCannotEvictTheOthers(t *testing.T) {
	const bound, tenants, each = 1000, 9, 100
	c, next := alwaysAllow(t, bound)
	ask := func(principal string, token byte, i int) bool {
		r := cacheRequest(t)
		r.Principal, r.TokenHash[0], r.Text = principal, token, fmt.Appendf(nil, "SELECT %d", i)
		return askCache(t, c, r).Cached
	}
	for n := range tenants {
		for i := range each {
			ask(fmt.Sprint("tenant ", n), byte(n), i)
		}
	}
	flood := 100_000
	if testing.Short() {
		flood = 10_000
	}
	for i := range flood {
		ask("flood", byte(i), i)
	}
	if c.entries.held != bound {
		t.Errorf("%d entries are held, want %d", c.entries.held, bound)
	}
	asked := next.asked
	for n := range tenants {
		for i := range each {
			if !ask(fmt.Sprint("tenant ", n), byte(n), i) {
				t.Fatalf("tenant %d lost a decision to the flood", n)
			}
		}
	}
	if next.asked != asked {
		t.Errorf("%d decisions were asked for again", next.asked-asked)
	}
}

// TestSharesAgreeWithTheirModel compares shares with a list, over random puts,
// gets and removals: the bound, the order of eviction, and the heap.
func TestSharesAgreeWithTheirModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s, err := newShares(12)
	if err != nil {
		t.Fatal(err)
	}
	type held struct {
		principal string
		key       cacheKey
	}
	var model []held // The longest unused first.
	size := func(p string) (n int) {
		for _, h := range model {
			if h.principal == p {
				n++
			}
		}
		return n
	}
	for range 20_000 {
		h := held{fmt.Sprint("p", random.IntN(5)), cacheKey{text: fmt.Sprint(random.IntN(15))}}
		key := sought{text: []byte(h.key.text)}
		at := slices.Index(model, h)
		switch random.IntN(4) {
		case 0:
			if _, ok := s.get(h.principal, &key); ok != (at >= 0) {
				t.Fatalf("get says %v", ok)
			}
			if at >= 0 {
				model = append(slices.Delete(model, at, at+1), h)
			}
		case 1:
			s.remove(h.principal, &key)
			if at >= 0 {
				model = slices.Delete(model, at, at+1)
			}
		default:
			before := len(model)
			sizes := map[string]int{}
			for _, m := range model {
				sizes[m.principal] = size(m.principal)
			}
			if err := s.put(h.principal, &key, &Decision{}); err != nil {
				t.Fatal(err)
			}
			if at >= 0 {
				model = append(slices.Delete(model, at, at+1), h)
				break
			}
			if before == 12 {
				// Whoever lost one was among the largest, and lost its oldest.
				lost := ""
				for p, n := range sizes {
					now := 0
					if own := s.of[p]; own != nil {
						now = own.entries.Len()
					}
					if p == h.principal {
						now--
					}
					if now < n {
						lost = p
					}
				}
				for _, n := range sizes {
					if n > sizes[lost] {
						t.Fatalf("%q gave one up with %d, another holds %d", lost, sizes[lost], n)
					}
				}
				i := slices.IndexFunc(model, func(m held) bool { return m.principal == lost })
				model = slices.Delete(model, i, i+1)
			}
			model = append(model, h)
		}
		if s.held != len(model) || s.held > 12 || len(s.order) != len(s.of) {
			t.Fatalf("%d held, %d in the model, %d shares of %d", s.held, len(model), len(s.order), len(s.of))
		}
		for _, m := range model {
			own := s.of[m.principal]
			if own == nil || own.index[m.key] == nil || !own.entries.Contains(own.index[m.key]) || len(own.index) != own.entries.Len() || s.order[own.place] != own {
				t.Fatalf("%v is gone", m)
			}
		}
	}
}
