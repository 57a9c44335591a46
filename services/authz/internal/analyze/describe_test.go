package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// describeAll lists everything of users in a snapshot by name, without numbers. Texts are
// compared by what they mean, elsewhere.
func describeAll(s *catalog.Snapshot) map[string]string {
	d := describer{s}
	all := map[string]string{}
	for v := range s.EachSchema() {
		if !strings.HasPrefix(v.Name, "pg_") {
			all["schema "+v.Name] = fmt.Sprint(s.SchemaExists(v.Name))
		}
	}
	for v := range s.EachRelation() {
		if v.OID >= catalog.FirstNormalOID {
			all["relation "+d.relation(v.OID)] = d.relationText(v)
		}
	}
	for v := range s.EachType() {
		if v.OID >= catalog.FirstNormalOID {
			all["type "+d.typ(v.OID)] = d.typeText(v)
		}
	}
	for v := range s.EachFunction() {
		if v.OID >= catalog.FirstNormalOID {
			all["function "+d.function(v.OID)] = d.functionText(v)
		}
	}
	for v := range s.EachOperator() {
		if v.OID >= catalog.FirstNormalOID {
			all["operator "+v.Schema+"."+v.Name+" "+d.typ(v.Left)+" "+d.typ(v.Right)] = d.typ(v.Result) + " " + d.function(v.Function) + " " + fmt.Sprint(v.Hashes)
		}
	}
	return all
}

type describer struct{ s *catalog.Snapshot }

func (d describer) relation(oid catalog.OID) string {
	if rel := d.s.RelationByOID(oid); rel != nil {
		if found := d.s.RelationByName(rel.Schema, rel.Name); found == nil || found.OID != oid {
			return "not found by name: " + fullName(rel)
		}
		return fullName(rel)
	}
	return fmt.Sprint(oid != 0)
}

func (d describer) typ(oid catalog.OID) string {
	if t := d.s.TypeByOID(oid); t != nil {
		if found := d.s.TypeByName(t.Schema, t.Name); found == nil || found.OID != oid {
			return "not found by name: " + t.Schema + "." + t.Name
		}
		return shownSchema(t.Schema) + "." + t.Name
	}
	return fmt.Sprint(oid != 0)
}

func (d describer) types(list []catalog.OID) (out []string) {
	for _, oid := range list {
		out = append(out, d.typ(oid))
	}
	return out
}

func (d describer) function(oid catalog.OID) string {
	if f := d.s.FunctionByOID(oid); f != nil {
		return shownSchema(f.Schema) + "." + f.Name + "(" + strings.Join(d.types(f.Arguments), ",") + ")"
	}
	return fmt.Sprint(oid != 0)
}

func (d describer) functions(list []catalog.OID) (out []string) {
	for _, oid := range list {
		out = append(out, d.function(oid))
	}
	return out
}

func (d describer) relations(list []catalog.OID) (out []string) {
	for _, oid := range list {
		out = append(out, d.relation(oid))
	}
	slices.Sort(out)
	return out
}

func (d describer) columns(rel *catalog.Relation, numbers []int16) (out []string) {
	for _, n := range numbers {
		name := "?"
		for _, c := range rel.Columns {
			if c.Number == n {
				name = c.Name
			}
		}
		out = append(out, name)
	}
	return out
}

func (d describer) keys(keys []catalog.ForeignKey) (out []string) {
	for _, k := range keys {
		from, to := d.s.RelationByOID(k.From), d.s.RelationByOID(k.To)
		if from == nil || to == nil {
			out = append(out, k.Name+" of nothing")
			continue
		}
		out = append(out, fmt.Sprint(k.Name, " ", fullName(from), d.columns(from, k.FromColumns), " ", fullName(to), d.columns(to, k.ToColumns), string(k.OnDelete), string(k.OnUpdate)))
	}
	slices.Sort(out)
	return out
}

func (d describer) relationText(v *catalog.Relation) string {
	var b strings.Builder
	line := func(what string, value any) {
		if text := fmt.Sprint(value); text != "" && text != "[]" && text != "false" && text != "0" {
			fmt.Fprintf(&b, "%s: %s\n", what, text)
		}
	}
	line("kind", string(v.Kind))
	line("owner", v.Owner)
	for _, c := range v.Columns {
		line("column", fmt.Sprint(c.Name, " ", d.typ(c.Type), " ", c.NotNull, " ", c.Default != "", " ", c.Generated, " ", c.Identity))
	}
	line("row security", fmt.Sprint(v.RowSecurity, v.ForceRowSecurity)[0:])
	for _, t := range v.Triggers {
		line("trigger", fmt.Sprint(t.Name, " ", d.function(t.Function), " ", t.Type, string(t.Enabled), d.columns(v, t.Columns), t.Condition))
	}
	for _, r := range v.Rules {
		line("rule", fmt.Sprint(r.Name, " ", r.Event, r.Instead, string(r.Enabled)))
	}
	for _, p := range v.Policies {
		line("policy", fmt.Sprint(p.Name, " ", string(p.Command), p.Permissive, p.Roles, p.Using != "", p.Check != ""))
	}
	line("checks", len(v.Checks))
	line("index expressions", len(v.IndexExpressions) > 0)
	line("exclusion", len(v.ExclusionOperators))
	line("classes", len(v.ForeignOperatorClasses))
	line("statistics", len(v.StatisticsExpressions))
	line("partition key", v.PartitionKey.Text != "")
	line("children", d.relations(v.Children))
	line("parents", d.relations(v.Parents))
	var keys []string
	for _, k := range v.Keys {
		keys = append(keys, fmt.Sprint(k.Name, d.columns(v, k.Columns)))
	}
	slices.Sort(keys)
	line("keys", keys)
	line("foreign keys", d.keys(v.ForeignKeys))
	line("referenced by", d.keys(v.ReferencedBy))
	line("definition", v.Definition != "")
	line("invoker", v.SecurityInvoker)
	line("check option", v.CheckOption)
	if v.RowType != 0 {
		line("row type", d.typ(v.RowType))
	}
	line("of", d.types([]catalog.OID{v.OfType}))
	line("server", v.Server)
	line("owned by", d.relation(v.OwnedBy))
	line("index of", d.relation(v.IndexOf))
	return b.String()
}

func (d describer) typeText(v *catalog.Type) string {
	return fmt.Sprint(string(v.Kind), string(v.Category), v.Preferred, " element ", d.typ(v.Element), " base ", d.typ(v.Base), " relation ", d.relation(v.Relation),
		" array ", d.typ(v.Array), " subtype ", d.typ(v.Subtype), " class ", v.SubtypeClass, " functions ", d.functions([]catalog.OID{v.Input, v.Output}), d.functions(v.Support),
		" owner ", v.Owner, v.Extension, v.NotNull, " checks ", len(v.Checks), " default ", v.Default != "")
}

func (d describer) functionText(v *catalog.Function) string {
	return fmt.Sprint(string(v.Kind), d.types(v.Arguments), d.typ(v.Variadic), v.Defaults, d.typ(v.Result), v.ReturnSet, v.SecurityDefiner, v.Language,
		string(v.Volatility), v.Leakproof, v.Owner, v.Extension, d.types(v.AllArguments), string(v.ArgumentModes), v.ArgumentNames, len(v.DefaultExpressions), v.Strict,
		v.Library, v.Symbol, v.Body, v.StandardBody != "", v.Settings, d.function(v.SupportFunction), v.Aggregate.Kind)
}
