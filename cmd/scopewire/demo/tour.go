package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

// stop is one statement of the tour and what has to come of it.
type stop struct {
	// say is printed before the statement.
	say string
	sql string
	// sqlstate is empty when the statement is allowed.
	sqlstate string
	// tag is the command tag of an allowed statement.
	tag string
}

// leg is what one user does in one session.
type leg struct {
	user  string
	stops []stop
}

// tour is the scripted tour.
func tour() []leg {
	return []leg{
		{"alice", []stop{
			{"alice's token carries orders.read: an ordinary query works.", "SELECT id, status, total FROM orders ORDER BY id LIMIT 2", "", "SELECT 2"},
			{"Salaries are not in her scopes. The statement never reaches the database.", "SELECT name, salary FROM employees", "42501", ""},
			{"A table that does not exist looks the same: nothing leaks.", "SELECT * FROM board_minutes", "42501", ""},
			{"Of customers she may read names ...", "SELECT name FROM customers WHERE id = 1", "", "SELECT 1"},
			{"... but no addresses, however she asks.", "SELECT count(*) FROM customers WHERE email LIKE 'a%'", "42501", ""},
			{"Reading is not writing, and hiding the write in a CTE does not help.", "WITH gone AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM gone", "42501", ""},
			{"The session goes on working.", "SELECT count(*) FROM order_items", "", "SELECT 1"},
		}},
		{"bob", []stop{
			{"bob may write orders. A transaction:", "BEGIN", "", "BEGIN"},
			{"", "INSERT INTO orders (id, customer_id, total) VALUES (5, 2, 18.00)", "", "INSERT 0 1"},
			{"A denial inside it behaves as any error does: the transaction is aborted ...", "SELECT * FROM employees", "42501", ""},
			{"", "SELECT count(*) FROM orders", "25P02", ""},
			{"... and COMMIT rolls it back.", "COMMIT", "", "ROLLBACK"},
			{"Two statements in one message: one is denied, so neither runs.", "UPDATE orders SET status = 'lost'; TRUNCATE orders", "42501", ""},
			{"", "SELECT count(*) FROM orders WHERE status = 'lost'", "", "SELECT 1"},
		}},
		{"carol", []stop{
			{"carol, from HR, sees employees ...", "SELECT name FROM employees ORDER BY id", "", "SELECT 2"},
			{"... and no orders.", "SELECT * FROM orders", "42501", ""},
		}},
	}
}

// Tour runs the scripted tour and prints what was allowed and denied, and the
// audit event of the last denial. It returns an error when anything comes out
// otherwise than the script says.
func (w *World) Tour(ctx context.Context, out io.Writer) error {
	var wrong []error
	var last string
	for _, l := range tour() {
		ref, err := w.walk(ctx, out, l)
		if err != nil {
			wrong = append(wrong, err)
		}
		if ref != "" {
			last = ref
		}
	}
	if last == "" {
		return errors.Join(append(wrong, errors.New("the tour met no denial"))...)
	}
	fmt.Fprintf(out, "\nEvery denial is on record. The last one, as `%s audit show %s` prints it:\n\n", w.cfg.Program, last)
	if err := w.show(ctx, out, last); err != nil {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// walk runs one leg and returns the reference of its last denial.
func (w *World) walk(ctx context.Context, out io.Writer, l leg) (ref string, err error) {
	token, err := w.Token(l.user)
	if err != nil {
		return "", err
	}
	conn, err := w.connect(ctx, l.user, token)
	if err != nil {
		return "", fmt.Errorf("tour: log in as %s: %w", l.user, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var wrong []error
	for _, s := range l.stops {
		if s.say != "" {
			fmt.Fprintf(out, "\n%s\n", s.say)
		}
		fmt.Fprintf(out, "  %s=> %s\n", l.user, s.sql)
		tag, rows, pgErr, err := run(ctx, conn, s.sql)
		switch {
		case err != nil:
			return ref, fmt.Errorf("tour: %s: %w", s.sql, err)
		case pgErr != nil:
			fmt.Fprintf(out, "     ERROR %s: %s\n", pgErr.Code, pgErr.Message)
			if r, ok := strings.CutPrefix(pgErr.Detail, "Reference: "); ok {
				ref = r
				fmt.Fprintf(out, "     %s\n", pgErr.Detail)
			}
			if pgErr.Code != s.sqlstate {
				wrong = append(wrong, fmt.Errorf("tour: %s: got %s %s, want %q", s.sql, pgErr.Code, pgErr.Message, or(s.sqlstate, s.tag)))
			}
		default:
			for _, row := range rows {
				fmt.Fprintf(out, "     %s\n", row)
			}
			fmt.Fprintf(out, "     %s\n", tag)
			if tag != s.tag {
				wrong = append(wrong, fmt.Errorf("tour: %s: got %s, want %q", s.sql, tag, or(s.sqlstate, s.tag)))
			}
		}
	}
	return ref, errors.Join(wrong...)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// run sends one Query message. An error of the server's is returned apart.
func run(ctx context.Context, conn *pgx.Conn, sql string) (tag string, rows []string, pgErr *pgconn.PgError, err error) {
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if errors.As(err, &pgErr) {
		return "", nil, pgErr, nil
	}
	if err != nil {
		return "", nil, nil, err
	}
	for _, r := range results {
		tag = r.CommandTag.String()
		for _, row := range r.Rows {
			var cells []string
			for _, v := range row {
				cells = append(cells, string(v))
			}
			rows = append(rows, strings.Join(cells, " | "))
		}
	}
	return tag, rows, nil, nil
}

// show prints one event once the audit service has it. The proxy delivers events
// asynchronously, so it may take a moment.
func (w *World) show(ctx context.Context, out io.Writer, ref string) error {
	ev, err := w.Event(ctx, ref)
	if err != nil {
		return err
	}
	return w.render(out, ev)
}

// Event returns a recorded event by its reference, waiting for it as long as ctx
// allows.
func (w *World) Event(ctx context.Context, ref string) (*auditv1.StoredEvent, error) {
	return w.stack.Event(ctx, ref)
}
