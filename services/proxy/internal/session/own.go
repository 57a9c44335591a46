package session

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/probe"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// A session sees objects that nobody else does: what is temporary, and what its open
// transaction has made, changed or dropped. Authz, which reads the committed catalog,
// says what it needs to know of them, and the session's own backend is asked. Its
// answers go with every request until something happens that may change them.

// own is what is known of the session's own objects beside the context.
type own struct {
	// list: what is temporary has to be listed again. code: code ran that nobody looked
	// into, which may also have taken names, and changed the catalog.
	list, code bool
	// temporary are the names of what is temporary, as they were listed last.
	temporary []string
	// objects are the names of what is temporary by its OID; foreign those of it that
	// code has made. The code ran with the login's rights, and what it put there is
	// its own: PostgreSQL gives it to the owner of a security definer.
	objects, foreign map[string]temporaryObject
	// made and ran: since the last list a statement has made something, and code ran.
	made, ran bool
	// relations are the temporary relations that statements have made by their names since
	// then.
	relations map[string]bool
	// stale: the answers may not be true any more. inside: they were given in a
	// transaction of the client's, and hold no longer than that.
	stale, inside bool
	// ended: what is waited for has ended a transaction, and nothing since has changed
	// the catalog. done: that was the last of it, and no transaction is open behind it.
	ended, done bool
	// snapshot: the open transaction has taken one. A question before that, in a
	// transaction block, would keep a client's SET TRANSACTION from working, and LOCK TABLE
	// from coming first.
	snapshot bool
	// catalog is the database's catalog epoch when what is temporary was last listed.
	catalog uint64
	// plans is what the server's cached plans are younger than.
	plans basis
}

// temporaryObject is a temporary relation, type or function, and the OID of the relation
// that it is part of: an index, a column's sequence, a row type. Others are of their own.
type temporaryObject struct{ name, of string }

// follow notes what a statement that is about to be forwarded, inside a pipeline or
// not, does to the transaction.
func (o *own) follow(st *authzv1.Statement, piped bool) {
	o.done = false
	for _, e := range st.GetEffects() {
		switch e.GetKind() {
		case authzv1.EffectKind_EFFECT_KIND_BEGIN:
			// Inside a pipeline it takes over the transaction that is there.
			o.snapshot = o.snapshot && piped
		case authzv1.EffectKind_EFFECT_KIND_COMMIT, authzv1.EffectKind_EFFECT_KIND_ROLLBACK:
			o.ended, o.done, o.snapshot = true, piped && !e.GetChain() && len(st.GetEffects()) == 1, false
		case authzv1.EffectKind_EFFECT_KIND_SAVEPOINT, authzv1.EffectKind_EFFECT_KIND_RELEASE, authzv1.EffectKind_EFFECT_KIND_ROLLBACK_TO,
			authzv1.EffectKind_EFFECT_KIND_SET, authzv1.EffectKind_EFFECT_KIND_SET_LOCAL, authzv1.EffectKind_EFFECT_KIND_RESET,
			authzv1.EffectKind_EFFECT_KIND_PREPARE, authzv1.EffectKind_EFFECT_KIND_DEALLOCATE,
			authzv1.EffectKind_EFFECT_KIND_DECLARE, authzv1.EffectKind_EFFECT_KIND_CLOSE:
		case authzv1.EffectKind_EFFECT_KIND_DDL, authzv1.EffectKind_EFFECT_KIND_TEMP:
			o.ended, o.snapshot, o.made = false, true, true
			if e.GetKind() == authzv1.EffectKind_EFFECT_KIND_TEMP && e.GetName() != "" {
				if o.relations == nil {
					o.relations = map[string]bool{}
				}
				o.relations[e.GetName()] = true
			}
		default:
			o.ended, o.ran = false, true
		}
	}
	o.snapshot = o.snapshot || takesSnapshot(st.GetKind())
}

// parsed notes that statements are parsed, which takes a snapshot as running them does;
// nothing is planned before the first.
func (o *own) parsed(statements []*authzv1.Statement, now basis) {
	if o.plans == (basis{}) {
		o.plans = now
	}
	for _, st := range statements {
		o.snapshot = o.snapshot || takesSnapshot(st.GetKind())
	}
}

// boundary notes a Query or Sync, with a transaction block open or not: without one a
// new transaction begins behind it.
func (o *own) boundary(open bool) { o.snapshot = o.snapshot && open }

