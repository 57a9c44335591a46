package oracle

import (
	"fmt"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/analyze"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

// judge asks Scopewire about statements of one role.
type judge struct {
	snap    *catalog.Snapshot
	context analyze.Context
	grants  *policy.Grants
}

// newJudge compiles the grants to a policy. login is the login that the sessions of
// the principal would run under.
func newJudge(snap *catalog.Snapshot, path, login string, grants []Grant) (*judge, error) {
	p, err := policy.Parse([]byte(PolicyText(grants)))
	if err != nil {
		return nil, fmt.Errorf("the policy of the grants: %w", err)
	}
	return &judge{
		snap:   snap,
		grants: p.Principal([]string{scope}),
		context: analyze.Context{SearchPath: path, Role: login, ServerVersionNum: snap.ServerVersionNum,
			Settings: map[string]string{"standard_conforming_strings": "on"}},
	}, nil
}

// Verdict is what Scopewire said of a statement.
type Verdict struct {
	Allow, Refused bool
	Reason         access.Reason
	Detail         string
	// Error is the error it gives in PostgreSQL's name, nil for none.
	Error *access.Error
	// Denials are what it denies, one by one.
	Denials []Denial
	// Accesses are those of all statements, complete when Judged is set.
	Accesses []access.Access
	Judged   bool
}

// Denial is one reason to deny.
type Denial struct {
	Reason access.Reason
	Detail string
	// Access is the access that is not covered; nil where analysis itself denies.
	Access *access.Access
}

func (j *judge) verdict(u Unit) Verdict {
	analysis := analyze.Analyze(analyze.Input{Text: []byte(u.SQL), Parse: u.Parse, Context: j.context}, j.snap)
	d := j.grants.Decide(analysis)
	v := Verdict{Allow: d.Allow, Refused: d.Refused, Reason: d.Reason, Detail: d.Detail, Error: d.Failed}
	if analysis.Outcome != access.Judge {
		if !v.Allow {
			v.Denials = []Denial{{Reason: v.Reason, Detail: v.Detail}}
		}
		return v
	}
	v.Judged = true
	for _, s := range analysis.Statements {
		for _, a := range s.Accesses {
			v.Accesses = append(v.Accesses, a)
			one := j.grants.Decide(access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Accesses: []access.Access{a}}}})
			if !one.Allow {
				v.Denials = append(v.Denials, Denial{Reason: one.Reason, Detail: one.Detail, Access: &a})
			}
		}
		for _, b := range s.Behind {
			one := j.grants.Decide(access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Behind: []access.Behind{b}}}})
			if !one.Allow {
				v.Denials = append(v.Denials, Denial{Reason: one.Reason, Detail: one.Detail})
			}
		}
	}
	return v
}

// effects are what a unit does to the session, by analysis alone.
func (j *judge) effects(u Unit) []access.Effect {
	var all []access.Effect
	for _, s := range analyze.Analyze(analyze.Input{Text: []byte(u.SQL), Parse: u.Parse, Context: j.context}, j.snap).Statements {
		all = append(all, s.Effects...)
	}
	return all
}
