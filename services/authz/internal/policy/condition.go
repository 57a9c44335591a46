package policy

import (
	"net/netip"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Bounds of a condition: its text in bytes, and what one evaluation may cost in
// CEL's units, of which a comparison is a few. A scan of 64 scopes is under 1,000.
const (
	maxCondition     = 4096
	maxConditionCost = 10_000
)

// condition is a compiled `when:`. It is immutable and safe for concurrent use.
type condition struct {
	program cel.Program
	// ofPrincipal marks one that asks about the principal alone, so that it is
	// evaluated once for a principal instead of once for a decision.
	ofPrincipal bool
}

// state is what an evaluation came to.
type state uint8

const (
	failed state = iota // It could not be evaluated; the zero value.
	holds
	holdsNot
)

// The variables of a condition. Each is declared by its dotted name, so that a
// misspelt one is an error at load.
const (
	varIssuer      = "principal.issuer"
	varSubject     = "principal.subject"
	varClientID    = "principal.client_id"
	varScopes      = "principal.scopes"
	varClaims      = "principal.claims"
	varActors      = "principal.actors"
	varNow         = "now"
	varAddress     = "client.address"
	varTLS         = "client.tls"
	varApplication = "client.application_name"
	varDatabase    = "client.database"
)

// newEnvironment declares what a condition may use: CEL's standard library, and
// ip() and cidr() for addresses.
func newEnvironment() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable(varIssuer, cel.StringType),
		cel.Variable(varSubject, cel.StringType),
		cel.Variable(varClientID, cel.StringType),
		cel.Variable(varScopes, cel.ListType(cel.StringType)),
		cel.Variable(varClaims, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varActors, cel.ListType(cel.MapType(cel.StringType, cel.StringType))),
		cel.Variable(varNow, cel.TimestampType),
		cel.Variable(varAddress, cel.StringType),
		cel.Variable(varTLS, cel.BoolType),
		cel.Variable(varApplication, cel.StringType),
		cel.Variable(varDatabase, cel.StringType),
		ext.Network(),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserErrorRecoveryLimit(4),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(), addressLiterals{}, callArguments{}),
	)
}

// compileCondition checks a condition and reports what is wrong with it at the
// place in the file.
func (c *compiler) compileCondition(path string, t *text) *condition {
	if t == nil {
		return nil
	}
	switch {
	case strings.TrimSpace(t.string) == "":
		c.Addf(path, "a condition is not empty")
		return nil
	case len(t.string) > maxCondition:
		c.Addf(path, "a condition has at most %d bytes", maxCondition)
		return nil
	}
	if c.environment == nil {
		env, err := newEnvironment()
		if err != nil {
			c.Addf(path, "conditions cannot be compiled: %s", err)
			return nil
		}
		c.environment = env
	}
	compiled, issues := c.environment.Compile(t.string)
	if errs := issues.Errors(); len(errs) > 0 {
		for _, e := range errs {
			c.addAt(t.inside(e.Location.Line(), e.Location.Column(), c.placeOf(path)), path, e.Message)
		}
		return nil
	}
	if out := compiled.OutputType(); !out.IsExactType(cel.BoolType) {
		c.Addf(path, "a condition is true or false, and this is a value of type %s", out)
		return nil
	}
	program, err := c.environment.Program(compiled, cel.CostLimit(maxConditionCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		c.Addf(path, "%s", err)
		return nil
	}
	out := &condition{program: program, ofPrincipal: true}
	for _, ref := range compiled.NativeRep().ReferenceMap() {
		if ref.Name == varNow || strings.HasPrefix(ref.Name, "client.") {
			out.ofPrincipal = false
		}
	}
	return out
}

// inside is the place of a line (from 1) and column (from 0) of the content; or
// the text's own place where its spelling differs from its content.
func (t *text) inside(line, column int, otherwise place) place {
	switch {
	case !t.exact || line < 1 || column < 0:
		return otherwise
	case line == 1:
		return place{line: t.at.line, column: t.at.column + column}
	case t.indent == 0:
		return otherwise
	default:
		return place{line: t.at.line + line - 1, column: t.indent + 1 + column}
	}
}

// evaluate asks the condition. Anything but a clear answer is failed.
func (c *condition) evaluate(facts cel.Activation) state {
	out, _, err := c.program.Eval(facts)
	if err != nil {
		return failed
	}
	switch out {
	case types.True:
		return holds
	case types.False:
		return holdsNot
	default:
		return failed
	}
}

// facts are what a condition may ask about. A name that is not known is an error
// of the evaluation.
type facts struct {
	who     *Principal
	request *Request
}

// ResolveName implements cel.Activation.
func (f facts) ResolveName(name string) (any, bool) {
	switch name {
	case varIssuer:
		return f.who.Issuer, true
	case varSubject:
		return f.who.Subject, true
	case varClientID:
		return f.who.ClientID, true
	case varScopes:
		return f.who.Scopes, true
	case varClaims:
		return f.who.Claims, f.who.Claims != nil
	case varActors:
		return f.who.actors(), true
	}
	if f.request == nil {
		return nil, false
	}
	switch name {
	case varNow:
		return f.request.Now.UTC(), !f.request.Now.IsZero()
	case varDatabase:
		return f.request.Database, f.request.Database != ""
	}
	client := f.request.Client
	if client == nil {
		return nil, false
	}
	switch name {
	case varAddress:
		return client.Address.Unmap().WithZone("").String(), client.Address.IsValid()
	case varTLS:
		return client.TLS, true
	case varApplication:
		return client.ApplicationName, true
	default:
		return nil, false
	}
}

// Parent implements cel.Activation.
func (facts) Parent() cel.Activation { return nil }

// Request is what a condition may ask about beside the principal. What is not
// set is unknown: a grant whose condition asks for it grants nothing, a deny
// applies.
type Request struct {
	// Now is the time of the decision.
	Now time.Time
	// Database is the session's.
	Database string
	// Client is nil when nothing is known of it.
	Client *Client
}

// Client is what the proxy observed of a client.
type Client struct {
	// Address is the peer's, without its port.
	Address netip.Addr
	// TLS says that the connection is encrypted.
	TLS bool
	// ApplicationName is as the client sent it: a claim, nothing more.
	ApplicationName string
}
