package analyze

import (
	"errors"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// rowSecurity judges the policies that PostgreSQL adds to an action on a relation
// (get_row_security_policies). What they read is checked against the role that the
// relation is; their functions run with the rights of the session's role. A login
// that row security does not bind would show a principal what a role with the same
// grants may not see: denied.
func (a *analyzer) rowSecurity(rel *catalog.Relation, action access.Action) error {
	return a.rowPolicies(rel, action, func(p *catalog.Policy) []string { return policyTexts(p, action) })
}

// lockSecurity judges the policies that FOR UPDATE adds: those of updating that say
// which rows are there.
func (a *analyzer) lockSecurity(rel *catalog.Relation) error {
	return a.rowPolicies(rel, access.Update, func(p *catalog.Policy) []string {
		if p.Using == "" || p.Command != 'w' && p.Command != '*' {
			return nil
		}
		return []string{p.Using}
	})
}

func (a *analyzer) rowPolicies(rel *catalog.Relation, action access.Action, texts func(*catalog.Policy) []string) error {
	if !rel.RowSecurity || rel.Kind != catalog.KindTable && rel.Kind != catalog.KindPartitionedTable {
		return nil
	}
	role := a.reader
	if role == "" {
		role = a.in.Context.Role
	}
	if a.bypasses(role, rel) {
		if a.reader != "" {
			return nil
		}
		return deny(access.OpaqueCode, "row security of "+fullName(rel)+" does not bind the login")
	}
	if a.securing[rel.OID] {
		return deny(access.OpaqueCode, "a row security policy that reads its own table")
	}
	a.securing[rel.OID] = true
	defer delete(a.securing, rel.OID)
	for i := range rel.Policies {
		p := &rel.Policies[i]
		if !a.appliesTo(p, role) {
			continue
		}
		for _, text := range texts(p) {
			if err := a.policyCode(rel, p, text, place{action, rel}); err != nil {
				return err
			}
		}
	}
	return nil
}

// policyTexts are the expressions of a policy that an action runs.
func policyTexts(p *catalog.Policy, action access.Action) []string {
	using, check := p.Using, p.Check
	if check == "" {
		check = using
	}
	var texts []string
	switch command := p.Command; {
	case action == access.Select && (command == 'r' || command == '*'),
		action == access.Delete && (command == 'd' || command == '*'):
		texts = []string{using}
	case action == access.Insert && (command == 'a' || command == '*'):
		texts = []string{check}
	case action == access.Update && (command == 'w' || command == '*'):
		texts = []string{using, check}
	}
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// policyCode binds an expression of a policy. It may hold subqueries, in which the
// relation's columns go by its name.
func (a *analyzer) policyCode(rel *catalog.Relation, p *catalog.Policy, text string, at place) error {
	c := &code{}
	c.accesses, c.err = a.policyBound(rel, p, text)
	return a.runs(c, at, "policy "+p.Name+" of "+fullName(rel))
}

// policyBound binds an expression of a policy as it was stored.
func (a *analyzer) policyBound(rel *catalog.Relation, p *catalog.Policy, text string) (*recorder, error) {
	from := origin{refs: p.References, owner: rel.OID}
	from.others = func(h *held) error {
		for _, other := range []string{p.Using, p.Check} {
			if other == "" || other == text {
				continue
			}
			if _, err := a.policyText(rel, other, origin{shared: h, owner: rel.OID}); err != nil {
				return err
			}
		}
		return nil
	}
	return a.policyText(rel, text, from)
}

func (a *analyzer) policyText(rel *catalog.Relation, text string, from origin) (*recorder, error) {
	return a.catalogued("SELECT ("+text+")", inside{path: a.storedPath(), reader: a.reader, stored: true, origin: from},
		func(inner *analyzer, tree *pg_query.ParseResult) error {
			node := onlyExpression(tree)
			if node == nil {
				return deny(access.OpaqueCode, "a row security policy")
			}
			it := &item{name: rel.Name, nameVisible: true, lateralOK: true, columnsVisible: true, triggered: true, entry: &rangeEntry{name: rel.Name},
				columns: storedColumns(rel)}
			return inner.only(&scope{namespace: []*item{it}}, node)
		})
}

// appliesTo reports whether a policy applies to a role (check_role_for_policy). One
// that the role is a member of without inheriting it is taken to apply: it can only
// ask for more.
func (a *analyzer) appliesTo(p *catalog.Policy, role string) bool {
	return len(p.Roles) == 0 || slices.ContainsFunc(p.Roles, func(other string) bool { return a.memberOf(role, other) })
}

// bypasses reports whether row security of a relation may not bind a role
// (check_enable_rls): superusers, roles with BYPASSRLS, and the owner and who is a
// member of it, unless it is forced. A role that is not known is taken to bypass it.
func (a *analyzer) bypasses(role string, rel *catalog.Relation) bool {
	r := a.snap.RoleByName(role)
	if r == nil || r.Superuser || r.BypassRowSecurity {
		return true
	}
	return !rel.ForceRowSecurity && a.memberOf(role, rel.Owner)
}

// memberOf reports whether a role is another, or a member of it in any number of
// steps.
func (a *analyzer) memberOf(role, other string) bool {
	from, to := a.snap.RoleByName(role), a.snap.RoleByName(other)
	if role == other {
		return true
	}
	if from == nil || to == nil {
		return false
	}
	seen := map[catalog.OID]bool{}
	for queue := []*catalog.Role{from}; len(queue) > 0; queue = queue[1:] {
		for _, oid := range queue[0].MemberOf {
			if oid == to.OID {
				return true
			}
			if next := a.snap.RoleByOID(oid); next != nil && !seen[oid] {
				seen[oid] = true
				queue = append(queue, next)
			}
		}
	}
	return false
}

// finishWrite judges what depends on all that a statement does to the relation it
// writes: row security policies, those of reading as well if it reads the relation;
// and what a write to a view becomes.
func (a *analyzer) finishWrite(it *item, actions ...access.Action) error {
	rel := it.entry.relation
	reads := a.current.asks(access.Select, rel)
	if rel.Kind != catalog.KindView {
		if reads {
			actions = append(actions[:len(actions):len(actions)], access.Select)
		}
		for _, action := range actions {
			if err := a.rowSecurity(rel, action); err != nil {
				return err
			}
		}
		return nil
	}
	if it.merges && !slices.ContainsFunc(actions, func(action access.Action) bool { return action != access.Select }) {
		// Branches that do nothing need no trigger: the view's query is read as it is
		// (view_has_instead_trigger).
		return a.readView(rel)
	}
	for _, action := range actions {
		if action == access.Select || action == access.Update && !it.merges && actions[0] == access.Insert && replaced(rel, access.Insert) {
			// Of an INSERT that a rule has taken the place of no ON CONFLICT is left.
			continue
		}
		w := viewWrite{action: action, columns: a.current.columnsOf(action, rel), given: it.given, reads: reads, read: a.readOf(rel), merges: it.merges, at: place{action, rel}}
		if action == access.Update {
			w.given = it.set
			w.unseen = slices.Contains(actions, access.Insert) && !it.merges && !seesConflicts(a.version)
		}
		if err := a.writeView(rel, w); err != nil {
			return a.rewrites(err)
		}
	}
	return nil
}

// rewriting is why the statement at hand is denied when all its names have been bound:
// what a write to a view becomes the server looks at when it rewrites the query, after
// it has analysed the whole of it.
type rewriting struct{ err error }

// rewrites keeps a denial for the end of the statement. There is one at most, for what it
// has cost is not counted; in texts of the catalog there is none.
func (a *analyzer) rewrites(err error) error {
	var v *verdict
	if a.texts > 0 || a.rewriting == nil || a.rewriting.err != nil || !errors.As(err, &v) || v.outcome != access.Denied {
		return err
	}
	a.rewriting.err = err
	return nil
}
