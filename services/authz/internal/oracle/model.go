package oracle

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Model is what the writer knows of a database. It is read from the server by
// queries of its own, so that a mistake of the snapshot cannot hide itself.
type Model struct {
	Database  string
	Version   int
	Schemas   []string
	Relations []Relation
	Routines  []Routine
	Types     []Type
	// Keywords are the words that a name of their spelling must be quoted for.
	Keywords []string
}

// Relation is a table, view, materialized view, partitioned or foreign table, or a
// sequence.
type Relation struct {
	Schema, Name string
	// Relkind is pg_class.relkind.
	Relkind string
	Kind    access.Kind
	// System marks the catalogs.
	System  bool
	Columns []Column
	// Keys are the columns of its unique indexes, without expressions and
	// predicates; Constraints the names of its unique constraints.
	Keys        [][]string
	Constraints []string
	// Writable says that INSERT is possible: of views, those PostgreSQL updates.
	Writable bool
}

// Column is a column and what can be done with it.
type Column struct {
	Name string
	// Type is format_type's, under an empty search_path.
	Type string
	// Family groups types that expressions can mix: see families.
	Family string
	// Closed marks a column that cannot be assigned: generated ones.
	Closed bool
}

// Routine is a function, procedure or aggregate of the user's own.
type Routine struct {
	OID          catalog.OID
	Schema, Name string
	// Kind is prokind.
	Kind byte
	// ArgumentNames are the input types as format_type prints them, Families their
	// families.
	ArgumentNames []string
	Families      []string
	// ResultFamily is the family of what it returns, Set whether it returns many.
	ResultFamily string
	Set          bool
	// Outputs are the columns it returns in FROM; nil for one column.
	Outputs  []Column
	Defaults int
	Variadic bool
	// Parameters are the input parameters' names, empty where they have none.
	Parameters []string
}

// Type is a type of the user's own.
type Type struct {
	Schema, Name string
	Family       string
	// Labels are an enum's.
	Labels []string
	// Fields are a composite type's.
	Fields []Column
}

// familySQL gives the family of a type with the columns t of pg_type. Domains are
// of their base type's family.
const familySQL = `
CREATE FUNCTION pg_temp.family(oid) RETURNS text LANGUAGE sql STABLE AS $$
SELECT CASE
 WHEN t.typtype = 'd' THEN pg_temp.family(t.typbasetype)
 WHEN t.oid IN (20, 21, 23) THEN 'int'
 WHEN t.oid IN (700, 701, 1700) THEN 'num'
 WHEN t.oid IN (25, 1043, 1042, 19) THEN 'text'
 WHEN t.oid = 16 THEN 'bool'
 WHEN t.oid IN (1082, 1114, 1184) THEN 'time'
 WHEN t.oid = 3802 THEN 'jsonb'
 WHEN t.oid IN (1007, 1016) THEN 'ints'
 WHEN t.oid IN (1009, 1015) THEN 'texts'
 WHEN t.oid = 3904 THEN 'range'
 WHEN t.typtype = 'e' THEN 'enum:' || format_type(t.oid, NULL)
 WHEN t.typtype = 'c' THEN 'row:' || format_type(t.oid, NULL)
 WHEN t.oid = 2278 THEN 'void'
 ELSE 'other' END FROM pg_type t WHERE t.oid = $1 $$`

