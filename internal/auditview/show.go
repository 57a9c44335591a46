// Package auditview renders audit events for people: one event in full, a table
// of many, and JSON for tools.
//
// Everything an event carries was once said by a client. It is shown as
// printable ASCII, one line a value, with lengths bounded, so that it can
// neither forge a line nor steer a terminal, and shows in any locale.
package auditview

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
)

// field is a line of Show. An empty label continues the one above.
type field struct{ label, value string }

// Show writes one event in full, a field a line. Fields that the event does not
// have are left out. The error is w's.
func Show(w io.Writer, stored *auditv1.StoredEvent) error {
	e := stored.GetEvent()
	var fields []field
	add := func(label, value string) {
		if value != "" {
			fields = append(fields, field{label, value})
		}
	}
	add("time", timeText(e.GetTime()))
	add("reference", idText(e.GetEventId()))
	add("event", eventWord(e))
	add("verdict", verdictText(e))
	add("reason", reasonText(e))
	add("sqlstate", plain(e.GetSqlstate(), nameLimit))
	for _, f := range who("subject", e.GetPrincipal()) {
		add(f.label, f.value)
	}
	for _, f := range who("claims to be", e.GetUnverifiedPrincipal()) {
		add(f.label, f.value)
	}
	fields = append(fields, what(e.GetStatements())...)
	for _, f := range administered(e.GetAdministration()) {
		add(f.label, f.value)
	}
	add("outcome", outcomeText(e.GetOutcome()))
	add("database", plain(e.GetDatabase(), nameLimit))
	add("login", plain(e.GetLogin(), nameLimit))
	add("user", plain(e.GetStartupUser(), nameLimit))
	add("address", plain(e.GetClientAddress(), nameLimit))
	add("application", plain(e.GetApplicationName(), nameLimit))
	add("session", idText(e.GetSessionId()))
	if n := e.GetTransaction(); n > 0 {
		add("transaction", fmt.Sprint(n))
	}
	if m := e.GetMessage(); m != auditv1.MessageKind_MESSAGE_KIND_UNSPECIFIED {
		add("message", enumWord(m.String(), "MESSAGE_KIND_"))
	}
	add("statement id", idText(e.GetStatementId()))
	add("follows", idText(e.GetFollows()))
	add("trace", hexText(e.GetTraceId()))
	add("epoch", epochText(e.GetEpoch()))
	add("proxy", originText(e.GetOrigin()))
	if n := stored.GetStoreSequence(); n > 0 {
		add("stored", strings.TrimSuffix(fmt.Sprintf("record %d, %s", n, timeText(stored.GetStoredAt())), ", "))
	}
	add("chain hash", hexText(stored.GetChainHash()))
	return write(w, fields)
}

// write aligns the values.
func write(w io.Writer, fields []field) error {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.label))
	}
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%-*s  %s\n", width, f.label, f.value)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func who(label string, p *authzv1.Principal) []field {
	if p == nil {
		return nil
	}
	out := []field{
		{label, plain(p.GetSubject(), nameLimit)},
		{"client", plain(p.GetClientId(), nameLimit)},
		{"issuer", plain(p.GetIssuer(), nameLimit)},
	}
	if n := len(p.GetActors()); n > 0 {
		var actors []string
		for _, a := range p.GetActors()[:min(n, maxListed)] {
			actors = append(actors, plain(a.GetSubject(), nameLimit))
		}
		out = append(out, field{"actors", strings.Join(actors, ", ") + more(n)})
	}
	if n := len(p.GetScopes()); n > 0 {
		var scopes []string
		for _, s := range p.GetScopes()[:min(n, maxListed)] {
			scopes = append(scopes, plain(s, nameLimit))
		}
		out = append(out, field{"scopes", strings.Join(scopes, " ") + more(n)})
	}
	return out
}

