package oracle

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// utility writes a statement that is neither a query nor a plain write.
func (w *Writer) utility() string {
	table := one(w, w.relations(func(r Relation) bool { return r.Kind == access.Table }))
	if table == nil {
		return "SELECT 1"
	}
	name := w.relationName(table.Schema, table.Name)
	columns := ""
	if len(table.Columns) > 0 && w.chance(50) {
		columns = " (" + w.names(w.open(source{columns: table.Columns})) + ")"
	}
	switch w.random.IntN(32) {
	case 0, 1:
		return "COPY " + name + columns + " TO STDOUT" + w.pick("", " (FORMAT csv)", " WITH (HEADER, FORMAT csv)")
	case 2:
		return "COPY (" + w.query(nil, nil) + ") TO STDOUT"
	case 3:
		return w.copyFrom(*table, name)
	case 4, 5:
		return "LOCK " + w.pick("", "TABLE ", "TABLE ONLY ") + name + w.pick("", " IN ACCESS SHARE MODE", " IN ROW EXCLUSIVE MODE", " IN SHARE MODE", " IN ROW SHARE MODE")
	case 6, 7:
		return "TRUNCATE " + w.pick("", "TABLE ", "ONLY ") + name + w.pick("", " CASCADE", " RESTART IDENTITY", " CONTINUE IDENTITY RESTRICT")
	case 8, 9, 10:
		return "EXPLAIN " + w.pick("", "ANALYZE ", "(VERBOSE) ", "(COSTS off) ", "(ANALYZE, TIMING off, BUFFERS) ", "(FORMAT json) ") +
			w.pick(w.query(nil, nil), w.update(), w.insert(), w.remove())
	case 11, 12:
		if w.chance(25) {
			return "PREPARE p (int, text) AS SELECT $1, $2; " + w.pick("EXECUTE p (1, 'x')", "EXPLAIN EXECUTE p (1, 'x')", "EXECUTE p ((SELECT 1), "+w.expr("text", nil)+")", "CREATE TEMP TABLE e AS EXECUTE p (1, 'x')")
		}
		return "PREPARE p AS " + w.pick(w.query(nil, nil), w.update()) + "; EXECUTE p"
	case 13:
		return "DECLARE c " + w.pick("", "SCROLL ", "NO SCROLL ") + "CURSOR " + w.pick("", "WITH HOLD ") + "FOR " + w.query(nil, nil) + w.pick("; FETCH 1 FROM c", "; FETCH ALL c", "; CLOSE c", "")
	case 14:
		return w.setting()
	case 15:
		return "SHOW " + w.pick("work_mem", "search_path", "server_version", "TimeZone", "data_directory", "transaction_isolation")
	case 16:
		return "CREATE TEMP TABLE made AS " + w.query([]Column{{Name: "id", Family: "int"}, {Name: "x", Family: "text"}}, nil)
	case 17, 18:
		return w.procedureCall()
	case 19:
		return w.pick("LISTEN changes", "NOTIFY changes", "UNLISTEN *", "NOTIFY changes, 'x'")
	case 20:
		return w.pick("ANALYZE ", "REFRESH MATERIALIZED VIEW ", "REINDEX TABLE ", "CLUSTER ") + name
	case 21:
		return "SELECT id INTO TEMP made2 FROM " + name
	case 22:
		return "BEGIN; " + w.query(nil, nil) + w.pick("", "; SAVEPOINT s; "+w.remove()+"; ROLLBACK TO s")
	case 23:
		return w.query(nil, nil) + "; " + w.query(nil, nil) + w.pick("", ";")
	case 24, 25, 26, 27, 28:
		return w.definition(name)
	case 29:
		return w.several(name)
	case 30:
		return w.cursor()
	default:
		return w.pick("RESET ALL", "DEALLOCATE ALL", "CLOSE ALL", "RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT", "CHECKPOINT", "DO $$ BEGIN NULL; END $$", "SET ROLE postgres", "DISCARD PLANS",
			"SET TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED", "LOAD 'x'")
	}
}

// copyFrom is a COPY FROM STDIN, and sets the row that goes with it.
func (w *Writer) copyFrom(table Relation, name string) string {
	columns := slices.DeleteFunc(slices.Clone(table.Columns), func(c Column) bool { return c.Closed })
	list := ""
	if len(columns) == 0 || len(columns) < len(table.Columns) || w.chance(60) {
		columns = w.open(source{columns: table.Columns})
		list = " (" + w.names(columns) + ")"
	}
	values := make([]string, len(columns))
	for i, c := range columns {
		values[i] = copyValue(c)
	}
	csv := w.chance(30)
	if csv {
		w.data = strings.ReplaceAll(strings.Join(values, "|"), `\N`, "") + "\n"
		return "COPY " + name + list + " FROM STDIN (FORMAT csv, DELIMITER '|')"
	}
	w.data = strings.Join(values, "\t") + "\n"
	return "COPY " + name + list + " FROM STDIN" + w.pick("", "", " WHERE "+w.flatly(func() string { return w.expr("bool", []source{{name: quote(table.Name), columns: table.Columns}}) }))
}

