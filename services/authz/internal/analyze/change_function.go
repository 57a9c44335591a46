package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// madeFunction shows a function or procedure that was made, or put in the place of
// another one (CreateFunction of functioncmds.c, ProcedureCreate of pg_proc.c).
func (a *analyzer) madeFunction(f *pg_query.CreateFunctionStmt, object access.Object, sig parameterList, clauses functionClauses, body catalog.Expression) {
	if clauses.foreign || clauses.unsure {
		return
	}
	made := catalog.Function{Schema: object.Schema, Name: object.Name, Kind: 'f', Language: clauses.language, Volatility: clauses.volatility(),
		SecurityDefiner: clauses.definer, Leakproof: clauses.leakproof, Strict: clauses.strict, Owner: a.in.Context.Role, Settings: clauses.settings}
	if made.Language == "" {
		made.Language = "sql"
	}
	if f.IsProcedure {
		made.Kind = 'p'
	}
	a.parametersOf(&made, f, sig)
	switch {
	case f.SqlBody != nil:
		made.StandardBody, made.References = body.Text, body.References
	case made.Language == "sql":
		made.Body = clauses.body
	}
	for _, text := range sig.defaults {
		made.DefaultExpressions = append(made.DefaultExpressions, text.Text)
		made.References = joined(made.References, text.References)
	}
	made.Defaults = len(sig.defaults)
	made.OID = a.newOID()
	if there := a.functionOf(object.Schema, object.Name, made.Arguments); there != nil {
		if !f.Replace {
			return
		}
		made.OID, made.Owner, made.Extension = there.OID, there.Owner, there.Extension
	}
	a.change.functions[made.OID] = &made
	a.change.known = true
}

// joined is what two texts of one row were resolved to.
func joined(one, other catalog.References) catalog.References {
	merge := func(x, y []catalog.OID) []catalog.OID {
		return slices.Compact(slices.Sorted(slices.Values(slices.Concat(x, y))))
	}
	if !one.Recorded {
		return other
	}
	return catalog.References{Recorded: true, Relations: merge(one.Relations, other.Relations), Functions: merge(one.Functions, other.Functions),
		Operators: merge(one.Operators, other.Operators)}
}

// parametersOf fills in parameters and result (interpret_function_parameter_list).
func (a *analyzer) parametersOf(made *catalog.Function, f *pg_query.CreateFunctionStmt, sig parameterList) {
	outputs, variadic, named := 0, false, false
	var first catalog.OID
	for i, node := range f.Parameters {
		p, typ := node.GetFunctionParameter(), sig.all[i]
		mode := byte('i')
		switch p.Mode {
		case pg_query.FunctionParameterMode_FUNC_PARAM_OUT:
			mode = 'o'
		case pg_query.FunctionParameterMode_FUNC_PARAM_INOUT:
			mode = 'b'
		case pg_query.FunctionParameterMode_FUNC_PARAM_VARIADIC:
			mode, variadic, made.Variadic = 'v', true, a.variadicOf(typ)
		case pg_query.FunctionParameterMode_FUNC_PARAM_TABLE:
			mode = 't'
		}
		if mode == 'o' || mode == 'b' {
			if outputs++; outputs == 1 {
				first = typ
			}
		}
		if mode == 't' {
			outputs++
		}
		made.AllArguments, made.ArgumentModes = append(made.AllArguments, typ), append(made.ArgumentModes, mode)
		made.ArgumentNames = append(made.ArgumentNames, p.Name)
		named = named || p.Name != ""
	}
	made.Arguments = sig.types
	if !named {
		made.ArgumentNames = nil
	}
	if outputs == 0 && !variadic {
		made.AllArguments, made.ArgumentModes = nil, nil
	}
	switch {
	case f.ReturnType != nil:
		made.Result, made.ReturnSet = sig.result, a.returnsSet
	case f.IsProcedure && outputs == 0:
		made.Result = resolve.Void
	case f.IsProcedure || outputs > 1:
		made.Result = resolve.Record
	default:
		made.Result = first
	}
}

// variadicOf is provariadic of a parameter's type.
func (a *analyzer) variadicOf(typ catalog.OID) catalog.OID {
	t := a.snap.TypeByOID(typ)
	if t == nil {
		return 0
	}
	if t.Kind == 'p' && t.Schema == schemaCatalog {
		element := map[string]string{"anyarray": "anyelement", "anycompatiblearray": "anycompatible", "any": "any"}[t.Name]
		if e := a.snap.TypeByName(schemaCatalog, element); e != nil {
			return e.OID
		}
	}
	return t.Element
}

