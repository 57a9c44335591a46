package oracle

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Proof is what the server has to show before a rule explains a denial. Empty asks for
// nothing but the rule's patterns.
type Proof string

// The proofs.
const (
	// Stored: what the login makes by the statement depends on what is denied, or on what
	// leads to it (pg_depend).
	Stored Proof = "stored"
	// Named: the text holds the name of what is denied, or of what leads to it. Bodies that
	// are strings leave no more behind.
	Named Proof = "named"
	// RowType: the query, or what the statement makes, has a value of the relation's row
	// type that no row of it is.
	RowType Proof = "row type"
	// Exists: the server says that it skips what is there already.
	Exists Proof = "exists"
	// WithRows: without its WITH NO DATA the role is refused the statement.
	WithRows Proof = "with rows"
	// Uncalled: the function that is denied is not called when the login runs the statement.
	Uncalled Proof = "uncalled"
)

func (p Proof) known() bool {
	return slices.Contains([]Proof{"", Stored, Named, RowType, Exists, WithRows, Uncalled}, p)
}

// proves reports whether the server shows what a rule asks for.
func (d *Database) proves(ctx context.Context, c Comparison, proof Proof, missing *access.Access) (bool, error) {
	switch {
	case proof == "":
		return true, nil
	case proof == Exists:
		return d.skips(ctx, c)
	case proof == WithRows:
		u := c.Unit
		u.SQL = noData.ReplaceAllString(strings.Join(Tokens(u.SQL), " "), "")
		answer, lost, err := d.asScratch(ctx, c.Role.Path, c.Role.Grants, u)
		return err == nil && !lost && answer.Refused(), err
	case missing == nil:
		return false, nil
	case proof == Stored:
		return d.stores(ctx, c, d.reachable(missing)...)
	case proof == Named:
		return slices.ContainsFunc(append([]access.Object{missing.Resolved}, missing.Through...), func(o access.Object) bool {
			return strings.Contains(strings.ToLower(c.Unit.SQL), strings.ToLower(o.Name))
		}), nil
	case proof == RowType:
		return d.hasRowType(ctx, c, missing)
	case proof == Uncalled:
		f := d.function(missing.Resolved)
		if f == nil {
			return false, nil
		}
		idle, _, err := d.uncalled(ctx, c, []*catalog.Function{f})
		return idle, err
	default:
		return false, nil
	}
}

// noData matches the end of what makes a table without its rows.
var noData = regexp.MustCompile(`(?is)\bwith\s+no\s+data\W*$`)

// address is an object as pg_depend has it.
type address struct {
	class string
	oid   catalog.OID
}

// reachable are the addresses of what an access is about and of what leads to it.
func (d *Database) reachable(missing *access.Access) []address {
	var all []address
	for _, o := range append([]access.Object{missing.Resolved}, missing.Through...) {
		if f := d.function(o); f != nil {
			all = append(all, address{"pg_proc", f.OID})
		}
		if rel := d.Snapshot.RelationByName(o.Schema, o.Name); rel != nil && (o.Kind == access.Table || o.Kind == access.Sequence) {
			all = append(append(all, address{"pg_class", rel.OID}), d.typeAddresses(rel.RowType)...)
		}
		if t := d.Snapshot.TypeByName(o.Schema, o.Name); t != nil && o.Kind == access.Type {
			all = append(all, d.typeAddresses(t.OID)...)
		}
	}
	return all
}

// typeAddresses are a type and the array of it.
func (d *Database) typeAddresses(oid catalog.OID) []address {
	t := d.Snapshot.TypeByOID(oid)
	if t == nil {
		return nil
	}
	return []address{{"pg_type", oid}, {"pg_type", t.Array}}
}

// stores reports whether the login makes something by a statement that depends on one
// of the objects, or on an operator of one of the functions.
func (d *Database) stores(ctx context.Context, c Comparison, of ...address) (bool, error) {
	if len(of) == 0 {
		return false, nil
	}
	var values []string
	for _, a := range of {
		values = append(values, fmt.Sprintf("('pg_catalog.%s'::regclass::oid, %d::oid)", a.class, a.oid))
	}
	list := strings.Join(values, ", ")
	found := false
	// What a message makes, it may drop again.
	u := c.Unit
	tokens := Tokens(u.SQL)
	if end := slices.Index(tokens, ";"); end > 0 {
		u.SQL = strings.Join(tokens[:end], " ")
	}
	_, _, err := d.login.rolledBackAfter(ctx, c.Role.Path, u, nil, func() error {
		row, err := d.login.row(ctx, `SELECT count(*) FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_operator o
 ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND o.oid = d.refobjid
 WHERE d.xmin = pg_catalog.pg_current_xact_id()::xid AND ((d.refclassid, d.refobjid) IN (`+list+`) OR ('pg_catalog.pg_proc'::regclass::oid, o.oprcode::oid) IN (`+list+`))`)
		found = err == nil && row[0] != "0"
		return err
	})
	return found, err
}

// hasRowType reports whether a statement has something of the row type of the relation
// that a denial is about.
func (d *Database) hasRowType(ctx context.Context, c Comparison, missing *access.Access) (bool, error) {
	rel := d.Snapshot.RelationByName(missing.Resolved.Schema, missing.Resolved.Name)
	if rel == nil || missing.Resolved.Kind != access.Table {
		return false, nil
	}
	types := d.typeAddresses(rel.RowType)
	stored, err := d.stores(ctx, c, types...)
	if err != nil || stored {
		return stored, err
	}
	all, err := d.print(ctx, c.Role.Path, c.Unit)
	return err == nil && slices.ContainsFunc(types, func(a address) bool { return a.oid != 0 && all.written.types[a.oid] }), err
}

// skips reports whether the server says of a statement of the login's that it skips what
// is there already (ERRCODE_DUPLICATE_TABLE and its kin, as a notice).
func (d *Database) skips(ctx context.Context, c Comparison) (bool, error) {
	asking, err := newSession(d.dsn, "", "")
	if err != nil {
		return false, err
	}
	defer asking.close()
	skipped := false
	asking.config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		skipped = skipped || slices.Contains([]string{"42P06", "42P07", "42710"}, n.Code) && strings.HasSuffix(n.Message, "skipping")
	}
	answer, lost, err := asking.rolledBack(ctx, c.Role.Path, c.Unit)
	return err == nil && !lost && answer.Ran() && skipped, err
}
