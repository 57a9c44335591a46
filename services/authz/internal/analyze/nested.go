package analyze

import (
	"errors"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// maxTexts is how deep texts of the catalog may lead to one another: views over
// views, functions that call functions. It bounds the stack; the work is counted apart. The
// server takes a fifth of a second to plan as many views over one another.
const maxTexts = 256

// inside is what an analyzer of a text of the catalog has to itself.
type inside struct {
	// path is what the text's own names are looked up over.
	path searchPath
	// session is the path in force while it runs; empty leaves it as it is.
	session searchPath
	// types are the types of $1, $2 and so on.
	types []catalog.OID
	// reader is the role whose rights the text's relations are checked against, when it
	// is not the session's.
	reader string
	// stored says that the text's names were resolved when it was stored.
	stored bool
	// part says that only a part of the text is bound, whose shape is then checked
	// there.
	part bool
	// origin is where the text comes from, with what it was resolved to.
	origin origin
}

// unavailable refuses what uses a text that the server could not print. Whether there
// is such a text is told only to whom requires, and all that led to it, is granted.
func unavailable(requires ...access.Access) error {
	const message = "a part of the catalog is locked"
	return &verdict{outcome: access.Refused, reason: access.Unavailable, detail: message, requires: requires, hidesUnit: true,
		err: access.Error{SQLState: stateCannotConnect, Message: message}}
}

// catalogued parses a text of the catalog and has it bound by an analyzer of its own,
// which collects accesses apart. Its errors are nobody's but for the limit on work and
// a text that is not there: what cannot be bound is for the caller to judge.
func (a *analyzer) catalogued(text string, in inside, bind func(*analyzer, *pg_query.ParseResult) error) (*recorder, error) {
	if a.texts >= maxTexts {
		return nil, deny(access.OpaqueCode, "code that is nested too deeply")
	}
	if err := a.spend(readCost * len(text)); err != nil {
		return nil, err
	}
	if strings.Contains(text, catalog.Unreadable) {
		return nil, unavailable()
	}
	seen, err := precheck([]byte(text), a.limits)
	if err != nil {
		return nil, err
	}
	if seen.faulty || seen.newNumerals && a.version < numeralsSince {
		return nil, deny(access.OpaqueCode, "a text that the server may read otherwise")
	}
	tree, err := parse(seen.parseText, text, a.version/10000)
	if err != nil {
		return nil, err
	}
	inner := *a
	inner.in = Input{Parse: len(in.types) > 0, ParameterTypes: in.types, Context: a.in.Context}
	inner.text, inner.path, inner.reader, inner.literally = text, in.path, in.reader, new(bool)
	if len(in.session) > 0 {
		inner.session = in.session
	}
	inner.texts++
	inner.current = &recorder{within: in.reader != "", stored: in.stored}
	inner.statements, inner.partial, inner.sublinkNames, inner.deduced = nil, nil, nil, nil
	inner.configuring, inner.stores, inner.defines = nil, false, false
	inner.catalogText, inner.planning, inner.predicate = false, false, false
	inner.held, inner.owner, inner.resolver = in.origin.held(), in.origin.owner, nil
	if !in.part {
		err = inner.shapes(tree)
	}
	if err == nil {
		err = bind(&inner, tree)
	}
	if err == nil {
		err = inner.understood(in.origin, inner.held)
	}
	a.work = inner.work
	a.unfinished = inner.unfinished
	return inner.current, err
}

// shapes checks the shape of every statement of a text.
func (a *analyzer) shapes(tree *pg_query.ParseResult) error {
	for _, raw := range tree.Stmts {
		if err := a.checkShape(raw.ProtoReflect()); err != nil {
			return err
		}
	}
	return nil
}

// limited reports whether an error is a limit that was met, which no judgement of
// the text behind it may turn into something else.
func limited(err error) bool {
	var v *verdict
	return errors.As(err, &v) && v.outcome == access.Refused
}
