package snapshotter

import (
	"context"
	"regexp"
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// finish has the texts printed that were put off, and puts what was read into a
// store.
func (r *reader) finish(ctx context.Context, conn *session, into *store) error {
	unread, err := printTexts(ctx, conn, r.jobs)
	if err != nil {
		return err
	}
	for i := range r.s.Relations {
		v := &r.s.Relations[i]
		v.StatisticsExpressions = slices.Concat(r.statistics[v.OID]...)
		into.relations[v.OID] = newUnit(*v, unread[object{pgClass, v.OID}], relationTexts(v), nil)
	}
	for i := range r.s.Types {
		v := &r.s.Types[i]
		into.types[v.OID] = newUnit(*v, unread[object{pgType, v.OID}], typeTexts(v), r.labels[v.OID])
	}
	for i := range r.s.Functions {
		v := &r.s.Functions[i]
		into.functions[v.OID] = newUnit(*v, unread[object{pgProc, v.OID}], append(slices.Clone(v.DefaultExpressions), v.StandardBody), nil)
	}
	return nil
}

func newUnit[T catalog.Relation | catalog.Type | catalog.Function](v T, unread bool, texts []string, labels map[catalog.OID]string) *unit[T] {
	return &unit[T]{value: v, sums: catalog.Sum(&v), unread: unread, floating: slices.ContainsFunc(texts, floats), labels: labels}
}

// constantsOfNames are constants that show names which nothing depends on: what is in
// an array or a row is not recorded (find_expr_references_walker of dependency.c takes
// constants of regclass and its like alone). A row of a type that holds none of them
// costs a text printed once too often.
var constantsOfNames = regexp.MustCompile(`\}'::reg[a-z]+\[\]|\)'::[^ ]*\.|\)[^']*\}'::[^ ]*\.`)

func floats(text string) bool { return constantsOfNames.MatchString(text) }

// relationTexts are all texts of a relation.
func relationTexts(v *catalog.Relation) []string {
	texts := []string{v.Definition, v.PartitionKey.Text}
	for _, list := range [][]catalog.Expression{v.Checks, v.IndexExpressions, v.StatisticsExpressions} {
		for _, e := range list {
			texts = append(texts, e.Text)
		}
	}
	for _, c := range v.Columns {
		texts = append(texts, c.Default)
	}
	for _, t := range v.Triggers {
		texts = append(texts, t.Definition)
	}
	for _, rule := range v.Rules {
		texts = append(texts, rule.Definition)
	}
	for _, p := range v.Policies {
		texts = append(texts, p.Using, p.Check)
	}
	return texts
}

func typeTexts(v *catalog.Type) []string {
	texts := []string{v.Default}
	for _, e := range v.Checks {
		texts = append(texts, e.Text)
	}
	return texts
}