// functionOf finds a function by its name and exact arguments, or returns nil.
func (a *analyzer) functionOf(schema, name string, arguments []catalog.OID) *catalog.Function {
	named := a.snap.FunctionsNamed(name)
	a.charge(len(named))
	for _, f := range named {
		if f.Schema == schema && slices.Equal(f.Arguments, arguments) {
			return f
		}
	}
	return nil
}

// routineNamed finds the function that a statement names, by its arguments where it gives
// them (LookupFuncWithArgs of parse_func.c). It is nil where there is
// none, or where that is not certain.
func (a *analyzer) routineNamed(o *pg_query.ObjectWithArgs) (*catalog.Function, bool) {
	schema, name, err := qualified(o.GetObjname())
	if err != nil {
		return nil, false
	}
	var arguments []catalog.OID
	for _, node := range o.GetObjargs() {
		typ, _, err := a.argumentType(node.GetTypeName())
		if err != nil {
			return nil, false
		}
		arguments = append(arguments, typ)
	}
	for _, p := range o.GetObjfuncargs() {
		mode := p.GetFunctionParameter().GetMode()
		if mode == pg_query.FunctionParameterMode_FUNC_PARAM_OUT || mode == pg_query.FunctionParameterMode_FUNC_PARAM_TABLE {
			// Which of several this is depends on what kind it is.
			return nil, false
		}
	}
	homes := []string{schema}
	if schema == "" {
		homes = a.path
	}
	for _, home := range homes {
		var found []*catalog.Function
		named := a.snap.FunctionsNamed(name)
		a.charge(len(named))
		for _, f := range named {
			if f.Schema == home && (o.ArgsUnspecified || slices.Equal(f.Arguments, arguments)) {
				found = append(found, f)
			}
		}
		if len(found) == 1 {
			return found[0], true
		}
		if len(found) > 1 {
			return nil, false
		}
	}
	return nil, true
}

// alteredFunction shows what ALTER FUNCTION makes of a function.
func (a *analyzer) alteredFunction(f *pg_query.AlterFunctionStmt, clauses functionClauses) {
	found, _ := a.routineNamed(f.Func)
	if found == nil || clauses.unsure || len(settingClauses(f.Actions)) > 0 {
		return
	}
	changed := a.editedFunction(found.OID)
	for _, node := range f.Actions {
		switch node.GetDefElem().GetDefname() {
		case "security":
			changed.SecurityDefiner = clauses.definer
		case "strict":
			changed.Strict = clauses.strict
		case "volatility":
			changed.Volatility = clauses.volatility()
		case "leakproof":
			changed.Leakproof = clauses.leakproof
		}
	}
	a.change.known = true
}

// volatility is provolatile.
func (c *functionClauses) volatility() byte {
	if c.volatile == "" {
		return 'v'
	}
	return c.volatile[0]
}

// standardText is a body that is parsed with its statement, as pg_get_function_sqlbody
// prints it.
func (a *analyzer) standardText(h *held, body *pg_query.Node) catalog.Expression {
	if r := body.GetReturnStmt(); r != nil {
		e := a.writtenExpression(h, r.Returnval)
		if e.Text != unwritten {
			e.Text = "RETURN " + e.Text
		}
		return e
	}
	var text strings.Builder
	text.WriteString("BEGIN ATOMIC\n")
	for _, list := range body.GetList().GetItems() {
		for _, node := range list.GetList().GetItems() {
			e := a.writtenStatement(h, node)
			if e.Text == unwritten {
				return e
			}
			text.WriteString(e.Text + ";\n")
		}
	}
	text.WriteString("END")
	return catalog.Expression{Text: text.String(), References: h.record()}
}

