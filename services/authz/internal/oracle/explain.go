package oracle

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// byTrust reports whether a refusal comes out of code that a grant trusts: it came
// through a function that a grant names or that hangs off a table, from within the body of
// one that is being made, or a rule's action was refused something that the text does
// not name; and without the word trusted in the grants Scopewire denies.
func (d *Database) byTrust(_ context.Context, c Comparison) (bool, error) {
	through := definesBody.MatchString(strings.Join(Tokens(c.Unit.SQL), " ")) && (c.Server.Where != "" || inBody(c.Unit.SQL, c.Server.Position) || c.Server.Position == 0 && !d.namesOutside(c))
	plain := slices.Clone(c.Role.Grants)
	for i := range plain {
		g := &plain[i]
		through = through || g.Trusted && strings.Contains(c.Server.Where, "function") && (g.Kind == access.Table || strings.Contains(c.Server.Where, g.Name))
		g.Trusted = false
	}
	j, err := d.judge(c.Role.Path, plain)
	if err != nil {
		return false, err
	}
	verdict := j.verdict(c.Unit)
	if through || verdict.Allow {
		return !verdict.Allow, nil
	}
	refused := refusedObject.FindStringSubmatch(c.Server.Message)
	return refused != nil && !slices.Contains(d.textWords(c.Unit.SQL), refused[1]) &&
		slices.ContainsFunc(verdict.Denials, func(d Denial) bool { return strings.Contains(d.Detail, " runs rule ") }), nil
}

// trustBody looks closer at a statement with a name that means nothing: a body that
// nobody can follow is taken on trust, names and all.
func (d *Database) trustBody(ctx context.Context, c *Comparison) error {
	trusted, err := d.byTrust(ctx, *c)
	if trusted {
		c.Class = ByTrust
	}
	return err
}

// definesBody matches what the server validates a body of (ProcedureCreate).
var definesBody = regexp.MustCompile(`(?is)^\W*create\s+(or\s+replace\s+)?(function|procedure)\b`)

// namesOutside reports whether the text of a definition names, outside of literals, what
// the server's message is about.
func (d *Database) namesOutside(c Comparison) bool {
	words := strings.Fields(c.Server.Message)
	return slices.Contains(d.textWords(c.Unit.SQL), words[len(words)-1])
}

// inBody reports whether a position of a definition, counted in characters from 1, lies in
// the body: in a literal, or behind the words that begin one that is none.
func inBody(sql string, position int) bool {
	if position == 0 {
		return false
	}
	at := len(string([]rune(sql)[:min(position-1, len([]rune(sql)))]))
	for start := 0; start < len(sql); {
		end, blank := next(sql, start)
		token := strings.ToLower(sql[start:end])
		switch {
		case end > at:
			return !blank && strings.ContainsAny(token, "'$")
		case token == "atomic" || token == "return":
			return true
		}
		start = end
	}
	return false
}

// refusedObject is the message about an object (aclcheck_error of aclchk.c).
var refusedObject = regexp.MustCompile(`^permission denied for (?:table|view|materialized view|sequence|function|procedure) (.*)$`)

// toldBeside reports whether the server's error is what Scopewire says to who may administer
// the database, read the catalogs and use all types as well, and whose grants are trusted: who may not do all that a
// statement does is not told what is wrong with it.
func (d *Database) toldBeside(c Comparison) (bool, error) {
	more := slices.Clone(c.Role.Grants)
	for i := range more {
		switch more[i].Kind {
		case access.Table, access.Function, access.Procedure, access.Schema, access.Type:
			more[i].Trusted = true
		}
	}
	more = append(more, Grant{Action: access.Admin, Kind: access.Database, Name: d.Model.Database})
	for _, schema := range d.Model.Schemas {
		more = append(more, Grant{Action: access.Usage, Kind: access.Type, Schema: schema, Name: every, Trusted: true})
	}
	for _, schema := range []string{"pg_catalog", "information_schema"} {
		more = append(more, Grant{Action: access.Select, Kind: access.Table, Schema: schema, Name: every})
	}
	j, err := d.judge(c.Role.Path, more)
	if err != nil {
		return false, err
	}
	verdict := j.verdict(c.Unit)
	return verdict.Error != nil && classifyError(c.Server, *verdict.Error) == Agree, nil
}

// explain looks for the reasons why Scopewire denies what the role may do. Each access
// that is not covered needs one.
func (d *Database) explain(ctx context.Context, c *Comparison, rules Rules) error {
	class := Class("")
	for _, denial := range c.Verdict.Denials {
		why, rule, err := d.reason(ctx, *c, rules, denial)
		if err != nil || why == Overdenied {
			c.Verdict.Detail = denial.Detail // The one to look at.
			return err
		}
		if class != Explained {
			class, c.Rule = why, rule
		}
	}
	if class != "" {
		c.Class = class
	}
	return nil
}

