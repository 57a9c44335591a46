package session_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// TestWhatGoesOnWithoutContext: where the server's answers to the proxy's own questions
// fail for good, statements are refused. What ends the transaction or takes the session
// back to where it started goes on, and helps.
func TestWhatGoesOnWithoutContext(t *testing.T) {
	r, _ := newNamer(t)
	c := r.client
	c.run(q("DO 'BEGIN CREATE ROLE context_other; EXCEPTION WHEN duplicate_object THEN NULL; END'"), q("REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC"))
	// From here on what code leaves cannot be asked for.
	const code = "DO 'BEGIN END'"
	said := func(msgs ...pgproto3.FrontendMessage) []string {
		return slices.DeleteFunc(c.run(msgs...), func(line string) bool { return line == "ParameterStatus" })
	}
	stuck := func(script ...pgproto3.FrontendMessage) {
		t.Helper()
		c.run(append([]pgproto3.FrontendMessage{q("SET ROLE context_other"), q("SELECT 'known'")}, script...)...)
	}
	stuck(q(code))
	for range 2 {
		wantLines(t, c.run(q("SELECT 1")), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
		wantLines(t, c.run(prep("", "SELECT 1"), bind("", ""), exec(""), syn), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
		wantLines(t, c.run(q("BEGIN")), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
		wantLines(t, c.run(q("SET search_path = public")), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
	}
	wantLines(t, said(q("DISCARD ALL")), "CommandComplete DISCARD ALL", "ReadyForQuery I")
	wantLines(t, c.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")

	stuck(q(code))
	wantLines(t, said(q("RESET ROLE")), "CommandComplete RESET", "ReadyForQuery I")
	wantLines(t, c.run(q("SELECT 1")), "RowDescription 1", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I")

	// In a transaction the question's error is the transaction's.
	stuck(q("BEGIN"), q(code))
	wantLines(t, c.run(q("ROLLBACK")), "CommandComplete ROLLBACK", "ReadyForQuery I")
	wantLines(t, said(q("RESET ROLE")), "CommandComplete RESET", "ReadyForQuery I")
	stuck(q("BEGIN"), q(code), q("SELECT 1"))
	wantLines(t, c.run(prep("", "COMMIT"), bind("", ""), exec(""), syn), "ParseComplete", "BindComplete", "CommandComplete ROLLBACK", "ReadyForQuery I")
	// A statement whose decision holds is no exception.
	wantLines(t, said(q("RESET ROLE")), "CommandComplete RESET", "ReadyForQuery I")
	stuck(prep("kept", "SELECT 1"), syn, q(code))
	wantLines(t, c.run(bind("", "kept"), exec(""), syn), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
	wantLines(t, said(q("DISCARD ALL")), "CommandComplete DISCARD ALL", "ReadyForQuery I")
}

// rereader is an authorizer that misses a name as long as it is not to read the catalog
// again.
type rereader struct{ *judge }

func (a rereader) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := a.judge.Authorize(ctx, req)
	if err == nil && strings.Contains(string(req.Text), "young") && !req.Fresh {
		d.Verdict, d.Probes = authzv1.Verdict_VERDICT_PROBE, []*authzv1.Probe{{Kind: authzv1.ProbeKind_PROBE_KIND_CATALOG}}
	}
	return d, err
}

// TestYoungNames: what may be younger than the catalog is asked for again, with time for
// the catalog to be read.
func TestYoungNames(t *testing.T) {
	r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			deps.Authorizer = rereader{j}
		}
	})
	wantLines(t, r.client.run(q("SELECT 'young'")), "RowDescription 1", "DataRow young", "CommandComplete SELECT 1", "ReadyForQuery I")
	wantLines(t, r.client.run(prep("", "SELECT 'young'"), bind("", ""), exec(""), syn), "ParseComplete", "BindComplete", "DataRow young", "CommandComplete SELECT 1", "ReadyForQuery I")
	if r.judge.count() != 4 {
		t.Errorf("asked %d times", r.judge.count())
	}
}
