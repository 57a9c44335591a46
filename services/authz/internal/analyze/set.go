package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// settingKind is a row of the table of SET and RESET.
type settingKind struct {
	kind  pg_query.VariableSetKind
	words string
	judge func(*analyzer, *pg_query.VariableSetStmt) ([]access.Effect, error)
	takes string
}

func settingKinds() []settingKind {
	const free = "nothing; what pools send between clients, ALL, ROLE and SESSION AUTHORIZATION, is in the preset `session`"
	return []settingKind{
		{pg_query.VariableSetKind_VAR_SET_VALUE, "SET", (*analyzer).setValue, "by the setting"},
		{pg_query.VariableSetKind_VAR_SET_DEFAULT, "SET … TO DEFAULT", (*analyzer).resetSetting, free},
		{pg_query.VariableSetKind_VAR_SET_CURRENT, "SET … FROM CURRENT", nil, "denied outside CREATE FUNCTION"},
		{pg_query.VariableSetKind_VAR_SET_MULTI, "SET TRANSACTION, SET SESSION CHARACTERISTICS", (*analyzer).setModes,
			"nothing; SET TRANSACTION SNAPSHOT, which shows what another session saw, `execute` on `pg_catalog.pg_export_snapshot()`"},
		{pg_query.VariableSetKind_VAR_RESET, "RESET", (*analyzer).resetSetting, free},
		{pg_query.VariableSetKind_VAR_RESET_ALL, "RESET ALL", (*analyzer).resetAll, free},
	}
}

// setStmt judges SET and RESET.
func setStmt(a *analyzer, node *pg_query.Node) (access.Statement, error) {
	v := node.GetVariableSetStmt()
	found := access.Statement{Kind: "set"}
	switch v.Kind {
	case pg_query.VariableSetKind_VAR_RESET, pg_query.VariableSetKind_VAR_RESET_ALL:
		found.Kind = resetKind
	}
	for _, k := range settingKinds() {
		if k.kind == v.Kind && k.judge != nil {
			var err error
			found.Effects, err = k.judge(a, v)
			return found, err
		}
	}
	return found, deny(access.StatementKind, "set")
}

func (a *analyzer) setValue(v *pg_query.VariableSetStmt) ([]access.Effect, error) {
	name := lowerASCII(v.Name)
	if name == settingToken {
		return a.refreshToken(v)
	}
	value, ok := flattenSetting(name, v.Args)
	if !ok {
		return nil, deny(access.SettingDenied, "a value of setting "+name)
	}
	if err := a.setting(name, value); err != nil {
		return nil, err
	}
	return settingEffect(name, value, v.IsLocal), nil
}

// settingEffect is what setting a setting does to the session. After a change of role
// everything else may be another's.
func settingEffect(name, value string, local bool) []access.Effect {
	effect := access.Effect{Kind: access.EffectSet, Name: name, Value: shown(name, value)}
	switch {
	case name == "role" || name == "session_authorization":
		effect = access.Effect{Kind: access.EffectOpaque}
	case local:
		effect.Kind = access.EffectSetLocal
	}
	return []access.Effect{effect}
}

// shown is a value as SHOW prints it, for the settings that analysis depends on.
func shown(name, value string) string {
	switch name {
	case "client_encoding":
		if encoding := harmlessEncoding(value); encoding != "" {
			return encoding
		}
	case "standard_conforming_strings":
		// Nothing else can be set.
		return "on"
	}
	return value
}

// resetSetting judges RESET and SET … TO DEFAULT: the session goes back to what it
// started with.
func (a *analyzer) resetSetting(v *pg_query.VariableSetStmt) ([]access.Effect, error) {
	name := lowerASCII(v.Name)
	if ownSetting(name) {
		return nil, deny(access.SettingDenied, "setting "+name)
	}
	return []access.Effect{{Kind: access.EffectReset, Name: name}}, nil
}

func (a *analyzer) resetAll(*pg_query.VariableSetStmt) ([]access.Effect, error) {
	return []access.Effect{{Kind: access.EffectReset}}, nil
}

