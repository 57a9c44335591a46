package builtin

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// lookupKind says what a type of pg_catalog names whose values are OIDs that are
// read and printed as names (regproc.c), and aclitem, which names roles (acl.c).
func lookupKind(name string) (NameKind, bool) {
	switch name {
	case "regclass":
		return Relation, true
	case "regcollation":
		return CollationName, true
	case "regconfig", "regdictionary":
		return ConfigurationName, true
	case "regnamespace":
		return Schema, true
	case "regoper", "regoperator":
		return OperatorName, true
	case "regproc", "regprocedure":
		return Routine, true
	case "regrole", "aclitem":
		return Role, true
	case "regtype":
		return TypeName, true
	default:
		return 0, false
	}
}

// harmlessBase says whether a base type of pg_catalog reads and prints a value and
// nothing else.
func harmlessBase(name string) bool {
	switch name {
	case "bit", "bool", "box", "bpchar", "bytea", "char", "cid", "cidr", "circle", "date", "float4", "float8", "inet",
		"int2", "int2vector", "int4", "int8", "interval", "json", "jsonb", "jsonpath", "line", "lseg", "macaddr",
		"macaddr8", "money", "name", "numeric", "oid", "oidvector", "path", "pg_lsn", "pg_snapshot", "point",
		"polygon", "refcursor", "text", "tid", "time", "timestamp", "timestamptz", "timetz", "tsquery", "tsvector",
		"txid_snapshot", "uuid", "varbit", "varchar", "xid", "xid8", "xml", "unknown", "cstring", "void":
		return true
	default:
		return false
	}
}

// InputLooksUp says whether reading a literal as the type looks a name up, and
// what it names: 'orders'::regclass, and domains over such a type. The kind is 0
// where the name is inside of a larger value (an array, a row, a range): such a
// literal cannot be judged.
func InputLooksUp(snap *catalog.Snapshot, t *catalog.Type) (NameKind, bool) {
	return nested{snap: snap}.lookup(t)
}

// OutputLooksUp says whether printing a value of the type looks names up by OID
// (regclassout). A value of such a type that reaches the client, or becomes text,
// tells the name of any OID that was put into it, so making one of a number is
// introspection.
func OutputLooksUp(snap *catalog.Snapshot, t *catalog.Type) bool {
	_, found := nested{snap: snap}.lookup(t)
	return found
}

// HarmlessType says whether reading, printing and copying a value of the type runs
// reviewed code that looks nothing up: base types of PostgreSQL and the reviewed
// extensions, enums, and arrays, domains, rows and built-in ranges of these. The
// checks of a domain are not part of the answer; they are code of their own.
func HarmlessType(snap *catalog.Snapshot, t *catalog.Type) bool {
	return nested{snap: snap}.harmless(t)
}

// nested walks a type and what it is made of. PostgreSQL lets no type contain
// itself, but a snapshot is data: what is being looked at further up adds nothing.
type nested struct {
	snap *catalog.Snapshot
	seen []catalog.OID
}

// into steps into a part; false when it is already being looked at.
func (n nested) into(t *catalog.Type) (nested, bool) {
	for _, oid := range n.seen {
		if oid == t.OID {
			return n, false
		}
	}
	return nested{n.snap, append(n.seen[:len(n.seen):len(n.seen)], t.OID)}, true
}

func (n nested) lookup(t *catalog.Type) (NameKind, bool) {
	if t == nil {
		return 0, true // unknown: as if it did
	}
	if t.OID < firstUnpinnedOID && t.Schema == "pg_catalog" {
		if kind, ok := lookupKind(t.Name); ok {
			return kind, true
		}
	}
	n, fresh := n.into(t)
	if !fresh {
		return 0, false
	}
	if t.Base != 0 {
		return n.lookup(n.snap.TypeByOID(t.Base))
	}
	for _, part := range n.parts(t) {
		if _, found := n.lookup(n.snap.TypeByOID(part)); found {
			return 0, true
		}
	}
	return 0, false
}

func (n nested) harmless(t *catalog.Type) bool {
	if t == nil {
		return false
	}
	n, fresh := n.into(t)
	if !fresh {
		return true
	}
	switch {
	case t.Element != 0, t.Kind == 'c', t.Kind == 'd':
		for _, part := range n.parts(t) {
			if !n.harmless(n.snap.TypeByOID(part)) {
				return false
			}
		}
		return t.Element != 0 || t.Relation != 0 || t.Base != 0
	case t.Kind == 'e':
		return true
	case t.Kind == 'r', t.Kind == 'm':
		// A user's range has an operator class and a canonical function of its own.
		return t.OID < catalog.FirstNormalOID
	case t.Kind != 'b' && t.Kind != 'p':
		return false
	case t.OID < firstUnpinnedOID:
		return t.Schema == "pg_catalog" && harmlessBase(t.Name)
	default:
		return n.ofExtension(t)
	}
}

// ofExtension says whether all that a base type of an extension runs was reviewed.
func (n nested) ofExtension(t *catalog.Type) bool {
	if t.Extension == "" || t.Kind != 'b' {
		return false
	}
	for _, oid := range append([]catalog.OID{t.Input, t.Output}, t.Support...) {
		f := n.snap.FunctionByOID(oid)
		switch class := Lookup(n.snap, f).Class; {
		case class == Harmless:
		case class == Internal && oid != t.Input && oid != t.Output:
		default:
			return false
		}
	}
	return true
}

// parts are the types that a value of the type contains.
func (n nested) parts(t *catalog.Type) []catalog.OID {
	var parts []catalog.OID
	for _, oid := range []catalog.OID{t.Element, t.Base, t.Subtype} {
		if oid != 0 {
			parts = append(parts, oid)
		}
	}
	if r := n.snap.RelationByOID(t.Relation); t.Relation != 0 {
		if r == nil {
			return append(parts, 0) // a row nobody can look into
		}
		for _, c := range r.Columns {
			parts = append(parts, c.Type)
		}
	}
	return parts
}
