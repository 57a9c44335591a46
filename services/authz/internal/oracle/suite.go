package oracle

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Schedule lists the scripts of the suite in the order that pg_regress runs them.
func (s Suite) Schedule() ([]string, error) {
	b, err := os.ReadFile(filepath.Join(s.Dir, "parallel_schedule"))
	if err != nil {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		if names, found := strings.CutPrefix(line, "test:"); found {
			all = append(all, strings.Fields(names)...)
		}
	}
	return all, nil
}

// elsewhere are scripts about the cluster or psql, which would change what other
// scripts find or wait for something that is not here.
var elsewhere = []string{"tablespace", "psql", "psql_crosstab", "stats", "prepared_xacts"}

// Judgeable are the scripts whose statements are judged one by one.
func (s Suite) Judgeable() ([]string, error) {
	all, err := s.Schedule()
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(elsewhere, name) }), err
}