// takesSnapshot reports whether statements of a kind take a snapshot at once, when
// they are parsed, planned or begin (analyze_requires_snapshot, analyze.c;
// PlannedStmtRequiresSnapshot, pquery.c).
func takesSnapshot(kind string) bool {
	switch kind {
	case "select", "select into", "insert", "update", "delete", "merge", "explain", "declare", "execute", "call", "do":
		return true
	default:
		return false
	}
}

// listed takes what is temporary now. What is new is the code's if it ran just now, and
// also if no statement has made anything: deferred triggers run later. What a statement
// made by its name is the session's own all the same, with all that is part of it: code in
// that statement cannot have made it, or the statement would have failed (heap_create
// finds the name taken; IF NOT EXISTS is looked at before code runs).
func (o *own) listed(objects map[string]temporaryObject) {
	foreign := map[string]temporaryObject{}
	for oid, object := range objects {
		_, was := o.objects[oid]
		_, before := o.foreign[oid]
		if before || !was && (o.ran || o.code && !o.made) && !o.relations[objects[object.of].name] {
			foreign[oid] = object
		}
	}
	o.objects, o.foreign, o.made, o.ran, o.relations = objects, foreign, false, false, nil
}

// touchesForeign reports whether statements touch temporary objects that code has made,
// or could tie objects of the session's own to them.
func (o *own) touchesForeign(statements []*authzv1.Statement) bool {
	if len(o.foreign) == 0 {
		return false
	}
	for _, st := range statements {
		for _, a := range st.GetAccesses() {
			for _, object := range o.foreign {
				if a.GetResolved().GetName() == object.name && a.GetResolved().GetSchema() == "pg_temp" {
					return true
				}
			}
		}
		changes := slices.ContainsFunc(st.GetEffects(), func(e *authzv1.Effect) bool {
			return e.GetKind() == authzv1.EffectKind_EFFECT_KIND_DDL || e.GetKind() == authzv1.EffectKind_EFFECT_KIND_TEMP
		})
		if changes && st.GetKind() != "drop" && st.GetKind() != "discard temp" {
			return true
		}
	}
	return false
}

// blind reports whether the session has objects of its own about which nothing has
// been asked. What is decided then is good for no other moment.
func (v view) blind() bool {
	return len(v.answers) == 0 && (v.context.GetAltered() || len(v.context.GetTemporaryRelations()) > 0)
}

// bare is the view without the answers, which may be long.
func (v view) bare() view { return view{context: v.context, key: v.key} }

// forget drops the answers.
func (w *surroundings) forget() {
	w.own.stale, w.own.inside = false, false
	if len(w.answers) > 0 {
		w.answers, w.digest = nil, ""
		w.enter(w.context)
	}
}

// outdated reports whether somebody has changed the catalog since what the session has
// of its own was learned: dropping a type takes the temporary views with it that use it.
func (s *Session) outdated() bool {
	w := &s.around
	return (len(w.own.temporary) > 0 || len(w.answers) > 0) && w.own.catalog != s.catalogEpoch()
}

func (s *Session) catalogEpoch() uint64 { return s.Fence.Catalog(s.p.Context.GetDatabase()) }

const (
	// maxRounds bounds how often authz may ask about one unit. Two will do: the names it
	// looks for are all in the answer to PROBE_KIND_SESSION.
	maxRounds = 3
	// maxAnswers bounds the answers together, in bytes, with room for what stands around
	// them: authz takes no longer requests.
	maxAnswers = probe.AnswerLimit + 4<<10
)

// interpret turns compilation off for what is asked in the same transaction, and says
// what it was; compile turns it on again. The question is long and its answer short:
// where the planner's estimate passes jit_above_cost, compiling takes half a minute.
const (
	interpret = `SELECT j.was FROM (SELECT pg_catalog.current_setting('jit') AS was OFFSET 0) AS j WHERE pg_catalog.set_config('jit', 'off', true) IS NOT NULL`
	compile   = `SELECT pg_catalog.set_config('jit', 'on', true)`
)

var errOversize = errors.New("the answer is too long")