// madeTrigger shows a trigger that was made (CreateTriggerFiringOn of trigger.c).
func (a *analyzer) madeTrigger(t *pg_query.CreateTrigStmt, node *pg_query.Node, rel *catalog.Relation, h *held) {
	function := a.triggerFunction(t.Funcname)
	if function == nil || t.Row && len(rel.Children) > 0 && rel.Kind == catalog.KindPartitionedTable {
		return
	}
	names, ok := stringNodes(t.Columns)
	columns, there := columnNumbers(rel, names)
	if !ok && len(t.Columns) > 0 || !there {
		return
	}
	made := catalog.Trigger{Name: t.Trigname, Function: function.OID, Type: int16(t.Timing | t.Events), Enabled: 'O', Columns: columns} //nolint:gosec // G115: bits of an int16.
	if t.Row {
		made.Type |= triggerRow
	}
	if t.WhenClause != nil {
		text := a.writtenStatement(h, node)
		made.Condition, made.Definition, made.References = true, text.Text, text.References
	}
	rel = a.edited(rel.OID)
	rel.Triggers = slices.DeleteFunc(rel.Triggers, func(have catalog.Trigger) bool { return have.Name == made.Name })
	rel.Triggers = append(rel.Triggers, made)
	if t.Isconstraint {
		rel.OtherConstraints = append(rel.OtherConstraints, made.Name)
	}
	slices.SortStableFunc(rel.Triggers, func(x, y catalog.Trigger) int { return strings.Compare(x.Name, y.Name) })
	a.change.known = true
}

// triggerFunction is the function without arguments that a name means.
func (a *analyzer) triggerFunction(nodes []*pg_query.Node) *catalog.Function {
	schema, name, err := qualified(nodes)
	if err != nil {
		return nil
	}
	homes := []string{schema}
	if schema == "" {
		homes = slices.DeleteFunc(slices.Clone([]string(a.path)), func(s string) bool { return s == schemaTemp })
	}
	for _, home := range homes {
		if f := a.functionOf(home, name, nil); f != nil {
			return f
		}
	}
	return nil
}

// madeRule shows a rule that was made (DefineQueryRewrite of rewriteDefine.c).
func (a *analyzer) madeRule(r *pg_query.RuleStmt, node *pg_query.Node, rel *catalog.Relation, h *held) {
	text := a.writtenStatement(h, node)
	made := catalog.Rule{Name: r.Rulename, Instead: r.Instead, Enabled: 'O', Definition: text.Text, References: text.References}
	switch r.Event {
	case pg_query.CmdType_CMD_INSERT:
		made.Event = ruleInsert
	case pg_query.CmdType_CMD_UPDATE:
		made.Event = ruleUpdate
	case pg_query.CmdType_CMD_DELETE:
		made.Event = ruleDelete
	default:
		return
	}
	rel = a.edited(rel.OID)
	rel.Rules = slices.DeleteFunc(rel.Rules, func(have catalog.Rule) bool { return have.Name == made.Name })
	rel.Rules = append(rel.Rules, made)
	slices.SortStableFunc(rel.Rules, func(x, y catalog.Rule) int { return strings.Compare(x.Name, y.Name) })
	a.change.known = true
}

// madePolicy shows a policy that was made or altered (CreatePolicy, AlterPolicy of
// policy.c): what a statement does not say stays.
func (a *analyzer) madePolicy(rel *catalog.Relation, made catalog.Policy, roles []*pg_query.Node, using, check *pg_query.Node, h *held, alter bool) {
	rel = a.edited(rel.OID)
	if at := slices.IndexFunc(rel.Policies, func(p catalog.Policy) bool { return p.Name == made.Name }); alter {
		if at < 0 {
			return
		}
		made = rel.Policies[at]
		rel.Policies = slices.Delete(rel.Policies, at, at+1)
		if using != nil && made.Check != "" && check == nil || check != nil && made.Using != "" && using == nil {
			// Which of what it was resolved to stays, is not told apart.
			return
		}
	}
	if using != nil {
		made.Using = a.writtenExpression(h, using).Text
	}
	if check != nil {
		made.Check = a.writtenExpression(h, check).Text
	}
	if using != nil || check != nil {
		made.References = h.record()
	}
	if len(roles) > 0 {
		made.Roles = nil
	}
	for _, node := range roles {
		role := node.GetRoleSpec()
		if role.GetRoletype() == pg_query.RoleSpecType_ROLESPEC_PUBLIC {
			continue
		}
		name := a.roleOf(role)
		if name == "" {
			return
		}
		made.Roles = append(made.Roles, name)
	}
	slices.Sort(made.Roles)
	rel.Policies = append(rel.Policies, made)
	slices.SortStableFunc(rel.Policies, func(x, y catalog.Policy) int { return strings.Compare(x.Name, y.Name) })
	a.change.known = true
}
