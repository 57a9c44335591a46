package proxy_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy"
)

// TestFault_F29_Stop: a proxy that is asked to stop says at once that it is not ready, and
// takes no more clients. A login under way, and a transaction, come to their ends; a
// session that is idle ends. When it has stopped, every event is with the audit service.
func TestFault_F29_Stop(t *testing.T) {
	w := newWorld(t)
	idle, busy := w.connect(), w.connect()
	login := w.dial()
	f := pgproto3.NewFrontend(login, login)
	w.step(f, &pgproto3.AuthenticationCleartextPassword{}, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber,
		Parameters: map[string]string{"user": "u", "database": w.database}})
	for _, text := range []string{"BEGIN", "INSERT INTO t VALUES (2, 'kept')"} {
		if got := busy.query(text); got != "" {
			t.Fatalf("%s: %q", text, got)
		}
	}
	w.stop()
	w.until("the proxy is ready", func() bool { return w.proxy.Ready(t.Context()) != nil })
	w.until("the proxy takes clients", func() bool {
		conn, err := sys.OS().Net.DialContext(t.Context(), "tcp", w.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	w.step(f, &pgproto3.ReadyForQuery{}, &pgproto3.PasswordMessage{Password: "token"})
	w.step(f, &pgproto3.ReadyForQuery{}, &pgproto3.Query{String: "SELECT 'late'"})
	if got := busy.query("INSERT INTO t VALUES (3, 'kept')"); got != "" {
		t.Errorf("in a transaction: %q", got)
	}
	if got := busy.query("COMMIT"); got != "" {
		t.Errorf("COMMIT: %q", got)
	}
	<-w.stopped
	for name, c := range map[string]*client{"idle": idle, "behind its transaction": busy} {
		if got := c.query("SELECT 1"); got != "57P01" {
			t.Errorf("%s: %q", name, got)
		}
	}
	// Logins, intents of two sessions and one with their outcomes, and logouts.
	if n := w.audit.taken.Load(); n != 3+2*(4+1)+3 {
		t.Errorf("%d events are with the audit service", n)
	}
	if n := w.reached("COMMIT"); n != 1 {
		t.Errorf("%d COMMITs", n)
	}
}

// TestFault_F29_NotForEver: what has not come to its end in time is cut off.
func TestFault_F29_NotForEver(t *testing.T) {
	w := newWorld(t, func(cfg *proxy.Config, _ *sys.System) { cfg.Limits.Drain = config.Duration(300 * time.Millisecond) })
	busy := w.connect()
	if got := busy.query("BEGIN"); got != "" {
		t.Fatal(got)
	}
	w.stop()
	<-w.stopped
	if got := busy.query("COMMIT"); got != "57P01" {
		t.Errorf("in a transaction for too long: %q", got)
	}
}
