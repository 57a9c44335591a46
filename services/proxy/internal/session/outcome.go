package session

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/telemetry"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// ending is what is known of a message's end while its answers come.
type ending struct {
	began time.Time
	// transaction is the one it was forwarded in.
	transaction    uint64
	rows, commands uint64
	tag, sqlstate  string
	suspended      bool
}

// maxTag bounds a command tag (tcop/cmdtag.h, COMPLETION_TAG_BUFSIZE).
const maxTag = 64

// note counts what a message of the server says of how a forwarded one ends.
func note(o *op, it wire.Item) {
	att, ok := o.Attachment.(*attachment)
	if !ok || att.intent == nil {
		return
	}
	switch it.Type {
	case wire.DataRow:
		att.ending.rows++
	case wire.CommandComplete:
		tag, _, _ := bytes.Cut(it.Body, []byte{0})
		att.ending.tag = string(tag[:min(len(tag), maxTag)])
		att.ending.commands++
	case wire.PortalSuspended:
		att.ending.suspended = true
	default:
		// The others say nothing about it.
	}
}

// noteError keeps the code of an error.
func noteError(o *op, f pgerr.Fields) {
	if o == nil {
		return
	}
	if att, ok := o.Attachment.(*attachment); ok {
		att.ending.sqlstate = f.SQLState
	}
}

// answered ends a message that has been answered: its outcome is on record before the
// client hears of it.
func (s *Session) answered(o *op) {
	kind := auditv1.OutcomeKind_OUTCOME_KIND_COMPLETED
	if att, ok := o.Attachment.(*attachment); ok {
		switch {
		case att.ending.sqlstate != "":
			kind = auditv1.OutcomeKind_OUTCOME_KIND_FAILED
		case att.ending.suspended:
			kind = auditv1.OutcomeKind_OUTCOME_KIND_SUSPENDED
		}
	}
	s.outcome(o, kind)
}

// skipped ends a message that the server never looks at.
func (s *Session) skipped(o *op) { s.outcome(o, auditv1.OutcomeKind_OUTCOME_KIND_SKIPPED) }

// unanswered ends what the server had not answered when the session ended. No other
// goroutine of the session runs any more.
func (s *Session) unanswered() {
	s.names.Unanswered(func(o *stmt.Op[*prepared]) { s.outcome(o, auditv1.OutcomeKind_OUTCOME_KIND_UNKNOWN) })
}

// outcome records how a message ended, if it was recorded that it would be forwarded, and
// ends its spans. It is called once for each.
func (s *Session) outcome(o *op, kind auditv1.OutcomeKind) {
	att, ok := o.Attachment.(*attachment)
	if !ok {
		return
	}
	if att.backend != nil {
		if att.ending.sqlstate != "" {
			att.backend.SetAttributes(telemetry.AttrDBStatus.String(att.ending.sqlstate))
		}
		att.backend.End()
	}
	if att.statement != nil {
		att.statement.End()
	}
	if att.intent == nil {
		return
	}
	e := &att.ending
	ev := s.p.Record.Finished(att.id, att.intent, e.transaction, &auditv1.Outcome{Kind: kind, CommandTag: e.tag, Sqlstate: e.sqlstate,
		Rows: e.rows, Commands: e.commands, Duration: durationpb.New(s.System.Clock.Now().Sub(e.began))})
	if err := s.Spool.AppendAfter(ev, att.room); err != nil {
		// The intent stands, and shows that its end is not known.
		s.Logger.Error("outcome not recorded", "error", err, "statement", att.id.String())
	}
}