// setModes judges SET TRANSACTION, which is about the transaction alone, and SET SESSION
// CHARACTERISTICS, which sets defaults.
func (a *analyzer) setModes(v *pg_query.VariableSetStmt) ([]access.Effect, error) {
	switch v.Name {
	case "TRANSACTION":
		return nil, a.transactionModes(v.Args)
	case "TRANSACTION SNAPSHOT":
		a.needs(access.Execute, access.Object{Kind: access.Function, Schema: schemaCatalog, Name: "pg_export_snapshot", Arguments: []string{}})
		return nil, nil
	case "SESSION CHARACTERISTICS":
		if err := a.transactionModes(v.Args); err != nil {
			return nil, err
		}
		var effects []access.Effect
		for _, node := range v.Args {
			mode := node.GetDefElem()
			value, ok := flattenSetting(mode.Defname, []*pg_query.Node{mode.Arg})
			if !ok {
				return nil, deny(access.Construct, "a transaction mode")
			}
			if mode.Defname != "transaction_isolation" {
				value = map[bool]string{true: "off", false: "on"}[value == "0"]
			}
			effects = append(effects, access.Effect{Kind: access.EffectSet, Name: "default_" + mode.Defname, Value: value})
		}
		return effects, nil
	default:
		return nil, deny(access.Construct, "a transaction mode")
	}
}

// settingToken is the setting by which a client gives the session a new token.
const settingToken = "scopewire.token"

// ownSetting reports whether a setting is Scopewire's.
func ownSetting(name string) bool { return strings.HasPrefix(name, "scopewire.") }

// refreshToken recognises SET scopewire.token = '…'. The token goes nowhere from here:
// the effect has no value, and the text is not recorded.
func (a *analyzer) refreshToken(v *pg_query.VariableSetStmt) ([]access.Effect, error) {
	literal := len(v.Args) == 1 && v.Args[0].GetAConst().GetSval() != nil && endsInString(a.ownText)
	switch {
	case !a.alone:
		return nil, deny(access.SettingDenied, "a token that is not alone in its message")
	case v.IsLocal || !literal:
		return nil, deny(access.SettingDenied, "a token that is no literal")
	}
	return []access.Effect{{Kind: access.EffectRefresh}}, nil
}

// endsInString reports whether the last token of a statement is a string: the grammar
// takes names as values as well.
func endsInString(text string) bool {
	lex := lexer{text: text, maxComment: defaultCommentNesting}
	kind := tokenEnd
	for {
		tok := lex.next()
		if tok.kind == tokenEnd {
			return kind == tokenString && lex.fault == lexFine
		}
		if text[tok.start:tok.end] != ";" {
			kind = tok.kind
		}
	}
}

// namesOwnSetting reports whether a statement sets one of Scopewire's settings,
// whatever comes of it: its text may hold a token.
func namesOwnSetting(node *pg_query.Node) bool {
	var sets []*pg_query.VariableSetStmt
	switch n := node.GetNode().(type) {
	case *pg_query.Node_VariableSetStmt:
		sets = append(sets, n.VariableSetStmt)
	case *pg_query.Node_AlterSystemStmt:
		sets = append(sets, n.AlterSystemStmt.Setstmt)
	case *pg_query.Node_AlterRoleSetStmt:
		sets = append(sets, n.AlterRoleSetStmt.Setstmt)
	case *pg_query.Node_AlterDatabaseSetStmt:
		sets = append(sets, n.AlterDatabaseSetStmt.Setstmt)
	case *pg_query.Node_CreateFunctionStmt:
		sets = settingClauses(n.CreateFunctionStmt.Options)
	case *pg_query.Node_AlterFunctionStmt:
		sets = settingClauses(n.AlterFunctionStmt.Actions)
	}
	for _, v := range sets {
		if ownSetting(lowerASCII(v.GetName())) {
			return true
		}
	}
	return false
}

// settingClauses are the SET clauses of a function.
func settingClauses(options []*pg_query.Node) []*pg_query.VariableSetStmt {
	var sets []*pg_query.VariableSetStmt
	for _, option := range options {
		if v := option.GetDefElem().GetArg().GetVariableSetStmt(); v != nil {
			sets = append(sets, v)
		}
	}
	return sets
}
