package oracle

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// told are the notices that a role with the grants of a comparison gets when the
// statement runs.
func (d *Database) told(ctx context.Context, c Comparison) ([]*pgconn.Notice, error) {
	asking, err := newSession(d.dsn, "", "")
	if err != nil {
		return nil, err
	}
	defer asking.close()
	var all []*pgconn.Notice
	asking.config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { all = append(all, n) }
	before := append(d.grantSQL(scratch, c.Role.Grants), "SET LOCAL SESSION AUTHORIZATION "+scratch)
	answer, lost, err := asking.rolledBack(ctx, c.Role.Path, c.Unit, before...)
	if err != nil || lost || !answer.Ran() {
		return nil, err
	}
	return all, nil
}

// skips proves Skipped.
func (d *Database) skips(ctx context.Context, c Comparison, _ *access.Access) (bool, error) {
	all, err := d.told(ctx, c)
	return slices.ContainsFunc(all, func(n *pgconn.Notice) bool {
		return n.SeverityUnlocalized == "NOTICE" && strings.HasSuffix(n.Message, ", skipping")
	}), err
}

// warns proves Warned: no privileges were granted or revoked (ExecGrant_Relation and its
// kin of aclchk.c), or a relation was passed over (vacuum_is_permitted_for_relation).
func (d *Database) warns(ctx context.Context, c Comparison, _ *access.Access) (bool, error) {
	all, err := d.told(ctx, c)
	return slices.ContainsFunc(all, func(n *pgconn.Notice) bool {
		return n.SeverityUnlocalized == "WARNING" && (n.Code == "01006" || n.Code == "01007" || strings.Contains(n.Message, "skipping"))
	}), err
}
