package snapshotter

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// pulse tells whether the server can have changed at all: while it stays the
// same, no transaction that wrote anything has ended in any database, and the
// server has read no configuration. See the package comment.
type pulse struct {
	// snapshot is the moment's snapshot, xmin:xmax:running, or in recovery the
	// position up to which the log has been replayed.
	snapshot string
	recovery bool
	// loaded is when this session has last read the configuration files.
	loaded string
}

const queryPulse = `
SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text, pg_catalog.pg_is_in_recovery(),
	CASE WHEN pg_catalog.pg_is_in_recovery() THEN COALESCE(pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text, '') ELSE '' END,
	pg_catalog.pg_conf_load_time()::pg_catalog.text`

// readPulse takes the pulse, outside of any transaction, and the base of a catalog
// that is read from then on.
func readPulse(ctx context.Context, s *session) (pulse, base, error) {
	var p pulse
	var replayed string
	if err := s.QueryRow(ctx, queryPulse).Scan(&p.snapshot, &p.recovery, &replayed, &p.loaded); err != nil {
		return pulse{}, 0, fmt.Errorf("take the pulse: %w", err)
	}
	oldest, _, _ := strings.Cut(p.snapshot, ":")
	xmin, err := strconv.ParseUint(oldest, 10, 64)
	if err != nil {
		return pulse{}, 0, fmt.Errorf("take the pulse: snapshot %q: %w", p.snapshot, err)
	}
	if p.recovery {
		// A standby does not list what is running on its primary.
		p.snapshot = replayed
	}
	return p, base(xmin), nil
}
