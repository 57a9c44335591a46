package session_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// verbose says of every statement what it is told to.
type verbose struct {
	decide.Authorizer
	statements []*authzv1.Statement
}

func (v verbose) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := v.Authorizer.Authorize(ctx, req)
	if err == nil {
		d.Statements = v.statements
	}
	return d, err
}

// A denial is recorded however much there is to say of it: an event over the
// spool's limit once hid the attempt from audit.
func TestDenialOfAHugeStatementIsRecorded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	access := &authzv1.Access{Action: authzv1.Action_ACTION_SELECT, Columns: []string{"a"}}
	many := &authzv1.Statement{Kind: "select"}
	for range 100_000 {
		many.Accesses = append(many.Accesses, access)
	}
	for name, tc := range map[string]struct {
		statements []*authzv1.Statement
		want       int
		normalised bool
	}{
		"short":         {[]*authzv1.Statement{{Kind: "select", Normalised: "select", Accesses: []*authzv1.Access{access}}}, 1, true},
		"long text":     {[]*authzv1.Statement{{Kind: "select", Normalised: long, Accesses: []*authzv1.Access{access}}}, 1, false},
		"many accesses": {[]*authzv1.Statement{many}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
				deps.Authorizer = verbose{deps.Authorizer, tc.statements}
			})
			wantLines(t, r.client.run(q("SELECT denied")), "ErrorResponse ERROR 42501 *", "ReadyForQuery I")
			events := r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)
			if len(events) != 1 {
				t.Fatalf("%d denials recorded", len(events))
			}
			ev := events[0]
			if n := proto.Size(ev); n > 1<<20 {
				t.Errorf("the event has %d bytes", n)
			}
			if len(ev.GetStatements()) != tc.want || len(ev.GetUnitSha256()) != 32 {
				t.Fatalf("%d statements", len(ev.GetStatements()))
			}
			for _, s := range ev.GetStatements() {
				if (s.GetNormalised() != "") != tc.normalised || len(s.GetAccesses()) != 1 {
					t.Errorf("recorded %v", s)
				}
			}
		})
	}
}
