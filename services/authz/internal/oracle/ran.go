package oracle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Ran is a function that a statement made the server call and that analysis did not ask
// for.
type Ran struct {
	// What says what happened, for all statements alike.
	What     string
	Unit     Unit
	Settings []string
	Accesses []access.Access
}

// String is what to look at.
func (r Ran) String() string {
	var asked []string
	for _, a := range r.Accesses {
		text := fmt.Sprintf("%s on %s:%s.%s", a.Action, a.Resolved.Kind, a.Resolved.Schema, a.Resolved.Name)
		for _, t := range a.Trust {
			text += " {" + t.Code + "}"
		}
		asked = append(asked, text)
	}
	return fmt.Sprintf("%s\n  statement: %s\n  settings:  %s\n  asked:     %s", r.What, r.Unit, strings.Join(r.Settings, "; "), strings.Join(asked, ", "))
}

// coverage says which functions of a database are accounted for by what analysis names.
type coverage struct {
	// names are all functions of users, as regprocedure prints them under an empty path.
	names map[uint32]string
	// bodies are their texts.
	bodies map[uint32]string
	// of are the functions behind a type or relation, by kind and name.
	of map[string][]uint32
	// judge says what a statement asks for.
	judge *judge
}

// behindTypes are the functions of a type: of the families that hold it, of a range,
// of its input and output, of a domain's checks.
const behindTypes = `
SELECT 'type ' || n.nspname || '.' || t.typname, f.oid
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace, LATERAL (
	SELECT amproc::oid AS oid FROM pg_amproc WHERE t.oid IN (amproclefttype, amprocrighttype)
	UNION SELECT oprcode::oid FROM pg_amop JOIN pg_operator AS o ON o.oid = amopopr WHERE t.oid IN (amoplefttype, amoprighttype)
	UNION SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze]::oid[])
	UNION SELECT unnest(ARRAY[rngcanonical, rngsubdiff]::oid[]) FROM pg_range WHERE rngtypid = t.oid
	UNION SELECT p.amproc::oid FROM pg_range JOIN pg_opclass AS c ON c.oid = rngsubopc JOIN pg_amproc AS p ON p.amprocfamily = c.opcfamily WHERE t.oid IN (rngtypid, rngmultitypid)
) AS f WHERE f.oid >= 16384`

// behindClasses are the functions of an operator class's family.
const behindClasses = `
SELECT 'operator class ' || n.nspname || '.' || c.opcname, f.oid
FROM pg_opclass AS c JOIN pg_namespace AS n ON n.oid = c.opcnamespace, LATERAL (
	SELECT amproc::oid AS oid FROM pg_amproc WHERE amprocfamily = c.opcfamily
	UNION SELECT oprcode::oid FROM pg_amop JOIN pg_operator AS o ON o.oid = amopopr WHERE amopfamily = c.opcfamily
) AS f WHERE f.oid >= 16384`

// behindOperators are the functions of operators of a name, and of their partners.
const behindOperators = `
SELECT 'operator ' || n.nspname || '.' || o.oprname, p.oprcode::oid
FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace JOIN pg_operator AS p ON p.oid IN (o.oid, o.oprcom, o.oprnegate)
WHERE p.oprcode::oid >= 16384`

