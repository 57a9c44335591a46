package snapshotter

import (
	"context"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// What hangs off relations. Rows about a relation that is left out are dropped.

func (r *reader) triggers(ctx context.Context) error {
	var relation, printed catalog.OID
	var enabled, details string
	var depends []int64
	var v catalog.Trigger
	into := []any{&relation, &v.Name, &v.Function, &v.Type, &enabled, &v.Columns, &v.Condition, &printed, &depends, &details}
	return r.eachRelation(ctx, queryTriggers, "t.tgrelid", into, func() error {
		rel := r.relation(relation)
		if rel == nil {
			return nil
		}
		if v.Name != "" { // The triggers of foreign keys are listed with those.
			v.Enabled = char(enabled)
			if printed != 0 {
				v.Definition = catalog.Unreadable
				at, n := r.relations[relation], len(rel.Triggers)
				r.later(textTrigger, printed, object{pgClass, relation}, single(func() *string { return &r.s.Relations[at].Triggers[n].Definition }))
			}
			v.References = references(v.Definition, depends)
			rel.Triggers = append(rel.Triggers, v)
		}
		v = catalog.Trigger{} // The next row must not write into this one's slices.
		r.detail(relation, "trigger", details)
		return nil
	})
}

func (r *reader) rules(ctx context.Context) error {
	var relation, oid catalog.OID
	var isReturn bool
	var event, enabled, details string
	var depends []int64
	var v catalog.Rule
	into := []any{&relation, &isReturn, &v.Name, &event, &v.Instead, &enabled, &oid, &depends, &details}
	return r.eachRelation(ctx, queryRules, "r.ev_class", into, func() error {
		rel := r.relation(relation)
		if rel == nil {
			return nil
		}
		if !isReturn {
			// ev_type is the digit of a CmdType (nodes/nodes.h).
			v.Event, v.Enabled = char(event)-'0', char(enabled)
			v.Definition, v.References = catalog.Unreadable, references(catalog.Unreadable, depends)
			at, n := r.relations[relation], len(rel.Rules)
			r.later(textRule, oid, object{pgClass, relation}, single(func() *string { return &r.s.Relations[at].Rules[n].Definition }))
			rel.Rules = append(rel.Rules, v)
		}
		r.detail(relation, "rule", details)
		return nil
	})
}

func (r *reader) policies(ctx context.Context) error {
	var relation, oid catalog.OID
	var using, check bool
	var command, details string
	var depends []int64
	var v catalog.Policy
	into := []any{&relation, &v.Name, &command, &v.Permissive, &v.Roles, &oid, &using, &check, &depends, &details}
	return r.eachRelation(ctx, queryPolicies, "p.polrelid", into, func() error {
		if rel := r.relation(relation); rel != nil {
			v.Command = char(command)
			if using {
				v.Using = catalog.Unreadable
			}
			if check {
				v.Check = catalog.Unreadable
			}
			v.References = references(v.Using+v.Check, depends)
			if using || check {
				r.later(textPolicy, oid, object{pgClass, relation}, r.policyTexts(r.relations[relation], len(rel.Policies)))
			}
			rel.Policies = append(rel.Policies, v)
			r.detail(relation, "policy", details)
		}
		v = catalog.Policy{} // The next row must not write into this one's slices.
		return nil
	})
}

// policyTexts puts the texts of a policy in their places.
func (r *reader) policyTexts(at, n int) func(texts []string) bool {
	return func(texts []string) bool {
		p := &r.s.Relations[at].Policies[n]
		if len(texts) != 2 || (texts[0] == "") != (p.Using == "") || (texts[1] == "") != (p.Check == "") {
			return false
		}
		p.Using, p.Check = texts[0], texts[1]
		return true
	}
}

func (r *reader) readStatistics(ctx context.Context) error {
	var relation, oid catalog.OID
	var depends []int64
	var details string
	return r.eachRelation(ctx, queryStatistics, "s.stxrelid", []any{&relation, &oid, &depends, &details}, func() error {
		if r.relation(relation) == nil {
			return nil
		}
		r.detail(relation, "statistics", details)
		if oid == 0 {
			return nil
		}
		// How many expressions there are is not known before they are printed.
		of := relation // The next row has another one before this one's text is printed.
		refs, n := references(catalog.Unreadable, depends), len(r.statistics[of])
		r.statistics[of] = append(r.statistics[of], []catalog.Expression{{Text: catalog.Unreadable, References: refs}})
		r.later(textStatistics, oid, object{pgClass, of}, func(texts []string) bool {
			expressions := make([]catalog.Expression, 0, len(texts))
			for _, text := range texts {
				expressions = append(expressions, catalog.Expression{Text: text, References: refs})
			}
			if len(expressions) > 0 {
				r.statistics[of][n] = expressions
			}
			return len(expressions) > 0
		})
		return nil
	})
}

func (r *reader) inheritance(ctx context.Context) error {
	var child, parent catalog.OID
	var details string
	each := func() error {
		// Rows come in the order of children, and of each child's parents.
		if p := r.relation(parent); p != nil {
			p.Children = append(p.Children, child)
		}
		if c := r.relation(child); c != nil {
			c.Parents = append(c.Parents, parent)
			r.detail(child, "inherits", details)
		}
		return nil
	}
	into := []any{&child, &parent, &details}
	if r.only == nil {
		return r.each(ctx, queryInheritance, into, each)
	}
	return r.eachOf(ctx, queryInheritance, "(i.inhrelid = ANY ($1::pg_catalog.oid[]) OR i.inhparent = ANY ($1::pg_catalog.oid[]))",
		into, each, r.only.relations)
}
