package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What of ALTER TABLE takes the administrator, but for tables of which it changes nothing.

// ownerTo judges OWNER TO. Who is the owner already is left so (ATExecChangeOwner).
func (a *analyzer) ownerTo(d *definition, c *pg_query.AlterTableCmd) error {
	if d.relation == nil || !a.staysOwner(d.relation.Owner, c.Newowner) {
		a.ask(access.Admin, a.database())
	}
	return nil
}

// staysOwner reports whether OWNER TO names the session's role, and it is the owner.
func (a *analyzer) staysOwner(owner string, to *pg_query.RoleSpec) bool {
	return owner != "" && owner == a.in.Context.Role && owner == a.roleOf(to)
}

// allTriggers judges ENABLE and DISABLE TRIGGER ALL: the triggers of constraints are among
// all, and those are the superuser's (EnableDisableTrigger of trigger.c).
func (a *analyzer) allTriggers(d *definition, _ *pg_query.AlterTableCmd) error {
	if !a.makes(d.relation) || a.hasConstraintTriggers(d.relation) {
		a.ask(access.Admin, a.database())
	}
	return nil
}

// hasConstraintTriggers reports whether a table may have triggers of the server's own:
// those of foreign keys, from it or to it, and of deferrable keys.
func (a *analyzer) hasConstraintTriggers(rel *catalog.Relation) bool {
	return rel.Kind != catalog.KindTable || len(rel.ForeignKeys)+len(rel.ReferencedBy)+len(rel.Keys)+len(rel.ExclusionOperators)+len(rel.Parents)+len(a.belonging(rel.OID)) > 0
}

// makes reports whether the message itself has made a relation: what depends on that is of
// the message as well.
func (a *analyzer) makes(rel *catalog.Relation) bool { return rel != nil && rel.OID >= a.lastOID }
