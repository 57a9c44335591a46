package pgtest

import (
	"strconv"
	"strings"
	"testing"
)

// ServedBy leaves out the lines of a schema that end in "-- since N" where the shared
// server is of an earlier major version: what they make is not to be had there.
func ServedBy(t testing.TB, schema string) string {
	t.Helper()
	return servedBy(schema, Start(t).Major)
}

// servedBy keeps the lines that a server of the major version has. A mark that is no
// number keeps its line, whose comment it is.
func servedBy(schema string, major int) string {
	var kept strings.Builder
	for line := range strings.Lines(schema) {
		_, since, marked := strings.Cut(strings.TrimSuffix(line, "\n"), "-- since ")
		if n, err := strconv.Atoi(since); !marked || err != nil || major >= n {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