// behindRelations are the functions that what hangs off a relation depends on, directly
// or through operators and classes.
const behindRelations = `
WITH RECURSIVE hanging AS (
	SELECT c.oid AS rel, 'pg_class'::regclass::oid AS classid, c.oid AS objid FROM pg_class AS c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
	UNION SELECT h.rel, d.classid, d.objid FROM hanging AS h JOIN pg_depend AS d ON d.refclassid = h.classid AND d.refobjid = h.objid
	WHERE d.deptype IN ('a', 'i', 'P', 'S') AND d.classid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_rewrite'::regclass, 'pg_statistic_ext'::regclass)
		AND (d.classid <> 'pg_class'::regclass OR EXISTS (SELECT FROM pg_index WHERE indexrelid = d.objid))
), needed AS (
	SELECT h.rel, d.refclassid, d.refobjid, h.objid <> h.rel AND h.classid = 'pg_class'::regclass AS indexed FROM hanging AS h JOIN pg_depend AS d ON d.classid = h.classid AND d.objid = h.objid
	WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass)
), all_functions AS (
	SELECT rel, refobjid AS oid, indexed FROM needed WHERE refclassid = 'pg_proc'::regclass
	UNION SELECT rel, o.oprcode::oid, indexed FROM needed JOIN pg_operator AS o ON o.oid = refobjid WHERE refclassid = 'pg_operator'::regclass
	UNION SELECT rel, p.amproc::oid, indexed FROM needed JOIN pg_opclass AS c ON c.oid = refobjid JOIN pg_amproc AS p ON p.amprocfamily = c.opcfamily WHERE refclassid = 'pg_opclass'::regclass
	UNION SELECT rel, o.oprcode::oid, indexed FROM needed JOIN pg_opclass AS c ON c.oid = refobjid JOIN pg_amop AS a ON a.amopfamily = c.opcfamily JOIN pg_operator AS o ON o.oid = a.amopopr WHERE refclassid = 'pg_opclass'::regclass
)
SELECT k || n.nspname || '.' || c.relname, f.oid FROM all_functions AS f CROSS JOIN unnest(ARRAY['table ', CASE WHEN f.indexed THEN 'indexes of ' END]) AS k JOIN pg_class AS c ON c.oid = f.rel JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE f.oid >= 16384 AND k IS NOT NULL`

// behindKeys are the functions of the families that a relation's foreign keys compare by,
// whichever end it is at.
const behindKeys = `
SELECT 'keys of ' || n.nspname || '.' || c.relname, o.oprcode::oid
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid IN (k.conrelid, k.confrelid) JOIN pg_namespace AS n ON n.oid = c.relnamespace
	JOIN pg_amop AS m ON m.amopopr = ANY (k.conpfeqop) JOIN pg_amop AS f ON f.amopfamily = m.amopfamily JOIN pg_operator AS o ON o.oid = f.amopopr
WHERE k.contype = 'f'
UNION SELECT 'keys of ' || n.nspname || '.' || c.relname, f.amproc::oid
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid IN (k.conrelid, k.confrelid) JOIN pg_namespace AS n ON n.oid = c.relnamespace
	JOIN pg_amop AS m ON m.amopopr = ANY (k.conpfeqop) JOIN pg_amproc AS f ON f.amprocfamily = m.amopfamily
WHERE k.contype = 'f'`

// readCoverage reads what belongs to what, by queries of its own.
func (d *Database) readCoverage(ctx context.Context) (*coverage, error) {
	c := &coverage{names: map[uint32]string{}, bodies: map[uint32]string{}, of: map[string][]uint32{}}
	var err error
	if c.judge, err = d.judge("", nil); err != nil {
		return nil, err
	}
	rows, err := d.login.rows(ctx, "SELECT p.oid, n.nspname || '.' || p.proname || '(' || "+
		"array_to_string(ARRAY(SELECT format_type(a, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (a, i) ORDER BY i), ', ') || ')', p.prosrc "+
		"FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE p.oid >= 16384")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		oid, err := number(row[0])
		if err != nil {
			return nil, err
		}
		c.names[oid], c.bodies[oid] = row[1], row[2]
	}
	for _, query := range []string{behindTypes, behindClasses, behindOperators, behindRelations, behindKeys} {
		if rows, err = d.login.rows(ctx, query); err != nil {
			return nil, err
		}
		for _, row := range rows {
			oid, err := number(row[1])
			if err != nil {
				return nil, err
			}
			c.of[row[0]] = append(c.of[row[0]], oid)
		}
	}
	return c, nil
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// asked are the functions that accesses account for: those that execute is asked for,
// those behind code that must be trusted, and what these name in their bodies.
func (c *coverage) asked(accesses []access.Access) map[uint32]bool {
	all := map[uint32]bool{}
	for _, a := range accesses {
		if a.Action == access.Execute {
			c.add(all, a.Resolved.Schema+"."+a.Resolved.Name+"("+strings.Join(a.Resolved.Arguments, ", ")+")", true)
		}
		if a.Action == access.DDL {
			// Indexes are made with the rights of the relation's owner.
			c.addAll(all, c.of["indexes of "+a.Resolved.Schema+"."+a.Resolved.Name])
		}
		// So are foreign keys looked up.
		if a.Action == access.Insert || a.Action == access.Update || a.Action == access.Delete || a.Action == access.Truncate {
			c.addAll(all, c.of["keys of "+a.Resolved.Schema+"."+a.Resolved.Name])
		}
		for _, t := range a.Trust {
			switch words := strings.SplitN(t.Code, " ", 2); {
			case words[0] == "function":
				c.add(all, words[1]+"(", false)
			case words[0] == "type" || strings.HasPrefix(t.Code, "operator class "):
				c.addAll(all, c.of[t.Code])
			case words[0] == "DO":
				c.addAll(all, slices.Collect(maps.Keys(c.names)))
			default:
				c.addAll(all, c.of["table "+a.Resolved.Schema+"."+a.Resolved.Name])
				c.addAll(all, c.of["table "+t.Code[strings.LastIndex(t.Code, " ")+1:]])
			}
		}
	}
	return all
}

