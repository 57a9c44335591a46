package policy

import (
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Decision is the answer for a protocol unit. The zero value denies.
type Decision struct {
	// Allow is set when every access of every statement is covered.
	Allow bool
	// Refused is set when a limit was met: the client hears a refusal, which
	// Failed describes, and no denial.
	Refused bool
	// Reason says why, for audit and metrics.
	Reason access.Reason
	// Detail is one line beside the reason, for audit. It names objects and
	// rules, and no literal of the statement.
	Detail string
	// Failed is the error that PostgreSQL itself would give and that the client
	// may hear; nil for a denial.
	Failed *access.Error
	// Conditional is set when the answer hung on the time or the client: the same
	// question may be answered otherwise at any moment.
	Conditional bool
}

// verdict is the outcome for one access.
type verdict int

const (
	uncovered verdict = iota // No grant; the zero value.
	covered                  // Granted.
	denied                   // An explicit deny matches.
	opaque                   // Granted, but it runs code that nobody trusts.
	unmet                    // A grant covers it, but its condition does not hold.
)

// Decide judges what analysis found out about a unit, for a request of which
// nothing is known.
func (g *Grants) Decide(a access.Analysis) Decision { return g.DecideIn(Request{}, a) }

// DecideIn judges what analysis found out about a unit of a request.
func (g *Grants) DecideIn(r Request, a access.Analysis) Decision {
	t := trial{Grants: g, request: r}
	d := t.decide(&a)
	d.Conditional = t.conditional
	return d
}

func (t *trial) decide(a *access.Analysis) Decision {
	if barred := t.connect(); t.judge(&barred) == denied {
		return deny(access.ExplicitDeny, displayAccess(barred)+t.because(denied))
	}
	switch a.Outcome {
	case access.Judge:
		return t.judgeAll(a.Statements)
	case access.Hidden:
		return t.judgeHidden(a)
	case access.Failed:
		return Decision{Reason: a.Reason, Detail: a.Detail, Failed: failedWith(a)}
	case access.Refused:
		// A limit that was met after names were looked up tells that they were found.
		if r, ok := t.uncoveredOf(a.Requires); ok {
			return deny(access.UnknownObject, displayAccess(r))
		}
		return Decision{Refused: true, Reason: a.Reason, Detail: a.Detail, Failed: failedWith(a)}
	case access.Denied:
		return deny(a.Reason, a.Detail)
	default:
		return deny(access.Construct, "analysis gave an outcome that policy does not know")
	}
}

// MayConnect reports whether nothing speaks against a session in the request's
// database. No grant is needed: who may connect is said by the logins.
func (g *Grants) MayConnect(r Request) bool {
	t := trial{Grants: g, request: r}
	a := t.connect()
	return t.judge(&a) != denied
}

// connect is being connected to the request's database, which only a deny speaks
// about.
func (t *trial) connect() access.Access {
	o := access.Object{Kind: access.Database, Name: t.request.Database}
	return access.Access{Action: access.Connect, Named: o, Resolved: o, Within: true}
}

// failedWith copies the error, so that the analysis does not outlive its use.
func failedWith(a *access.Analysis) *access.Error {
	e := a.Error
	return &e
}

// deny makes a denial. One without a reason, or with one that says the
// opposite, still needs a row in audit.
func deny(reason access.Reason, detail string) Decision {
	if reason == "" || reason == access.Granted {
		reason = access.NotGranted
	}
	return Decision{Reason: reason, Detail: detail}
}

func (t *trial) judgeAll(statements []access.Statement) Decision {
	t.rules = t.first[:0]
	for i := range statements {
		if statements[i].Session {
			if v := t.judgeSession(); v != covered {
				return deny(v.reason(), displayText(statements[i].Kind)+" without the preset "+PresetSession+t.because(v))
			}
		}
		for j := range statements[i].Accesses {
			a := &statements[i].Accesses[j]
			if v := t.judge(a); v != covered {
				return deny(v.reason(), displayAccess(*a)+t.because(v))
			}
		}
		if v, b := t.judgeBehind(&statements[i]); v != covered {
			return deny(v.reason(), displayAccess(b.Access)+t.because(v)+", which is behind the name in "+displayObject(access.Object{Kind: access.Schema, Name: b.Schema}))
		}
		if a, barred := t.deniedSetting(&statements[i]); barred {
			return deny(access.ExplicitDeny, displayAccess(a)+t.because(denied))
		}
	}
	return Decision{Allow: true, Reason: access.Granted, Detail: names(t.rules)}
}

// reason is what audit calls a verdict.
func (v verdict) reason() access.Reason {
	switch v {
	case covered:
		return access.Granted
	case denied:
		return access.ExplicitDeny
	case opaque:
		return access.OpaqueCode
	case unmet:
		return access.ConditionNotMet
	default:
		return access.NotGranted
	}
}

// because is what there is to say about the last access beyond its verdict.
func (t *trial) because(v verdict) string {
	switch v {
	case denied:
		return ": " + t.deniedBy.name
	case unmet:
		return ": the condition of " + t.unmet.name
	case opaque:
		return " runs " + displayText(t.code)
	default:
		return ""
	}
}

// judgeHidden tells the error if everything it would reveal is covered. One that
// requires nothing reveals nothing: the statement that caused it named no object
// (SELECT typo), and runs as little as one that is denied.
func (t *trial) judgeHidden(a *access.Analysis) Decision {
	if a.Error.SQLState == "" {
		return deny(access.UnknownObject, "analysis hides an error that it does not give")
	}
	if r, ok := t.uncoveredOf(a.Requires); ok {
		return deny(access.UnknownObject, displayAccess(r))
	}
	return Decision{Reason: a.Reason, Detail: a.Detail, Failed: failedWith(a)}
}

// uncoveredOf returns the first access that is not covered, if there is one.
func (t *trial) uncoveredOf(accesses []access.Access) (access.Access, bool) {
	for i := range accesses {
		if t.judge(&accesses[i]) != covered {
			return accesses[i], true
		}
	}
	return access.Access{}, false
}

// Covers reports whether an access is allowed, for a request of which nothing is
// known, and by which rules of the policy file; or by which deny it is not, which
// code nobody trusts, or "" when nothing covers it. An access is judged by the
// object as resolved, or as named where it could not be resolved.
func (g *Grants) Covers(a access.Access) (bool, string) {
	t := trial{Grants: g}
	switch v := t.judge(&a); v {
	case denied:
		return false, t.deniedBy.name
	case opaque:
		return false, t.code
	default:
		return v == covered, names(t.rules)
	}
}

// target is the object an access is judged by.
func target(a access.Access) access.Object {
	if a.Resolved.Name != "" {
		return a.Resolved
	}
	return a.Named
}

// names joins the names of rules.
func names(rules []*rule) string {
	if len(rules) == 1 {
		return rules[0].name
	}
	list := make([]string, len(rules))
	for i, r := range rules {
		list[i] = r.name
	}
	return strings.Join(list, ", ")
}