// reason is the class of one denial, with the rule that explains it; Overdenied where
// nothing does.
func (d *Database) reason(ctx context.Context, c Comparison, rules Rules, denial Denial) (Class, string, error) {
	for _, rule := range rules.matching(denial, strings.Join(Tokens(c.Unit.SQL), " ")) {
		proved, err := d.proves(ctx, c, rule.Proof, denial.Access)
		if err != nil {
			return Overdenied, "", err
		}
		if proved {
			return Explained, rule.Name, nil
		}
	}
	missing := denial.Access
	if missing == nil || missing.Resolved.Name == "" {
		return Overdenied, "", nil
	}
	if d.own(missing.Resolved) {
		return Explained, "made by the statement", nil
	}
	if d.baseType(missing) {
		return Explained, "base type", nil
	}
	if missing.Action == access.Temporary {
		made, err := d.counts(ctx, c, c.Unit, "SELECT pg_catalog.pg_my_temp_schema()::pg_catalog.int8")
		if err != nil || made {
			return Overdenied, "", err
		}
		return Explained, "code not reached", nil
	}
	if missing.Resolved.Kind == access.Sequence {
		idle, err := d.idle(ctx, c, missing.Resolved)
		if err != nil || !idle {
			return Overdenied, "", err
		}
		return Explained, "sequence not reached", nil
	}
	dropped, err := d.dropped(ctx, c, missing)
	if err != nil || dropped {
		return PlannerDropped, "", err
	}
	cast, err := d.runtimeCast(ctx, c, missing)
	if err != nil || cast {
		return Explained, "base type", err
	}
	unreached, err := d.unreached(ctx, c, missing)
	if err != nil || unreached {
		return Explained, "code not reached", err
	}
	another, err := d.refusedAnother(ctx, c, missing)
	if err != nil || another {
		return Explained, "key there already", err
	}
	derived, err := d.derived(ctx, c, missing)
	if err != nil || !derived {
		return Overdenied, "", err
	}
	return Explained, "equivalence", nil
}

// own reports whether a relation is none of the database's but one that the statement
// makes. Grants are by name: to have made something gives no right to it, since it is the
// login's.
func (d *Database) own(o access.Object) bool {
	return (o.Kind == access.Table || o.Kind == access.Sequence) && d.Snapshot.RelationByName(o.Schema, o.Name) == nil
}

// baseType reports whether an access is about a type of somebody's own whose input
// and output functions, or casts, are code that runs without PostgreSQL asking for it.
func (d *Database) baseType(a *access.Access) bool {
	if a.Resolved.Kind != access.Type {
		return false
	}
	typ := d.Snapshot.TypeByName(a.Resolved.Schema, a.Resolved.Name)
	return typ != nil && (typ.Kind == 'b' && typ.Element == 0 ||
		slices.ContainsFunc(d.Snapshot.UserCasts(), func(c *catalog.Cast) bool { return c.Source == typ.OID }))
}

// runtimeCast reports whether an access is about the function of a cast that no query has:
// functions that make JSON of any value look for one when they run, and call it without
// asking (datum_to_jsonb of jsonb.c).
func (d *Database) runtimeCast(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	f := d.function(missing.Resolved)
	if f == nil || !slices.ContainsFunc(d.Snapshot.UserCasts(), func(c *catalog.Cast) bool { return c.Function == f.OID }) {
		return false, nil
	}
	all, err := d.print(ctx, c.Role.Path, c.Unit)
	return err == nil && all.found && !all.written.functions[f.OID] && !all.planned.functions[f.OID], err
}

// idle reports whether a statement leaves a sequence alone when the login runs it.
// PostgreSQL asks for a sequence when nextval is called, analysis whenever it may be:
// an INSERT of no rows calls it not, nor does EXPLAIN. What a sequence gave out does not
// come back with ROLLBACK.
func (d *Database) idle(ctx context.Context, c Comparison, sequence access.Object) (bool, error) {
	state := "SELECT last_value, is_called FROM " + quote(sequence.Schema) + "." + quote(sequence.Name)
	before, err := d.admin.row(ctx, state)
	if err != nil {
		return false, err
	}
	answer, lost, err := d.login.rolledBack(ctx, c.Role.Path, c.Unit)
	if err != nil || lost || !answer.Ran() {
		return false, err
	}
	after, err := d.admin.row(ctx, state)
	return err == nil && slices.Equal(before, after), err
}

// textWords are the names of a client's text, without the key words.
func (d *Database) textWords(sql string) []string {
	var words []string
	for _, word := range Tokens(sql) {
		if isWord(word) {
			if word = strings.ToLower(word); slices.Contains(d.Model.Keywords, word) {
				continue
			}
		}
		words = append(words, strings.ReplaceAll(strings.Trim(word, `"`), `""`, `"`))
	}
	return words
}
