package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/test/cluster"
)

// papers is how many rows the table has whose grant comes and goes: more than every
// buffer on the way from the server to the client holds.
const papers = 200_000

// changing is a world whose policy grants a table, and takes it away again.
type changing struct {
	t *testing.T
	*demo.World
	granted string
	// other is a session of the same user, by whose answers the test knows which policy
	// is in force: what one session of a proxy has heard of it holds for all.
	other session
	asked int
}

func newChanging(t *testing.T) *changing {
	t.Helper()
	w := cluster.Start(t, demo.Config{
		Schema: fmt.Sprintf("CREATE TABLE papers (id int PRIMARY KEY, v text); INSERT INTO papers SELECT g, repeat('x', 100) FROM generate_series(1, %d) AS g;", papers) +
			"CREATE TABLE notes (id int); INSERT INTO notes VALUES (1), (2), (3);",
		SQL: "GRANT ALL ON papers, notes TO shop_app",
		Scopes: `  keeper:
    - {actions: [select, insert], objects: [public.papers]}
    - {actions: [select], objects: [public.notes]}
`,
		Users: []demo.User{{Name: "keeper", Scopes: []string{"keeper"}}},
	})
	granted, err := os.ReadFile(w.PolicyFile())
	if err != nil {
		t.Fatal(err)
	}
	return &changing{t: t, World: w, granted: string(granted), other: session{t, cluster.Connect(t, w, "keeper")}}
}

// withdraw takes the grant on papers away, restore gives it back. They return once that
// is in force.
func (c *changing) withdraw() {
	c.t.Helper()
	c.policy(strings.Replace(c.granted, "[public.papers]", "[public.nothing]", 1), "42501")
}

func (c *changing) restore() {
	c.t.Helper()
	c.policy(c.granted, "")
}

func (c *changing) policy(text, want string) {
	c.t.Helper()
	if err := sys.WriteFileAtomic(sys.OS().FS, c.PolicyFile(), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.asked++
	// A text of its own, so that no decision is kept for it from before.
	c.other.await(fmt.Sprintf("SELECT id AS n%d FROM papers LIMIT 1", c.asked), want)
}

// speaker sends messages one by one and writes down what comes.
type speaker struct {
	t *testing.T
	f *pgproto3.Frontend
	// last is the reference of the last denial.
	last string
	rows int
}

// speak opens a session that speaks the protocol message by message.
func (c *changing) speak() *speaker {
	c.t.Helper()
	conn := cluster.Connect(c.t, c.World, "keeper").PgConn()
	h, err := conn.Hijack()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = h.Conn.Close() })
	_ = h.Conn.SetDeadline(time.Now().Add(time.Minute))
	return &speaker{t: c.t, f: h.Frontend}
}

