package policy

import "github.com/scopewire/scopewire/services/authz/internal/access"

// judgeBehind judges what a statement's names would come to mean if what they mean were
// gone. Only who may change the schema in front can bring that about, from another session
// while the statement waits.
func (t *trial) judgeBehind(st *access.Statement) (verdict, access.Behind) {
	for i := range st.Behind {
		b := &st.Behind[i]
		if !t.changes(b.Schema) {
			continue
		}
		if v := t.judge(&b.Access); v != covered {
			return v, *b
		}
	}
	return covered, access.Behind{}
}

// changes reports whether the request may change what is in a schema, or who sees it.
func (t *trial) changes(schema string) bool {
	for _, a := range []access.Access{
		{Action: access.DDL, Resolved: access.Object{Kind: access.Schema, Name: schema}},
		{Action: access.Admin, Resolved: access.Object{Kind: access.Database, Name: t.request.Database}},
	} {
		look := *t
		look.rules = nil
		v := look.judge(&a)
		t.asked, t.conditional = look.asked, look.conditional
		if v == covered {
			return true
		}
	}
	return false
}
