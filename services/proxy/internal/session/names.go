package session

import (
	"bytes"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
)

// PREPARE and Parse share one namespace, DECLARE and Bind another. The tracker holds them
// all. What SQL has made, authz describes as a Parse message would bring it, and the
// messages that use it are judged by that; its texts are in every request. What messages
// have made is told to authz when a text names it.

// named is an effect on a name, the end of the transaction that cursors wait for, or a new
// token. It
// has come about when its statement, the one with that number of its message, has
// completed.
type named struct {
	effect    *authzv1.Effect
	op        *op
	statement int
	value     *prepared
	refreshed *decide.Refreshed
}

// naming is the effect on a name of a statement of a unit, the message of which is not
// known yet.
func (s *Session) naming(u *unit, st *authzv1.Statement, number int, e *authzv1.Effect) named {
	n := named{effect: e, statement: number}
	q := e.GetQuery()
	switch e.GetKind() {
	case authzv1.EffectKind_EFFECT_KIND_PREPARE:
		n.value = &prepared{text: q.GetText(), types: q.GetParameterTypeOids(), settled: q.GetSettledTypeOids(),
			sql: e.GetValue(), untold: q == nil, source: digest(u.text)}
	case authzv1.EffectKind_EFFECT_KIND_DECLARE:
		n.value = &prepared{text: q.GetText(), types: q.GetParameterTypeOids(), settled: q.GetSettledTypeOids(),
			sql: e.GetValue(), untold: q == nil, source: digest(u.text), meaning: meaningOf([]*authzv1.Statement{st}), ends: !e.GetHold()}
		bound := proto.CloneOf(u.view.context)
		if q != nil {
			bound.SearchPath = e.GetSearchPath()
		}
		n.value.view = s.viewOf(bound).bare()
	case authzv1.EffectKind_EFFECT_KIND_REFRESH:
		n.refreshed = u.refreshed
	default:
		// The others drop names.
	}
	return n
}

// sent tells the effects that wait for it which message they came in.
func (w *surroundings) sent(o *op) {
	for i := len(w.names) - 1; i >= 0 && w.names[i].op == nil; i-- {
		w.names[i].op = o
	}
}

// applyNames does to the names what statements have done that have completed.
func (s *Session) applyNames() {
	w := &s.around
	if len(w.names) == 0 && !w.renamed {
		return
	}
	for _, n := range w.names {
		if n.op == nil || s.names.Completed(n.op) <= n.statement {
			continue
		}
		switch e := n.effect; e.GetKind() {
		case authzv1.EffectKind_EFFECT_KIND_PREPARE:
			s.names.Define(stmt.Statements, e.GetName(), n.value, len(e.GetValue()), true)
		case authzv1.EffectKind_EFFECT_KIND_DEALLOCATE:
			s.drop(stmt.Statements, e.GetName())
		case authzv1.EffectKind_EFFECT_KIND_DECLARE:
			s.names.Define(stmt.Portals, e.GetName(), n.value, len(e.GetValue()), e.GetHold())
			if e.GetHold() {
				s.undecided = append(s.undecided, e.GetName())
			}
		case authzv1.EffectKind_EFFECT_KIND_CLOSE:
			s.drop(stmt.Portals, e.GetName())
		case authzv1.EffectKind_EFFECT_KIND_ROLLBACK:
			for _, name := range s.undecided {
				s.names.Forget(stmt.Portals, name)
			}
			s.undecided = nil
		case authzv1.EffectKind_EFFECT_KIND_COMMIT:
			s.undecided = nil
		case authzv1.EffectKind_EFFECT_KIND_REFRESH:
			s.adopt(n.refreshed)
		default:
			// No other effect is noted there.
		}
	}
	w.names, w.renamed = nil, false
	s.showNames()
}

// drop forgets a name, or all of them for the empty one.
func (s *Session) drop(space stmt.Space, name string) {
	if name == "" {
		s.names.ForgetAll(space)
		return
	}
	s.names.Forget(space, name)
	if space == stmt.Portals {
		s.undecided = slices.DeleteFunc(s.undecided, func(n string) bool { return n == name })
	}
}

// endCursors forgets the cursors that ended with their transaction.
func (s *Session) endCursors() {
	s.undecided = nil
	if s.ending > 0 {
		s.names.EndCursors()
		s.showNames()
	}
}

// showNames puts into the context what SQL has made of the names that there are.
func (s *Session) showNames() {
	texts := map[stmt.Space]map[string][]byte{}
	s.ending = 0
	for _, space := range []stmt.Space{stmt.Statements, stmt.Portals} {
		texts[space] = map[string][]byte{}
		for name, p := range s.names.Names(space) {
			if p.sql != nil {
				texts[space][name] = p.sql
			}
			if p.ends {
				s.ending++
			}
		}
	}
	c := s.around.context
	if maps.EqualFunc(texts[stmt.Statements], c.GetPreparedStatements(), bytes.Equal) && maps.EqualFunc(texts[stmt.Portals], c.GetCursors(), bytes.Equal) {
		return
	}
	s.around.change(func(c *authzv1.SessionContext) {
		c.PreparedStatements, c.Cursors = texts[stmt.Statements], texts[stmt.Portals]
	})
}

// touches notes that a message of the protocol drops or takes a name: if it is one of
// SQL's, what becomes of it is waited for.
func (s *Session) touches(space stmt.Space, name []byte) {
	texts := s.around.context.GetPreparedStatements()
	if space == stmt.Portals {
		texts = s.around.context.GetCursors()
	}
	if _, ok := texts[string(name[:min(len(name), maxName)])]; ok && s.counted() {
		s.around.unsettled, s.around.renamed = true, true
	}
}