func (c *coverage) addAll(all map[uint32]bool, oids []uint32) {
	for _, oid := range oids {
		c.reach(all, oid)
	}
}

// add adds the functions whose printed name is, or begins with, a text.
func (c *coverage) add(all map[uint32]bool, text string, whole bool) {
	for oid, name := range c.names {
		if name == text || !whole && strings.HasPrefix(name, text) {
			c.reach(all, oid)
		}
	}
}

// reach adds a function and what its body names: who trusts it, trusts that.
func (c *coverage) reach(all map[uint32]bool, oid uint32) {
	if all[oid] {
		return
	}
	all[oid] = true
	for _, operator := range bodyOperator.FindAllStringSubmatch(c.bodies[oid], -1) {
		c.addAll(all, c.of["operator "+operator[1]])
	}
	words := bodyWord.FindAllString(c.bodies[oid], -1)
	for other, name := range c.names {
		if slices.Contains(words, name[strings.Index(name, ".")+1:strings.Index(name, "(")]) {
			c.reach(all, other)
		}
	}
}

var (
	bodyWord     = regexp.MustCompile(`\w+`)
	bodyOperator = regexp.MustCompile(`OPERATOR\((\w+\.[^)]+)\)`)
)

// callsOf counts the calls of users' functions that this session has not reported yet.
// In a transaction none is reported.
const callsOf = `SELECT p.oid, pg_catalog.pg_stat_get_xact_function_calls(p.oid) FROM pg_catalog.pg_proc AS p
WHERE p.oid >= 16384 AND pg_catalog.pg_stat_get_xact_function_calls(p.oid) IS NOT NULL`

func (d *Database) calls(ctx context.Context) (map[uint32]string, error) {
	rows, err := d.login.rows(ctx, callsOf)
	if err != nil {
		return nil, err
	}
	all := map[uint32]string{}
	for _, row := range rows {
		oid, err := number(row[0])
		if err != nil {
			return nil, err
		}
		all[oid] = row[1]
	}
	return all, nil
}

