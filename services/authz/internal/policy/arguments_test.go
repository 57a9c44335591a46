package policy

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestSpellingsOfTypes: every way to write a type is one as format_type prints it.
func TestSpellingsOfTypes(t *testing.T) {
	for in, want := range map[string]string{
		"int4": "integer", "INT": "integer", "pg_catalog.int4": "integer", `"pg_catalog"."int4"`: "integer", "_int4": "integer[]", "pg_catalog._int4": "integer[]",
		"int4[]": "integer[]", "int[][]": "integer[]", "_int4[]": "integer[]", "int2vector": "int2vector",
		`"char"`: `"char"`, `pg_catalog."char"`: `"char"`, "char": "character", "nchar": "character", "bpchar": "character", `"char"[]`: `"char"[]`, "pg_catalog._char": `"char"[]`,
		"national character varying": "character varying", "nchar varying": "character varying", "timestamp  with  time zone": "timestamp with time zone",
		"pg_catalog.timestamptz": "timestamp with time zone", "timetz": "time with time zone", "float": "double precision", "dec": "numeric",
		"any": "any", "anyelement": "anyelement", "record": "record", "refcursor": "refcursor", "tstzmultirange": "tstzmultirange", "pg_class": "pg_class",
		`app."Mixed"`: `app."Mixed"`, "app.color[]": "app.color[]", "APP.Color": "app.color", "app.pg_catalog": "app.pg_catalog",

		"intger": "", "color": "", `"Mixed"`: "", "IN integer": "", "VARIADIC text[]": "", "OUT x integer": "", "x integer": "",
		"integer DEFAULT 1": "", "setof integer": "", "integer array": "", "varchar(10)": "", "a.b.c": "", "app.color.x": "", "": "", "*": "", `"int4`: "",
	} {
		got, err := parseArguments("text, " + in)
		if want == "" {
			if err == nil {
				t.Errorf("%q is read as %q", in, got)
			}
			continue
		}
		if diff := cmp.Diff([]string{"text", want}, got); err != nil || diff != "" {
			t.Errorf("%q: %v %s", in, err, diff)
		}
		if !sameArguments([]string{want}, []string{want}) {
			t.Errorf("%q is not itself", want)
		}
	}
}

// TestTypesOfTheServer: every type that the server prints without a schema can be
// written, and means itself.
func TestTypesOfTheServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, pgtest.NewDatabase(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, `SELECT format_type(oid, NULL), typname FROM pg_catalog.pg_type
		WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'p', 'r', 'm')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var printed, name string
		if err := rows.Scan(&printed, &name); err != nil {
			t.Fatal(err)
		}
		if printed == "-" || strings.Contains(printed, `"any"`) {
			printed = strings.Trim(printed, `"`)
		}
		n++
		for _, spelling := range []string{printed, `pg_catalog."` + name + `"`} {
			if got, err := parseArguments(spelling); err != nil || !slices.Equal(got, []string{printed}) {
				t.Errorf("%s: %q, %v, want %q", spelling, got, err, printed)
			}
		}
	}
	if err := rows.Err(); err != nil || n < 150 {
		t.Errorf("%d types, %v", n, err)
	}
}