// copyValue is a value of a column in the text format of COPY.
func copyValue(c Column) string {
	switch c.Family {
	case "int":
		return "77"
	case "num":
		return "1.5"
	case "text":
		return "a"
	case "bool":
		return "t"
	case "time":
		return "2021-05-01"
	case "jsonb":
		return `{"a": 1}`
	case "ints", "texts":
		return "{1,2}"
	case "range":
		return "[1,5)"
	default:
		return `\N`
	}
}

// several is a statement over several tables at once.
func (w *Writer) several(name string) string {
	other := name
	if rel := one(w, w.relations(func(r Relation) bool { return r.Kind == access.Table })); rel != nil {
		other = w.relationName(rel.Schema, rel.Name)
	}
	return w.pick("LOCK "+name+", "+other+" IN SHARE MODE", "LOCK TABLE "+name+" *, ONLY "+other+" IN ACCESS SHARE MODE NOWAIT", "TRUNCATE "+name+", "+other+" CASCADE",
		"ANALYZE "+name+", "+other, "VACUUM (ANALYZE) "+name, "REINDEX TABLE "+name, "COPY (TABLE "+name+") TO STDOUT", "TABLE "+name+" UNION ALL TABLE "+other,
		"COPY ("+w.update()+") TO STDOUT", "COPY ("+w.insert()+" RETURNING 1) TO STDOUT")
}

// cursor declares a cursor and moves in it, or runs what was prepared.
func (w *Writer) cursor() string {
	return w.pick("DECLARE c SCROLL CURSOR FOR "+w.query(nil, nil)+"; MOVE 1 IN c; FETCH BACKWARD 1 FROM c; CLOSE c", "DECLARE c INSENSITIVE CURSOR FOR "+w.query(nil, nil)+"; FETCH ABSOLUTE 1 c",
		"PREPARE p AS "+w.insert()+"; EXECUTE p", "PREPARE p AS "+w.remove()+"; EXPLAIN ANALYZE EXECUTE p; DEALLOCATE p", "PREPARE p (int) AS SELECT $1 + 1; SELECT 1; EXECUTE p("+w.expr("int", nil)+")",
		"EXPLAIN DECLARE c CURSOR FOR "+w.query(nil, nil), "EXPLAIN (ANALYZE, VERBOSE) "+w.query(nil, nil), "EXPLAIN "+w.merge())
}

func (w *Writer) setting() string {
	return w.pick("SET ", "SET LOCAL ", "SET SESSION ") + w.pick("work_mem = '4MB'", "search_path = public", "search_path = app, public", "search_path TO ''", "application_name = 'x'", "statement_timeout = 1000",
		"TimeZone = 'UTC'", "app.user = 'x'", "DateStyle = 'ISO'", "client_encoding = 'UTF8'", "standard_conforming_strings = on", "row_security = off", "session_replication_role = replica", "log_statement = 'all'")
}

func (w *Writer) procedureCall() string {
	var all []Routine
	for _, f := range w.model.Routines {
		if f.Kind == 'p' {
			all = append(all, f)
		}
	}
	if f := one(w, all); f != nil {
		if text, ok := w.call(*f, nil); ok {
			return "CALL " + text
		}
	}
	return "CALL nosuch()"
}

// spelling writes a text in another way that means the same.
func (w *Writer) spelling(sql string) string {
	tokens := Tokens(sql)
	var b strings.Builder
	for i, t := range tokens {
		word := t
		if isWord(t) && w.chance(25) {
			switch w.random.IntN(3) {
			case 0:
				word = strings.ToUpper(t)
			case 1:
				word = strings.ToUpper(t[:1]) + t[1:]
			}
		}
		if i > 0 {
			// A string after a line break would continue the one before it.
			switch {
			case strings.HasPrefix(t, "'"):
				b.WriteByte(' ')
			case w.chance(8):
				b.WriteString(w.pick("\n", "\t", " /* x */ ", " -- y\n", "/**/ /* /* n */ ; */", "\r\n"))
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString(word)
	}
	return b.String() + w.pick("", ";", " ; ", ";;")
}
