package decide

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// counted answers from a function and counts how often it was asked.
type counted struct {
	asked  int
	answer func(*Request) (*Decision, error)
}

func (c *counted) Authorize(_ context.Context, req *Request) (*Decision, error) {
	c.asked++
	return c.answer(req)
}

func allowAt(fence *Fence, now time.Time, ttl time.Duration) *Decision {
	e := &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{"db": 1}}
	fence.Observe(e)
	return &Decision{Verdict: authzv1.Verdict_VERDICT_ALLOW, Epoch: e, AsOf: now, Expires: now.Add(ttl), Cacheable: true}
}

func cacheRequest(t *testing.T) *Request {
	t.Helper()
	c := &authzv1.SessionContext{Database: "db", Login: "app", Role: "app", SearchPath: "public", Settings: map[string]string{"a": "1", "b": "2"}}
	key, err := ContextKey(c)
	if err != nil {
		t.Fatal(err)
	}
	return &Request{SessionID: id.ID{1}, StatementID: id.ID{2}, Token: secret.FromString("token"), TokenHash: TokenHash{3},
		Context: c, ContextKey: key, Kind: UnitParse, Text: []byte("SELECT 1"), ParameterTypes: []uint32{23}}
}

func askCache(t *testing.T, c *Cache, req *Request) *Decision {
	t.Helper()
	d, err := c.Authorize(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// purge forgets everything.
func (s *shares) purge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of, s.order, s.held = map[string]*share{}, nil, 0
}

func newCache(t *testing.T, next Authorizer, fence *Fence) *Cache {
	t.Helper()
	c, err := NewCache(next, fence, 16)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Each field of Request is in the key, or stands on the list of those that an
// answer does not depend on. A new field fails this test until somebody decides.
func TestEveryFieldIsInTheKey(t *testing.T) {
	clock := sys.OS().Clock
	notInKey := []string{
		"SessionID", "StatementID", "Token", "Principal", // TokenHash stands for the last two.
		"Client", // An answer that depends on it is not Cacheable: TestConditionalAnswersAreNotKept.
	}
	notKept := []string{"FunctionOID", "Arguments", "Fresh"} // Function calls are never kept, fresh answers never found.
	change := map[string]func(*Request){
		"TokenHash": func(r *Request) { r.TokenHash[31]++ },
		"Context":   func(r *Request) { r.Context.SearchPath = "other"; r.ContextKey, _ = ContextKey(r.Context) },
		"Answers": func(r *Request) {
			r.Answers = []*authzv1.ProbeAnswer{{Exists: true}}
			r.AnswersKey, _ = AnswersKey(r.Answers)
		},
		"AnswersKey":     func(r *Request) { r.AnswersKey += "x" },
		"ContextKey":     func(r *Request) { r.ContextKey += "x" },
		"Kind":           func(r *Request) { r.Kind = UnitQuery },
		"Text":           func(r *Request) { r.Text = []byte("SELECT 2") },
		"ParameterTypes": func(r *Request) { r.ParameterTypes = []uint32{25} },
		"SettledTypes":   func(r *Request) { r.SettledTypes = []uint32{25} },
	}
	for i := range reflect.TypeFor[Request]().NumField() {
		name := reflect.TypeFor[Request]().Field(i).Name
		if slices.Contains(notInKey, name) || slices.Contains(notKept, name) {
			continue
		}
		alter, ok := change[name]
		if !ok {
			t.Errorf("field %s is neither in the key nor known to be of no account", name)
			continue
		}
		fence := NewFence(clock, time.Hour)
		next := &counted{answer: func(*Request) (*Decision, error) { return allowAt(fence, clock.Now(), time.Hour), nil }}
		c := newCache(t, next, fence)
		askCache(t, c, cacheRequest(t))
		if d := askCache(t, c, cacheRequest(t)); !d.Cached || next.asked != 1 {
			t.Fatalf("the same request was asked %d times", next.asked)
		}
		other := cacheRequest(t)
		alter(other)
		if d := askCache(t, c, other); d.Cached || next.asked != 2 {
			t.Errorf("a request with another %s found the decision", name)
		}
	}
}

// What authz marks as not to be kept, because it hangs on the client or the time,
// is asked again for every client.
func TestConditionalAnswersAreNotKept(t *testing.T) {
	clock := sys.OS().Clock
	fence := NewFence(clock, time.Hour)
	next := &counted{answer: func(r *Request) (*Decision, error) {
		d := allowAt(fence, clock.Now(), time.Second)
		d.Cacheable = false
		if r.Client.GetAddress() != "10.0.0.1:1" {
			d.Verdict = authzv1.Verdict_VERDICT_DENY
		}
		return d, nil
	}}
	c := newCache(t, next, fence)
	for i, address := range []string{"10.0.0.1:1", "192.0.2.1:1", "10.0.0.1:1"} {
		req := cacheRequest(t)
		req.Client = &authzv1.ClientInfo{Address: address}
		if d := askCache(t, c, req); d.Allowed() != (address == "10.0.0.1:1") || d.Cached || next.asked != i+1 {
			t.Errorf("%s: allowed is %t after %d questions", address, d.Allowed(), next.asked)
		}
	}
}

// Every field of the session context changes its encoding.
func TestContextKeyHoldsEveryField(t *testing.T) {
	base, err := ContextKey(&authzv1.SessionContext{})
	if err != nil {
		t.Fatal(err)
	}
	fields := (&authzv1.SessionContext{}).ProtoReflect().Descriptor().Fields()
	seen := map[string]bool{base: true}
	for _, c := range []*authzv1.SessionContext{
		{Generation: 1}, {Database: "x"}, {ServerVersionNum: 1}, {Login: "x"}, {Role: "x"}, {SearchPath: "x"},
		{Settings: map[string]string{"x": "y"}}, {TemporaryRelations: []string{"x"}},
		{PreparedStatements: map[string][]byte{"x": []byte("y")}}, {Cursors: map[string][]byte{"x": []byte("y")}},
		{Uncommitted: true}, {Altered: true},
	} {
		key, err := ContextKey(c)
		if err != nil {
			t.Fatal(err)
		}
		if seen[key] {
			t.Errorf("%v has an encoding that was there", c)
		}
		seen[key] = true
	}
	if len(seen)-1 != fields.Len() {
		t.Errorf("%d of %d fields are tried", len(seen)-1, fields.Len())
	}
}

// Different answers have different digests, also where they are the same bytes in another
// order or cut elsewhere.
func TestAnswersKey(t *testing.T) {
	probe := &authzv1.Probe{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION}
	objects := &authzv1.Probe{Kind: authzv1.ProbeKind_PROBE_KIND_OBJECTS}
	seen := map[string]int{}
	for i, answers := range [][]*authzv1.ProbeAnswer{
		nil, {{}}, {{}, {}}, {{Exists: true}}, {{Probe: probe}}, {{Probe: objects}}, {{Probe: probe}, {Probe: objects}},
		{{Probe: objects}, {Probe: probe}}, {{Description: []byte("ab")}}, {{Description: []byte("a")}, {Description: []byte("b")}},
	} {
		key, err := AnswersKey(answers)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[key]; ok {
			t.Errorf("answers %d have the digest of answers %d", i, before)
		}
		seen[key] = i
		if again, _ := AnswersKey(answers); again != key || (key == "") != (len(answers) == 0) {
			t.Errorf("answers %d: digest %x, then %x", i, key, again)
		}
	}
}

// Only allows are kept, and only while they hold.
func TestWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := sys.OS().Clock
		fence := NewFence(clock, time.Second)
		var answer func() (*Decision, error)
		next := &counted{answer: func(*Request) (*Decision, error) { return answer() }}
		c := newCache(t, next, fence)
		allow := func() (*Decision, error) { return allowAt(fence, clock.Now(), 500*time.Millisecond), nil }
		twice := func(name string, want int, a func() (*Decision, error)) {
			t.Helper()
			c.entries.purge()
			next.asked, answer = 0, a
			for range 2 {
				_, _ = c.Authorize(t.Context(), cacheRequest(t))
			}
			if next.asked != want {
				t.Errorf("%s: asked %d times, want %d", name, next.asked, want)
			}
		}
		twice("allow", 1, allow)
		twice("deny", 2, func() (*Decision, error) {
			d, err := allow()
			d.Verdict = authzv1.Verdict_VERDICT_DENY
			return d, err
		})
		twice("refuse", 2, func() (*Decision, error) {
			d, err := allow()
			d.Verdict = authzv1.Verdict_VERDICT_REFUSE
			return d, err
		})
		twice("not cacheable", 2, func() (*Decision, error) {
			d, err := allow()
			d.Cacheable = false
			return d, err
		})
		twice("error", 2, func() (*Decision, error) { return nil, errors.New("no") })

		// The TTL counts from evaluation, not from use.
		c.entries.purge()
		next.asked, answer = 0, allow
		for range 4 {
			askCache(t, c, cacheRequest(t))
			time.Sleep(200 * time.Millisecond)
		}
		if next.asked != 2 {
			t.Errorf("asked %d times in 800 ms with a TTL of 500 ms, want 2", next.asked)
		}
		// A higher epoch ends what was kept.
		c.entries.purge()
		next.asked = 0
		askCache(t, c, cacheRequest(t))
		fence.Observe(&authzv1.Epoch{Policy: 2, Catalog: map[string]uint64{"db": 1}})
		askCache(t, c, cacheRequest(t))
		if next.asked != 2 {
			t.Errorf("a decision outlived its epoch")
		}
	})
}