// probe asks the session's backend what authz wants to know, for the unit that waits for
// it. An answer that is not nil stands in the unit's place.
func (s *Session) probe(u *unit, wanted []*authzv1.Probe) *answer {
	skipping, err := s.await()
	switch {
	case err != nil:
		return &answer{err: err}
	case skipping:
		s.skipping = true
		return &answer{dropped: true}
	}
	if s.names.Failed() {
		// It has failed only now. What ends it needs no answer.
		s.around.unsettled = true
		_, _, err := s.settle()
		return gone(err)
	}
	idle := !s.piped && s.names.Status() == wire.StatusIdle
	if !idle && !s.around.own.snapshot && s.tx.current() != 0 && !opensSnapshot(u) {
		if a := s.mayAskFirst(u); a != nil {
			return a
		}
	}
	s.around.own.snapshot = s.around.own.snapshot || !idle
	catalog := s.catalogEpoch()
	compiles := &question{piped: s.piped}
	if err := s.ask(compiles, interpret); err != nil {
		return &answer{err: err}
	}
	asked := make([]*question, len(wanted))
	for i, p := range wanted {
		text, ok := probeQuery(p)
		if !ok {
			return s.unasked(u, "authz asks for what cannot be asked")
		}
		asked[i] = &question{piped: s.piped, limit: maxAnswers}
		if err := s.ask(asked[i], text); err != nil {
			return &answer{err: err}
		}
	}
	skipping, err = s.asked()
	switch {
	case err != nil:
		return &answer{err: err}
	case skipping:
		return &answer{dropped: true}
	}
	if rows, err := compiles.result(); !idle && err == nil && len(rows) == 1 && rows[0] == "on" {
		// What is local holds to the transaction's end.
		if err := s.ask(&question{piped: s.piped}, compile); err != nil {
			return &answer{err: err}
		}
		if skipping, err := s.asked(); err != nil || skipping {
			return &answer{err: err, dropped: skipping}
		}
	}
	answers := s.kept(wanted)
	size := 0
	for i, q := range asked {
		rows, err := q.result()
		switch {
		case errors.Is(err, errOversize):
			return s.tooLong(u)
		case err != nil:
			s.Logger.Warn("probe failed", "error", err)
			return s.unasked(u, "the session's own objects could not be asked for")
		case len(rows) != 1:
			return s.unasked(u, "an answer of another form")
		}
		answers = append(answers, &authzv1.ProbeAnswer{Probe: wanted[i], Exists: rows[0] != "", Description: []byte(rows[0])})
	}
	for _, a := range answers {
		size += proto.Size(a)
	}
	if size > maxAnswers {
		return s.tooLong(u)
	}
	digest, err := decide.AnswersKey(answers)
	if err != nil {
		return s.unasked(u, "answers without a digest")
	}
	w := &s.around
	w.answers, w.digest, w.own.catalog, w.own.inside = answers, digest, catalog, !idle
	w.enter(w.context)
	return nil
}

// kept are the answers that go on being true beside those to wanted: none when what the
// whole session sees is asked for anew.
func (s *Session) kept(wanted []*authzv1.Probe) []*authzv1.ProbeAnswer {
	var kept []*authzv1.ProbeAnswer
	for _, a := range s.around.answers {
		replaced := slices.ContainsFunc(wanted, func(p *authzv1.Probe) bool {
			return p.GetKind() == authzv1.ProbeKind_PROBE_KIND_SESSION || proto.Equal(p, a.GetProbe())
		})
		if !replaced {
			kept = append(kept, a)
		}
	}
	return kept
}

// probeQuery is the query of a probe.
func probeQuery(p *authzv1.Probe) (string, bool) {
	schema, name := p.GetObject().GetSchema(), p.GetObject().GetName()
	switch p.GetKind() {
	case authzv1.ProbeKind_PROBE_KIND_SESSION:
		return probe.Query(probe.Session, "", ""), true
	case authzv1.ProbeKind_PROBE_KIND_RELATION:
		return probe.Query(probe.Relation, schema, name), true
	case authzv1.ProbeKind_PROBE_KIND_FUNCTION:
		return probe.Query(probe.Function, schema, name), true
	case authzv1.ProbeKind_PROBE_KIND_TYPE:
		return probe.Query(probe.Type, schema, name), true
	default:
		return "", false
	}
}

// unasked refuses a unit for which the session's backend could not be asked.
func (s *Session) unasked(u *unit, detail string) *answer {
	return s.refuse(u, nil, pgerr.RefusalUnavailable, "context", authzv1.Reason_REASON_CONTEXT, detail)
}

// tooLong refuses a unit for which too much would have to be said.
func (s *Session) tooLong(u *unit) *answer {
	return s.refuse(u, nil, pgerr.RefusalObjects, "limit", authzv1.Reason_REASON_LIMIT, "the session's own objects are too many")
}