// maxName is how many bytes of a name the server looks at (NAMEDATALEN - 1).
const maxName = 63

// cutName is what is kept of a name that a message makes or drops: as much as the server
// keeps, since a Parse may carry one of 16 MiB.
func cutName(name []byte) string { return string(name[:min(len(name), maxName)]) }

// tell answers what authz asks about names that messages have made. The answers are for
// this unit alone. An answer that is not nil stands in the unit's place.
func (s *Session) tell(u *unit, wanted []*authzv1.Probe) *answer {
	size := 0
	for _, p := range wanted {
		space := stmt.Statements
		if p.GetKind() == authzv1.ProbeKind_PROBE_KIND_PORTAL {
			space = stmt.Portals
		}
		found, ok, err := s.lookup(space, p.GetObject().GetName())
		if err != nil {
			return &answer{err: err}
		}
		told := &authzv1.ProbeAnswer{Probe: p}
		if ok && found.sql == nil {
			told.Exists = true
			told.Unit = &authzv1.ParseUnit{Text: found.text, ParameterTypeOids: found.types, SettledTypeOids: found.settled}
			if then, now := found.view.context, s.around.context; space == stmt.Portals && then.GetRole() == now.GetRole() && maps.Equal(then.GetSettings(), now.GetSettings()) {
				told.SearchPath = proto.String(then.GetSearchPath())
			}
		}
		u.names = append(u.names, told)
	}
	for _, a := range u.names {
		size += proto.Size(a)
	}
	for _, a := range u.view.answers {
		size += proto.Size(a)
	}
	if size > maxAnswers {
		return s.tooLong(u)
	}
	return nil
}

// answersOf are all answers that go with a unit, and their digest.
func answersOf(u *unit) ([]*authzv1.ProbeAnswer, string, error) {
	if len(u.names) == 0 {
		return u.view.answers, u.view.digest, nil
	}
	answers := slices.Concat(u.view.answers, u.names)
	digest, err := decide.AnswersKey(answers)
	return answers, digest, err
}

// sorted takes questions about names apart from those for the server. again says that the
// catalog is to be read again for the answer.
func sorted(probes []*authzv1.Probe) (names, others []*authzv1.Probe, again bool) {
	for _, p := range probes {
		switch p.GetKind() {
		case authzv1.ProbeKind_PROBE_KIND_STATEMENT, authzv1.ProbeKind_PROBE_KIND_PORTAL:
			names = append(names, p)
		case authzv1.ProbeKind_PROBE_KIND_CATALOG:
			again = true
		default:
			others = append(others, p)
		}
	}
	return names, others, again
}

// meaningOf is what of statements has to be found again while the server keeps a plan of
// them: all but that DECLARE makes a cursor.
func meaningOf(statements []*authzv1.Statement) []*authzv1.Statement {
	out := make([]*authzv1.Statement, len(statements))
	for i, st := range statements {
		out[i] = &authzv1.Statement{Accesses: st.GetAccesses()}
		for _, e := range st.GetEffects() {
			if e.GetKind() != authzv1.EffectKind_EFFECT_KIND_DECLARE {
				out[i].Effects = append(out[i].Effects, e)
			}
		}
	}
	return out
}

// sameMeaning reports whether statements are found to mean what a plan was made of.
func sameMeaning(meaning, statements []*authzv1.Statement) bool {
	return slices.EqualFunc(meaning, meaningOf(statements), func(x, y *authzv1.Statement) bool { return proto.Equal(x, y) })
}

// asDeclared reports whether the cursors that statements read touch what they were found
// to touch when they were opened, which may have been in front of them.
func (s *Session) asDeclared(statements []*authzv1.Statement) (bool, error) {
	var declared map[string][]*authzv1.Access
	for _, st := range statements {
		for _, e := range st.GetEffects() {
			if e.GetKind() == authzv1.EffectKind_EFFECT_KIND_DECLARE {
				if declared == nil {
					declared = map[string][]*authzv1.Access{}
				}
				declared[e.GetName()] = st.GetAccesses()
			}
		}
		if st.GetCursor() == "" {
			continue
		}
		then, ok := declared[st.GetCursor()]
		if !ok {
			p, known, err := s.lookup(stmt.Portals, st.GetCursor())
			if err != nil {
				return false, err
			}
			if !known || len(p.meaning) != 1 {
				return false, nil
			}
			then = p.meaning[0].GetAccesses()
		}
		if !slices.EqualFunc(then, st.GetAccesses(), func(x, y *authzv1.Access) bool { return proto.Equal(x, y) }) {
			return false, nil
		}
	}
	return true, nil
}

// missingStatement is what the server says of a statement that does not exist
// (commands/prepare.c, FetchPreparedStatement; exec_bind_message).
func (s *Session) missingStatement(name string) *answer {
	if name == "" {
		return s.missing("26000", "unnamed prepared statement does not exist")
	}
	return s.missing("26000", "prepared statement \""+name+"\" does not exist")
}

// missingTarget is the same for Describe, and for portals
// (exec_describe_portal_message, exec_execute_message).
func (s *Session) missingTarget(kind byte, name string) *answer {
	if stmt.Space(kind) == stmt.Statements {
		return s.missingStatement(name)
	}
	return s.missing("34000", "portal \""+name+"\" does not exist")
}

// untold refuses the use of a name of SQL whose query nobody has told.
func (s *Session) untold(u *unit) *answer {
	return s.refuse(u, nil, pgerr.RefusalUnavailable, "context", authzv1.Reason_REASON_CONTEXT, "the query behind a name of SQL is not known")
}
