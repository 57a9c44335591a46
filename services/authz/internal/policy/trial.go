package policy

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// trial judges the accesses of one request. It is for one goroutine.
type trial struct {
	*Grants
	request Request
	// asked are the conditions on time and client that were evaluated: each is
	// asked once, so that one request is judged by one answer.
	asked map[*condition]state
	// conditional is set when there is any in asked.
	conditional bool
	// rules are the grants by which accesses were covered, without duplicates;
	// first is their usual place.
	rules []*rule
	first [4]*rule
	// marks is the usual place of cover.shown.
	marks [2]uint64
	// What the last access came to: the deny that matched, a grant whose condition
	// did not hold, code that nobody trusts.
	deniedBy *rule
	unmet    *rule
	code     string
}

// ask evaluates a condition.
func (t *trial) ask(c *condition) state {
	if c.ofPrincipal {
		return t.known[c]
	}
	t.conditional = true
	s, ok := t.asked[c]
	if !ok {
		s = c.evaluate(facts{who: &t.who, request: &t.request})
		if t.asked == nil {
			t.asked = make(map[*condition]state)
		}
		t.asked[c] = s
	}
	return s
}

// grants reports whether a grant counts here and now.
func (t *trial) grants(r *rule) bool {
	if r.databases != nil && !slices.Contains(r.databases, t.request.Database) {
		return false
	}
	if r.when == nil || t.ask(r.when) == holds {
		return true
	}
	t.unmet = r
	return false
}

// denies reports whether a deny counts here and now: one whose condition cannot
// be evaluated does.
func (t *trial) denies(r *rule) bool { return r.when == nil || t.ask(r.when) != holdsNot }

// judge judges an access by its action, and where that does not suffice by those
// that may stand in its place. The first says why none of them does.
func (t *trial) judge(a *access.Access) verdict {
	v := t.judgeAction(a)
	if v == covered || len(a.Or) == 0 {
		return v
	}
	for _, other := range a.Or {
		alternative := *a
		alternative.Action = other
		if t.judgeAction(&alternative) == covered {
			return covered
		}
	}
	return t.judgeAction(a)
}

// judgeAction applies the rules in the order the package comment gives.
func (t *trial) judgeAction(a *access.Access) verdict {
	t.deniedBy, t.unmet, t.code = nil, nil, ""
	if a.Action == access.Any {
		return t.judgeAny(*a)
	}
	o := target(*a)
	w := want{access: a, object: o, whole: a.AllColumns || !perColumn(a.Action, o.Kind)}
	if t.denied(&w) {
		return denied
	}
	code, needsTrust := t.untrusted(a)
	if !a.Within && !t.covers(&w, false) {
		if t.unmet != nil {
			return unmet
		}
		return uncovered
	}
	if needsTrust && !t.covers(&w, true) {
		t.code = code
		return opaque
	}
	return covered
}

// judgeAny finds an action that is granted on the object, in whatever column; without
// one the last action that something speaks against says why.
func (t *trial) judgeAny(a access.Access) verdict {
	found := uncovered
	last := *t
	a.Columns, a.AllColumns = nil, false
	for _, action := range access.Actions() {
		a.Action = action
		switch v := t.judge(&a); v {
		case covered:
			return covered
		case uncovered:
		default:
			found, last = v, *t
		}
	}
	if found == uncovered {
		if listing, ok := listing(target(a).Kind); ok && t.judge(&listing) == covered {
			return covered
		}
	}
	t.deniedBy, t.unmet, t.code = last.deniedBy, last.unmet, last.code
	return found
}

// listing is reading the catalog that lists objects of a kind. Who may do that may
// name any of them.
func listing(k access.Kind) (access.Access, bool) {
	var name, column string
	switch k {
	case access.Table, access.Sequence, access.Type:
		// A relation's row type tells of the relation.
		name, column = "pg_class", "relname"
	case access.Function, access.Procedure:
		name, column = "pg_proc", "proname"
	case access.Schema:
		name, column = "pg_namespace", "nspname"
	default:
		return access.Access{}, false
	}
	object := access.Object{Kind: access.Table, Schema: "pg_catalog", Name: name}
	return access.Access{Action: access.Select, Named: object, Resolved: object, Columns: []string{"oid", column}}, true
}

// want is an access that is being judged.
type want struct {
	access *access.Access
	object access.Object
	// whole is set when columns do not count one by one.
	whole bool
	// withheld are columns that a deny takes away.
	withheld []string
}