// modelSQL answers the whole model as one JSON document.
const modelSQL = `
SELECT jsonb_build_object(
 'Database', current_database(),
 'Version', current_setting('server_version_num')::int / 10000,
 'Keywords', (SELECT jsonb_agg(word ORDER BY word) FROM pg_get_keywords() WHERE catcode <> 'U'),
 'Schemas', (SELECT jsonb_agg(nspname ORDER BY oid) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
 'Relations', (SELECT coalesce(jsonb_agg(jsonb_build_object(
   'Schema', n.nspname, 'Name', c.relname, 'Relkind', c.relkind,
   'Kind', CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
   'Writable', CASE WHEN c.relkind = 'f' AND NOT EXISTS (SELECT 1 FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
      JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE f.ftrelid = c.oid AND w.fdwhandler <> 0) THEN false
      WHEN c.relkind IN ('v', 'f') THEN pg_relation_is_updatable(c.oid, true) & 8 <> 0 ELSE c.relkind IN ('r', 'p') END,
   'Columns', (SELECT coalesce(jsonb_agg(jsonb_build_object('Name', a.attname, 'Type', format_type(a.atttypid, a.atttypmod),
      'Family', pg_temp.family(a.atttypid), 'Closed', a.attgenerated <> '' OR a.attidentity = 'a') ORDER BY a.attnum), '[]')
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
   'Keys', (SELECT coalesce(jsonb_agg((SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)) ORDER BY i.indexrelid), '[]')
      FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL),
   'Constraints', (SELECT coalesce(jsonb_agg(k.conname ORDER BY k.oid), '[]') FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u')))
   ORDER BY c.oid), '[]')
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
 'Routines', (SELECT coalesce(jsonb_agg(jsonb_build_object(
   'OID', p.oid::bigint, 'Schema', n.nspname, 'Name', p.proname, 'Kind', ascii(p.prokind::text), 'Set', p.proretset, 'Defaults', p.pronargdefaults, 'Variadic', p.provariadic <> 0,
   'ArgumentNames', (SELECT coalesce(jsonb_agg(format_type(t, NULL) ORDER BY o), '[]') FROM unnest(p.proargtypes) WITH ORDINALITY u (t, o)),
   'Families', (SELECT coalesce(jsonb_agg(pg_temp.family(t) ORDER BY o), '[]') FROM unnest(p.proargtypes) WITH ORDINALITY u (t, o)),
   'Parameters', (SELECT coalesce(jsonb_agg(u.name ORDER BY o), '[]') FROM unnest(p.proargnames, p.proargmodes) WITH ORDINALITY u (name, mode, o)
      WHERE coalesce(u.mode, 'i') IN ('i', 'b', 'v')),
   'ResultFamily', pg_temp.family(p.prorettype),
   'Outputs', (SELECT jsonb_agg(jsonb_build_object('Name', u.name, 'Family', pg_temp.family(u.t), 'Type', format_type(u.t, NULL)) ORDER BY o)
      FROM unnest(p.proallargtypes, p.proargmodes, p.proargnames) WITH ORDINALITY u (t, mode, name, o) WHERE mode IN ('o', 'b', 't')))
   ORDER BY p.oid), '[]')
   FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
   WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND p.prorettype NOT IN (2279, 3838)),
 'Types', (SELECT coalesce(jsonb_agg(jsonb_build_object(
   'Schema', n.nspname, 'Name', t.typname, 'Family', CASE t.typtype WHEN 'd' THEN 'domain' ELSE pg_temp.family(t.oid) END,
   'Labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
   'Fields', (SELECT jsonb_agg(jsonb_build_object('Name', a.attname, 'Type', format_type(a.atttypid, a.atttypmod), 'Family', pg_temp.family(a.atttypid)) ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'c'))
   ORDER BY t.oid), '[]')
   FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
   WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typtype IN ('e', 'd', 'c', 'r') AND (c.oid IS NULL OR c.relkind = 'c')))`

// readModel reads the model of the database behind a connection.
func readModel(ctx context.Context, conn *pgconn.PgConn) (*Model, error) {
	results, err := conn.Exec(ctx, "BEGIN; SELECT set_config('search_path', '', true); "+familySQL+"; "+modelSQL+"; ROLLBACK").ReadAll()
	if err != nil {
		_, _ = conn.Exec(ctx, "ROLLBACK").ReadAll() // The first error is the one to tell.
		return nil, fmt.Errorf("read the model: %w", err)
	}
	last := results[len(results)-2]
	if len(last.Rows) != 1 {
		return nil, fmt.Errorf("read the model: %d rows", len(last.Rows))
	}
	var m Model
	if err := json.Unmarshal(last.Rows[0][0], &m); err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	return &m, nil
}
