package analyze

import (
	"maps"
	"math"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// A Query message can hold many statements, each of which runs in the context that
// the ones before it made. The walker follows what it can: settings, prepared
// statements, cursors, transactions. After a statement that it cannot follow,
// unsettled says which, and what names anything is denied.

// transaction is the context as the transaction's end would leave it.
type transaction struct {
	commit, rollback Context
	savepoints       []savepoint
	// snap and unsettled are those that its beginning saw.
	snap      *catalog.Snapshot
	layered   *layer
	unsettled string
}

type savepoint struct {
	name         string
	now, commit  Context
	snap         *catalog.Snapshot
	layered      *layer
	unsettledNow string
}

// begin takes the context that the unit starts in.
func (a *analyzer) begin() {
	c := a.in.Context
	a.transaction = transaction{commit: c, rollback: c, snap: a.snap}
	a.lastOID, a.maybeGone = math.MaxUint32, map[catalog.OID]bool{}
	a.forgetNames()
}

// simulate applies a statement's effects to the context of those after it.
func (a *analyzer) simulate(statement access.Statement) error {
	path, snap := a.in.Context.SearchPath, a.snap
	for _, e := range statement.Effects {
		if err := a.spend(a.copyCost(e)); err != nil {
			return err
		}
		if err := a.apply(statement.Kind, e); err != nil {
			return err
		}
	}
	if a.in.Context.SearchPath == path && a.snap == snap {
		return nil
	}
	return a.reread()
}

// reread forgets what is known of relations and code, which depends on the catalog and on
// the path in force. The work done so far counts on.
func (a *analyzer) reread() error {
	a.resolver, a.plain = nil, nil
	// Reading the path looks each of its names up.
	if err := a.spend(columnCost * len(a.in.Context.SearchPath)); err != nil {
		return err
	}
	return a.readContext()
}

// copyCost is what a change costs: contexts share their maps, which are copied when they
// change.
func (a *analyzer) copyCost(e access.Effect) int {
	const entry = 16
	c := a.in.Context
	switch e.Kind {
	case access.EffectSet, access.EffectSetLocal:
		return entry * len(c.Settings)
	case access.EffectPrepare, access.EffectDeallocate:
		return entry * len(c.PreparedStatements)
	case access.EffectDeclare, access.EffectClose:
		return entry * len(c.Cursors)
	default:
		return 0
	}
}

func (a *analyzer) apply(kind string, e access.Effect) error {
	switch e.Kind {
	case access.EffectBegin:
	case access.EffectSet, access.EffectSetLocal:
		changeSetting(&a.in.Context, e)
		if e.Kind == access.EffectSet {
			changeSetting(&a.transaction.commit, e)
		}
	case access.EffectReset:
		// What a setting is reset to, only the server knows.
		// The first cause stays: see unlocksBehindReset.
		if a.unsettled == "" && (e.Name == "" || e.Name == "search_path") {
			a.unsettled = kind
		}
	case access.EffectPrepare:
		a.in.Context.PreparedStatements = withText(a.in.Context.PreparedStatements, e)
	case access.EffectDeallocate:
		a.in.Context.PreparedStatements = withoutText(a.in.Context.PreparedStatements, e)
	case access.EffectDeclare:
		a.in.Context.Cursors = withText(a.in.Context.Cursors, e)
	case access.EffectClose:
		a.in.Context.Cursors = withoutText(a.in.Context.Cursors, e)
	case access.EffectCommit, access.EffectRollback:
		a.end(kind, e.Kind == access.EffectCommit)
	case access.EffectSavepoint:
		a.transaction.savepoints = append(a.transaction.savepoints,
			savepoint{name: e.Name, now: a.in.Context, commit: a.transaction.commit, snap: a.snap, layered: a.layered, unsettledNow: a.unsettled})
	case access.EffectRollbackTo:
		a.rollbackTo(kind, e.Name)
	case access.EffectRelease:
		if i := a.savepoint(e.Name); i >= 0 {
			a.transaction.savepoints = a.transaction.savepoints[:i]
		}
	case access.EffectDDL, access.EffectTemp:
		followed, err := a.follow()
		if !followed {
			a.unsettled = kind
		}
		return err
	default:
		a.unsettled = kind
	}
	return nil
}

// end leaves the transaction.
func (a *analyzer) end(kind string, commit bool) {
	t := a.transaction
	if a.in.Context.Uncommitted || commit && a.fleeting {
		// The context goes back to one that is not known, all of it or SET LOCAL alone. Or a
		// temporary table goes, which may have hidden another one.
		a.unsettled = kind
		return
	}
	next := t.commit
	if !commit {
		next, a.snap, a.layered, a.unsettled = t.rollback, t.snap, t.layered, t.unsettled
		a.forgetNames()
	}
	a.leave(next)
	a.transaction = transaction{commit: a.in.Context, rollback: a.in.Context, snap: a.snap, layered: a.layered, unsettled: a.unsettled}
}

// forgetNames forgets what the unit has made that a snapshot does not show.
func (a *analyzer) forgetNames() {
	a.primary = map[catalog.OID][]int16{}
	a.indexes = map[catalog.OID]madeIndexOf{}
}

// leave takes a context for the present one. Prepared statements are not
// transactional, and a cursor that is gone is the server's to miss.
func (a *analyzer) leave(next Context) {
	next.PreparedStatements, next.Cursors = a.in.Context.PreparedStatements, a.in.Context.Cursors
	a.in.Context = next
}

func (a *analyzer) rollbackTo(kind, name string) {
	i := a.savepoint(name)
	if i < 0 {
		// It is older than the unit: what it goes back to is known only if nothing has
		// changed since the transaction began.
		if a.in.Context.Uncommitted || a.in.Context.SearchPath != a.transaction.rollback.SearchPath ||
			a.snap != a.transaction.snap || a.unsettled != "" {
			a.unsettled = kind
		}
		return
	}
	s := a.transaction.savepoints[i]
	a.transaction.savepoints = a.transaction.savepoints[:i+1]
	a.leave(s.now)
	a.transaction.commit, a.snap, a.layered, a.unsettled = s.commit, s.snap, s.layered, s.unsettledNow
	a.forgetNames()
}

// savepoint finds the innermost savepoint of a name, or returns -1.
func (a *analyzer) savepoint(name string) int {
	for i := len(a.transaction.savepoints) - 1; i >= 0; i-- {
		if a.transaction.savepoints[i].name == name {
			return i
		}
	}
	return -1
}

// changeSetting changes a context's setting. Contexts share their maps, so that
// each change makes its own.
func changeSetting(c *Context, e access.Effect) {
	if e.Name == "search_path" {
		c.SearchPath = e.Value
		return
	}
	settings := maps.Clone(c.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	settings[e.Name] = e.Value
	c.Settings = settings
}

func withText(texts map[string]string, e access.Effect) map[string]string {
	texts = maps.Clone(texts)
	if texts == nil {
		texts = map[string]string{}
	}
	texts[e.Name] = e.Value
	return texts
}

// withoutText forgets a name, or all of them.
func withoutText(texts map[string]string, e access.Effect) map[string]string {
	if e.Name == "" {
		return nil
	}
	texts = maps.Clone(texts)
	delete(texts, e.Name)
	return texts
}
