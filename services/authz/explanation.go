package authz

import (
	"fmt"
	"io"
	"strings"
)

// The verdicts of an explanation.
const (
	VerdictAllow  = "allow"
	VerdictDeny   = "deny"
	VerdictRefuse = "refuse"
	VerdictError  = "error"
)

// Explanation is what would become of a unit, and why. It is for people: the form
// may grow.
type Explanation struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail,omitempty"`
	// Conditional is set when the answer hangs on the time or the client.
	Conditional bool   `json:"conditional,omitempty"`
	PolicyFile  string `json:"policy_file"`
	// IdleScopes are scopes of the token that grant nothing by this policy: often a
	// typing error.
	IdleScopes []string `json:"idle_scopes,omitempty"`
	// Judged is set when policy decided: the accesses are complete then. Else the
	// statement was denied or failed whatever is granted.
	Judged bool `json:"judged"`
	// Error is what the client would hear from PostgreSQL itself.
	Error      *ExplainedError      `json:"error,omitempty"`
	Statements []ExplainedStatement `json:"statements"`
	// Requires are the accesses that have to be granted before Error may be told.
	Requires []ExplainedAccess `json:"requires,omitempty"`
}

// ExplainedError is an error of PostgreSQL's.
type ExplainedError struct {
	SQLState string `json:"sqlstate"`
	Message  string `json:"message"`
	Position int    `json:"position,omitempty"`
}

// ExplainedStatement is one statement of a unit.
type ExplainedStatement struct {
	Kind       string            `json:"kind"`
	Normalised string            `json:"normalised,omitempty"`
	Accesses   []ExplainedAccess `json:"accesses,omitempty"`
	Effects    []ExplainedEffect `json:"effects,omitempty"`
}

// ExplainedEffect is what a statement does to its session.
type ExplainedEffect struct {
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
}

// ExplainedAccess is one thing a statement touches, and how that was judged.
type ExplainedAccess struct {
	// Action and Object are empty for what pools send at connect and reset.
	Action string `json:"action,omitempty"`
	// Named is the object as written, Object as it was judged.
	Named      string   `json:"named,omitempty"`
	Object     string   `json:"object,omitempty"`
	Columns    []string `json:"columns,omitempty"`
	AllColumns bool     `json:"all_columns,omitempty"`
	// Or are actions that would do as well.
	Or []string `json:"or,omitempty"`
	// Within marks what is reached with an owner's rights, Through says by way of
	// what, Runs which code runs with the login's rights because of it.
	Within  bool     `json:"within,omitempty"`
	Through []string `json:"through,omitempty"`
	Runs    []string `json:"runs,omitempty"`
	Allowed bool     `json:"allowed"`
	Reason  string   `json:"reason"`
	// Rules are the lines of the policy that decided.
	Rules []ExplainedRule `json:"rules,omitempty"`
	// Code is what would run and nobody trusts.
	Code string `json:"code,omitempty"`
	// Needed is the grant that would cover the access.
	Needed string `json:"needed,omitempty"`
	// Text is action, object and columns on one line.
	Text string `json:"text"`
}

// ExplainedRule is a rule of the policy file; a preset that is on by default and
// what a token carries have no line.
type ExplainedRule struct {
	Path string `json:"path"`
	Line int    `json:"line,omitempty"`
}

// Print writes the explanation for people.
func (e *Explanation) Print(w io.Writer) error {
	p := printer{w: w, file: e.PolicyFile}
	p.line("%s: %s", strings.ToUpper(e.Verdict), e.reason())
	for _, s := range e.IdleScopes {
		p.line("scope %q grants nothing by this policy", s)
	}
	if e.Conditional {
		p.line("it hangs on the time or the client, and is asked anew each time")
	}
	if e.Error != nil {
		at := ""
		if e.Error.Position > 0 {
			at = fmt.Sprintf(" at character %d", e.Error.Position)
		}
		p.line("the client hears %s: %s%s", e.Error.SQLState, e.Error.Message, at)
	}
	for i, s := range e.Statements {
		p.line("")
		p.line("%d. %s", i+1, strings.TrimSpace(s.Kind+"  "+strings.Join(strings.Fields(s.Normalised), " ")))
		if len(s.Accesses) == 0 && e.Judged {
			p.line("   touches nothing that needs a grant")
		}
		for _, a := range s.Accesses {
			p.access(a)
		}
		for _, f := range s.Effects {
			p.line("   effect   %s", strings.TrimSpace(f.Kind+" "+f.Name))
		}
	}
	if len(e.Requires) > 0 {
		p.line("")
		p.line("before the error may be told, these have to be granted:")
		for _, a := range e.Requires {
			p.access(a)
		}
	}
	return p.err
}

// reason is the reason and, where no access says more, the detail.
func (e *Explanation) reason() string {
	if e.Detail == "" || e.Verdict == VerdictAllow {
		return e.Reason
	}
	return e.Reason + ": " + e.Detail
}

// printer writes lines until one fails.
type printer struct {
	w    io.Writer
	file string
	err  error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) access(a ExplainedAccess) {
	word := "denied "
	if a.Allowed {
		word = "allowed"
	}
	text := a.Text
	if a.AllColumns {
		text += ", all columns"
	}
	if a.Named != "" && a.Named != a.Object {
		text += " (written " + a.Named + ")"
	}
	if len(a.Or) > 0 {
		text += ", or " + strings.Join(a.Or, " or ")
	}
	p.line("   %s  %s", word, text)
	through := ""
	if len(a.Through) > 0 {
		through = " through " + strings.Join(a.Through, ", ")
	}
	switch {
	case a.Within && a.Allowed && len(a.Rules) == 0:
		p.line("            reached%s with its owner's rights: needs no grant", through)
	case through != "":
		p.line("            reached%s", through)
	}
	for _, r := range a.Rules {
		what := ""
		if a.Reason == "condition" {
			what = ": its condition does not hold"
		}
		if r.Line == 0 {
			p.line("            %s%s", r.Path, what)
		} else {
			p.line("            %s:%d: %s%s", p.file, r.Line, r.Path, what)
		}
	}
	if a.Code != "" {
		p.line("            runs %s, which nobody trusts", a.Code)
	}
	if a.Needed != "" {
		p.line("            needs %s", a.Needed)
	}
}
