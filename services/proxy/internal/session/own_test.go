package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// knower is an authorizer that allows everything and finds out which relation x is in
// each text: from the committed catalog, which it reads through a connection of its own,
// or, where the session says that it has objects of its own, from what the session's
// backend answers.
type knower struct {
	*judge
	fence *decide.Fence
	mu    sync.Mutex
	plain *wireClient
	// found is the relation each text was last judged by, versions number the states of
	// the committed catalog.
	found    map[string]string
	versions map[string]uint64
	// database is where x is; base is added to the versions of its catalog.
	database string
	base     uint64
}

// names are those that x can mean, in the order of the path.
var names = []string{"pg_temp", "public"}

func (k *knower) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := k.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	committed := strings.Join(k.plain.run(q("SELECT COALESCE(pg_catalog.to_regclass('public.x')::pg_catalog.oid, 0)")), " ")
	committed = strings.Fields(strings.SplitAfter(committed, "DataRow ")[1])[0]
	if k.versions[committed] == 0 {
		k.versions[committed] = uint64(len(k.versions)) + 1
	}
	d.Epoch.Catalog = map[string]uint64{k.database: k.base + k.versions[committed]}
	d.Cacheable = true
	k.fence.Observe(d.Epoch)
	d.Statements = nil
	for part := range strings.SplitSeq(string(req.Text), ";") {
		d.Statements = append(d.Statements, ownStatement(strings.TrimSpace(part)))
	}
	found := committed
	if strings.HasPrefix(req.Context.GetSearchPath(), "early") {
		found = "x of another schema"
	} else if req.Context.GetAltered() || len(req.Context.GetTemporaryRelations()) > 0 {
		if len(req.Answers) == 0 {
			d.Verdict, d.Statements = authzv1.Verdict_VERDICT_PROBE, nil
			for _, schema := range names {
				d.Probes = append(d.Probes, relation(schema, "x"))
			}
			return d, nil
		}
		if found, err = foundIn(req.Answers); err != nil {
			return nil, err
		}
	}
	k.found[string(req.Text)] = found
	for _, st := range d.Statements {
		for _, a := range st.GetAccesses() {
			a.Resolved = &authzv1.ObjectName{Name: found}
		}
	}
	return d, nil
}

func relation(schema, name string) *authzv1.Probe {
	return &authzv1.Probe{Kind: authzv1.ProbeKind_PROBE_KIND_RELATION, Object: &authzv1.ObjectName{Schema: schema, Name: name}}
}

// foundIn is the OID of the first relation that answers describe.
func foundIn(answers []*authzv1.ProbeAnswer) (string, error) {
	for i, a := range answers {
		if a.GetProbe().GetObject().GetSchema() != names[i] {
			return "", fmt.Errorf("answer %d is that to %v", i, a.GetProbe())
		}
		if !a.GetExists() {
			continue
		}
		var doc struct{ Relations []struct{ OID uint32 } }
		if err := json.Unmarshal(a.GetDescription(), &doc); err != nil {
			return "", err
		}
		return fmt.Sprint(doc.Relations[0].OID), nil
	}
	return "0", nil
}

var temporary = regexp.MustCompile(`^(CREATE TEMP|DISCARD TEMP|SELECT 1 AS id INTO TEMP)`)

// ownStatement is what authz would say of a statement.
func ownStatement(text string) *authzv1.Statement {
	word := strings.ToLower(strings.Fields(text + " -")[0])
	st := &authzv1.Statement{Kind: word, Accesses: []*authzv1.Access{{}}}
	effect := func(kind authzv1.EffectKind) { st.Effects = append(st.Effects, &authzv1.Effect{Kind: kind}) }
	switch {
	case temporary.MatchString(text):
		effect(authzv1.EffectKind_EFFECT_KIND_TEMP)
	case word == "create" || word == "drop" || word == "alter":
		effect(authzv1.EffectKind_EFFECT_KIND_DDL)
	default:
		st.Effects = nil
		if e := effectOf(text); e != nil {
			st.Effects = []*authzv1.Effect{e}
			if word != "declare" {
				st.Accesses = nil
			}
		}
		if word == "fetch" {
			fields := strings.Fields(text)
			st.Cursor = fields[len(fields)-1]
		}
	}
	if strings.HasPrefix(text, "ROLLBACK TO") {
		st.Kind = "rollback to"
	}
	return st
}

