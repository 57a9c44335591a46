package analyze

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// Input is one protocol unit and the context its text is read in.
type Input struct {
	// Text is the text of a Query or Parse message, without the terminating NUL.
	// Analyze does not keep it.
	Text []byte
	// Parse marks a Parse message: at most one statement, and parameters allowed.
	Parse bool
	// ParameterTypes are the types a Parse message gives its parameters; 0 leaves
	// one to the server.
	ParameterTypes []catalog.OID
	// SettledTypes are the types that all parameters were found to have when the text was
	// first parsed, nil then.
	SettledTypes []catalog.OID
	Context      Context
	// Function makes it a FunctionCall message; Text is empty then.
	Function *FunctionCall
	// Startup are the settings that a session is to start with, by lower-case name;
	// nothing else is judged then.
	Startup map[string]string
	// Limits bound the work; zero fields take their defaults.
	Limits Limits
}

// Context is the part of the session that changes what a text means.
type Context struct {
	// SearchPath is search_path as SHOW prints it.
	SearchPath string
	// Role is the current role's name, which "$user" stands for.
	Role string
	// ServerVersionNum is server_version_num; 0 takes the snapshot's.
	ServerVersionNum int
	// Settings are further settings by name, as the server last reported them.
	Settings map[string]string
	// PreparedStatements and Cursors are the texts behind what SQL can name, as the
	// effects that made them had them. The maps belong to the caller and are only read.
	PreparedStatements, Cursors map[string]string
	// Named are what names stand for that messages of the protocol have made, as far as
	// it was asked (access.Analysis.Unknown). Nil: there are none, and nobody to ask.
	Named map[access.Name]Named
	// Uncommitted says that the context was changed in the transaction that is open:
	// what it goes back to at the end is not known.
	Uncommitted bool
}

// Analyze binds a unit's statements against a snapshot. It does the same work
// whatever is granted. Safe for concurrent use; the result shares nothing with
// the input.
func Analyze(in Input, snap *catalog.Snapshot) access.Analysis {
	a := analyzer{in: in, snap: snap, limits: in.Limits.withDefaults(), version: in.Context.ServerVersionNum, literally: new(bool)}
	found := a.analysis(a.run())
	found.Literal = *a.literally
	return found
}

// analysis is what is said of a unit whose analysis ended in err.
func (a *analyzer) analysis(err error) access.Analysis {
	if err == nil {
		return access.Analysis{Outcome: access.Judge, Reason: access.Granted, Statements: a.statements}
	}
	var v *verdict
	if !errors.As(err, &v) {
		v = &verdict{outcome: access.Denied, reason: access.Construct, detail: "analysis failed"}
	}
	requires := v.requires
	if v.hidesUnit {
		requires = append(a.touched(v.hidesColumns), requires...)
	}
	if a.partial != nil {
		a.statements = append(a.statements, *a.partial)
	}
	return access.Analysis{Outcome: v.outcome, Reason: v.reason, Detail: v.detail, Error: v.err,
		Requires: requires, Statements: a.statements, Unknown: a.unknown}
}

