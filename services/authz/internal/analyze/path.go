package analyze

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// nameBytes is NAMEDATALEN-1: longer identifiers are cut at a character boundary.
const nameBytes = 63

// The schemas that name resolution knows by name.
const (
	schemaCatalog     = "pg_catalog"
	schemaTemp        = "pg_temp"
	schemaInformation = "information_schema"
)

// searchPath is the effective list of schemas, as recomputeNamespacePath
// (namespace.c) makes it: schemas that exist and on
// which the role has USAGE, without repetition, pg_catalog in front
// unless listed, and pg_temp before that, unless listed or not there.
// Relations and types are looked for in pg_temp, nothing else is.
type searchPath []string

// storedPath is what texts of the catalog are read over. The server prints a name
// without its schema if it is one of pg_catalog, or else of the session's pg_temp (see
// package probe).
func (a *analyzer) storedPath() searchPath {
	if a.snap.TempSchema() != "" {
		return searchPath{schemaCatalog, schemaTemp}
	}
	return searchPath{schemaCatalog}
}

// ownTemporary reports whether a schema is that of the session's temporary objects:
// no other temporary schema is in a snapshot. What is in it belongs to the session, and
// needs no grant; only a deny speaks about it.
func ownTemporary(schema string) bool { return strings.HasPrefix(schema, schemaTemp+"_") }

// shownSchema is the schema as accesses have it: the number of a temporary one means
// nothing to anybody.
func shownSchema(schema string) string {
	if ownTemporary(schema) {
		return schemaTemp
	}
	return schema
}

// fullName is a relation's name as it is shown.
func fullName(rel *catalog.Relation) string { return shownSchema(rel.Schema) + "." + rel.Name }

// newSearchPath reads search_path as SHOW prints it.
func newSearchPath(setting, role string, snap *catalog.Snapshot) (searchPath, error) {
	names, ok := splitIdentifiers(setting)
	if !ok {
		return nil, deny(access.Context, "search_path cannot be read")
	}
	var path searchPath
	add := func(name string) {
		for _, have := range path {
			if have == name {
				return
			}
		}
		path = append(path, name)
	}
	for _, name := range names {
		if name == "$user" {
			name = role
		}
		if name == "" {
			continue
		}
		if name == schemaTemp || ownTemporary(name) {
			if snap.TempSchema() != "" && (name == schemaTemp || name == snap.TempSchema()) {
				add(schemaTemp)
			}
			continue
		}
		if name == schemaCatalog || snap.SchemaOpenTo(name, role) {
			add(name)
		}
	}
	if !slices.Contains(path, schemaCatalog) {
		path = append(searchPath{schemaCatalog}, path...)
	}
	if snap.TempSchema() != "" && !slices.Contains(path, schemaTemp) {
		path = append(searchPath{schemaTemp}, path...)
	}
	return path, nil
}

// namesCurrentSchema asks for what finding out the current schema needs: where the
// session's temporary schema comes first and does not exist, it is made
// (fetch_search_path of namespace.c).
func (a *analyzer) namesCurrentSchema() {
	names, _ := splitIdentifiers(a.in.Context.SearchPath)
	for _, name := range names {
		if name == "$user" {
			name = a.in.Context.Role
		}
		if name == schemaTemp {
			a.ask(access.Temporary, a.database())
			return
		}
		if name == schemaCatalog || a.snap.SchemaOpenTo(name, a.in.Context.Role) {
			return
		}
	}
}

// splitIdentifiers is SplitIdentifierString (varlena.c) with a comma.
func splitIdentifiers(s string) ([]string, bool) { return splitNames(s, ',') }

// splitNames is SplitIdentifierString: unquoted names are folded, all are truncated. It
// reports false on bad syntax.
func splitNames(s string, separator byte) ([]string, bool) {
	s = strings.Trim(s, " \t\n\r\f\v")
	if s == "" {
		return nil, true
	}
	var names []string
	for {
		var name string
		if s != "" && s[0] == '"' {
			var quoted strings.Builder
			s = s[1:]
			for {
				end := strings.IndexByte(s, '"')
				if end < 0 {
					return nil, false
				}
				quoted.WriteString(s[:end])
				s = s[end+1:]
				if s == "" || s[0] != '"' {
					break
				}
				quoted.WriteByte('"')
				s = s[1:]
			}
			name = quoted.String()
		} else {
			end := strings.IndexAny(s, string(separator)+" \t\n\r\f\v")
			if end < 0 {
				end = len(s)
			}
			if end == 0 {
				return nil, false
			}
			name = lowerASCII(s[:end])
			s = s[end:]
		}
		names = append(names, truncateName(name))
		s = strings.TrimLeft(s, " \t\n\r\f\v")
		if s == "" {
			return names, true
		}
		if s[0] != separator {
			return nil, false
		}
		s = strings.TrimLeft(s[1:], " \t\n\r\f\v")
	}
}

// lowerASCII folds as downcase_truncate_identifier does in a UTF-8 database: ASCII
// only.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// truncateName cuts an identifier to nameBytes at a character boundary.
func truncateName(name string) string {
	if len(name) <= nameBytes {
		return name
	}
	end := nameBytes
	for end > 0 && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// foreign returns the path without pg_catalog and pg_temp.
func (p searchPath) foreign() []string {
	var names []string
	for _, name := range p {
		if name != schemaCatalog && name != schemaTemp {
			names = append(names, name)
		}
	}
	return names
}

// catalogFirst reports whether pg_catalog is where functions and their kin are looked
// for first.
func (p searchPath) catalogFirst() bool {
	return len(p) > 0 && p[0] == schemaCatalog || len(p) > 1 && p[0] == schemaTemp && p[1] == schemaCatalog
}

// includes reports whether an unqualified name of a function or its kin can come from a
// schema.
func (p searchPath) includes(schema string) bool {
	for _, name := range p {
		if name == schema {
			return true
		}
	}
	return false
}
