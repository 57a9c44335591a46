package session

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// view is one state of the session context, and how decisions are found under it. It
// is immutable.
type view struct {
	context *authzv1.SessionContext
	// key is decide.ContextKey's, empty when nothing decided under the view may be kept.
	key string
	// answers are what the session's backend said of its own objects, digest their
	// decide.AnswersKey.
	answers []*authzv1.ProbeAnswer
	digest  string
}

// contents are what a generation is the number of.
type contents struct{ context, digest string }

// surroundings are what the frontend goroutine knows of the context in which the
// server will read the next statement. Effects of statements change it. A change is
// not guessed at: the next decision waits until the server has worked off what it was
// sent, and then the server is asked (learn.go).
type surroundings struct {
	view
	// generations are the numbers of the contexts this session has had, by their
	// content, so that a decision made under a context serves when it comes back.
	generations map[contents]uint64
	last        uint64
	// unsettled: something was forwarded whose effects have to be waited for.
	unsettled bool
	// unknown: the values have to be asked for.
	unknown bool
	// uncommitted: they were changed in the transaction that is open, and change
	// back when it fails.
	uncommitted bool
	// crossed: since they were last settled a Query or Sync was forwarded, at which
	// a transaction can have ended.
	crossed bool
	// failures is the server's count of errors when they were last settled.
	failures uint64
	// names are effects on prepared statements and cursors that are waited for; renamed says
	// that a message of the protocol has touched a name of SQL.
	names   []named
	renamed bool
	// altered: the catalog was changed in the transaction that is open. fresh: it
	// was changed, and no decision has been made from a newer one yet.
	altered, fresh bool
	// own is what else is known of the session's own objects.
	own own
}

// maxGenerations bounds what a session remembers of its contexts. Forgetting them
// costs a decision each.
const maxGenerations = 64

func newSurroundings(c *authzv1.SessionContext) surroundings {
	w := surroundings{generations: map[contents]uint64{}}
	w.enter(c)
	return w
}

// enter makes c the context that statements are judged in.
func (w *surroundings) enter(c *authzv1.SessionContext) { w.view = w.viewOf(c) }

// viewOf is the view of a context, with the answers of now.
func (w *surroundings) viewOf(c *authzv1.SessionContext) view {
	next, ok := proto.Clone(c).(*authzv1.SessionContext)
	if !ok {
		next = &authzv1.SessionContext{}
	}
	next.Generation = 0
	content, err := decide.ContextKey(next)
	number := w.generations[contents{content, w.digest}]
	if err != nil || number == 0 {
		w.last++
		number = w.last
		if len(w.generations) >= maxGenerations {
			clear(w.generations)
		}
		if err == nil {
			w.generations[contents{content, w.digest}] = number
		}
	}
	next.Generation = number
	v := view{context: next, answers: w.answers, digest: w.digest}
	if key, err := decide.ContextKey(next); err == nil && !v.blind() {
		v.key = key
	}
	return v
}

// change enters the context with a change to it.
func (w *surroundings) change(alter func(*authzv1.SessionContext)) {
	next, ok := proto.Clone(w.context).(*authzv1.SessionContext)
	if !ok {
		return
	}
	alter(next)
	w.enter(next)
}

// follow notes what the statements of a unit that is about to be forwarded do to the
// context.
func (s *Session) follow(statements []*authzv1.Statement, u *unit) {
	w := &s.around
	if !s.counted() {
		// Its pipeline has failed, and the server does not run it.
		return
	}
	for i, st := range statements {
		w.own.follow(st, s.piped)
		for _, e := range st.GetEffects() {
			switch e.GetKind() {
			case authzv1.EffectKind_EFFECT_KIND_BEGIN, authzv1.EffectKind_EFFECT_KIND_SAVEPOINT, authzv1.EffectKind_EFFECT_KIND_RELEASE:
			case authzv1.EffectKind_EFFECT_KIND_COMMIT, authzv1.EffectKind_EFFECT_KIND_ROLLBACK, authzv1.EffectKind_EFFECT_KIND_ROLLBACK_TO:
				if w.uncommitted || w.unsettled || w.altered {
					w.unsettled, w.unknown, w.own.stale = true, true, true
				}
				if len(s.undecided) > 0 && e.GetKind() != authzv1.EffectKind_EFFECT_KIND_ROLLBACK_TO {
					w.unsettled, w.names = true, append(w.names, s.naming(u, st, i, e))
				}
			case authzv1.EffectKind_EFFECT_KIND_PREPARE, authzv1.EffectKind_EFFECT_KIND_DEALLOCATE,
				authzv1.EffectKind_EFFECT_KIND_DECLARE, authzv1.EffectKind_EFFECT_KIND_CLOSE, authzv1.EffectKind_EFFECT_KIND_REFRESH:
				w.unsettled, w.names = true, append(w.names, s.naming(u, st, i, e))
			case authzv1.EffectKind_EFFECT_KIND_DDL:
				w.unsettled, w.altered, w.fresh, w.own.stale = true, true, true, true
				// It may take temporary objects with it that depend on what it drops.
				if len(w.own.temporary) > 0 {
					w.unknown, w.own.list = true, true
				}
			case authzv1.EffectKind_EFFECT_KIND_TEMP:
				w.unsettled, w.unknown, w.own.list, w.own.stale = true, true, true, true
			case authzv1.EffectKind_EFFECT_KIND_SET, authzv1.EffectKind_EFFECT_KIND_SET_LOCAL, authzv1.EffectKind_EFFECT_KIND_RESET:
				// Only what is in the context changes what SQL means.
				if e.GetName() == "" || slices.Contains(followed(w.context), e.GetName()) {
					w.unsettled, w.unknown = true, true
				}
			default:
				w.unsettled, w.unknown, w.own.list, w.own.code, w.own.stale = true, true, true, true, true
			}
		}
	}
}

