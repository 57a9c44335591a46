package proxy_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/pgtest"
)

// TestFault_F35_NothingIsLeft: sessions that come and go, by whatever end, leave no
// goroutine, no descriptor and no memory behind: what there is after many of them is
// what there was after a few. With SCOPEWIRE_NIGHTLY set there are twenty thousand.
func TestFault_F35_NothingIsLeft(t *testing.T) {
	// To the server itself: the recorder keeps what it has seen.
	w := newWorld(t, unrecorded(t, pgtest.Start(t).Addr))
	w.ready()
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "u", "database": w.database}}
	opened := 0
	one := func(n int) {
		opened++
		conn := w.dial()
		defer func() { _ = conn.Close() }()
		f := pgproto3.NewFrontend(conn, conn)
		w.step(f, &pgproto3.AuthenticationCleartextPassword{}, startup)
		w.step(f, &pgproto3.ReadyForQuery{}, &pgproto3.PasswordMessage{Password: "token"})
		w.step(f, &pgproto3.ReadyForQuery{}, &pgproto3.Query{String: "SELECT v FROM t"})
		switch n % 5 {
		case 0:
			w.step(f, &pgproto3.ErrorResponse{}, &pgproto3.Query{String: "SELECT denied"})
		case 1:
			w.step(f, &pgproto3.ReadyForQuery{}, &pgproto3.Query{String: "BEGIN"})
			reset(conn)
		case 2:
			w.step(f, &pgproto3.CopyInResponse{}, &pgproto3.Query{String: "COPY t FROM STDIN"})
		case 3:
			w.step(f, &pgproto3.ParseComplete{}, &pgproto3.Parse{Name: "s", Query: "SELECT v FROM t"}, &pgproto3.Flush{})
		default:
			w.step(f, nil, &pgproto3.Terminate{})
		}
	}
	type counts struct {
		goroutines, descriptors int
		heap                    uint64
	}
	settled := func() (c counts) {
		w.until("sessions do not end", func() bool { return strings.Count(w.log.String(), "session ended") == opened })
		runtime.GC()
		runtime.GC() // What finalizers have freed goes with the second.
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return counts{runtime.NumGoroutine(), descriptors(t), m.HeapAlloc}
	}
	some, many := 60, 240
	if nightly() {
		many = 20_000
	}
	for n := range some {
		one(n)
	}
	before := settled()
	for n := range many {
		one(n)
	}
	after := settled()
	// The log is the test's own, and all that grows.
	logged := len(w.log.String())
	if after.goroutines > before.goroutines+5 || after.descriptors > before.descriptors+5 {
		t.Errorf("%d sessions leave %d goroutines of %d before, and %d descriptors of %d", many, after.goroutines, before.goroutines, after.descriptors, before.descriptors)
	}
	if grown := int64(after.heap) - int64(before.heap) - 2*int64(logged); grown > 1<<20 { //nolint:gosec // G115: sizes of a heap.
		t.Errorf("%d sessions leave %d bytes", many, grown)
	}
	t.Logf("behind %d sessions: %+v, behind %d: %+v, of which the log is %d bytes", some, before, some+many, after, logged)
}
