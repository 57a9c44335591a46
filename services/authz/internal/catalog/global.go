package catalog

import "iter"

// GlobalKind is the catalog that an object of no schema is a row of.
type GlobalKind byte

// The kinds of objects that are no schema's and that statements name.
const (
	KindLanguage    GlobalKind = 'l'
	KindWrapper     GlobalKind = 'w'
	KindServer      GlobalKind = 's'
	KindPublication GlobalKind = 'p'
)

// Global is a row of pg_language, pg_foreign_data_wrapper, pg_foreign_server or
// pg_publication.
type Global struct {
	Kind GlobalKind
	// OID is unique among those of a kind.
	OID  OID
	Name string
	// Wrapper is srvfdw of a server, else 0.
	Wrapper OID
	// Trusted is lanpltrusted of a language, Inline laninline: the function that runs DO,
	// 0 for none.
	Trusted bool
	Inline  OID
}

// globalKey identifies an object of no schema.
type globalKey struct {
	kind GlobalKind
	oid  OID
}

func (g *Global) key() globalKey { return globalKey{g.Kind, g.OID} }

// EachGlobal goes through all objects of no schema, those of an overlay first.
func (s *Snapshot) EachGlobal() iter.Seq[*Global] {
	return each(s, func(s *Snapshot) []Global { return s.Globals },
		func(s *Snapshot, v *Global) bool { return s.replaced.globals[v.key()] })
}

// Global finds an object of no schema by its name, or returns nil. There are few: it
// looks at all of them.
func (s *Snapshot) Global(kind GlobalKind, name string) *Global {
	for g := range s.EachGlobal() {
		if g.Kind == kind && g.Name == name {
			return g
		}
	}
	return nil
}

// hiddenGlobals are those of the base that additions hide or have themselves.
func hiddenGlobals(add Additions) map[globalKey]bool {
	out := map[globalKey]bool{}
	for i := range add.Globals {
		out[add.Globals[i].key()] = true
	}
	for kind, oids := range add.Dropped.globals() {
		for _, oid := range oids {
			out[globalKey{kind, oid}] = true
		}
	}
	return out
}

// globals are the dropped objects of no schema by their kind.
func (d *Dropped) globals() map[GlobalKind][]OID {
	return map[GlobalKind][]OID{KindLanguage: d.Languages, KindWrapper: d.Wrappers, KindServer: d.Servers, KindPublication: d.Publications}
}
