package policy

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// byBearer covers usage of a type of which there are columns on which anything is
// granted. What is denied on a column brings nothing.
func (c *cover) byBearer() bool {
	if c.access.Action != access.Usage || c.object.Kind != access.Type {
		return false
	}
	for i := range c.access.Bearers {
		b := &c.access.Bearers[i]
		for _, action := range access.Actions() {
			c.allow.each(action, b.Relation, true, func(e *entry) bool {
				if e.rule.asks() == c.asking && slices.ContainsFunc(b.Columns, func(column string) bool { return e.has(column) && !c.bars(action, b.Relation, column) }) && c.grants(e.rule) {
					c.done = true
					c.note(e.rule)
				}
				return !c.done
			})
			if c.done {
				return true
			}
		}
	}
	return false
}

// bars reports whether a deny matches an action on a column.
func (t *trial) bars(action access.Action, relation access.Object, column string) bool {
	found := t.denied(&want{access: &access.Access{Action: action, Resolved: relation, Columns: []string{column}}, object: relation})
	t.deniedBy = nil
	return found
}
