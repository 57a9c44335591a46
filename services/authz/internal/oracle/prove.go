package oracle

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// excuse looks closer at a statement that Scopewire allows and the role is refused.
// Whatever is said to stand behind a refusal is put out of the way, and then the role
// must not be refused any more.
func (d *Database) excuse(ctx context.Context, c *Comparison) error {
	for _, excuse := range []struct {
		class Class
		prove func(context.Context, Comparison) (bool, error)
	}{{ByDefinition, d.byDefinition}, {ServerRefuses, d.byOwners}, {ByTrust, d.byTrust}} {
		proved, err := excuse.prove(ctx, *c)
		if err != nil {
			return err
		}
		if proved {
			c.Class = excuse.class
			return nil
		}
	}
	return nil
}

// decide looks closer at an error that says nothing about rights. Where the login gets the
// same, no right would have helped, and nobody learns anything of a verdict.
func (d *Database) decide(ctx context.Context, c *Comparison) error {
	if c.Server.Ran() || c.Server.Refused() || c.Class == Agree && !c.Verdict.Allow {
		return nil
	}
	for range sequenceTries {
		if c.Server.State != "23505" || c.Role.session == nil {
			break
		}
		// A sequence has given out what is there already; next time it may not.
		answer, lost, err := c.Role.session.rolledBack(ctx, c.Role.Path, c.Unit)
		if err != nil || lost {
			return err
		}
		c.Server = answer
	}
	if class := classify(c.Server, c.Verdict); c.Server.Ran() || class.Failing() {
		c.Class = class
		return nil
	}
	asLogin, lost, err := d.login.rolledBack(ctx, c.Role.Path, c.Unit)
	switch everybody := asLogin.State == c.Server.State && asLogin.Message == c.Server.Message; {
	case err != nil || lost:
		return err
	case everybody && c.Class == Undecided:
		c.Class = Nobody
	case !everybody:
		c.Class = Undecided
	}
	return nil
}

// sequenceTries is how often a statement is run again whose key was there already.
const sequenceTries = 16

// byOwners reports whether a refusal is not the role's: it goes when the owners of views
// and of functions that run with their owners' rights may do everything.
func (d *Database) byOwners(ctx context.Context, c Comparison) (bool, error) {
	if beyondGrants.MatchString(c.Unit.SQL) {
		return false, nil
	}
	answer, err := d.answer(ctx, c, ownersMayAll)
	return err == nil && !answer.Refused(), err
}

// answer is the server's answer to the role of a comparison, after further statements of
// the login's. Another database's comparison may hold a lock on a role for a while.
func (d *Database) answer(ctx context.Context, c Comparison, before ...string) (Answer, error) {
	for range 4 {
		answer, lost, err := d.asScratch(ctx, c.Role.Path, c.Role.Grants, c.Unit, before...)
		if err != nil || !lost {
			return answer, err
		}
	}
	return c.Server, nil
}

// ownersMayAll makes superusers of those who own what runs with its owner's rights.
const ownersMayAll = `DO $$ DECLARE r record; BEGIN
 FOR r IN SELECT rolname FROM pg_roles WHERE NOT rolsuper AND rolname !~ '^pg_' AND oid IN (SELECT relowner FROM pg_class UNION SELECT proowner FROM pg_proc WHERE prosecdef)
 LOOP EXECUTE format('ALTER ROLE %I SUPERUSER', r.rolname); END LOOP; END $$`

// mustOwn is the message about what only an owner may do (aclcheck_error of aclchk.c).
var mustOwn = regexp.MustCompile(`^must be owner of ([a-z ]+) (\S.*)$`)

// byDefinition reports whether a refusal is about what lies in a schema that the
// statement is judged to define in: it goes when the role owns that, and has no right on
// it but those granted.
func (d *Database) byDefinition(ctx context.Context, c Comparison) (bool, error) {
	answer, owning, err := d.asOwner(ctx, c, defined(c.Verdict.Accesses))
	switch {
	case err != nil || !owning:
		return false, err
	case answer.Refused():
		// What it runs may be trusted, and refused something.
		c.Server = answer
		return d.byTrust(ctx, c)
	default:
		return true, nil
	}
}

// owned looks closer at an error that Scopewire gives in the server's name where the server
// says first that the role is no owner: what it says to one decides.
func (d *Database) owned(ctx context.Context, c *Comparison) error {
	var schemas []string
	for _, g := range c.Role.Grants {
		if g.Action == access.DDL && g.Kind == access.Schema {
			schemas = append(schemas, g.Name)
		}
	}
	answer, owning, err := d.asOwner(ctx, *c, schemas)
	if err == nil && owning && !classifyError(answer, *c.Verdict.Error).Failing() {
		c.Class = ByDefinition
	}
	return err
}

