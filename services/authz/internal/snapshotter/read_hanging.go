package snapshotter

import (
	"context"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What hangs off relations. Rows about a relation that is left out are dropped.

func (r *reader) triggers(ctx context.Context) error {
	var relation catalog.OID
	var enabled, details string
	var depends []int64
	var v catalog.Trigger
	into := []any{&relation, &v.Name, &v.Function, &v.Type, &enabled, &v.Columns, &v.Condition, &v.Definition, &depends, &details}
	return r.each(ctx, queryTriggers, into, func() error {
		rel := r.relation(relation)
		if rel == nil {
			return nil
		}
		if v.Name != "" { // The triggers of foreign keys are listed with those.
			v.Enabled, v.References = char(enabled), references(v.Definition, depends)
			rel.Triggers = append(rel.Triggers, v)
		}
		v.Columns = nil // The next row must not write into this one's.
		r.detail(relation, "trigger", details)
		return nil
	})
}

func (r *reader) rules(ctx context.Context) error {
	var relation catalog.OID
	var isReturn bool
	var event, enabled, details string
	var depends []int64
	var v catalog.Rule
	into := []any{&relation, &isReturn, &v.Name, &event, &v.Instead, &enabled, &v.Definition, &depends, &details}
	return r.each(ctx, queryRules, into, func() error {
		rel := r.relation(relation)
		if rel == nil {
			return nil
		}
		if !isReturn {
			// ev_type is the digit of a CmdType (nodes/nodes.h).
			v.Event, v.Enabled = char(event)-'0', char(enabled)
			v.References = references(v.Definition, depends)
			rel.Rules = append(rel.Rules, v)
		}
		r.detail(relation, "rule", details)
		return nil
	})
}

func (r *reader) policies(ctx context.Context) error {
	var relation catalog.OID
	var command, details string
	var depends []int64
	var v catalog.Policy
	into := []any{&relation, &v.Name, &command, &v.Permissive, &v.Roles, &v.Using, &v.Check, &depends, &details}
	return r.each(ctx, queryPolicies, into, func() error {
		if rel := r.relation(relation); rel != nil {
			v.Command, v.References = char(command), references(v.Using+v.Check, depends)
			rel.Policies = append(rel.Policies, v)
			r.detail(relation, "policy", details)
		}
		v = catalog.Policy{} // The next row must not write into this one's slices.
		return nil
	})
}

func (r *reader) statistics(ctx context.Context) error {
	var relation catalog.OID
	var expressions []string
	var depends []int64
	var details string
	return r.each(ctx, queryStatistics, []any{&relation, &expressions, &depends, &details}, func() error {
		if rel := r.relation(relation); rel != nil {
			for _, text := range expressions {
				rel.StatisticsExpressions = append(rel.StatisticsExpressions, expression(text, depends))
			}
			r.detail(relation, "statistics", details)
		}
		expressions = nil
		return nil
	})
}

func (r *reader) inheritance(ctx context.Context) error {
	var child, parent catalog.OID
	var details string
	return r.each(ctx, queryInheritance, []any{&child, &parent, &details}, func() error {
		c, p := r.relation(child), r.relation(parent)
		if c == nil || p == nil {
			return nil
		}
		// Rows come in the order of children, and of each child's parents.
		p.Children = append(p.Children, child)
		c.Parents = append(c.Parents, parent)
		r.detail(child, "inherits", details)
		return nil
	})
}
