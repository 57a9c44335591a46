package policy

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/scopewire/scopewire/services/authz/internal/builtin"
)

// parseArguments parses a routine's argument types and returns them as
// format_type of PostgreSQL prints them, so that they compare with a catalog's.
func parseArguments(s string) ([]string, error) {
	if strings.TrimSpace(s) == "" {
		return []string{}, nil
	}
	var args []string
	for rest := s; ; {
		typ, tail, err := nextType(rest)
		if err != nil {
			return nil, err
		}
		if err := knownType(typ); err != nil {
			return nil, err
		}
		args = append(args, typ)
		if tail == "" {
			return args, nil
		}
		rest = tail[1:]
	}
}

// nextType reads one type up to the next comma, which begins what it returns
// as the tail.
func nextType(s string) (typ, tail string, err error) {
	var words []string
	quoted, dotted := false, false
	rest := strings.TrimLeft(s, " ")
	for rest != "" && rest[0] != ',' && rest[0] != '[' {
		id, after, err := nextIdentifier(rest)
		if err != nil {
			return "", "", fmt.Errorf("argument type: %w", err)
		}
		word := quoteIdentifier(id)
		if rest[0] == '"' && id == "char" {
			word = `"char"` // The one-byte type of the catalogs, not character.
		}
		quoted = quoted || word != id
		words = append(words, word)
		if strings.HasPrefix(after, ".") {
			schema := words[len(words)-1]
			if dotted || len(words) > 1 {
				return "", "", errors.New("an argument type is named schema.name")
			}
			dotted = true
			if id, after, err = nextIdentifier(after[1:]); err != nil {
				return "", "", fmt.Errorf("argument type: %w", err)
			}
			words = []string{schema + "." + quoteIdentifier(id)}
			if schema == "pg_catalog" {
				// format_type leaves the schema out, and spells names as SQL does.
				words, quoted = []string{formatType(id)}, true
			}
		}
		if after != "" && !strings.ContainsAny(after[:1], " ,[") {
			return "", "", fmt.Errorf("argument type: %q does not follow a name; types take no modifiers", after)
		}
		rest = strings.TrimLeft(after, " ")
	}
	typ = strings.Join(words, " ")
	switch {
	case typ == "":
		return "", "", errors.New("an argument type is missing")
	case dotted && len(words) > 1, quoted && len(words) > 1:
		return "", "", noType(typ)
	case !dotted && !quoted:
		if full, ok := typeAliases[typ]; ok {
			typ = full
		} else if len(words) > 1 && !multiWordTypes[typ] {
			return "", "", noType(typ)
		} else if strings.HasPrefix(typ, "_") {
			typ = formatType(typ) // An array by its name in pg_type.
		}
	}
	// Only one pair of brackets is kept, whatever the dimensions: the catalog
	// has one array type.
	if strings.HasPrefix(rest, "[") {
		for strings.HasPrefix(rest, "[]") {
			rest = strings.TrimLeft(rest[2:], " ")
		}
		if rest != "" && rest[0] != ',' {
			return "", "", errors.New("an array type ends with []")
		}
		typ = strings.TrimSuffix(typ, "[]") + "[]"
	}
	return typ, rest, nil
}

// noType is the error for words that are no type.
func noType(words string) error {
	return fmt.Errorf("there is no type %q: the types are written alone, without names, modes and defaults", words)
}

// knownType refuses a type that no routine's argument can have as format_type prints
// it: a grant on such a signature would cover nothing, and nobody would hear of it. A
// type that is named with its schema is the database's business.
func knownType(typ string) error {
	typ = strings.TrimSuffix(typ, "[]")
	bare, rest, err := nextIdentifier(typ)
	switch {
	// What is no identifier was refused before.
	case err == nil && !strings.HasPrefix(rest, ".") && !multiWordTypes[typ] && !strings.HasPrefix(bare, "pg_") && !catalogTypes()[typ]:
		return fmt.Errorf("the server has no type %s of its own; a type of the database is named with its schema", typ)
	default:
		return nil
	}
}

// catalogTypes are the types of pg_catalog as format_type prints them, but for those
// whose names begin with pg_. Nearly all of them are arguments of the server's own
// functions: each has one that prints it.
var catalogTypes = sync.OnceValue(func() map[string]bool {
	types := map[string]bool{
		"numrange": true, "tsrange": true, "tstzrange": true, "int4multirange": true, "int8multirange": true, "nummultirange": true,
		"datemultirange": true, "tsmultirange": true, "tstzmultirange": true, "refcursor": true,
	}
	for major := minMajor; major <= maxMajor; major++ {
		for _, e := range builtin.All(major) {
			if e.Extension != "" {
				continue
			}
			for _, a := range e.Arguments {
				types[strings.TrimSuffix(formatType(a), "[]")] = true
			}
		}
	}
	return types
})

// typeAliases maps the spellings the grammar accepts for built-in types
// (gram.y, GenericType's siblings) and their catalog names to what format_type
// prints.
var typeAliases = map[string]string{
	"bit varying": "bit varying", "varbit": "bit varying",
	"bool": "boolean", "bpchar": "character",
	"char": "character", "char varying": "character varying", "national character": "character",
	"national character varying": "character varying", "nchar varying": "character varying", "nchar": "character",
	"varchar": "character varying", "dec": "numeric", "decimal": "numeric",
	"float": "double precision", "float4": "real", "float8": "double precision",
	"int": "integer", "int2": "smallint", "int4": "integer", "int8": "bigint",
	"time": "time without time zone", "timetz": "time with time zone",
	"timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone",
}

// multiWordTypes are the names of format_type that have more than one word.
var multiWordTypes = map[string]bool{
	"bit varying": true, "character varying": true, "double precision": true,
	"time without time zone": true, "time with time zone": true,
	"timestamp without time zone": true, "timestamp with time zone": true,
}

// sameArguments reports whether a routine's argument types, as format_type
// printed them, are those of a pattern. Both sides go through the parser when
// they differ: format_type also quotes names that are key words.
func sameArguments(pattern, found []string) bool {
	if len(pattern) != len(found) {
		return false
	}
	for i := range found {
		if pattern[i] == found[i] {
			continue
		}
		if typ, rest, err := nextType(found[i]); err != nil || rest != "" || typ != pattern[i] {
			return false
		}
	}
	return true
}
