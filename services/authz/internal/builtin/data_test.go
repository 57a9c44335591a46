package builtin

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/pgtest"
)

var update = flag.Bool("update", false, "write data/functions.tsv from the servers that the test runs on, and the reference")

func TestMain(m *testing.M) {
	flag.Parse()
	pgtest.Main(m)
}

const dataFile = "data/functions.tsv"

// TestDataIsWhatAServerHas compares the data with the server that other packages
// test against. SCOPEWIRE_TEST_POSTGRES_MAJORS=14,15,16,17,18 names others; with
// -update the data of these versions is written anew:
//
//	SCOPEWIRE_TEST_POSTGRES_MAJORS=14,15,16,17,18 go test . -run DataIsWhat -update
func TestDataIsWhatAServerHas(t *testing.T) {
	data := readData(t)
	check := func(t *testing.T, srv *pgboot.Server) {
		got, created, version := functionsOf(t, srv)
		if *update {
			data[srv.Major] = got
			return
		}
		want := slices.DeleteFunc(slices.Clone(data[srv.Major]), func(line string) bool {
			fields := strings.Split(line, "\t")
			if minors, late := addedLate()[fields[3]]; late && !minors.In(version) {
				return true
			}
			return fields[1] != "-" && !slices.Contains(created, fields[1])
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("PostgreSQL %d has other functions; review them and write %s anew (-want +got):\n%s", srv.Major, dataFile, diff)
		}
	}
	list := os.Getenv("SCOPEWIRE_TEST_POSTGRES_MAJORS")
	if list == "" {
		check(t, pgtest.Start(t))
		return
	}
	for m := range strings.SplitSeq(list, ",") {
		t.Run(m, func(t *testing.T) {
			n, err := strconv.Atoi(m)
			if err != nil {
				t.Fatal(err)
			}
			check(t, pgtest.Start(t, pgtest.Major(n)))
		})
	}
	if *update && !t.Failed() {
		writeData(t, data)
	}
}

// addedLate are functions that minor versions brought.
func addedLate() map[string]pgtest.Minors {
	return map[string]pgtest.Minors{"binary_upgrade_set_next_attribute_versions": {15: 20}}
}

// functionsOf lists the functions of a database with every reviewed extension that
// the server has, in order, and names these extensions and server_version_num.
func functionsOf(t *testing.T, srv *pgboot.Server) (lines, extensions []string, version int) {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, srv.ConnString(pgtest.NewDatabaseOn(t, srv, "")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	for _, extension := range column(t, c, "SELECT name FROM pg_catalog.pg_available_extensions ORDER BY name") {
		// Languages that are not plpgsql come in packages of their own.
		if strings.Contains(extension, "plpython") || strings.Contains(extension, "plperl") || strings.Contains(extension, "pltcl") {
			continue
		}
		if !*update && !reviewedExtension(extension) {
			continue
		}
		if _, err := c.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS "+pgx.Identifier{extension}.Sanitize()+" CASCADE"); err != nil {
			t.Fatal(err)
		}
		extensions = append(extensions, extension)
	}
	sql, err := os.ReadFile("testdata/functions.sql")
	if err != nil {
		t.Fatal(err)
	}
	lines = column(t, c, string(sql))
	slices.SortFunc(lines, compareLines)
	return lines, extensions, pgtest.VersionNum(c.PgConn().ParameterStatus("server_version"))
}

func reviewedExtension(name string) bool {
	return slices.ContainsFunc(functions().all, func(r reviewed) bool { return r.extension == name })
}

func column(t *testing.T, c *pgx.Conn, sql string) []string {
	t.Helper()
	rows, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// compareLines orders lines by extension, schema, name and arguments.
func compareLines(a, b string) int {
	f, g := strings.Split(a, "\t"), strings.Split(b, "\t")
	return slices.Compare(slices.Concat(f[1:5], f), slices.Concat(g[1:5], g))
}

// readData gives the data's lines by major version, without the majors.
func readData(t *testing.T) map[int][]string {
	t.Helper()
	data := map[int][]string{}
	for line := range strings.Lines(functionData) {
		list, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		in, err := parseMajors(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range in {
			data[m] = append(data[m], rest)
		}
	}
	for _, lines := range data {
		slices.SortFunc(lines, compareLines)
	}
	return data
}

func writeData(t *testing.T, data map[int][]string) {
	t.Helper()
	in := map[string][]int{}
	for _, m := range slices.Sorted(maps.Keys(data)) {
		for _, line := range data[m] {
			in[line] = append(in[line], m)
		}
	}
	lines := slices.Collect(maps.Keys(in))
	slices.SortFunc(lines, func(a, b string) int {
		if c := compareLines(a, b); c != 0 {
			return c
		}
		return slices.Compare(in[a], in[b])
	})
	var out strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&out, "%s\t%s\n", formatMajors(in[line]), line)
	}
	if err := os.WriteFile(dataFile, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// formatMajors is the reverse of parseMajors; the majors are in order.
func formatMajors(in []int) string {
	var parts []string
	for i := 0; i < len(in); {
		j := i
		for j+1 < len(in) && in[j+1] == in[j]+1 {
			j++
		}
		part := strconv.Itoa(in[i])
		if j > i {
			part += "-" + strconv.Itoa(in[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
