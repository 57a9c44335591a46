package session

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/pgerr"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
	"github.com/scopewire/scopewire/services/proxy/internal/wire"
)

// question is asked of the server on the proxy's own account, in the extended
// protocol: a simple Query would drop the client's unnamed statement, and in a
// pipeline commit its implicit transaction. The backend goroutine fills it in.
type question struct {
	// piped says that it is asked inside the client's pipeline, where an error is the
	// client's as well.
	piped bool
	// limit bounds the answer, in bytes; 0 is none.
	limit int

	mu sync.Mutex
	// rows are the first columns of what came.
	rows []string
	err  error
}

func (q *question) add(value string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.limit > 0 && len(value) > q.limit {
		if q.err == nil {
			q.err = errOversize
		}
		return
	}
	q.rows = append(q.rows, value)
}

func (q *question) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
}

func (q *question) result() ([]string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rows, q.err
}

// leftovers lists what code can leave in the session: what its temporary schema holds, by
// its OID and that of the relation it is part of, or its own; prepared statements and
// cursors, each with a letter before it and the names with the digest of their text; and x
// when the transaction has written anything. Names are qualified, because the path may be
// anything.
const leftovers = `SELECT 't' OPERATOR(pg_catalog.||) c.oid::pg_catalog.text OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) COALESCE(
	(SELECT i.indrelid FROM pg_catalog.pg_index AS i WHERE i.indexrelid OPERATOR(pg_catalog.=) c.oid),
	(SELECT pg_catalog.min(d.refobjid::pg_catalog.int8)::pg_catalog.oid FROM pg_catalog.pg_depend AS d WHERE c.relkind OPERATOR(pg_catalog.=) 'S' AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
		AND d.objid OPERATOR(pg_catalog.=) c.oid AND d.refclassid OPERATOR(pg_catalog.=) d.classid AND d.refobjsubid OPERATOR(pg_catalog.<>) 0),
	c.oid)::pg_catalog.text OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c
WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0
UNION ALL SELECT 't' OPERATOR(pg_catalog.||) t.oid::pg_catalog.text OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) COALESCE(CASE WHEN t.typrelid OPERATOR(pg_catalog.<>) 0 THEN t.typrelid END,
	(SELECT e.typrelid FROM pg_catalog.pg_type AS e WHERE e.typarray OPERATOR(pg_catalog.=) t.oid AND e.typrelid OPERATOR(pg_catalog.<>) 0),
	t.oid)::pg_catalog.text OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) t.typname::pg_catalog.text FROM pg_catalog.pg_type AS t
WHERE t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0
UNION ALL SELECT 't' OPERATOR(pg_catalog.||) f.oid::pg_catalog.text OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) f.oid::pg_catalog.text OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) f.proname::pg_catalog.text FROM pg_catalog.pg_proc AS f
WHERE f.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0
UNION ALL SELECT 'x' WHERE pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL
UNION ALL SELECT 'S' OPERATOR(pg_catalog.||) pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(s.statement, 'UTF8')), 'hex') OPERATOR(pg_catalog.||) s.name
FROM pg_catalog.pg_prepared_statements AS s
UNION ALL SELECT 'P' OPERATOR(pg_catalog.||) pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p.statement, 'UTF8')), 'hex') OPERATOR(pg_catalog.||) p.name
FROM pg_catalog.pg_cursors AS p`

// learn asks the server for the context. SHOW takes no snapshot, so that it can go
// before a client's SET TRANSACTION; what code leaves is asked for only after code
// that has run, and has taken one.
func (s *Session) learn(idle bool) (drop bool, trouble, err error) {
	names := followed(s.around.context)
	asked := make([]*question, 0, len(names)+1)
	for _, name := range names {
		asked = append(asked, &question{piped: s.piped})
		if err := s.ask(asked[len(asked)-1], "SHOW "+name); err != nil {
			return false, nil, err
		}
	}
	var left *question
	catalog := s.catalogEpoch()
	if s.around.own.list {
		left = &question{piped: s.piped}
		asked = append(asked, left)
		if err := s.ask(left, leftovers); err != nil {
			return false, nil, err
		}
	}
	if skipping, err := s.asked(); err != nil || skipping {
		return skipping, nil, err
	}
	values := map[string]string{}
	for i, name := range names {
		rows, err := asked[i].result()
		if err != nil || len(rows) != 1 {
			return false, fmt.Errorf("the session's context cannot be learned: setting %s: %d values, %w", name, len(rows), errors.Join(err)), nil
		}
		values[name] = rows[0]
	}
	s.around.take(values)
	if left != nil {
		rows, err := left.result()
		if err == nil {
			err = s.takeLeftovers(rows, idle)
		}
		if err != nil {
			return false, fmt.Errorf("what code has left in the session cannot be learned: %w", err), nil
		}
		s.around.own.catalog = catalog
	}
	return false, nil, nil
}

