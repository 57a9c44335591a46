package oracle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// statementLimit is the longest a statement may take, in the server and with it.
const statementLimit = 3 * time.Second

// Answer is what the server said of a statement.
type Answer struct {
	// State is the SQLSTATE, empty when it ran.
	State   string
	Message string
	// Where is the error's context: the functions it came through.
	Where string
	// Position counts characters from 1; 0 is none.
	Position int
}

// Refused reports whether PostgreSQL's check of privileges said no.
func (a Answer) Refused() bool {
	return a.State == "42501" && !rowSecurityMessage.MatchString(a.Message)
}

// rowSecurityMessage is the message of a check on rows that shares the SQLSTATE
// (ExecWithCheckOptions of execMain.c).
var rowSecurityMessage = regexp.MustCompile(`violates row-level security policy`)

// busy reports whether a lock or the time was not to be had.
func (a Answer) busy() bool { return a.State == "55P03" || a.State == "57014" || a.State == "40P01" }

// Ran reports whether the statement ran to its end, so that every check of
// privileges was passed.
func (a Answer) Ran() bool { return a.State == "" }

// Unbound reports whether a name of the statement means nothing.
func (a Answer) Unbound() bool {
	switch a.State {
	case "42P01", "42703", "42704", "3F000", "42P02":
		// An error that comes out of a running function is about a name in its body, or in
		// its arguments.
		return a.Where == "" && !noEncoding.MatchString(a.Message) && !noIndex.MatchString(a.Message) && !byNumber.MatchString(a.Message)
	case "42883":
		// An operator is missing for its operands' types, not by its name.
		return a.Where == "" && missingFunction.MatchString(a.Message) && !byNumber.MatchString(a.Message)
	}
	return false
}

// byNumber is a message about what no text has named (pg_proc_aclmask of aclchk.c).
var byNumber = regexp.MustCompile(`^\w+ with OID \d+ does not exist$`)

// noEncoding is a message about an argument of to_ascii, which nobody is granted
// (to_ascii_encname of ascii.c).
var noEncoding = regexp.MustCompile(` is not a valid encoding name$`)

// noIndex is a message about what a table or domain lacks, under the SQLSTATE of a missing
// name (cluster of cluster.c, transformFkeyGetPrimaryKey of tablecmds.c, get_relation_constraint_oid
// and its kin): to whom changing it is granted.
var noIndex = regexp.MustCompile(`^there is no (previously clustered index|primary key) for |^(constraint|trigger|rule|policy) ".*" (of|for) (relation|table|domain) |^relation ".*" is not a (parent|partition) of relation `)

// missingFunction is the message about a function, procedure or aggregate
// (ParseFuncOrColumn of parse_func.c).
var missingFunction = regexp.MustCompile(`^(function|procedure|aggregate) .* does not exist`)

// Unit is what a client sends at once.
type Unit struct {
	SQL string
	// Parse sends it as a Parse message, with these arguments for its parameters, whose types
	// are left to the server.
	Parse bool
	Args  []string
	// Data are the rows that a COPY FROM STDIN gets.
	Data string
}

// String is the text, and the arguments if there are any.
func (u Unit) String() string {
	switch {
	case u.Parse:
		return fmt.Sprintf("%s  -- parsed, with %q", u.SQL, u.Args)
	case u.Data != "":
		return fmt.Sprintf("%s  -- with %q", u.SQL, u.Data)
	default:
		return u.SQL
	}
}

func (u Unit) arguments() [][]byte {
	args := make([][]byte, len(u.Args))
	for i, a := range u.Args {
		args[i] = []byte(a)
	}
	return args
}

// session is a connection as one role; it is opened again when it breaks.
type session struct {
	config *pgconn.Config
	conn   *pgconn.PgConn
	// files lets COPY read files of the client's.
	files bool
	// limit bounds a statement; 0 is statementLimit.
	limit time.Duration
}