func TestLongTextsAndFunctionCallsAreNotKept(t *testing.T) {
	clock := sys.OS().Clock
	fence := NewFence(clock, time.Hour)
	next := &counted{answer: func(*Request) (*Decision, error) { return allowAt(fence, clock.Now(), time.Hour), nil }}
	c := newCache(t, next, fence)
	long, call, bare, fresh := cacheRequest(t), cacheRequest(t), cacheRequest(t), cacheRequest(t)
	long.Text = []byte(strings.Repeat("x", maxCachedText+1))
	call.Kind = UnitFunctionCall
	bare.ContextKey, fresh.Fresh = "", true
	askCache(t, c, cacheRequest(t))
	for range 2 {
		if askCache(t, c, fresh).Cached {
			t.Error("a fresh answer was found")
		}
	}
	c.entries.purge()
	next.asked = 0
	for _, r := range []*Request{long, call, bare} {
		askCache(t, c, r)
		askCache(t, c, r)
	}
	if next.asked != 6 || c.entries.held != 0 {
		t.Errorf("asked %d times, %d kept", next.asked, c.entries.held)
	}
}

// What authz gives for a fingerprint is found for other values of its literals, under
// no other key, and says nothing of the text that it was made for.
func TestFingerprints(t *testing.T) {
	clock := sys.OS().Clock
	fence := NewFence(clock, time.Hour)
	next := &counted{answer: func(*Request) (*Decision, error) {
		d := allowAt(fence, clock.Now(), time.Hour)
		d.Fingerprint = true
		d.Statements = []*authzv1.Statement{{Kind: "select", Normalised: "SELECT ?", TextSha256: []byte("digest"), ParameterTypeOids: []uint32{23},
			Accesses: []*authzv1.Access{{Action: authzv1.Action_ACTION_SELECT}}}}
		return d, nil
	}}
	c := newCache(t, next, fence)
	ask := func(text string, alter func(*Request)) *Decision {
		r := cacheRequest(t)
		r.Text = []byte(text)
		if alter != nil {
			alter(r)
		}
		return askCache(t, c, r)
	}
	if d := ask("SELECT 1, 'a'", nil); d.Cached || string(d.Statements[0].GetTextSha256()) != "digest" {
		t.Errorf("the first answer: %+v", d)
	}
	want := &authzv1.Statement{Kind: "select", Normalised: "SELECT ?", ParameterTypeOids: []uint32{23}, Accesses: []*authzv1.Access{{Action: authzv1.Action_ACTION_SELECT}}}
	for _, text := range []string{"SELECT 1, 'a'", "SELECT 2, 'b'", "SELECT 2, -- c\n 'it''s'"} {
		if d := ask(text, nil); !d.Cached || !proto.Equal(d.Statements[0], want) {
			t.Errorf("%s: %+v", text, d)
		}
	}
	asked := next.asked
	for _, text := range []string{"SELECT 3000000000, 'a'", "SELECT 1.5, 'a'", "SELECT 1, E'a'", "SELECT 1, 'a', 'b'", "SELECT -1, 'a'", "select 1, 'a'", "SELECT \x00i, \x00s"} {
		if d := ask(text, nil); d.Cached {
			t.Errorf("%q was found", text)
		}
		asked++
	}
	for name, alter := range map[string]func(*Request){
		"token":   func(r *Request) { r.TokenHash[0]++ },
		"context": func(r *Request) { r.ContextKey += "x" },
		"kind":    func(r *Request) { r.Kind = UnitQuery },
		"types":   func(r *Request) { r.ParameterTypes = []uint32{25} },
		"fresh":   func(r *Request) { r.Fresh = true },
	} {
		if d := ask("SELECT 4, 'a'", alter); d.Cached {
			t.Errorf("found under another %s", name)
		}
		asked++
	}
	if next.asked != asked {
		t.Errorf("asked %d times, not %d", next.asked, asked)
	}
	fence.Observe(&authzv1.Epoch{Policy: 2})
	if d := ask("SELECT 5, 'a'", nil); d.Cached {
		t.Error("found after the policy had changed")
	}
}
