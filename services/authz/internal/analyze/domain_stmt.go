package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The subcommands of ALTER DOMAIN (AlterDomainStmt of parsenodes.h).
const (
	domainDefault        = "T"
	domainDropNotNull    = "N"
	domainSetNotNull     = "O"
	domainAddConstraint  = "C"
	domainDropConstraint = "X"
	domainValidate       = "V"
)

// alterDomain judges ALTER DOMAIN.
func (a *analyzer) alterDomain(d *pg_query.AlterDomainStmt) error {
	s := subject{kind: a.objects[pg_query.ObjectType_OBJECT_DOMAIN]}
	if err := a.changesType(&s, d.TypeName); err != nil {
		return err
	}
	if err := a.behaviour(d.Behavior); err != nil {
		return err
	}
	// Values that are stored are held against what it adds.
	a.runsStored = true
	t := a.domainOf(&s)
	switch d.Subtype {
	case domainDefault:
		text, err := a.keeping(&scope{}, d.Def, "", nil)
		a.alteredDomain(d, t, nil, text)
		return err
	case domainDropNotNull, domainDropConstraint:
		a.alteredDomain(d, t, nil, catalog.Expression{})
		return nil
	case domainSetNotNull:
		a.alteredDomain(d, t, nil, catalog.Expression{})
		return a.readsValues(t)
	case domainValidate:
		a.changesNothing()
		if t == nil {
			return nil
		}
		if err := a.readsValues(t); err != nil {
			return err
		}
		return a.checkDomain(t.OID)
	case domainAddConstraint:
		if t == nil {
			return deny(access.UnknownObject, "domain "+s.name)
		}
		c := d.Def.GetConstraint()
		if !c.GetSkipValidation() {
			if err := a.readsValues(t); err != nil {
				return err
			}
		}
		made := domainDefinition(t.Base)
		err := a.constraint(made, c)
		a.alteredDomain(d, t, made.constraints, catalog.Expression{})
		return err
	default:
		return deny(access.Construct, "a subcommand of ALTER DOMAIN")
	}
}

// domainOf is the type that a statement changes, nil where there is none.
func (a *analyzer) domainOf(s *subject) *catalog.Type {
	for _, schema := range s.schemas {
		if t := a.snap.TypeByName(schema, s.name); t != nil {
			return t
		}
	}
	return nil
}

// readsValues asks for select on every column of a domain, or of one over it. A new
// constraint is held against all values that are stored, in whatever schema, and
// PostgreSQL asks nobody (validateDomainConstraint, get_rels_with_domain of typecmds.c):
// its owner would hear what is in them.
func (a *analyzer) readsValues(domain *catalog.Type) error {
	if domain == nil {
		return nil
	}
	for rel := range a.snap.EachRelation() {
		if err := a.spend(1); err != nil {
			return err
		}
		if !holdsRows(rel) {
			continue
		}
		for i := range rel.Columns {
			if c := &rel.Columns[i]; c.Type >= catalog.FirstNormalOID && a.isOver(c.Type, domain.OID) {
				a.current.column(access.Select, relationObject(rel), rel, c.Name)
			}
		}
	}
	return nil
}

// isOver reports whether a type is a domain, or one over it.
func (a *analyzer) isOver(oid, domain catalog.OID) bool {
	for range maxTypeDepth {
		if oid == domain {
			return true
		}
		t := a.snap.TypeByOID(oid)
		if t == nil || t.Kind != 'd' {
			return false
		}
		oid = t.Base
	}
	return false
}