// newSession prepares a session; nothing is dialled yet.
func newSession(dsn, user, password string) (*session, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if user != "" {
		cfg.User, cfg.Password = user, password
	}
	cfg.RuntimeParams["statement_timeout"] = fmt.Sprint(statementLimit.Milliseconds() / 2)
	cfg.RuntimeParams["lock_timeout"] = "500"
	return &session{config: cfg}, nil
}

func (s *session) close() {
	if s.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
		defer cancel()
		_ = s.conn.Close(ctx) // Whatever it says, the session is over.
		s.conn = nil
	}
}

// open dials when there is no connection that works.
func (s *session) open(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	conn, err := pgconn.ConnectConfig(ctx, s.config)
	if err != nil {
		return fmt.Errorf("connect as %s: %w", s.config.User, err)
	}
	s.conn = conn
	return nil
}

// exec runs one text as a Query.
func (s *session) exec(ctx context.Context, sql string) (Answer, error) {
	return s.send(ctx, Unit{SQL: sql})
}

// send runs one unit and returns the server's answer. The error is one of the
// connection's.
func (s *session) send(ctx context.Context, u Unit) (Answer, error) {
	sql := u.SQL
	if err := s.open(ctx); err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.limit, statementLimit))
	defer cancel()
	var err error
	switch file := copyFile.FindStringSubmatch(sql); {
	case u.Parse:
		_, err = s.conn.ExecParams(ctx, sql, u.arguments(), nil, nil, nil).Close()
	case copyIn.MatchString(sql):
		_, err = s.conn.CopyFrom(ctx, strings.NewReader(u.Data), sql)
	case file != nil && s.files:
		// The server's account may not read it, and need not.
		var data []byte
		if data, err = os.ReadFile(file[2]); err == nil {
			_, err = s.conn.CopyFrom(ctx, bytes.NewReader(data), file[1]+" FROM STDIN")
		}
	default:
		_, err = s.conn.Exec(ctx, sql).ReadAll()
	}
	var e *pgconn.PgError
	switch {
	case err == nil:
		return Answer{}, nil
	case errors.As(err, &e):
		return Answer{State: e.Code, Message: e.Message, Where: e.Where, Position: int(e.Position)}, nil
	default:
		return Answer{}, err
	}
}

// copyFile matches a COPY of a whole table from a file.
var copyFile = regexp.MustCompile(`(?is)^\s*(copy\s+\S+)\s+from\s+'([^']+)'\s*$`)

// copyIn matches a statement that would wait for data from the client.
var copyIn = regexp.MustCompile(`(?is)^\s*copy\b[^;]*\bfrom\s+std(in|out)\b[^;]*;?\s*$`)

// rolledBack runs a text in a transaction that is rolled back, under a
// search_path and after further texts. lost reports that the connection did not survive it, in which case there
// is no answer.
func (s *session) rolledBack(ctx context.Context, path string, u Unit, before ...string) (answer Answer, lost bool, err error) {
	return s.rolledBackAfter(ctx, path, u, before, func() error { return nil })
}

// rolledBackAfter is rolledBack that looks at what a text did which ran.
func (s *session) rolledBackAfter(ctx context.Context, path string, u Unit, before []string, look func() error) (answer Answer, lost bool, err error) {
	setPath := "SELECT pg_catalog.set_config('search_path', '" + strings.ReplaceAll(path, "'", "''") + "', true)"
	begin := strings.Join(append([]string{"BEGIN", setPath}, before...), ";\n")
	if first, err := s.exec(ctx, begin); err != nil || !first.Ran() {
		s.close()
		if first.busy() {
			return Answer{}, true, nil
		}
		return Answer{}, true, errors.Join(err, stateError(first))
	}
	if answer, err = s.send(ctx, u); err == nil && answer.Ran() {
		err = look()
	}
	if err == nil {
		var after Answer
		if after, err = s.exec(ctx, "ROLLBACK"); err == nil && !after.Ran() {
			err = stateError(after)
		}
	}
	// Prepared statements, cursors WITH HOLD, locks and channels outlive it.
	if err == nil {
		_, err = s.exec(ctx, "DISCARD ALL")
	}
	if err != nil {
		s.close()
	}
	return answer, err != nil, nil
}