func (s *speaker) send(msgs ...pgproto3.FrontendMessage) {
	s.t.Helper()
	for _, m := range msgs {
		s.f.Send(m)
	}
	if err := s.f.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// until reads up to a line that begins so; rows and data are counted and not listed.
func (s *speaker) until(end string) []string {
	s.t.Helper()
	lines := []string{}
	for {
		m, err := s.f.Receive()
		if err != nil {
			s.t.Fatalf("%v, then %v", lines, err)
		}
		line := strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
		switch m := m.(type) {
		case *pgproto3.DataRow, *pgproto3.CopyData:
			if s.rows++; line != end {
				continue
			}
		case *pgproto3.ErrorResponse:
			line = fmt.Sprintf("%s %s %s", m.Severity, m.Code, m.Message)
			s.last = strings.TrimPrefix(m.Detail, "Reference: ")
		case *pgproto3.ReadyForQuery:
			line += " " + string(m.TxStatus)
		case *pgproto3.CommandComplete:
			line = string(m.CommandTag)
		default:
			// The type says it all.
		}
		lines = append(lines, line)
		if strings.HasPrefix(line, end) {
			return lines
		}
	}
}

// says sends messages and compares what comes up to ReadyForQuery.
func (s *speaker) says(what string, want []string, msgs ...pgproto3.FrontendMessage) {
	s.t.Helper()
	s.send(msgs...)
	if diff := cmp.Diff(want, s.until("ReadyForQuery")); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const deniedLine = "ERROR 42501 permission denied by the access token's scopes"

// checkDenied looks the last denial up in the audit log.
func (s *speaker) checkDenied(w *demo.World) {
	s.t.Helper()
	event, err := w.Event(s.t.Context(), s.last)
	if err != nil {
		s.t.Fatalf("denial %q: %v", s.last, err)
	}
	if reason := event.GetEvent().GetReason().String(); reason != "REASON_NOT_GRANTED" {
		s.t.Errorf("denied because of %s", reason)
	}
}

// TestFault_F10_PolicyChangesAmidPortals: a portal that was opened, and read in part, is
// judged again at each Execute: once the policy has withdrawn its grant no further row
// comes. The denial is that of an error in the same message, and a portal on what is
// still granted goes on as before.
func TestFault_F10_PolicyChangesAmidPortals(t *testing.T) {
	c := newChanging(t)
	s := c.speak()
	query := func(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }
	fetch := func(portal string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: portal, MaxRows: 1}, &pgproto3.Sync{}}
	}
	open := func(portal, sql string) []pgproto3.FrontendMessage {
		return append([]pgproto3.FrontendMessage{&pgproto3.Parse{Query: sql}, &pgproto3.Bind{DestinationPortal: portal}}, fetch(portal)...)
	}
	begin := func(table string) {
		t.Helper()
		s.says("BEGIN", []string{"BEGIN", "ReadyForQuery T"}, query("BEGIN"))
		s.says("the first row", []string{"ParseComplete", "BindComplete", "PortalSuspended", "ReadyForQuery T"}, open("p", "SELECT id FROM "+table)...)
		s.says("the second row", []string{"PortalSuspended", "ReadyForQuery T"}, fetch("p")...)
	}
	sane := func() {
		t.Helper()
		s.says("a failed transaction", []string{"ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block", "ReadyForQuery E"}, query("SELECT 1"))
		s.says("ROLLBACK", []string{"ROLLBACK", "ReadyForQuery I"}, query("ROLLBACK"))
		s.says("what is granted still", []string{"RowDescription", "SELECT 3", "ReadyForQuery I"}, query("SELECT id FROM notes"))
	}
	for name, ask := range map[string][]pgproto3.FrontendMessage{
		"Execute":  fetch("p"),
		"Describe": {&pgproto3.Describe{ObjectType: 'P', Name: "p"}, &pgproto3.Sync{}},
		"FETCH":    {query("FETCH 1 FROM p")},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			begin("papers")
			rows := s.rows
			c.withdraw()
			s.says("behind the change", []string{deniedLine, "ReadyForQuery E"}, ask...)
			s.checkDenied(c.World)
			if s.rows != rows {
				t.Errorf("%d further rows", s.rows-rows)
			}
			sane()
			c.restore()
		})
	}
	s.t = t

	// What is bound and not run yet; the statement behind it has the same fate.
	s.says("Parse", []string{"ParseComplete", "ReadyForQuery I"}, &pgproto3.Parse{Name: "named", Query: "SELECT id FROM papers"}, &pgproto3.Sync{})
	s.says("BEGIN", []string{"BEGIN", "ReadyForQuery T"}, query("BEGIN"))
	s.says("Bind", []string{"BindComplete", "ReadyForQuery T"}, &pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "named"}, &pgproto3.Sync{})
	c.withdraw()
	s.says("bound before, run behind", []string{deniedLine, "ReadyForQuery E"}, fetch("p")...)
	sane()
	s.says("Bind of what was parsed before", []string{deniedLine, "ReadyForQuery I"}, &pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "named"}, &pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})

	// Another portal of the same transaction goes on.
	begin("notes")
	c.restore()
	s.says("the third row", []string{"PortalSuspended", "ReadyForQuery T"}, fetch("p")...)
	c.withdraw()
	s.says("the end", []string{"SELECT 0", "ReadyForQuery T"}, fetch("p")...)
	s.says("COMMIT", []string{"COMMIT", "ReadyForQuery I"}, query("COMMIT"))
	c.restore()
	s.says("granted again", []string{"BindComplete", "PortalSuspended", "ReadyForQuery I"},
		append([]pgproto3.FrontendMessage{&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "named"}}, fetch("p")...)...)
}

// TestFault_F10_PolicyChangesAmidCopy: a decision is for a statement, and the data of a
// COPY is part of it: one that is under way when its grant is withdrawn comes to its end,
// in both directions, as with PostgreSQL's own REVOKE. The next is denied.
func TestFault_F10_PolicyChangesAmidCopy(t *testing.T) {
	c := newChanging(t)
	s := c.speak()
	const in, out = "COPY papers FROM STDIN", "COPY papers TO STDOUT"

	s.send(&pgproto3.Query{String: in})
	s.until("CopyInResponse")
	s.send(&pgproto3.CopyData{Data: []byte("-1\tbefore\n")})
	c.withdraw()
	s.send(&pgproto3.CopyData{Data: []byte("-2\tbehind\n")})
	s.says("COPY FROM STDIN, under way", []string{"COPY 2", "ReadyForQuery I"}, &pgproto3.CopyDone{})
	s.says("the next", []string{deniedLine, "ReadyForQuery I"}, &pgproto3.Query{String: in})
	s.checkDenied(c.World)
	c.restore()

	s.send(&pgproto3.Query{String: out})
	s.until("CopyData")
	c.withdraw()
	if diff := cmp.Diff([]string{"CopyDone", fmt.Sprintf("COPY %d", papers+2), "ReadyForQuery I"}, s.until("ReadyForQuery")); diff != "" {
		t.Errorf("COPY TO STDOUT, under way (-want +got):\n%s", diff)
	}
	if s.rows != papers+2 {
		t.Errorf("%d rows of %d came", s.rows, papers+2)
	}
	s.says("the next", []string{deniedLine, "ReadyForQuery I"}, &pgproto3.Query{String: out})
	s.checkDenied(c.World)
	s.says("the session", []string{"RowDescription", "SELECT 3", "ReadyForQuery I"}, &pgproto3.Query{String: "SELECT id FROM notes"})
}
