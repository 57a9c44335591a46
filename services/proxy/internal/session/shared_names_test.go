package session_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// namer is an authorizer that allows everything but what the judge is told to deny. It
// finds the text behind each name as authz does: in the context, or by asking.
type namer struct {
	*judge
	mu sync.Mutex
	// found is the text behind the name that a text uses.
	found map[string]string
}

// sqlName is a name as the server reads it.
func sqlName(word string) string {
	if quoted, ok := strings.CutPrefix(word, `"`); ok {
		word = strings.TrimSuffix(quoted, `"`)
	} else {
		word = strings.ToLower(word)
	}
	return word[:min(len(word), 63)]
}

// folded is a text whose names are as the server reads them.
func folded(e *authzv1.Effect) *authzv1.Effect {
	if e != nil && e.GetName() != "" {
		e.Name = sqlName(strings.TrimSuffix(e.GetName(), ";"))
	}
	return e
}

func (n *namer) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := n.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	known := map[string]string{}
	for name, text := range req.Context.GetPreparedStatements() {
		known["S"+name] = string(text)
	}
	for name, text := range req.Context.GetCursors() {
		known["P"+name] = string(text)
	}
	for _, a := range req.Answers {
		space := "S"
		if a.GetProbe().GetKind() == authzv1.ProbeKind_PROBE_KIND_PORTAL {
			space = "P"
		}
		if key := space + a.GetProbe().GetObject().GetName(); known[key] == "" {
			known[key] = string(a.GetUnit().GetText())
			if !a.GetExists() {
				known[key] = "nothing"
			}
		}
	}
	d.Statements = nil
	for part := range strings.SplitSeq(string(req.Text), ";") {
		part = strings.TrimSpace(part)
		st := &authzv1.Statement{Kind: strings.ToLower(strings.Fields(part + " -")[0])}
		d.Statements = append(d.Statements, st)
		if part == "DISCARD ALL" {
			st.Kind = "discard all"
			for _, kind := range []authzv1.EffectKind{authzv1.EffectKind_EFFECT_KIND_RESET, authzv1.EffectKind_EFFECT_KIND_DEALLOCATE,
				authzv1.EffectKind_EFFECT_KIND_CLOSE, authzv1.EffectKind_EFFECT_KIND_OPAQUE} {
				st.Effects = append(st.Effects, &authzv1.Effect{Kind: kind})
			}
			continue
		}
		if e := closesAll(part); e != nil {
			st.Effects = []*authzv1.Effect{e}
			continue
		}
		if e := folded(effectOf(part)); e != nil {
			tellQuery(e, req.Context)
			st.Effects = []*authzv1.Effect{e}
			if e.GetQuery() != nil {
				st.Accesses = tagged(string(e.GetQuery().GetText()))
				known[map[authzv1.EffectKind]string{authzv1.EffectKind_EFFECT_KIND_PREPARE: "S", authzv1.EffectKind_EFFECT_KIND_DECLARE: "P"}[e.GetKind()]+e.GetName()] = part
			}
			continue
		}
		key := ""
		switch fields := strings.Fields(part); st.GetKind() {
		case "execute":
			key = "S" + sqlName(fields[1])
		case "fetch", "move":
			st.Cursor = sqlName(fields[3])
			key = "P" + st.GetCursor()
		default:
			st.Accesses = tagged(part)
			continue
		}
		switch text := known[key]; text {
		case "":
			kind := authzv1.ProbeKind_PROBE_KIND_STATEMENT
			if key[0] == 'P' {
				kind = authzv1.ProbeKind_PROBE_KIND_PORTAL
			}
			d.Verdict, d.Statements = authzv1.Verdict_VERDICT_PROBE, nil
			d.Probes = []*authzv1.Probe{{Kind: kind, Object: &authzv1.ObjectName{Name: key[1:]}}}
			return d, nil
		case "nothing":
			n.found[string(req.Text)] = ""
			d.Verdict = authzv1.Verdict_VERDICT_ERROR
			d.Error = &authzv1.StatementError{Sqlstate: map[byte]string{'S': "26000", 'P': "34000"}[key[0]], Message: "there is no such name"}
			return d, nil
		default:
			st.Accesses = tagged(text)
			n.found[string(req.Text)] = text
			if n.denies(text) {
				d.Verdict, d.Reason = authzv1.Verdict_VERDICT_DENY, authzv1.Reason_REASON_NOT_GRANTED
				return d, nil
			}
		}
	}
	return d, nil
}

