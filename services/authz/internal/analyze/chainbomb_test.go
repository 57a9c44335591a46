package analyze

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestSec_T27_DefinitionBombs: however many definitions a message has, what analysis takes
// is paid for by the text's length and by work, which is limited. Memory is counted, which
// no other load on the machine changes, and time follows it.
func TestSec_T27_DefinitionBombs(t *testing.T) {
	const work = 2_000_000
	snap := fixture(t).index()
	for name, of := range definitionShapes {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{20_000, 100_000, 1 << 20} {
				text := of.text(size)
				got, spent, allocated := measured(text, snap, work)
				// The tree of a text and what is said of its statements takes some thirty bytes for
				// each of its own; a unit of work stands for 16 that are kept.
				if most := 5_000*len(text) + 100*min(spent, 2*work); allocated > most {
					t.Errorf("%d bytes: %d MiB for %d units of work, more than %d MiB", len(text), allocated>>20, spent, most>>20)
				}
				if size == 1<<20 && got.Outcome != access.Judge && got.Outcome != access.Refused && !of.deep {
					t.Errorf("%d bytes: %s %s", len(text), outcomeName(got.Outcome), got.Detail)
				}
			}
		})
	}
}

// measured analyses a text, and says what work was spent and memory allocated.
func measured(text string, snap *catalog.Snapshot, work int) (got access.Analysis, spent, allocated int) {
	in := Input{Text: []byte(text), Context: publicContext(), Limits: Limits{Work: work}}
	a := analyzer{literally: new(bool), in: in, snap: snap, limits: in.Limits.withDefaults()}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got = a.analysis(a.run())
	runtime.ReadMemStats(&after)
	return got, work - a.work, int(after.TotalAlloc - before.TotalAlloc) //nolint:gosec // G115: of a test.
}

// TestMigrationsPass: a large migration file, as people write them, stays far from the
// limits.
func TestMigrationsPass(t *testing.T) {
	var file strings.Builder
	for i := range 300 {
		fmt.Fprintf(&file, `
CREATE TABLE app.entity_%[1]d (
    id bigserial PRIMARY KEY,
    name varchar(200) NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'open', 'closed')),
    amount numeric(12, 2) NOT NULL DEFAULT 0 CHECK (amount >= 0),
    customer_id int REFERENCES customers (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, state)
);
CREATE INDEX ON app.entity_%[1]d (customer_id);
CREATE INDEX entity_%[1]d_lower ON app.entity_%[1]d (lower(name)) WHERE amount > 0;
ALTER TABLE app.entity_%[1]d ADD COLUMN updated_at timestamptz, ADD CHECK (updated_at > created_at);
COMMENT ON TABLE app.entity_%[1]d IS 'entity %[1]d';
CREATE VIEW app.open_%[1]d AS SELECT id, name, amount FROM app.entity_%[1]d WHERE state = 'open';
INSERT INTO app.entity_%[1]d (name, state) VALUES ('a', 'open'), ('b', 'new');
`, i)
	}
	file.WriteString("INSERT INTO orders (id, note) VALUES (0, 'x')")
	for i := range 10_000 {
		fmt.Fprintf(&file, ", (%d, 'x')", i)
	}
	got, spent, allocated := measured(file.String(), fixture(t).index(), defaultWork)
	t.Logf("%d bytes, %d statements: %d units of work, %d MiB", file.Len(), len(got.Statements), spent, allocated>>20)
	if got.Outcome != access.Judge || spent > defaultWork/2 {
		t.Errorf("%s %s after %d statements; %d units of work", outcomeName(got.Outcome), got.Detail, len(got.Statements), spent)
	}
}