// counted notes the server's count of errors before something that has to be waited
// for. It reports false when the server skips what comes.
func (s *Session) counted() bool {
	failures, skipping := s.names.Failures()
	if !s.around.unsettled && !skipping {
		s.around.failures = failures
	}
	return !skipping
}

// settle makes the context known in which the server will read what comes next. drop
// says that the server skips the next message: its pipeline has failed. A trouble is
// why the context cannot be known; nothing may be judged then.
func (s *Session) settle() (drop bool, trouble, err error) {
	w := &s.around
	outdated := s.outdated()
	ended := w.crossed && (w.uncommitted || w.altered || s.ending > 0 || len(s.undecided) > 0 || w.own.inside)
	if !w.unsettled && !s.disturbed.Load() && !ended && !outdated {
		return false, nil, nil
	}
	skipping, err := s.await()
	if err != nil || skipping {
		s.skipping = s.skipping || skipping
		return skipping, nil, err
	}
	if s.disturbed.Swap(false) {
		w.unknown = true
	}
	failures, _ := s.names.Failures()
	failed := failures != w.failures
	s.applyNames()
	if s.names.Failed() {
		// The server reads nothing but the end of the transaction now, and cannot be
		// asked. What it goes back to is not known until then; and it looks up nothing that
		// would have to be asked for.
		w.unsettled, w.unknown, w.failures = true, true, failures
		w.forget()
		w.change(func(c *authzv1.SessionContext) { c.Uncommitted, c.Altered, c.TemporaryRelations = true, false, nil })
		return false, nil, nil
	}
	idle := s.concluded(failed)
	if outdated && (idle || w.own.snapshot) {
		w.unknown, w.own.list = true, true
	}
	if w.own.stale || failed || outdated {
		w.forget()
	}
	if w.unknown || w.uncommitted && (idle || failed) {
		if drop, trouble, err := s.learn(idle); drop || trouble != nil || err != nil {
			return drop, trouble, err
		}
		w.uncommitted = !idle
	}
	w.mark()
	w.failures, _ = s.names.Failures()
	w.unsettled, w.unknown, w.crossed = false, false, false
	return false, nil, nil
}

// mark puts into the context what is known beside it.
func (w *surroundings) mark() {
	uncommitted := w.uncommitted || w.altered
	if c := w.context; c.GetUncommitted() == uncommitted && c.GetAltered() == w.altered && slices.Equal(c.GetTemporaryRelations(), w.own.temporary) {
		return
	}
	w.change(func(c *authzv1.SessionContext) {
		c.Uncommitted, c.Altered, c.TemporaryRelations = uncommitted, w.altered, w.own.temporary
	})
}

// concluded notes that transactions have ended of what the server has worked off, and
// reports whether it is idle now.
func (s *Session) concluded(failed bool) (idle bool) {
	w := &s.around
	over, done := w.own.ended && !failed, w.own.done && !failed
	w.own.ended, w.own.done = false, false
	if done {
		// The last message has ended its transaction. A Sync, with which questions may go
		// now, ends nothing then but what they begin.
		s.piped = false
	}
	idle = done || !s.piped && s.names.Status() == wire.StatusIdle
	if (idle || over) && (w.altered || w.uncommitted || w.own.inside) {
		w.own.stale = true
	}
	w.altered = w.altered && !idle && !over
	if idle {
		w.own.snapshot = false
		s.endCursors()
	}
	return idle
}

// await waits until the server has worked off everything it was sent.
func (s *Session) await() (skipping bool, err error) {
	if s.names.InFlight() > 0 {
		if err := s.askForAnswers(); err != nil {
			return false, err
		}
	}
	if err := s.flushServer(); err != nil {
		return false, err
	}
	return s.names.Settle()
}

// followed lists the settings whose values make up the context, by name.
func followed(c *authzv1.SessionContext) []string {
	names := []string{settingPath, settingRole, settingUser}
	for name := range c.GetSettings() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// The settings of which a context has fields of its own.
const (
	settingPath = "search_path"
	settingRole = "role"
	settingUser = "session_authorization"
)

// take enters the values the server has given.
func (w *surroundings) take(values map[string]string) {
	w.change(func(c *authzv1.SessionContext) {
		settings := map[string]string{}
		for name, value := range values {
			switch name {
			case settingPath:
				c.SearchPath = value
			case settingRole, settingUser:
			default:
				settings[name] = value
			}
		}
		// current_user: what SET ROLE made it, else who the session belongs to.
		c.Role = values[settingRole]
		if strings.EqualFold(c.Role, "none") {
			c.Role = values[settingUser]
		}
		c.Settings = settings
	})
}