func newKnower(t *testing.T) (*rig, *knower) {
	t.Helper()
	database := dbname(t)
	k := &knower{found: map[string]string{}, versions: map[string]uint64{}, database: database}
	r := newRig(t, database, func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			k.judge = j
		}
		k.fence = deps.Fence
		cache, err := decide.NewCache(k, deps.Fence, 1000)
		if err != nil {
			t.Fatal(err)
		}
		deps.Authorizer = cache
	})
	k.plain = direct(t, database)
	return r, k
}

// which is a statement that tells which relation x is when it is planned.
func which(tag string) string { return fmt.Sprintf("SELECT '%s', 'x'::regclass::oid", tag) }

// TestOwnObjectsAreTheServers sends random statements that make, drop and rename
// permanent and temporary relations in transactions of every kind and in pipelines.
// Each statement reads the relation it was judged by, and the client hears what it would
// hear from the server itself. Prepared statements and portals included.
func TestOwnObjectsAreTheServers(t *testing.T) {
	rounds := 150
	if os.Getenv("SCOPEWIRE_NIGHTLY") != "" {
		rounds = 20_000
	}
	r, knows := newKnower(t)
	plain := direct(t, dbname(t))
	random := rand.New(rand.NewPCG(11, 11))
	statements := []string{
		"BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a",
		"CREATE TABLE x (id int)", "CREATE TABLE public.x (id int)", "CREATE TEMP TABLE x (id int)", "CREATE TEMP TABLE x (id int) ON COMMIT DROP",
		"CREATE TEMP VIEW x AS SELECT 1 AS id", "SELECT 1 AS id INTO TEMP x", "DROP TABLE x", "DROP TABLE public.x", "DROP VIEW x", "DISCARD TEMP",
		"ALTER TABLE x RENAME TO y", "ALTER TABLE y RENAME TO x", "CREATE TEMP TABLE y (id int)", "DROP TABLE y", "SELECT 1/0",
		"DO 'BEGIN CREATE TABLE public.x (id int); END'", "DO 'BEGIN DROP TABLE x; END'", "SELECT 1",
	}
	checked := 0
	for round := range rounds {
		var msgs []pgproto3.FrontendMessage
		kept, sql := fmt.Sprintf("kept %d", round), fmt.Sprintf("sql %d", round)
		tags := []string{kept, sql}
		msgs = append(msgs, q("DEALLOCATE ALL"), prep("kept", which(kept)), syn, q("PREPARE sql AS "+which(sql)))
		for range 2 + random.IntN(7) {
			text := statements[random.IntN(len(statements))]
			tag := fmt.Sprintf("tag %d %d", round, len(tags))
			if random.IntN(2) == 0 {
				tags = append(tags, tag)
				text = which(tag)
			}
			if random.IntN(2) == 0 {
				msgs = append(msgs, syn, q(text))
				continue
			}
			msgs = append(msgs, prep("", text), bind("", ""), exec(""))
			if random.IntN(3) == 0 {
				msgs = append(msgs, syn)
			}
		}
		// What was prepared first, under whatever x is now.
		msgs = append(msgs, syn, q("EXECUTE sql"), bind("", "kept"), exec(""))
		msgs = append(msgs, syn)
		want, got := plain.run(msgs...), r.client.run(msgs...)
		if diff := cmp.Diff(withoutOIDs(want), withoutOIDs(got)); diff != "" {
			t.Fatalf("%s\ndirect (-) and through the session (+):\n%s\n%v", spell(msgs), diff, got)
		}
		for _, tag := range tags {
			var row string
			for _, line := range got {
				if strings.HasPrefix(line, "DataRow "+tag+"|") {
					row = line
				}
			}
			if row == "" {
				continue
			}
			checked++
			knows.mu.Lock()
			text := which(tag)
			if tag == sql {
				text = "EXECUTE sql"
			}
			judged := "DataRow " + tag + "|" + knows.found[text]
			knows.mu.Unlock()
			if judged != row {
				t.Fatalf("%s\njudged %s\nread   %s", spell(msgs), judged, row)
			}
		}
	}
	if checked < rounds/4 {
		t.Errorf("only %d relations were compared", checked)
	}
}

var digits = regexp.MustCompile(`\|[0-9]+$`)

// withoutOIDs is a transcript that two databases can agree on.
func withoutOIDs(lines []string) []string {
	out := normalise(lines)
	for i, line := range out {
		out[i] = digits.ReplaceAllString(line, "|oid")
	}
	return out
}
