package oracle

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/fingerprint/printtest"
	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/analyze"
)

// TestSec_T22_PairsAtTheServer: what PostgreSQL itself makes of a statement from whose
// literals analysis has taken nothing, it makes of others with its fingerprint: the same
// columns of the same types from the same relations, the same parameters, or the same error.
func TestSec_T22_PairsAtTheServer(t *testing.T) {
	t.Logf("seed %d", *seed)
	server := pgtest.Start(t)
	pairs, texts := 0, 0
	for world := 0; pairs < *pairRuns && !t.Failed(); world++ {
		p, n, err := preparedWorld(t, server, world, min(pairsPerWorld, *pairRuns-pairs))
		if err != nil {
			t.Fatalf("world %d: %v", world, err)
		}
		pairs, texts = pairs+p, texts+n
	}
	t.Logf("%d pairs of %d statements", pairs, texts)
}

// column is what the server says of a column of a result.
type column struct {
	Name        string
	Table, Type uint32
	Number      uint16
	Modifier    int32
}

// prepared is what the server makes of a text: an SQLSTATE, or a description.
type prepared struct {
	State string
	// value says that an error is about the values of literals: what a statement is does not
	// hang on them.
	value      bool
	Parameters []uint32
	Columns    []column
}

// invalid reports whether an error is about the values of literals, so that nothing is read:
// class 22, and those types which call it a syntax error of their own (jsonpath_scan.l,
// tsquery.c); and where two expressions would have to be equal, their literals included: what is
// grouped by (parse_agg.c), and what DISTINCT is ordered by (parse_clause.c).
func invalid(err *pgconn.PgError) bool {
	return strings.HasPrefix(err.Code, "22") || err.Code == "42803" || err.Code == "42P10" || err.Code == "42601" && (strings.HasSuffix(err.Message, "jsonpath input") || strings.Contains(err.Message, "in tsquery: "))
}

func prepare(ctx context.Context, conn *pgconn.PgConn, text string) (prepared, error) {
	d, err := conn.Prepare(ctx, "", text, nil)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused):
		return prepared{State: refused.Code, value: invalid(refused)}, nil
	case err != nil:
		return prepared{}, err
	}
	p := prepared{Parameters: d.ParamOIDs}
	for _, f := range d.Fields {
		p.Columns = append(p.Columns, column{f.Name, f.TableOID, f.DataTypeOID, f.TableAttributeNumber, f.TypeModifier})
	}
	return p, nil
}

// preparedWorld compares so many pairs over one world.
func preparedWorld(t *testing.T, server *pgboot.Server, number, want int) (pairs, texts int, err error) {
	t.Helper()
	ctx := context.Background()
	random := rand.New(rand.NewPCG(*seed, uint64(number)<<32+23)) //nolint:gosec // G404: repeatable, not secret.
	dsn := server.ConnString(pgtest.NewDatabaseOn(t, server, ""))
	d, err := Open(ctx, dsn, World(random))
	if err != nil {
		return 0, 0, err
	}
	defer d.Close(ctx)
	const path = `"Hr", app, public`
	j, err := newJudge(d.Snapshot, path, "postgres", nil)
	if err != nil {
		return 0, 0, err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "SET search_path = "+path); err != nil {
		return 0, 0, err
	}
	for pairs < want && !t.Failed() {
		u := NewWriter(random, d.Model, path).Unit()
		base := analyze.Analyze(analyze.Input{Text: []byte(u.SQL), Parse: true, Context: j.context}, j.snap)
		if base.Outcome != access.Judge || base.Literal || len(base.Statements) != 1 || !slices.Contains(keptKinds, base.Statements[0].Kind) {
			continue
		}
		first, err := prepare(ctx, conn.PgConn(), u.SQL)
		if err != nil {
			return pairs, texts, err
		}
		texts++
		for range pairsPerText {
			other, ok := printtest.Vary(random.IntN, []byte(u.SQL))
			if !ok || first.value {
				break
			}
			got, err := prepare(ctx, conn.PgConn(), string(other))
			if err != nil {
				return pairs, texts, err
			}
			pairs++
			if diff := cmp.Diff(first, got, cmpopts.IgnoreUnexported(prepared{})); diff != "" && !got.value {
				t.Errorf("%s\n%s\nhave one fingerprint, and PostgreSQL makes of them:\n%s", u.SQL, other, diff)
				break
			}
		}
	}
	return pairs, texts, nil
}