// denies reports whether a text is denied from now on.
func (j *judge) denies(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.deny != "" && strings.Contains(text, j.deny)
}

func closesAll(text string) *authzv1.Effect {
	switch text {
	case "CLOSE ALL":
		return &authzv1.Effect{Kind: authzv1.EffectKind_EFFECT_KIND_CLOSE}
	default:
		return nil
	}
}

// tagged is what a text touches: its tag.
func tagged(text string) []*authzv1.Access {
	return []*authzv1.Access{{Resolved: &authzv1.ObjectName{Name: tagOf(text)}}}
}

// tagOf is the tag of a text or of a row.
func tagOf(text string) string {
	_, tag, ok := strings.Cut(text, "tag ")
	if !ok {
		return ""
	}
	return strings.FieldsFunc(tag, func(r rune) bool { return r < '0' || r > '9' })[0]
}

func newNamer(t *testing.T) (*rig, *namer) {
	t.Helper()
	n := &namer{found: map[string]string{}}
	r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			n.judge = j
		}
		deps.Authorizer = n
	})
	return r, n
}

// unnoticed is a transcript without notices: what is answered in the server's place does
// not say that it cuts a name. A name that stands for nothing is an error when FETCH or
// EXECUTE runs, and at its Parse where it is answered in the server's place.
func unnoticed(lines []string) []string {
	var out []string
	for _, line := range normalise(lines) {
		if line == "ErrorResponse ERROR 26000" || line == "ErrorResponse ERROR 34000" {
			for len(out) > 0 && (out[len(out)-1] == "ParseComplete" || out[len(out)-1] == "BindComplete") {
				out = out[:len(out)-1]
			}
		}
		if !strings.HasPrefix(line, "NoticeResponse") {
			out = append(out, line)
		}
	}
	return out
}

