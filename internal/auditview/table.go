package auditview

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// Header names the columns of Row.
func Header() []string {
	return []string{"TIME", "REFERENCE", "EVENT", "SUBJECT", "DATABASE", "VERDICT", "REASON", "WHAT"}
}

// Widths of columns that hold a client's words, in characters: a long name must
// not push the rest out of sight. The last column is the widest.
const (
	columnLimit = 28
	whatLimit   = 60
)

// Row is an event as a line of a table, a value a column; "-" stands for
// nothing. Values are printable ASCII.
func Row(stored *auditv1.StoredEvent) []string {
	e := stored.GetEvent()
	subject := e.GetPrincipal().GetSubject()
	if e.GetPrincipal() == nil && e.GetUnverifiedPrincipal() != nil {
		// Nobody has verified it.
		subject = "? " + e.GetUnverifiedPrincipal().GetSubject()
	}
	verdict := verdictText(e)
	reason := ""
	if r := e.GetReason(); r != authzv1.Reason_REASON_UNSPECIFIED {
		reason = enumWord(r.String(), "REASON_")
	} else if r := e.GetLoginRefusal(); r != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNSPECIFIED {
		reason = enumWord(r.String(), "AUTHENTICATE_REFUSAL_REASON_")
	}
	row := []string{
		timeText(e.GetTime()), idText(e.GetEventId()), eventWord(e),
		short(plain(subject, nameLimit), columnLimit), short(plain(e.GetDatabase(), nameLimit), columnLimit),
		verdict, reason, short(summary(e), whatLimit),
	}
	for i, v := range row {
		if v == "" {
			row[i] = "-"
		}
	}
	return row
}

// summary is what an event is about, in a few words.
func summary(e *auditv1.Event) string {
	switch n := len(e.GetStatements()); {
	case n == 0 && e.GetAdministration() != nil:
		return plain(e.GetAdministration().GetCaller(), nameLimit) + ": " + administrationText(e.GetAdministration())
	case n == 0 && e.GetOutcome() != nil:
		return outcomeText(e.GetOutcome())
	case n == 0:
		return plain(e.GetReasonDetail(), nameLimit)
	case n > 1:
		return fmt.Sprintf("%s, and %d more", one(e.GetStatements()[0]), n-1)
	default:
		return one(e.GetStatements()[0])
	}
}

func one(s *authzv1.Statement) string {
	switch n := len(s.GetAccesses()); {
	case n == 0:
		return plain(s.GetKind(), nameLimit)
	case n > 1:
		return fmt.Sprintf("%s +%d", target(s.GetAccesses()[0]), n-1)
	default:
		return target(s.GetAccesses()[0])
	}
}

func target(a *authzv1.Access) string {
	o := a.GetResolved()
	if o == nil {
		o = a.GetNamed()
	}
	return enumWord(a.GetAction().String(), "ACTION_") + " " + objectName(o)
}

// short cuts an ASCII value to n characters.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-3] + "..."
}

// Table writes events as an aligned table with a header. The error is w's.
func Table(w io.Writer, events []*auditv1.StoredEvent) error {
	rows := make([][]string, 0, len(events)+1)
	rows = append(rows, Header())
	for _, e := range events {
		rows = append(rows, Row(e))
	}
	width := make([]int, len(Header()))
	for _, row := range rows {
		for i, v := range row {
			width[i] = max(width[i], utf8.RuneCountInString(v))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, v := range row {
			line += fmt.Sprintf("%-*s  ", width[i], v)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
