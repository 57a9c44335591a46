package oracle

import (
	"context"
	"slices"
	"strings"
)

// shrink removes parts of a list for as long as what is left still holds (delta
// debugging: halves first, then ever smaller pieces). An error ends it, with what
// had been reached.
func shrink[T any](list []T, holds func([]T) (bool, error)) ([]T, error) {
	for size := len(list) / 2; size > 0; size /= 2 {
		for at := 0; at < len(list); {
			end := min(at+size, len(list))
			rest := slices.Concat(list[:at], list[end:])
			ok, err := holds(rest)
			if err != nil {
				return list, err
			}
			if ok {
				list = rest
			} else {
				at = end
			}
		}
	}
	return list, nil
}

// with is the unit with other tokens.
func (u Unit) with(tokens []string) Unit {
	u.SQL = strings.Join(tokens, " ")
	return u
}

// same reports whether two comparisons show one difference.
func same(a, b Comparison) bool {
	return a.Class == b.Class && a.Server.State == b.Server.State && a.Verdict.Reason == b.Verdict.Reason &&
		firstWord(a.Verdict.Detail) == firstWord(b.Verdict.Detail)
}

// kindOf is the beginning of a detail, which says what kind of thing it is about.
func kindOf(detail string) string {
	words := strings.Fields(detail)
	return strings.Join(words[:min(5, len(words))], " ")
}

// MinimiseStatement makes the statement of a difference small, and then the grants
// of its role.
func (d *Database) MinimiseStatement(ctx context.Context, rules Rules, c Comparison) (Comparison, error) {
	tokens, err := shrink(Tokens(c.Unit.SQL), func(rest []string) (bool, error) {
		if len(rest) == 0 {
			return false, nil
		}
		got, lost, err := d.Compare(ctx, c.Role, rules, c.Unit.with(rest))
		return !lost && same(c, got), err
	})
	if err != nil {
		return c, err
	}
	small, lost, err := d.Compare(ctx, c.Role, rules, c.Unit.with(tokens))
	if err != nil || lost || !same(c, small) {
		return c, err
	}
	path := c.Role.Path
	grants, err := shrink(c.Role.Grants, func(rest []Grant) (bool, error) {
		got, err := d.compareAs(ctx, path, rest, rules, small.Unit)
		return got != nil && same(c, *got), err
	})
	if err != nil {
		return small, err
	}
	got, err := d.compareAs(ctx, path, grants, rules, small.Unit)
	if err != nil || got == nil || !same(c, *got) {
		return small, err
	}
	return *got, nil
}

// compareAs compares a statement under other grants; nil when there was no answer.
func (d *Database) compareAs(ctx context.Context, path string, grants []Grant, rules Rules, u Unit) (*Comparison, error) {
	r, err := d.AddRole(ctx, path, grants)
	if err != nil {
		return nil, err
	}
	defer r.session.close()
	c, lost, err := d.Compare(ctx, r, rules, u)
	if err != nil || lost {
		return nil, err
	}
	return &c, nil
}

// MinimiseSchema makes the schema of a difference small. open gives an empty database
// of its own for each attempt.
func MinimiseSchema(ctx context.Context, schema []string, rules Rules, c Comparison, empty func() string) ([]string, error) {
	return shrink(schema, func(rest []string) (bool, error) {
		d, err := Open(ctx, empty(), rest)
		if err != nil {
			return false, err
		}
		defer d.Close(ctx)
		got, err := d.compareAs(ctx, c.Role.Path, c.Role.Grants, rules, c.Unit)
		if err != nil {
			// Most often: what is granted went with the schema.
			return false, nil
		}
		return got != nil && same(c, *got), nil
	})
}

func firstWord(detail string) string {
	word, _, _ := strings.Cut(detail, " ")
	return word
}
