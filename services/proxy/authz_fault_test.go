package proxy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy"
)

// wantRefused checks that statements are refused of which the server hears nothing, and
// that the session goes on once authz can be asked again.
func (w *world) wantRefused(c *client, fail, mend func()) {
	w.t.Helper()
	if got := c.query("BEGIN"); got != "" {
		w.t.Fatalf("BEGIN: %q", got)
	}
	fail()
	for i := range 3 {
		text := fmt.Sprintf("SELECT 'without authz %d'", i)
		want := "57P03"
		if got := c.query(text); got != want {
			w.t.Errorf("a Query: %q", got)
		}
		if _, err := c.Prepare(w.t.Context(), "", text, nil); c.state(err) != want {
			w.t.Errorf("a Parse: %v", err)
		}
	}
	if c.TxStatus() != 'E' {
		w.t.Errorf("the transaction is in state %c", c.TxStatus())
	}
	if n := w.reached("without authz"); n != 0 {
		w.t.Errorf("%d statements reached the server without a decision", n)
	}
	mend()
	w.until("the session does not recover", func() bool { return c.query("ROLLBACK") == "" })
	if got := c.query("SELECT 'recovered'"); got != "" || c.TxStatus() != 'I' {
		w.t.Errorf("recovered: %q in state %c", got, c.TxStatus())
	}
	if got := c.query("SELECT 'denied'"); got != "42501" {
		w.t.Errorf("denied: %q", got)
	}
}

// TestFault_F01_AuthzDownAtStart: the proxy listens, says that it is not ready and lets
// nobody in; it does once authz is there.
func TestFault_F01_AuthzDownAtStart(t *testing.T) {
	w := newWorld(t)
	w.link.cut()
	w.until("the proxy is ready without authz", func() bool { return w.proxy.Ready(t.Context()) != nil })
	if _, err := pgx.Connect(t.Context(), w.dsn()); stateOf(err) != "57P03" {
		t.Errorf("a login without authz: %v", err)
	}
	if n := w.recorder.Connections(); n != 0 {
		t.Errorf("%d connections to the server", n)
	}
	w.link.mend()
	if got := w.connect().query("SELECT 1"); got != "" {
		t.Errorf("with authz: %q", got)
	}
}

// TestFault_F02_AuthzDiesUnderLoad: what was decided before is used for no longer than
// the staleness bound, and then nothing is forwarded until authz is back.
func TestFault_F02_AuthzDiesUnderLoad(t *testing.T) {
	w := newWorld(t)
	const sessions = 8
	clients := make([]*client, sessions)
	for i := range clients {
		clients[i] = w.connect()
		if _, err := clients[i].Prepare(t.Context(), "kept", "SELECT v /* kept */ FROM t", nil); err != nil {
			t.Fatal(err)
		}
	}
	var running, wg sync.WaitGroup
	var died atomic.Pointer[time.Time]
	running.Add(sessions)
	for i, c := range clients {
		wg.Go(func() {
			one := func() (string, time.Time) {
				began := time.Now()
				if i%2 == 0 {
					return c.prepared("kept"), began
				}
				return c.query("SELECT v FROM t"), began
			}
			if got, _ := one(); got != "" {
				t.Errorf("with authz: %q", got)
			}
			running.Done()
			for refused := 0; refused < 5; {
				got, began := one()
				dead := died.Load()
				switch {
				case got == "57P03":
					refused++
				case got != "":
					t.Errorf("got %q", got)
					return
				case dead != nil && began.After(dead.Add(staleness)):
					t.Errorf("forwarded %v after authz died", began.Sub(*dead))
					return
				}
			}
		})
	}
	running.Wait()
	w.link.cut()
	now := time.Now()
	died.Store(&now)
	wg.Wait()
	before := w.reached("kept")
	w.wantKeptRefused(clients)
	if after := w.reached("kept"); after != before {
		t.Errorf("%d executions reached the server", after-before)
	}
	w.link.mend()
	for _, c := range clients {
		w.until("the session does not recover", func() bool { return c.query("SELECT v FROM t") == "" })
		if got := c.prepared("kept"); got != "" {
			t.Errorf("prepared, afterwards: %q", got)
		}
	}
}

// wantKeptRefused checks that sessions are refused what they had.
func (w *world) wantKeptRefused(clients []*client) {
	w.t.Helper()
	for _, c := range clients {
		if got := c.prepared("kept"); got != "57P03" {
			w.t.Errorf("prepared: %q", got)
		}
	}
}

// TestFault_F03_SlowAuthz: an answer that comes too late is none, also for a later
// statement with the same text.
func TestFault_F03_SlowAuthz(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	var late []func()
	var mu sync.Mutex
	w.wantRefused(c, func() {
		w.authz.set(func(*authzv1.AuthorizeRequest, *authzv1.AuthorizeResponse) bool {
			release := make(chan struct{})
			mu.Lock()
			late = append(late, func() { close(release) })
			mu.Unlock()
			<-release
			return true
		})
	}, func() {
		w.authz.set(nil)
		mu.Lock()
		defer mu.Unlock()
		for _, release := range late {
			release()
		}
	})
	if n := w.reached("without authz"); n != 0 {
		t.Errorf("%d answers were used that came too late", n)
	}
}