// nameless reports whether statements mean the same in every context: what ends a
// transaction, or takes the session back to where it started, goes on where the context
// cannot be learned, and may be what helps.
func nameless(statements []*authzv1.Statement) bool {
	for _, st := range statements {
		switch st.GetKind() {
		case "commit", "rollback", "rollback to", "reset", "deallocate", "close", "unlisten", "discard all", "discard plans", "discard sequences", "discard temp":
		case "set":
			if slices.ContainsFunc(st.GetEffects(), func(e *authzv1.Effect) bool {
				return e.GetKind() != authzv1.EffectKind_EFFECT_KIND_REFRESH && (e.GetName() == "" || e.GetName() == settingPath)
			}) {
				return false
			}
		default:
			return false
		}
	}
	return len(statements) > 0
}

// asked waits for the answers to all that was asked. skipping says that an error has
// been told to the client, and its pipeline is skipped.
func (s *Session) asked() (skipping bool, err error) {
	end := byte(wire.Flush)
	if !s.piped {
		end = wire.Sync
		if err := s.names.Push(&op{Kind: stmt.Sync, Injected: true, Attachment: &question{}}); err != nil {
			return false, err
		}
	}
	s.names.Asked()
	if _, err := s.toServer.Write(wire.AppendBare(nil, end)); err != nil {
		return false, err
	}
	if err := s.flushServer(); err != nil {
		return false, err
	}
	skipping, err = s.names.Settle()
	s.skipping = s.skipping || skipping && err == nil
	return skipping, err
}

// ask sends a question, to be answered after the next Flush or Sync.
func (s *Session) ask(q *question, text string) error {
	name := s.marker + "_q"
	// One that failed has left its statement behind.
	b := wire.AppendClose(nil, byte(stmt.Statements), name)
	b = wire.AppendParse(b, name, text)
	b = wire.AppendBind(b, name, name)
	b = wire.AppendExecute(b, name)
	b = wire.AppendClose(b, byte(stmt.Portals), name)
	b = wire.AppendClose(b, byte(stmt.Statements), name)
	for _, o := range []*op{
		{Kind: stmt.Close, Space: stmt.Statements, Name: name}, {Kind: stmt.Parse, Space: stmt.Statements, Name: name}, {Kind: stmt.Bind, Space: stmt.Portals, Name: name}, {Kind: stmt.Execute},
		{Kind: stmt.Close, Space: stmt.Portals, Name: name}, {Kind: stmt.Close, Space: stmt.Statements, Name: name},
	} {
		o.Injected, o.Attachment = true, q
		if err := s.names.Push(o); err != nil {
			return err
		}
	}
	_, err := s.toServer.Write(b)
	return err
}

// injected returns the question that the next answer belongs to, nil for none.
func (s *Session) injected() *question {
	if o := s.names.Front(); o != nil && o.Injected {
		if q, ok := o.Attachment.(*question); ok {
			return q
		}
	}
	return nil
}

// answerQuestion takes an answer that is the proxy's own. The client hears of it only
// when it is an error inside its own pipeline.
func (s *Session) answerQuestion(q *question, it wire.Item) error {
	switch it.Type {
	case wire.DataRow:
		var row pgproto3.DataRow
		if err := row.Decode(it.Body); err != nil || len(row.Values) != 1 {
			return fmt.Errorf("%w: an answer to the proxy's own question", wire.ErrMalformed)
		}
		q.add(string(row.Values[0]))
	case wire.ErrorResponse:
		f, ok := pgerr.Decode(it.Body)
		if !ok {
			return fmt.Errorf("%w: error response", wire.ErrMalformed)
		}
		if f.Severity == "FATAL" || f.Severity == "PANIC" {
			if err := s.send(pgerr.Closed(f)); err != nil {
				return err
			}
			return errServerClosed
		}
		q.fail(fmt.Errorf("the server answers %s", f.SQLState))
		if q.piped {
			if err := s.send(pgerr.Closed(f)); err != nil {
				return err
			}
		}
	case wire.ReadyForQuery:
		if len(it.Body) != 1 {
			return fmt.Errorf("%w: ReadyForQuery", wire.ErrMalformed)
		}
		_, _, err := s.names.Answer(wire.ReadyForQuery, it.Body[0])
		if err == nil && s.names.InFlight() == 0 {
			s.tx.ready(it.Body[0])
		}
		return err
	}
	_, _, err := s.names.Answer(it.Type, 0)
	return err
}