// TestNamesAreTheServers gives names by SQL and by messages, and uses them by both, in
// transactions of every kind and in pipelines. What runs is what it was judged by, and the
// client hears what it would hear from the server itself. Names are long, quoted and of
// different case.
func TestNamesAreTheServers(t *testing.T) {
	rounds := 250
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		rounds = 20_000
	}
	r, judged := newNamer(t)
	plain := direct(t, dbname(t))
	random := rand.New(rand.NewPCG(5, 5))
	long := strings.Repeat("n", 63)
	inSQL := []string{"a", "A", `"A"`, "b", long + "1", `"` + long + `2"`, long}
	inMessages := []string{"a", "a", "A", "b", long + "1", long + "3"}
	of := func(list []string) string { return list[random.IntN(len(list))] }
	tags, uses := 0, 0
	query := func() string {
		tags++
		return fmt.Sprintf("SELECT 'tag %d' FROM pg_catalog.generate_series(1, 3)", tags)
	}
	use := func(text string) string { uses++; return fmt.Sprintf("%s /* %d */", text, uses) }
	sql := func() string {
		n := of(inSQL)
		switch random.IntN(20) {
		case 0, 1:
			return "PREPARE " + n + " AS " + query()
		case 2, 3:
			return use("EXECUTE " + n)
		case 4:
			return "DEALLOCATE " + n
		case 5, 6:
			return "DECLARE " + n + " CURSOR FOR " + query()
		case 7:
			return "DECLARE " + n + " CURSOR WITH HOLD FOR " + query()
		case 8, 9:
			return use("FETCH 1 FROM " + n)
		case 10:
			return use("MOVE 1 IN " + n)
		case 11:
			return "CLOSE " + n
		case 12:
			return of([]string{"SELECT 1/0", "DEALLOCATE ALL", "CLOSE ALL", "DISCARD ALL"})
		case 13:
			return "DEALLOCATE " + n + "; PREPARE " + n + " AS " + query() + "; SELECT 1/0"
		case 14:
			return "PREPARE " + n + " AS " + query() + "; " + use("EXECUTE "+n)
		case 15:
			return "BEGIN; DECLARE " + n + " CURSOR FOR " + query() + "; " + use("FETCH 1 FROM "+n)
		case 16, 17:
			return "BEGIN"
		case 18:
			return of([]string{"COMMIT", "ROLLBACK", "ROLLBACK", "COMMIT AND CHAIN"})
		default:
			return of([]string{"SAVEPOINT a", "ROLLBACK TO a"})
		}
	}
	message := func() []pgproto3.FrontendMessage {
		n := of(inMessages)
		switch random.IntN(9) {
		case 0:
			return []pgproto3.FrontendMessage{prep(n, query())}
		case 1:
			return []pgproto3.FrontendMessage{closeS(n), prep(n, query())}
		case 2, 3:
			return []pgproto3.FrontendMessage{bind(of(inMessages), n)}
		case 4:
			return []pgproto3.FrontendMessage{descS(n)}
		case 5:
			return []pgproto3.FrontendMessage{descP(n)}
		case 6, 7:
			return []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: n, MaxRows: 1}}
		default:
			return []pgproto3.FrontendMessage{closeP(n)}
		}
	}
	checked := 0
	for round := range rounds {
		var history []pgproto3.FrontendMessage
		for range 4 + random.IntN(12) {
			var msgs []pgproto3.FrontendMessage
			before, last := uses, ""
			switch random.IntN(3) {
			case 0:
				last = sql()
				msgs = append(msgs, q(last))
			default:
				for range 1 + random.IntN(4) {
					if random.IntN(2) == 0 {
						msgs = append(msgs, message()...)
						continue
					}
					text := sql()
					// DISCARD ALL has to be alone in its pipeline.
					if strings.Contains(text, ";") || text == "DISCARD ALL" {
						continue
					}
					last = text
					msgs = append(msgs, prep("", last), bind("", ""), exec(""))
				}
				msgs = append(msgs, syn)
			}
			history = append(history, msgs...)
			want, got := plain.run(msgs...), r.client.run(msgs...)
			if diff := cmp.Diff(unnoticed(want), unnoticed(got)); diff != "" {
				t.Fatalf("round %d: %s\ndirect (-) and through the session (+):\n%s", round, spell(history), diff)
			}
			var rows []string
			for _, line := range got {
				if row, ok := strings.CutPrefix(line, "DataRow "); ok {
					rows = append(rows, row)
				}
			}
			if len(rows) != 1 && !strings.Contains(last, "EXECUTE") || len(rows) == 0 {
				continue
			}
			intents := r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT)
			switch {
			case len(msgs) == 1 && uses == before+1:
				judged.mu.Lock()
				text := judged.found[last]
				if strings.Contains(last, ";") {
					text = last
				}
				judged.mu.Unlock()
				checked++
				if tagOf(text) != tagOf(rows[0]) {
					t.Fatalf("%s\njudged by %q, read %q", spell(history), text, rows[0])
				}
			case uses == before && len(rows) == 1:
				checked++
				ran := false
				for _, ev := range intents[max(0, len(intents)-6):] {
					sum := sha256.Sum256(fmt.Appendf(nil, "SELECT '%s' FROM pg_catalog.generate_series(1, 3)", rows[0]))
					ran = ran || string(ev.GetUnitSha256()) == string(sum[:])
				}
				if !ran {
					t.Fatalf("%s\nread %q, which was not judged", spell(history), rows[0])
				}
			}
		}
		end := []pgproto3.FrontendMessage{q("ROLLBACK"), q("DISCARD ALL")}
		if diff := cmp.Diff(unnoticed(plain.run(end...)), unnoticed(r.client.run(end...))); diff != "" {
			t.Fatalf("%s\n%s", spell(history), diff)
		}
	}
	if checked < rounds/8 {
		t.Errorf("only %d rows were compared", checked)
	}
	t.Logf("%d rows compared", checked)
}

