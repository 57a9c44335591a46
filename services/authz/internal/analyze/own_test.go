package analyze

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/probe"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestOwnObjects judges texts in sessions that have objects of their own, temporary
// or of an open transaction: each case's session is run against a real server, whose
// answer is laid over the catalog that others see.
func TestOwnObjects(t *testing.T) {
	schema, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	dsn := pgtest.NewDatabase(t, string(schema))
	base := readSnapshot(t, dsn)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for i, want := range readCases(t, "own.yaml") {
		if !want.reads(base.ServerVersionNum) {
			continue
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.Background()) }()
			if _, err := tx.Exec(t.Context(), want.Session); err != nil {
				t.Fatal(err)
			}
			var answer string
			if err := tx.QueryRow(t.Context(), probe.Query(probe.Session, "", ""), pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
				t.Fatal(err)
			}
			seen, err := catalog.DescribeSession([]byte(answer))
			if err != nil {
				t.Fatal(err)
			}
			over, err := seen.Over(base, true)
			if err != nil {
				t.Fatal(err)
			}
			in := want.input()
			in.Context.Role, in.Context.ServerVersionNum = conn.Config().User, base.ServerVersionNum
			got := want.observed(Analyze(in, over))
			got.Session = want.Session
			for j, text := range got.Accesses {
				got.Accesses[j] = strings.ReplaceAll(text, base.Database, "app")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n(-want +got)\n%s", want.SQL, diff)
			}
		})
	}
}
