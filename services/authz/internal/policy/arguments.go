package policy

import (
	"errors"
	"fmt"
	"strings"
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
		return "", "", fmt.Errorf("there is no type %q", typ)
	case !dotted && !quoted:
		if full, ok := typeAliases[typ]; ok {
			typ = full
		} else if len(words) > 1 && !multiWordTypes[typ] {
			return "", "", fmt.Errorf("there is no type %q", typ)
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
		typ += "[]"
	}
	return typ, rest, nil
}

// typeAliases maps the spellings the grammar accepts for built-in types
// (gram.y, GenericType's siblings) and their catalog names to what format_type
// prints.
var typeAliases = map[string]string{
	"bit varying": "bit varying", "varbit": "bit varying",
	"bool": "boolean", "bpchar": "character",
	"char": "character", "char varying": "character varying", "national character": "character",
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