// what is two kinds of line for each statement: its text, and what it touches.
func what(statements []*authzv1.Statement) (out []field) {
	n := len(statements)
	for i, s := range statements[:min(n, maxListed)] {
		label := "statement"
		if n > 1 {
			label = fmt.Sprintf("statement %d", i+1)
		}
		text := plain(s.GetNormalised(), statementLimit)
		if text == "" {
			text = fmt.Sprintf("(%s; not normalised, sha256 %s)", plain(s.GetKind(), nameLimit), hexText(s.GetTextSha256()))
		}
		out = append(out, field{label, text})
		label = "access"
		m := len(s.GetAccesses())
		for _, a := range s.GetAccesses()[:min(m, maxListed)] {
			out = append(out, field{label, access(a)})
			label = ""
		}
		if m > maxListed {
			out = append(out, field{"", fmt.Sprintf("and %d more", m-maxListed)})
		}
	}
	if n > maxListed {
		out = append(out, field{"", fmt.Sprintf("and %d statements more", n-maxListed)})
	}
	return out
}

func verdictText(e *auditv1.Event) string {
	if e.GetVerdict() == authzv1.Verdict_VERDICT_UNSPECIFIED {
		return ""
	}
	return enumWord(e.GetVerdict().String(), "VERDICT_")
}

func reasonText(e *auditv1.Event) string {
	var parts []string
	if r := e.GetReason(); r != authzv1.Reason_REASON_UNSPECIFIED {
		parts = append(parts, enumWord(r.String(), "REASON_"))
	}
	if r := e.GetLoginRefusal(); r != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNSPECIFIED {
		parts = append(parts, enumWord(r.String(), "AUTHENTICATE_REFUSAL_REASON_"))
	}
	if d := e.GetReasonDetail(); d != "" {
		parts = append(parts, plain(d, statementLimit))
	}
	return strings.Join(parts, ": ")
}

func eventWord(e *auditv1.Event) string { return enumWord(e.GetType().String(), "EVENT_TYPE_") }

func outcomeText(o *auditv1.Outcome) string {
	if o == nil {
		return ""
	}
	var parts []string
	for _, part := range []string{outcomeWord(o), plain(o.GetCommandTag(), nameLimit), prefixed("error ", plain(o.GetSqlstate(), nameLimit))} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%d rows", o.GetRows()), o.GetDuration().AsDuration().String()), ", ")
}

// outcomeWord is which end it is, empty where the event does not say.
func outcomeWord(o *auditv1.Outcome) string {
	if o.GetKind() == auditv1.OutcomeKind_OUTCOME_KIND_UNSPECIFIED {
		return ""
	}
	return enumWord(o.GetKind().String(), "OUTCOME_KIND_")
}

func prefixed(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

func epochText(e *authzv1.Epoch) string {
	if e == nil {
		return ""
	}
	text := fmt.Sprintf("policy %d, revocation %d", e.GetPolicy(), e.GetRevocation())
	names := slices.Sorted(maps.Keys(e.GetCatalog()))
	for _, name := range names[:min(len(names), maxListed)] {
		text += fmt.Sprintf(", catalog of %s %d", identifier(name), e.GetCatalog()[name])
	}
	return text + more(len(names))
}

func originText(o *auditv1.Origin) string {
	if o == nil {
		return ""
	}
	return fmt.Sprintf("%s, record %d of spool %s", plain(o.GetInstance(), nameLimit), o.GetSequence(), hexText(o.GetSpoolEpoch()))
}

// timeText is UTC with microseconds, as events have them.
func timeText(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	if t.CheckValid() != nil {
		return "out of range"
	}
	return t.AsTime().Format("2006-01-02 15:04:05.000000 UTC")
}

func idText(b []byte) string {
	u, err := id.FromBytes(b)
	if err != nil {
		return hexText(b)
	}
	return u.String()
}

// hexText bounds what should be short and may not be.
func hexText(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("%x...(%d bytes more)", b[:64], len(b)-64)
	}
	return hex.EncodeToString(b)
}

// rfcTime is the form of JSON.
func rfcTime(t *timestamppb.Timestamp) string {
	if t == nil || t.CheckValid() != nil {
		return ""
	}
	return t.AsTime().Format("2006-01-02T15:04:05.000000Z")
}