// TestDeniedBehindNames: a name is judged by the text behind it, whoever gave the name and
// whoever uses it, from the moment on that the text is denied. Nothing of it runs.
func TestDeniedBehindNames(t *testing.T) {
	const text = "SELECT 'tag 1' FROM pg_catalog.generate_series(1, 3)"
	begin, inTransaction := q("BEGIN"), "ReadyForQuery E"
	for name, tc := range map[string]struct {
		make, use []pgproto3.FrontendMessage
		row       string
		status    string
	}{
		"PREPARE and Bind":       {step{q("PREPARE x AS " + text)}, step{bind("", "x"), exec(""), syn}, "DataRow tag 1", "ReadyForQuery I"},
		"PREPARE and Describe":   {step{q("PREPARE x AS " + text)}, step{descS("x"), syn}, "RowDescription 1", "ReadyForQuery I"},
		"Parse and EXECUTE":      {step{prep("x", text), syn}, step{q("EXECUTE x")}, "DataRow tag 1", "ReadyForQuery I"},
		"Parse and a parsed one": {step{prep("x", text), prep("use", "EXECUTE x"), syn}, step{bind("", "use"), exec(""), syn}, "DataRow tag 1", "ReadyForQuery I"},
		"DECLARE and Describe":   {step{begin, q("DECLARE x CURSOR FOR " + text)}, step{descP("x"), syn}, "RowDescription 1", inTransaction},
		"DECLARE and Execute":    {step{begin, q("DECLARE x CURSOR FOR " + text)}, step{exec("x"), syn}, "DataRow tag 1", inTransaction},
		"WITH HOLD and Execute":  {step{q("DECLARE x CURSOR WITH HOLD FOR " + text)}, step{exec("x"), syn}, "DataRow tag 1", "ReadyForQuery I"},
		"Bind and FETCH":         {step{begin, prep("", text), bind("x", ""), syn}, step{q("FETCH 1 FROM x")}, "DataRow tag 1", inTransaction},
		"Bind and MOVE":          {step{begin, prep("", text), bind("x", ""), syn}, step{q("MOVE 1 IN x")}, "CommandComplete MOVE 1", inTransaction},
		"PREPARE, Bind, FETCH":   {step{begin, q("PREPARE x AS " + text), bind("x", "x"), syn}, step{q("FETCH 1 FROM x")}, "DataRow tag 1", inTransaction},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newNamer(t)
			plain := direct(t, dbname(t))
			made := append(append(step{}, tc.make...), tc.use...)
			want, got := plain.run(made...), r.client.run(made...)
			if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(strings.Join(got, "\n"), tc.row) {
				t.Fatalf("direct (-) and through the session (+):\n%s%v", diff, got)
			}
			r, _ = newNamer(t)
			r.client.run(tc.make...)
			r.judge.set("tag 1")
			r.fence.Observe(&authzv1.Epoch{Policy: 2})
			got = r.client.run(tc.use...)
			wantLines(t, got[max(0, len(got)-2):], "ErrorResponse ERROR 42501 *", tc.status)
			if strings.Contains(strings.Join(got, "\n"), tc.row) {
				t.Errorf("%v", got)
			}
			if len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)) != 1 {
				t.Error("the denial is not recorded")
			}
		})
	}
}

// TestUntoldQueries: where the authorizer does not say what stands behind a name of SQL,
// messages that use it are refused.
func TestUntoldQueries(t *testing.T) {
	r, _ := newEffects(t)
	r.client.run(q("PREPARE x AS\nSELECT 1"))
	wantLines(t, r.client.run(bind("", "x"), exec(""), syn), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
	wantLines(t, r.client.run(descS("x"), syn), "ErrorResponse ERROR 57P03 *", "ReadyForQuery I")
	r.client.run(q("BEGIN"), q("DECLARE x CURSOR FOR\nSELECT 1"))
	wantLines(t, r.client.run(exec("x"), syn), "ErrorResponse ERROR 57P03 *", "ReadyForQuery E")
}

// typed is an authorizer that finds the types of parameters, and notes with which a text
// was judged.
type typed struct {
	*judge
	settled [][]uint32
}

func (a *typed) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := a.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled = append(a.settled, req.SettledTypes)
	d.Statements[0].ParameterTypeOids = []uint32{23}
	return d, nil
}

// TestSettledTypes: a statement that is judged again is judged with the types that its
// parameters were found to have, as the server keeps to them.
func TestSettledTypes(t *testing.T) {
	judged := &typed{}
	r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			judged.judge = j
		}
		deps.Authorizer = judged
	})
	r.client.run(prep("x", "SELECT id FROM t WHERE id = $1"), &pgproto3.Parse{Name: "given", Query: "SELECT id FROM t WHERE id = $1", ParameterOIDs: []uint32{23}}, syn)
	r.fence.Observe(&authzv1.Epoch{Policy: 2})
	for _, name := range []string{"x", "given"} {
		r.client.run(&pgproto3.Bind{PreparedStatement: name, Parameters: [][]byte{[]byte("1")}}, syn)
	}
	if diff := cmp.Diff([][]uint32{nil, nil, {23}, nil}, judged.settled); diff != "" {
		t.Errorf("settled types (-want +got)\n%s", diff)
	}
}