// denied looks for a deny that matches.
func (t *trial) denied(w *want) bool {
	x := t.policy.denyIndex
	if len(x.entries) == 0 && len(x.settings) == 0 {
		return false
	}
	if inSchema(w.object.Kind) {
		// Without usage of its schema PostgreSQL lets nobody name an object.
		x.each(access.Usage, access.Object{Kind: access.Schema, Name: w.object.Schema}, false, func(e *entry) bool {
			if t.denies(e.rule) {
				t.deniedBy = e.rule
			}
			return t.deniedBy == nil
		})
	}
	if t.deniedBy != nil {
		return true
	}
	fine := perColumn(w.access.Action, w.object.Kind)
	x.each(w.access.Action, w.object, false, func(e *entry) bool {
		switch {
		case e.columns != nil && !fine:
			// No column can be told apart under this action: a deny of columns says
			// nothing about it.
		case !t.denies(e.rule):
		case e.columns == nil || w.access.AllColumns,
			slices.ContainsFunc(w.access.Columns, func(c string) bool { return slices.Contains(e.columns, c) }):
			t.deniedBy = e.rule
		default:
			w.withheld = append(w.withheld, e.columns...)
		}
		return t.deniedBy == nil
	})
	return t.deniedBy != nil
}

// untrusted returns the first code that would run because of the access and does
// not belong to a trusted extension.
func (t *trial) untrusted(a *access.Access) (code string, found bool) {
	for _, c := range a.Trust {
		if c.Extension == "" || !t.policy.extensions[c.Extension] {
			return c.Code, true
		}
	}
	return "", false
}

// covers looks for grants that cover an access; with trusted, among those that
// are trusted alone: a grant about other columns says nothing about these. The
// rules it took are added to t.rules.
func (t *trial) covers(w *want, trusted bool) bool {
	c := cover{trial: t, want: w, trusted: trusted}
	if c.search() {
		return true
	}
	if !t.hasConditions {
		return false
	}
	// What conditions let through is looked at last, so that an answer hangs on
	// them only where nothing else gives it.
	c.asking = true
	return c.search()
}

// search goes through the grants, the presets and, for a schema, what is granted
// inside.
func (c *cover) search() bool {
	c.allow.each(c.access.Action, c.object, true, func(e *entry) bool { return !c.try(e.rule, e) })
	if c.done || c.trusted {
		return c.done
	}
	for _, p := range c.presets {
		p.preset.index.each(c.access.Action, c.object, true, func(e *entry) bool { return !c.try(p.rule, e) })
		if c.done {
			return true
		}
	}
	return c.byUsage() || c.byBearer()
}

// cover is a search for the grants that cover an access.
type cover struct {
	*trial
	*want
	trusted, done bool
	// asking is set when grants whose conditions have to be asked are tried, and
	// those alone.
	asking bool
	// shown has a bit for each column of the access that a grant has shown.
	shown []uint64
}

// try takes one entry of a grant into account. It reports whether the access is
// covered now.
func (c *cover) try(r *rule, e *entry) bool {
	if c.trusted && !r.trusted || c.whole && (e.columns != nil || e.except != nil) ||
		r.asks() != c.asking || !c.grants(r) {
		return false
	}
	switch {
	case e.columns == nil && e.except == nil:
		c.done = true
	case len(c.access.Columns) == 0:
		c.done = e.columns == nil ||
			slices.ContainsFunc(e.columns, func(name string) bool { return !systemColumn(name) && !slices.Contains(c.withheld, name) })
	default:
		c.done = c.show(r, e)
		return c.done
	}
	if c.done {
		c.note(r)
	}
	return c.done
}

// systemColumn reports whether a column is one of those that every table has: it is
// not among the columns of which any would do (pg_attribute_aclcheck_all).
func systemColumn(name string) bool {
	switch name {
	case "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax":
		return true
	default:
		return false
	}
}

// show marks the columns that a grant adds, and reports whether nothing is missing
// any more.
func (c *cover) show(r *rule, e *entry) bool {
	wanted := c.access.Columns
	if c.shown == nil {
		c.marks = [2]uint64{}
		c.shown = c.marks[:]
		if n := (len(wanted) + 63) / 64; n > len(c.marks) {
			c.shown = make([]uint64, n)
		}
	}
	complete, added := true, false
	for i, name := range wanted {
		word, mask := &c.shown[i/64], uint64(1)<<(i%64)
		switch {
		case *word&mask != 0:
		case e.has(name):
			*word |= mask
			added = true
		default:
			complete = false
		}
	}
	if added {
		c.note(r)
	}
	return complete
}

// has reports whether a column is among those of the entry.
func (e *entry) has(column string) bool {
	if e.columns == nil {
		return !slices.Contains(e.except, column)
	}
	return slices.Contains(e.columns, column)
}

// byUsage covers usage of a schema in which anything is granted.
func (c *cover) byUsage() bool {
	if c.access.Action != access.Usage || c.object.Kind != access.Schema {
		return false
	}
	try := func(r *rule) bool {
		c.done = r.asks() == c.asking && c.grants(r)
		if c.done {
			c.note(r)
		}
		return !c.done
	}
	c.allow.usage(c.object.Name, try)
	for _, p := range c.presets {
		if !c.done && len(p.preset.index.schemas[c.object.Name]) > 0 {
			try(p.rule)
		}
	}
	return c.done
}

// note remembers a grant by which something was covered.
func (t *trial) note(r *rule) {
	if t.rules == nil {
		t.rules = t.first[:0]
	}
	if !slices.Contains(t.rules, r) {
		t.rules = append(t.rules, r)
	}
}