// analyzer is the analysis of one unit.
type analyzer struct {
	in      Input
	snap    *catalog.Snapshot
	limits  Limits
	version int

	text string
	// path is what names of the text are looked up over, session the path in force
	// while it runs; they differ for texts of the catalog.
	path, session searchPath
	reference
	// expressions memoise what expressions of the catalog read and run. securing are the
	// relations whose row security is being judged.
	expressions map[storedKey]*code
	securing    map[catalog.OID]bool

	// views and bodies memoise views and functions' bodies; texts counts how deep one
	// led to another. reader is the role whose rights relations are checked against,
	// when it is not the session's. unfinished says that a recursion was cut, so that
	// what was collected is complete only at its outermost call.
	views      map[viewKey]*view
	bodies     map[bodyKey]*body
	texts      int
	reader     string
	unfinished bool

	// dropping is the type of object that the statement at hand drops, in words.
	dropping string
	// stores says that what is bound is stored by a definition, which then depends on the
	// types in it.
	stores bool
	// defines says that it is stored, whatever the server checks of it.
	defines bool
	// configuring is what the statement at hand sets by set_config.
	configuring *configuring
	// transaction is how the present transaction can end, and unsettled the statement
	// after which names mean nothing certain any more. alone says that the unit is one
	// statement, ownText its text.
	transaction transaction
	unsettled   string
	alone       bool
	ownText     string
	// unknown are the unit's names that have to be asked for.
	unknown []access.Name
	// rewriting is shared by all that analyse the statement at hand.
	rewriting *rewriting
	// change is what the statement at hand does to the catalog, layered what those before it
	// have done; lastOID counts what they have made.
	change  changes
	layered *layer
	lastOID catalog.OID
	// primary are the columns of the primary keys that the unit has made.
	primary map[catalog.OID][]int16
	// indexes are those that the unit has made; maybeGone the relations that may no longer
	// be there: what stands behind them on the path may be meant.
	indexes   map[catalog.OID]madeIndexOf
	maybeGone map[catalog.OID]bool
	// returnsSet says that the function that is being made returns a set.
	returnsSet bool
	// runsStored says that the statement at hand runs what it stores as well.
	runsStored bool
	// eclipsed says that what is judged is behind something else by its name.
	eclipsed bool
	// fleeting says that COMMIT drops something that the unit has made.
	fleeting bool
	// literally is set once more of a literal of the unit was looked at than its class. Texts
	// of the catalog have one of their own: their literals are not the unit's.
	literally *bool
	// grammar is the version that the parser gives its trees.
	grammar int32

	// held is what the text at hand was resolved to when it was stored, nil for one that
	// was not; owner is the relation that it belongs to.
	held  *held
	owner catalog.OID

	// resolver resolves names over resolverPath, plain over pg_catalog alone.
	resolver, plain *resolve.Resolver
	resolverPath    searchPath
	// deduced are the types of the text's parameters.
	deduced *deduced

	// work is what is left of Limits.Work.
	work int
	// planning marks an expression that a plan is made with and that does not run.
	planning bool
	// predicate marks what the planner holds a statement's clauses against.
	predicate bool
	// catalogText marks the judgement of a text of the catalog: no subqueries.
	catalogText bool
	// sublinkNames are the names of scalar subqueries already bound.
	sublinkNames map[*pg_query.SubLink]string
	// current collects the accesses of the statement at hand.
	current    *recorder
	statements []access.Statement
	// emptyFile is namesNoFile's memory.
	emptyFile *emptyFile
	// partial is the statement at which the analysis ended.
	partial *access.Statement
}

func (a *analyzer) run() error {
	if a.snap == nil {
		return refuse(access.Unavailable, stateCannotConnect, "the catalog of the database is not available")
	}
	if a.version == 0 {
		a.version = a.snap.ServerVersionNum
	}
	if a.in.Function != nil {
		if err := a.prepare(); err != nil {
			return err
		}
		return a.functionCall(*a.in.Function)
	}
	if a.in.Startup != nil {
		return a.startup(a.in.Startup)
	}
	seen, err := precheck(a.in.Text, a.limits)
	if err != nil && (!seen.junk || a.version < junkSince) {
		return err
	}
	if err := a.prepare(); err != nil {
		return err
	}
	switch {
	case seen.newNumerals && a.version >= junkSince && a.version < numeralsSince:
		return a.junkError(seen, seen.numeral, "numeric literal")
	case seen.junk:
		return a.junkError(seen, seen.parameter, "parameter")
	}
	tree, err := parse(seen.parseText, a.text, a.version/10000)
	if err != nil {
		return err
	}
	if seen.faulty {
		return deny(access.Construct, "a token that the server may reject")
	}
	if seen.newNumerals && a.version < numeralsSince {
		return deny(access.Construct, "a number that the server reads otherwise")
	}
	if a.in.Parse && len(tree.Stmts) > 1 {
		return fail(access.Syntax, stateSyntax, "cannot insert multiple commands into a prepared statement", 0)
	}
	if err := a.newerSyntax(tree.Stmts); err != nil {
		return err
	}
	a.alone, a.grammar = len(tree.Stmts) == 1, tree.Version
	if a.unknown = a.unknownNames(tree.Stmts); len(a.unknown) > 0 {
		return deny(access.Context, "what names of the protocol stand for has to be asked")
	}
	a.begin()
	for _, raw := range tree.Stmts {
		if err := a.statement(raw); err != nil {
			return err
		}
	}
	return nil
}