// WhatRan runs a statement as the login, in a transaction that is rolled back, and
// returns the functions that it made run, also when it failed. lost reports that the
// server gave no answer in time.
func (d *Database) WhatRan(ctx context.Context, settings []string, u Unit) (ran []uint32, lost bool, err error) {
	begin := strings.Join(append([]string{"BEGIN", "SET LOCAL track_functions = 'all'"}, settings...), "; ")
	if answer, err := d.login.exec(ctx, begin); err != nil || !answer.Ran() {
		return nil, false, errors.Join(err, stateError(answer))
	}
	before, err := d.calls(ctx)
	if err != nil {
		return nil, false, err
	}
	if answer, err := d.login.exec(ctx, "SAVEPOINT ran"); err != nil || !answer.Ran() {
		return nil, false, errors.Join(err, stateError(answer))
	}
	answer, err := d.login.send(ctx, u)
	if err != nil || answer.busy() {
		d.login.close()
		return nil, true, nil
	}
	if !answer.Ran() {
		if answer, err := d.login.exec(ctx, "ROLLBACK TO ran"); err != nil || !answer.Ran() {
			// It ended the transaction by itself.
			d.login.close()
			return nil, true, nil
		}
	}
	after, err := d.calls(ctx)
	if err != nil {
		d.login.close()
		return nil, true, nil
	}
	for oid, calls := range after {
		if before[oid] != calls {
			ran = append(ran, oid)
		}
	}
	slices.Sort(ran)
	if answer, err := d.login.exec(ctx, "ROLLBACK"); err != nil || !answer.Ran() {
		return nil, false, errors.Join(err, stateError(answer))
	}
	_, err = d.login.exec(ctx, "DISCARD ALL")
	return ran, false, err
}

// Unasked are the functions that a statement makes the server call and that analysis
// does not ask for; and, exactly asks for that, what the server refuses to a role with the
// rights that analysis asks for. judged reports that there was something to compare: analysis let the
// statement be judged, and the server gave an answer.
func (d *Database) Unasked(ctx context.Context, c *coverage, settings []string, u Unit, exactly bool) (found []Ran, ran int, judged bool, err error) {
	verdict := c.judge.verdict(u)
	// Maintenance runs with the rights of the relation's owner.
	if !verdict.Judged || slices.ContainsFunc(verdict.Accesses, func(a access.Access) bool { return a.Action == access.Maintain }) {
		return nil, 0, false, nil
	}
	called, lost, err := d.WhatRan(ctx, settings, u)
	if err != nil || lost {
		return nil, 0, false, err
	}
	asked := c.asked(verdict.Accesses)
	for _, oid := range called {
		if !asked[oid] {
			found = append(found, Ran{What: c.names[oid] + " ran and was not asked for", Unit: u, Settings: settings, Accesses: verdict.Accesses})
		}
	}
	if !exactly {
		return found, len(called), true, nil
	}
	refused, err := d.refusedExactly(ctx, settings, u, verdict.Accesses)
	if err == nil && refused != "" {
		found = append(found, Ran{What: refused, Unit: u, Settings: settings, Accesses: verdict.Accesses})
	}
	return found, len(called), true, err
}

// refusedExactly is what the server says to a role that has just the rights that analysis
// asks for, when it refuses.
func (d *Database) refusedExactly(ctx context.Context, settings []string, u Unit, accesses []access.Access) (string, error) {
	grants, whole := exactGrants(d, accesses)
	if !whole || beyondGrants.MatchString(u.SQL) {
		return "", nil
	}
	before := append(append(d.grantSQL(scratch, grants), settings...), "SET LOCAL SESSION AUTHORIZATION "+scratch)
	answer, lost, err := d.login.rolledBack(ctx, "", u, before...)
	if err != nil || lost || !refusedFunction.MatchString(answer.Message) || answer.Where != "" {
		return "", err
	}
	return answer.Message, nil
}

// refusedFunction is the message about a function (aclcheck_error of aclchk.c). Other
// refusals are for TestRandom to find.
var refusedFunction = regexp.MustCompile(`^permission denied for function `)

// planSettings turn some of the planner's choices off, so that each is taken now and
// then.
func planSettings(r *rand.Rand) []string {
	// What is turned off costs so much that it would be compiled.
	all := []string{"SET LOCAL jit = off"}
	for _, name := range []string{"enable_hashjoin", "enable_mergejoin", "enable_nestloop", "enable_seqscan", "enable_sort", "enable_hashagg", "enable_material", "enable_bitmapscan"} {
		if r.IntN(4) == 0 {
			all = append(all, "SET LOCAL "+name+" = off")
		}
	}
	for _, set := range []string{"plan_cache_mode = force_generic_plan", "enable_partitionwise_join = on", "enable_partitionwise_aggregate = on"} {
		if r.IntN(6) == 0 {
			all = append(all, "SET LOCAL "+set)
		}
	}
	return all
}