// defined are the schemas that some accesses define in.
func defined(accesses []access.Access) []string {
	var all []string
	for _, a := range accesses {
		if a.Action == access.DDL && a.Resolved.Kind == access.Schema {
			all = append(all, a.Resolved.Name)
		}
	}
	return all
}

// asOwner is the server's answer when the role owns what the server says it must own, as
// far as that lies in some schemas; owning is false where it says nothing like that, or
// goes on saying it.
func (d *Database) asOwner(ctx context.Context, c Comparison, schemas []string) (answer Answer, owning bool, err error) {
	answer = c.Server
	var before []string
	for {
		must := mustOwn.FindStringSubmatch(answer.Message)
		if must == nil {
			return answer, len(before) > 0, nil
		}
		given := d.ownership(must[2], schemas)
		if definesBody.MatchString(strings.Join(Tokens(c.Unit.SQL), " ")) {
			// Whose body is looked at must be one's to execute (CheckFunctionValidatorAccess); a
			// new function's owner has that right.
			given = slices.DeleteFunc(given, func(sql string) bool { return strings.HasPrefix(sql, "REVOKE ALL ON ROUTINE ") })
		}
		if len(given) == 0 || slices.Contains(before, given[0]) || beyondGrants.MatchString(c.Unit.SQL) {
			return answer, false, nil
		}
		before = append(before, given...)
		if answer, err = d.answer(ctx, c, before...); err != nil {
			return answer, false, err
		}
	}
}

// ownership are the statements that make the role the owner of what bears a name in
// the schemas, without the rights that an owner has by default.
func (d *Database) ownership(name string, schemas []string) []string {
	var all []string
	give := func(what, object, to string) {
		all = append(all, fmt.Sprintf("ALTER %s %s OWNER TO %s", what, object, to), fmt.Sprintf("REVOKE ALL ON %s %s FROM %s", what, object, to))
	}
	for _, schema := range schemas {
		// Some messages have the name as it was written.
		name := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, schema+"."), quote(schema)+"."), `"`, "")
		if schema == name {
			give("SCHEMA", quote(schema), scratch)
		}
		if rel := d.Snapshot.RelationByName(schema, name); rel != nil && rel.Kind != catalog.KindComposite {
			if rel.Kind == catalog.KindSequence {
				// One that belongs to a column goes with its table, which nobody says is the role's.
				all = append(all, fmt.Sprintf("UPDATE pg_catalog.pg_class SET relowner = '%s'::regrole WHERE oid = %d", holder, rel.OID),
					fmt.Sprintf("REVOKE ALL ON SEQUENCE %s.%s FROM %s", quote(schema), quote(name), holder))
			} else {
				// The queries of its foreign keys run with the rights of its owner, who is not the
				// role (ri_PerformCheck).
				give("TABLE", quote(schema)+"."+quote(name), holder)
				// Its indexes are built with the rights of its owner, who is not the role.
				for _, f := range d.indexing(rel) {
					all = append(all, fmt.Sprintf("DO $$ BEGIN EXECUTE format('GRANT EXECUTE ON ROUTINE %%s TO %s', %d::pg_catalog.regprocedure); END $$", scratch, f.OID),
						fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", quote(f.Schema), scratch))
				}
				// A table that is changed may refer to itself.
				all = append(all, fmt.Sprintf("GRANT REFERENCES ON %s.%s TO %s", quote(schema), quote(name), scratch))
			}
		}
		for _, f := range d.Model.Routines {
			if f.Schema == schema && f.Name == name {
				give("ROUTINE", Grant{Kind: access.Function, Schema: schema, Name: name, Arguments: f.ArgumentNames}.object(), scratch)
			}
		}
		for _, t := range d.Model.Types {
			if t.Schema == schema && t.Name == name {
				give("TYPE", quote(schema)+"."+quote(t.Name), scratch)
			}
		}
	}
	return all
}

// indexing are the functions that the expressions of a table's indexes call, and those
// whose names stand in the bodies of these.
func (d *Database) indexing(rel *catalog.Relation) []*catalog.Function {
	var all []*catalog.Function
	add := func(f *catalog.Function) {
		if f != nil && f.OID >= catalog.FirstNormalOID && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	for _, e := range rel.IndexExpressions {
		for _, oid := range e.References.Functions {
			add(d.Snapshot.FunctionByOID(oid))
		}
	}
	for i := 0; i < len(all); i++ {
		for _, word := range Tokens(all[i].Body + " " + all[i].StandardBody) {
			for _, called := range d.Snapshot.FunctionsNamed(word) {
				add(called)
			}
		}
	}
	return all
}
