package oracle

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Proof is what the server has to show before a rule explains a denial. Empty asks for
// nothing but the rule's patterns.
type Proof string

// The proofs.
const (
	// Stored: what the login makes by the statement depends on what is denied, or on what
	// leads to it (pg_depend), or the queries of a body that is a string ask for it.
	Stored Proof = "stored"
	// RowType: the query, or what the statement makes, has a value of the relation's row
	// type that no row of it is.
	RowType Proof = "row type"
	// Skipped: the server tells the role that it skips what is there already, or is not
	// there.
	Skipped Proof = "skipped"
	// Warned: the server warns the role that it does nothing of what was asked.
	Warned Proof = "warned"
	// WithRows: without its WITH NO DATA the role is refused the statement; where that
	// fails for everybody, as Stored.
	WithRows Proof = "with rows"
	// Unwrapped: without its EXPLAIN or DECLARE the role is refused the statement.
	Unwrapped Proof = "unwrapped"
	// Printed: what EXPLAIN prints holds the name of a column that is denied, or tells how many
	// columns there are; or a scan of the relation would where the plan is another one.
	Printed Proof = "printed"
	// Uncalled: the function that is denied is not called when the login runs the statement.
	Uncalled Proof = "uncalled"
	// Path: what the login does by the statement sets a search_path that holds the schema.
	Path Proof = "path"
	// Dropped: what is in the denied schema is less when the login has run the statement.
	Dropped Proof = "dropped"
	// DefaultRights: the login changes default privileges by the statement (pg_default_acl).
	DefaultRights Proof = "default rights"
	// Temporary: the login makes something temporary by the statement that is no relation.
	Temporary Proof = "temporary"
	// SetOff: a rule that the login makes by the statement is refused when it is set off.
	SetOff Proof = "set off"
)

// proof has the server show something of a denial. missing is nil where analysis itself
// denies.
type proof func(ctx context.Context, c Comparison, missing *access.Access) (bool, error)

func (d *Database) proofs() map[Proof]proof {
	return map[Proof]proof{Stored: d.keeps, RowType: d.hasRowType, Skipped: d.skips, Warned: d.warns, WithRows: d.withRows, Unwrapped: d.unwrapped,
		Printed: d.prints, Uncalled: d.calledNot, Path: d.setsPath, Dropped: d.drops, DefaultRights: d.changesDefaults, Temporary: d.makesTemporary, SetOff: d.refusesLater}
}

func (p Proof) known() bool { return p == "" || (&Database{}).proofs()[p] != nil }

// proves reports whether the server shows what a rule asks for.
func (d *Database) proves(ctx context.Context, c Comparison, p Proof, missing *access.Access) (bool, error) {
	if p == "" {
		return true, nil
	}
	return d.proofs()[p](ctx, c, missing)
}

// withRows proves WithRows.
func (d *Database) withRows(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	u := c.Unit
	u.SQL = noData.ReplaceAllString(strings.Join(Tokens(u.SQL), " "), "")
	answer, lost, err := d.asScratch(ctx, c.Role.Path, c.Role.Grants, u)
	if err != nil || lost || answer.Ran() || answer.Refused() {
		return err == nil && !lost && answer.Refused(), err
	}
	return d.keeps(ctx, c, missing)
}

// unwrapped proves Unwrapped.
func (d *Database) unwrapped(ctx context.Context, c Comparison, _ *access.Access) (bool, error) {
	u := c.Unit
	u.SQL = uncommented(u.SQL)
	at := explaining.FindStringIndex(u.SQL)
	if at == nil {
		return false, nil
	}
	u.SQL = u.SQL[at[1]:]
	answer, lost, err := d.asScratch(ctx, c.Role.Path, c.Role.Grants, u)
	return err == nil && !lost && answer.Refused(), err
}

// explaining matches what stands before a statement that is explained, or declared.
var explaining = regexp.MustCompile(`(?is)^\W*(explain\s*(\([^)]*\)|analy[sz]e\b|verbose\b|\s)*|declare\s+\S+\s+((no\s+)?scroll\s+|(in|a)sensitive\s+|binary\s+)*cursor\s+(with(out)?\s+hold\s+)?for\s+)`)

// prints proves Printed.
func (d *Database) prints(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	if missing == nil || missing.Resolved.Kind != access.Table {
		return false, nil
	}
	rel := d.Snapshot.RelationByName(missing.Resolved.Schema, missing.Resolved.Name)
	if rel == nil {
		return false, nil
	}
	lines, err := d.printed(ctx, c)
	if err != nil {
		return false, err
	}
	var words []string
	for _, line := range lines {
		words = append(words, Tokens(line)...)
	}
	if slices.ContainsFunc(rel.Columns, func(column catalog.Column) bool {
		return !grantsColumn(c.Role.Grants, missing.Action, rel, column.Name) && (slices.Contains(words, column.Name) || slices.Contains(words, quote(column.Name)))
	}) {
		return true, nil
	}
	if all, err := d.print(ctx, c.Role.Path, c.Unit); err != nil || all.written.relations[rel.OID][access.Select] != nil {
		return err == nil, err
	}
	if !slices.ContainsFunc(c.Verdict.Accesses, func(a access.Access) bool {
		return a.Action == access.Insert && a.Resolved.Schema == rel.Schema && a.Resolved.Name == rel.Name
	}) {
		return false, nil
	}
	// An INSERT lists what goes into every column: one more is to be seen.
	more, err := d.printed(ctx, c, d.widening(rel)...)
	return err == nil && len(more) > 0 && !slices.Equal(lines, more), err
}

// widening are the statements that give a table another column, where it can have one. A
// partition has those of its parent; what is inserted into a view goes to the table under it.
func (d *Database) widening(rel *catalog.Relation) []string {
	if len(rel.Parents) == 1 {
		if parent := d.Snapshot.RelationByOID(rel.Parents[0]); parent != nil && parent.Kind == catalog.KindPartitionedTable {
			return d.widening(parent)
		}
	}
	if rel.Kind != catalog.KindView {
		return []string{"DO $oracle$ BEGIN ALTER TABLE " + quote(rel.Schema) + "." + quote(rel.Name) +
			" ADD COLUMN oracle_added text; EXCEPTION WHEN OTHERS THEN NULL; END $oracle$"}
	}
	var all []string
	for _, oid := range rel.References.Relations {
		if under := d.Snapshot.RelationByOID(oid); under != nil && under != rel {
			all = append(all, d.widening(under)...)
		}
	}
	return all
}

// printed are the values that a statement gives the login, after further statements.
func (d *Database) printed(ctx context.Context, c Comparison, before ...string) (lines []string, err error) {
	_, _, err = d.login.rolledBackAfter(ctx, c.Role.Path, Unit{SQL: "SELECT 1"}, before, func() error {
		var err error
		lines, err = d.login.output(ctx, c.Unit)
		return err
	})
	return lines, err
}

// calledNot proves Uncalled.
func (d *Database) calledNot(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	if missing == nil {
		return false, nil
	}
	f := d.function(missing.Resolved)
	if f == nil {
		return false, nil
	}
	idle, _, err := d.uncalled(ctx, c, []*catalog.Function{f})
	return idle, err
}

// noData matches the end of what makes a table without its rows.
var noData = regexp.MustCompile(`(?is)\bwith\s+no\s+data\W*$`)