// beyondGrants matches texts that are about who the session is: what they may do
// depends on more than the grants of the moment.
var beyondGrants = regexp.MustCompile(`(?i)\b(authorization|role|discard)\b|(^|;)\W*reset\s+all\b`)

func stateError(a Answer) error {
	if a.Ran() {
		return nil
	}
	return fmt.Errorf("the server answered %s: %s", a.State, a.Message)
}

// wrapped matches what stands before a query in a statement that holds one.
var wrapped = regexp.MustCompile(`(?is)^\s*(?:EXPLAIN\s*(?:\([^)]*\)|ANALYZE|VERBOSE)?\s*|COPY\s*\(\s*|DECLARE\s+\S+\s+(?:(?:NO\s+)?SCROLL\s+|(?:IN|A)SENSITIVE\s+)?CURSOR\s+(?:WITH\s+HOLD\s+)?FOR\s+|PREPARE\s+\S+\s+AS\s+|` +
	`CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP\s+)?(?:TABLE|VIEW|MATERIALIZED\s+VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:"[^"]*"|[^\s."]+)(?:\s*\.\s*(?:"[^"]*"|[^\s."]+))?\s+(?:WITH\s*\([^)]*\)\s+)?AS\s+)`)

// storing matches what has a SELECT make a table of its rows.
var storing = regexp.MustCompile(`(?is)^(\s*SELECT\b[^()]*?)\bINTO\s+(?:TEMP\s+)?\S+`)

// copied matches what stands behind the query of a COPY.
var copied = regexp.MustCompile(`(?is)\)\s*TO\s+STDOUT.*$`)

// planned matches what has a plan.
var planned = regexp.MustCompile(`(?is)^[\s(]*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE)\b`)

// queries are the queries of a text, without what they are wrapped in.
func queries(sql string) []string {
	var all []string
	for _, statement := range Script(uncommented(sql)) {
		for at := wrapped.FindStringIndex(statement); at != nil; at = wrapped.FindStringIndex(statement) {
			statement = copied.ReplaceAllString(statement[at[1]:], "")
		}
		if planned.MatchString(statement) {
			all = append(all, storing.ReplaceAllString(statement, "$1"))
		}
	}
	return all
}

// uncommented is a text with a space in place of each comment and blank.
func uncommented(sql string) string {
	var out strings.Builder
	for start := 0; start < len(sql); {
		end, blank := next(sql, start)
		if blank {
			out.WriteByte(' ')
		} else {
			out.WriteString(sql[start:end])
		}
		start = end
	}
	return out.String()
}

// show is the value of a setting.
func (s *session) show(ctx context.Context, setting string) (string, error) {
	values, err := s.row(ctx, "SHOW "+setting)
	if err != nil {
		return "", err
	}
	return values[0], nil
}

// output are the values of the rows that a unit returns, one after the other.
func (s *session) output(ctx context.Context, u Unit) ([]string, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	var results []*pgconn.Result
	var err error
	if u.Parse {
		one := s.conn.ExecParams(ctx, u.SQL, u.arguments(), nil, nil, nil).Read()
		results, err = []*pgconn.Result{one}, one.Err
	} else {
		results, err = s.conn.Exec(ctx, u.SQL).ReadAll()
	}
	var all []string
	for _, r := range results {
		for _, row := range r.Rows {
			for _, v := range row {
				all = append(all, string(v))
			}
		}
	}
	return all, err
}

// row are the values of the one row that a query returns.
func (s *session) row(ctx context.Context, sql string) ([]string, error) {
	rows, err := s.rows(ctx, sql)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("%s: not one row", sql)
	}
	return rows[0], nil
}

// rows are the values of the rows that a query returns.
func (s *session) rows(ctx context.Context, sql string) ([][]string, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	results, err := s.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("%s: not one query", sql)
	}
	var rows [][]string
	for _, row := range results[0].Rows {
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = string(v)
		}
		rows = append(rows, values)
	}
	return rows, nil
}