// prepare checks the context and fills the tables.
func (a *analyzer) prepare() error {
	a.reference = tables()
	a.text, a.work = string(a.in.Text), a.limits.Work
	return a.readContext()
}

// readContext checks the context and forgets what was found under another one.
func (a *analyzer) readContext() error {
	if scs, known := a.in.Context.Settings["standard_conforming_strings"]; known && scs != "on" {
		return deny(access.Context, "standard_conforming_strings is not on")
	}
	if a.snap.ServerEncoding != "UTF8" {
		return deny(access.Context, "the database's encoding is not UTF8")
	}
	path, err := newSearchPath(a.in.Context.SearchPath, a.in.Context.Role, a.snap)
	if err != nil {
		return err
	}
	a.path, a.session = path, path
	a.views, a.bodies = map[viewKey]*view{}, map[bodyKey]*body{}
	a.expressions, a.securing = map[storedKey]*code{}, map[catalog.OID]bool{}
	if !a.in.Parse && len(a.in.ParameterTypes) > 0 {
		return deny(access.Protocol, "parameter types of a text that has no parameters")
	}
	return nil
}

// statement analyses one statement of the unit and appends the result.
func (a *analyzer) statement(raw *pg_query.RawStmt) error {
	a.current = &recorder{}
	own, ok := a.own(raw)
	if !ok {
		return deny(access.Construct, "a statement without a place in the text")
	}
	a.ownText, a.change, a.runsStored, a.rewriting = own, newChanges(), false, &rewriting{}
	if f := raw.Stmt.GetCreateFunctionStmt(); f != nil && f.ReturnType != nil {
		a.returnsSet = f.ReturnType.Setof
		// RETURNS SETOF names nothing more than RETURNS does.
		f.ReturnType.Setof = false
	}
	err := a.judgeParameters()
	if err == nil {
		err = a.checkShape(raw.ProtoReflect())
	}
	var found access.Statement
	if err == nil {
		found, err = a.dispatch(raw.Stmt)
	}
	if err == nil {
		err = a.rewriting.err
	}
	if err == nil {
		err = a.whole()
	}
	if err == nil {
		err = a.closedColumns()
	}
	if err == nil {
		// What was charged without a word.
		err = a.spend(0)
	}
	if err != nil {
		a.failing(raw)
		return err
	}
	a.trustLoose()
	if a.change.temporary && !a.change.permanent {
		// What is changed is the session's own alone.
		for i := range found.Effects {
			if found.Effects[i].Kind == access.EffectDDL {
				found.Effects[i] = access.Effect{Kind: access.EffectTemp}
			}
		}
	}
	a.eventTriggers(raw.Stmt, found)
	if a.current.opaque && !slices.Contains(found.Effects, access.Effect{Kind: access.EffectOpaque}) {
		found.Effects = append(found.Effects, access.Effect{Kind: access.EffectOpaque})
	}
	found.TextSHA256 = sha256.Sum256([]byte(own))
	found.Normalised = recorded(raw.Stmt, own)
	found.Accesses, found.Behind, found.Session = a.accesses(), a.behindAll(), endsAll(raw.Stmt)
	if a.in.Parse {
		found.ParameterTypes = numbers(a.deduction().types)
	}
	a.statements = append(a.statements, found)
	a.current = nil
	return a.simulate(found)
}