// TestFault_F04_AuthzAnswersGarbage: an answer that is not exactly one refuses the
// statement, whatever is wrong with it, and the next good one is used.
func TestFault_F04_AuthzAnswersGarbage(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	for name, garble := range map[string]func(*authzv1.AuthorizeResponse){
		"no verdict":          func(r *authzv1.AuthorizeResponse) { r.Verdict = 0 },
		"an unknown verdict":  func(r *authzv1.AuthorizeResponse) { r.Verdict = 99 },
		"another text's":      func(r *authzv1.AuthorizeResponse) { r.UnitSha256 = bytes.Repeat([]byte{1}, 32) },
		"allow and error":     func(r *authzv1.AuthorizeResponse) { r.Error = &authzv1.StatementError{Sqlstate: "42601", Message: "x"} },
		"allow and denied":    func(r *authzv1.AuthorizeResponse) { r.Reason = authzv1.Reason_REASON_NOT_GRANTED },
		"no epoch":            func(r *authzv1.AuthorizeResponse) { r.Epoch = nil },
		"an epoch behind":     func(r *authzv1.AuthorizeResponse) { r.Epoch = &authzv1.Epoch{} },
		"no age":              func(r *authzv1.AuthorizeResponse) { r.Age = nil },
		"a negative age":      func(r *authzv1.AuthorizeResponse) { r.Age = durationpb.New(-1) },
		"a lifetime overflow": func(r *authzv1.AuthorizeResponse) { r.Ttl = &durationpb.Duration{Seconds: 1 << 62} },
		"an unknown field": func(r *authzv1.AuthorizeResponse) {
			r.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1))
		},
		"an unknown effect": func(r *authzv1.AuthorizeResponse) { r.Statements[0].Effects = []*authzv1.Effect{{Kind: 77}} },
	} {
		t.Run(name, func(t *testing.T) {
			w.wantRefused(c, func() {
				w.authz.set(func(_ *authzv1.AuthorizeRequest, r *authzv1.AuthorizeResponse) bool { garble(r); return true })
			}, func() { w.authz.set(nil) })
		})
	}
}

// TestFault_F05_FlappingAuthz: while authz comes and goes every statement is either
// answered as it should be or refused; what is denied is never forwarded, and authz is
// not hammered.
func TestFault_F05_FlappingAuthz(t *testing.T) {
	w := newWorld(t)
	const sessions, statements = 4, 60
	clients := make([]*client, sessions)
	for i := range clients {
		clients[i] = w.connect()
	}
	var wg sync.WaitGroup
	var answered, refused atomic.Int32
	for i, c := range clients {
		wg.Go(func() {
			for n := range statements {
				text, want := fmt.Sprintf("SELECT 'granted %d %d'", i, n), ""
				if n%3 == 0 {
					text, want = fmt.Sprintf("SELECT 'denied %d %d'", i, n), "42501"
				}
				switch got := c.query(text); got {
				case want:
					answered.Add(1)
				case "57P03":
					refused.Add(1)
				default:
					t.Errorf("%s: %q", text, got)
				}
			}
		})
	}
	stop := make(chan struct{})
	flapped := make(chan int)
	began := time.Now()
	go func() {
		random, n := rand.New(rand.NewPCG(5, 5)), 0
		timer := time.NewTicker(100 * time.Millisecond)
		defer timer.Stop()
		for {
			select {
			case <-stop:
				w.link.mend()
				flapped <- n
				return
			case <-timer.C:
				if n++; random.IntN(2) == 0 {
					w.link.cut()
				} else {
					w.link.mend()
				}
			}
		}
	}()
	wg.Wait()
	close(stop)
	flaps, took := <-flapped, time.Since(began)
	if n := w.reached("denied"); n != 0 {
		t.Errorf("%d denied statements reached the server", n)
	}
	w.link.mu.Lock()
	dials := w.link.dials
	w.link.mu.Unlock()
	// At least 50 ms lie between two attempts to connect.
	if most := int(took/(40*time.Millisecond)) + 5; dials > most {
		t.Errorf("%d connections were tried in %v", dials, took)
	}
	for _, c := range clients {
		w.until("the session does not recover", func() bool { return c.query("SELECT 1") == "" })
	}
	t.Logf("%d answered and %d refused over %d flaps, %d connections tried", answered.Load(), refused.Load(), flaps, dials)
}

// TestFault_F06_DroppedAndReset: whether packets are dropped or connections reset, the
// refusal comes within the same bound.
func TestFault_F06_DroppedAndReset(t *testing.T) {
	for name, fail := range map[string]func(*link){"dropped": (*link).drop, "reset": (*link).cut} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.connect()
			w.wantRefused(c, func() { fail(w.link) }, func() { w.link.mend() })
		})
	}
}

// A login during which nothing comes from authz is refused while its client can still
// be told.
func TestFault_F06_LoginIsRefusedInTime(t *testing.T) {
	w := newWorld(t, func(cfg *proxy.Config, _ *sys.System) { cfg.Limits.Login = config.Duration(4 * time.Second) })
	w.ready()
	w.link.drop()
	if _, err := pgx.Connect(t.Context(), w.dsn()); stateOf(err) != "57P03" {
		t.Errorf("a login: %v", err)
	}
	w.link.mend()
	if got := w.connect().query("SELECT 1"); got != "" {
		t.Errorf("afterwards: %q", got)
	}
}
