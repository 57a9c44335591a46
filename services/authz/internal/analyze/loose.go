package analyze

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// looseBody is a function of LANGUAGE sql whose body is a text and which sets no path of
// its own: it is read when it first runs (init_sql_fcache, functions.c), over the path of
// that moment.
type looseBody struct {
	// key tells overloads apart.
	key  string
	on   access.Object
	code access.Trust
	// at is the relation that runs it by itself; nil when it is called.
	at *place
}

// absorbLoose adds the loose bodies of another recorder, which at runs by itself.
func (r *recorder) absorbLoose(inner *recorder, at *place) {
	for _, body := range inner.loose {
		if body.at == nil {
			body.at = at
		}
		r.loosen(body)
	}
}

// loosen notes a loose body, once.
func (r *recorder) loosen(body looseBody) {
	same := func(b looseBody) bool {
		return b.key == body.key && (b.at == nil) == (body.at == nil) && (b.at == nil || *b.at == *body.at) &&
			b.on.Kind == body.on.Kind && b.on.Schema == body.on.Schema && b.on.Name == body.on.Name
	}
	if !slices.ContainsFunc(r.loose, same) {
		r.loose = append(r.loose, body)
	}
}

// trustLoose asks for trust in loose bodies beside code that may change the session: they
// were judged over the path from before it.
func (a *analyzer) trustLoose() {
	if !a.current.opaque {
		return
	}
	for _, body := range a.current.loose {
		if at := body.at; at != nil {
			a.mustTrust(*at, body.code.Code)
			continue
		}
		addTrust(a.current.object(access.Execute, body.on, body.on), body.code)
	}
}