// recorded is a statement's text as audit may keep it. Of a text that may hold a token
// nothing is kept.
func recorded(node *pg_query.Node, own string) string {
	if namesOwnSetting(node) {
		return "SET " + settingToken
	}
	text, _ := Normalise([]byte(own))
	return text
}

// judgeParameters judges the types that a Parse message gives its parameters: Bind reads
// them by these types' input functions, without a statement to see.
func (a *analyzer) judgeParameters() error {
	for i, oid := range a.settledTypes() {
		// parse_param.c takes unknown for no type given.
		if oid == 0 || oid == typeUnknown {
			continue
		}
		t := a.snap.TypeByOID(oid)
		if t == nil {
			return deny(access.Construct, fmt.Sprintf("type of parameter %d", i+1))
		}
		// By OID PostgreSQL asks nobody; a name hidden is hidden by number, too.
		if i < len(a.in.ParameterTypes) && a.in.ParameterTypes[i] == oid {
			if err := a.nameType(t, access.Select); err != nil {
				return err
			}
		}
		if err := a.holds(oid); err != nil {
			return err
		}
		if err := a.readText(value{}, oid); err != nil {
			return err
		}
	}
	return nil
}

// own is a statement's part of the text; false when it has none.
func (a *analyzer) own(raw *pg_query.RawStmt) (string, bool) {
	start, end := int(raw.StmtLocation), len(a.text)
	if raw.StmtLen > 0 {
		end = start + int(raw.StmtLen)
	}
	if start < 0 || end > len(a.text) || start > end {
		return "", false
	}
	return strings.Trim(a.text[start:end], " \t\n\r\f\v"), true
}

// failing keeps the statement that ends the analysis, as far as it was
// understood: audit shows what was tried. Its accesses stay with current as well,
// which Requires is made of.
func (a *analyzer) failing(raw *pg_query.RawStmt) {
	found := access.Statement{Kind: nodeWords(raw.Stmt), TextSHA256: sha256.Sum256([]byte(a.ownText)), Accesses: a.accesses()}
	found.Normalised = recorded(raw.Stmt, a.ownText)
	a.partial = &found
}

// touched lists every access found so far, each on the whole object, and select on
// each object as well if reads is set.
func (a *analyzer) touched(reads bool) []access.Access {
	var all []access.Access
	for _, s := range a.statements {
		all = append(all, s.Accesses...)
	}
	if a.current != nil {
		all = append(all, a.accesses()...)
	}
	selected := map[string]bool{}
	all = slices.DeleteFunc(all, func(touched access.Access) bool { return touched.Within })
	for i := range all {
		if all[i].Resolved.Kind != access.Table {
			continue
		}
		all[i].Columns, all[i].AllColumns = nil, true
		if all[i].Action == access.Select {
			selected[all[i].Resolved.Schema+"\x00"+all[i].Resolved.Name] = true
		}
	}
	if !reads {
		return all
	}
	for _, touched := range all {
		if touched.Resolved.Kind != access.Table {
			continue
		}
		if key := touched.Resolved.Schema + "\x00" + touched.Resolved.Name; !selected[key] {
			selected[key] = true
			touched.Action = access.Select
			all = append(all, touched)
		}
	}
	return all
}

// spend charges name look-ups. How far binding came depends on what was found, so
// that the refusal is told only to whom all of it is granted.
func (a *analyzer) spend(n int) error {
	if a.work -= n + 1; a.work < 0 {
		return &verdict{outcome: access.Refused, reason: access.Limit, detail: limitWork, hidesUnit: true,
			err: access.Error{SQLState: stateTooComplex, Message: limitWork}}
	}
	return nil
}
