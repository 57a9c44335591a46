package policy

import "github.com/scopewire/scopewire/services/authz/internal/access"

// ErrorRule says when the server's errors and notices reach clients untouched.
type ErrorRule string

// The rules, as the policy file's key `errors` has them.
const (
	// ErrorsGranted: when the principal may read all of every relation that the
	// server may speak of. The default.
	ErrorsGranted ErrorRule = "granted"
	// ErrorsClosed: never.
	ErrorsClosed ErrorRule = "closed"
	// ErrorsOpen: always. They quote names and values that the principal may have no
	// right to see.
	ErrorsOpen ErrorRule = "open"
)

// compileErrors checks the key `errors`.
func compileErrors(c *compiler, rule *string) ErrorRule {
	if rule == nil {
		return ErrorsGranted
	}
	switch r := ErrorRule(*rule); r {
	case ErrorsGranted, ErrorsClosed, ErrorsOpen:
		return r
	default:
		c.Addf("errors", "write granted (the default), closed or open")
		return ErrorsClosed
	}
}

// Errors is the policy's rule for the server's errors and notices.
func (p *Policy) Errors() ErrorRule { return p.errors }

// ReadsAll reports whether a request may read every column of all of these tables and
// sequences, and whether that hung on the time or the client.
func (g *Grants) ReadsAll(r Request, objects []access.Object) (all, conditional bool) {
	t := trial{Grants: g, request: r}
	for _, o := range objects {
		a := access.Access{Action: access.Select, Named: o, Resolved: o, AllColumns: true}
		if t.judge(&a) != covered {
			return false, t.conditional
		}
	}
	return true, t.conditional
}

// SeesAll reports whether a request may administer its database, files and programs of
// the server included, and read all of these tables and sequences: then no code can say
// what the principal may not know. conditional is as in ReadsAll.
func (g *Grants) SeesAll(r Request, objects []access.Object) (all, conditional bool) {
	t := trial{Grants: g, request: r}
	o := access.Object{Kind: access.Database, Name: r.Database}
	if a := (access.Access{Action: access.Admin, Named: o, Resolved: o}); t.judge(&a) != covered {
		return false, t.conditional
	}
	all, conditional = g.ReadsAll(r, objects)
	return all, conditional || t.conditional
}
