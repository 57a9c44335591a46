package policy

import (
	"net/netip"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

// addressLiterals finds arguments of containsIP and containsCIDR that are no
// address or network: nobody would find out, since a condition that fails just
// does not hold. Literals of ip() and cidr() are checked by the library.
type addressLiterals struct{}

// Name implements cel.ASTValidator.
func (addressLiterals) Name() string { return "scopewire.addresses" }

// Validate implements cel.ASTValidator.
func (addressLiterals) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 1 || e.AsCall().Args()[0].Kind() != ast.LiteralKind {
			return
		}
		arg := e.AsCall().Args()[0]
		s, ok := arg.AsLiteral().Value().(string)
		if !ok {
			return
		}
		var err error
		switch e.AsCall().FunctionName() {
		case "containsIP":
			_, err = netip.ParseAddr(s)
		case "containsCIDR":
			_, err = netip.ParsePrefix(s)
		}
		if err != nil {
			issues.ReportErrorAtID(arg.ID(), "%q is no address or network: write 192.0.2.7 or 192.0.2.0/24", s)
		}
	}))
}

// callArguments finds time zones that there are not, which nobody would hear of for
// the same reason, and patterns that are not written in the policy: what it costs to
// compile one that comes from a token is bounded by nothing.
type callArguments struct{}

// Name implements cel.ASTValidator.
func (callArguments) Name() string { return "scopewire.arguments" }

// Validate implements cel.ASTValidator.
func (callArguments) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) == 0 {
			return
		}
		arg := e.AsCall().Args()[len(e.AsCall().Args())-1]
		literal := ""
		if arg.Kind() == ast.LiteralKind {
			literal, _ = arg.AsLiteral().Value().(string)
		}
		switch e.AsCall().FunctionName() {
		case "matches":
			if arg.Kind() != ast.LiteralKind {
				issues.ReportErrorAtID(arg.ID(), "a pattern is written in the policy, as a string")
			}
		case "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes",
			"getMonth", "getSeconds":
			if literal != "" && !timeZone(literal) {
				issues.ReportErrorAtID(arg.ID(), "%q is no time zone: write Europe/Berlin or +02:00", literal)
			}
		}
	}))
}

// timeZone reports whether a name or an offset is a time zone of CEL's.
func timeZone(s string) bool {
	if _, err := time.Parse("-07:00", s); err == nil {
		return true
	}
	if _, err := time.Parse("15:04", s); err == nil {
		return true // An offset to the east may go without its sign.
	}
	// Replicas would not agree on what is local.
	_, err := time.LoadLocation(s)
	return err == nil && s != "Local"
}
