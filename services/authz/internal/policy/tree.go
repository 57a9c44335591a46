package policy

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNesting is far beyond what the schema nests (6); it keeps the YAML parser,
// which recurses, from what a hostile file would make of it.
const maxNesting = 64

// readTree reads the file into f and reports what YAML permits and a policy must
// not have: unknown keys; a key without a value, which would read like a key that
// is not there and so turn `columns:` into every column; anchors, aliases and
// merge keys, which hide what is granted from who reads the place where it is
// granted; tags; and scalars that are no strings, where a reader and YAML may
// disagree on what they spell. What could be read is in f even so. The error is
// for a file that is no YAML at all.
func readTree(data []byte, f *file) (*report, error) {
	r := newReport(data)
	if err := checkNesting(data); err != nil {
		return nil, err
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	for i, doc := range tree.Docs {
		switch {
		case doc.Body == nil:
		case i > 0:
			r.addAt(placeOf(doc.Body), "", "the file holds a second document; one is read, so the rest would be ignored")
		default:
			r.read("", doc.Body, reflect.ValueOf(f).Elem())
		}
	}
	return r, nil
}

// checkNesting bounds the depth of nesting from the tokens alone. Every level
// of a block collection is indented further than the one around it, or begins
// with another "- ", "? " or key on its line.
func checkNesting(data []byte) error {
	flow, indicators, line, marks := 0, 0, 0, 0
	for _, t := range lexer.Tokenize(string(data)) {
		if t.Position.Line != line {
			line, indicators = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.AnchorType, token.AliasType, token.TagType:
			// read names every one of them, but a long chain would keep the parser
			// busy for minutes.
			if marks++; marks > maxNesting {
				return fmt.Errorf("line %d: anchors, aliases and tags are not accepted", t.Position.Line)
			}
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			indicators++
		default:
		}
		if flow > maxNesting || flow == 0 && (indicators > maxNesting || t.Position.IndentNum > 4*maxNesting) {
			return fmt.Errorf("line %d: nested too deeply", t.Position.Line)
		}
	}
	return nil
}

// placeOf is where a node begins.
func placeOf(n ast.Node) place {
	t := n.GetToken()
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return placeOf(n.Values[0])
		}
		t = n.Start
	case *ast.MappingValueNode:
		return placeOf(n.Key)
	case *ast.SequenceNode:
		t = n.Start
	}
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{line: t.Position.Line, column: t.Position.Column}
}

// refused is the type of a key that is understood and not supported: it is set
// when the key is there, whatever its value.
type refused bool

// text is a string together with where its content begins, for errors inside it.
type text struct {
	string
	// at is where the first character of the content stands; indent is how far
	// further lines of a block are indented. Content that is spelled otherwise
	// than it reads has exact unset.
	at     place
	indent int
	exact  bool
}

// anyOf is a struct that also may be written as one word.
type anyOf interface{ setWord(word string) }

// read reads the node at path into v and reports what does not fit.
func (r *report) read(path string, n ast.Node, v reflect.Value) {
	at := placeOf(n)
	if _, ok := r.places[path]; !ok {
		r.places[path] = at
	}
	switch n.(type) {
	case *ast.NullNode:
		r.addBroken(at, path, "no value; leave out what is not meant")
		return
	case *ast.AnchorNode, *ast.AliasNode:
		r.addBroken(at, path, "anchors and aliases are not accepted: a grant is read where it stands")
		return
	case *ast.TagNode:
		r.addBroken(at, path, "tags are not accepted")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch v.Type() {
	case reflect.TypeFor[refused]():
		v.SetBool(true)
		return
	case reflect.TypeFor[text](), reflect.TypeFor[time.Duration]():
		r.readScalar(path, n, v)
		return
	}
	if word, ok := v.Addr().Interface().(anyOf); ok {
		if s, ok := n.(*ast.StringNode); ok {
			word.setWord(s.Value)
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		r.readMapping(path, n, v)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			r.addBroken(at, path, "a list is wanted here")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
		for i, item := range list.Values {
			r.read(fmt.Sprintf("%s[%d]", path, i), item, v.Index(i))
		}
	default:
		r.readScalar(path, n, v)
	}
}

// readMapping reads keys and values into a struct, by its yaml tags, or a map.
func (r *report) readMapping(path string, n ast.Node, v reflect.Value) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.addBroken(placeOf(n), path, "keys with values are wanted here")
		return
	}
	if v.Kind() == reflect.Map {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(values)))
	}
	for _, pair := range values {
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			r.addAt(placeOf(pair.Key), path, "a key is a string; put it in quotes")
			continue
		}
		below := keyPath(path, key.Value)
		r.places[below] = placeOf(key)
		if v.Kind() == reflect.Map {
			item := reflect.New(v.Type().Elem()).Elem()
			r.read(below, pair.Value, item)
			v.SetMapIndex(reflect.ValueOf(key.Value), item)
			continue
		}
		field, known := fieldOf(v, key.Value)
		if !field.IsValid() {
			r.addAt(placeOf(key), below, fmt.Sprintf("there is no such key here; the keys are %s", strings.Join(known, ", ")))
			continue
		}
		r.read(below, pair.Value, field)
	}
}

// fieldOf is the field of a struct for a key, and all keys there are.
func fieldOf(v reflect.Value, key string) (reflect.Value, []string) {
	var known []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		switch name {
		case "": // No key of the file, whatever the file has.
		case key:
			return v.Field(i), nil
		default:
			known = append(known, name)
		}
	}
	return reflect.Value{}, known
}

// readScalar reads one word or text.
func (r *report) readScalar(path string, n ast.Node, v reflect.Value) {
	fail := func(format string, args ...any) { r.addBroken(placeOf(n), path, fmt.Sprintf(format, args...)) }
	switch v.Kind() {
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
			return
		}
		fail("true or false is wanted here")
		return
	case reflect.Int:
		if i, ok := n.(*ast.IntegerNode); ok {
			if number, err := strconv.Atoi(i.Token.Value); err == nil {
				v.SetInt(int64(number))
				return
			}
		}
		fail("a whole number is wanted here")
		return
	default:
		// Everything else is written as a text.
	}
	var content text
	switch n := n.(type) {
	case *ast.StringNode:
		content = text{string: n.Value, at: placeOf(n)}
		switch raw := strings.TrimSpace(n.Token.Origin); {
		case raw == n.Value:
			content.exact = true
		case raw == "'"+n.Value+"'", raw == `"`+n.Value+`"`:
			content.exact = true
			content.at.column++
		}
	case *ast.LiteralNode:
		content = literal(r.lines, n)
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		fail("one text is wanted here, not a list or keys with values")
		return
	default:
		fail("%s is not a string in YAML; put it in quotes", n.GetToken().Value)
		return
	}
	switch v.Type() {
	case reflect.TypeFor[text]():
		v.Set(reflect.ValueOf(content))
	case reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(content.string)
		if err != nil || content.string[0] < '0' || content.string[0] > '9' {
			fail("a time span looks like 200ms, 10s or 1h30m, not %q", content.string)
			return
		}
		v.SetInt(int64(d))
	default:
		v.SetString(content.string)
	}
}

// literal is the content of a block: it begins on the line below its header.
func literal(lines []string, n *ast.LiteralNode) text {
	t := text{string: n.Value.Value, at: placeOf(n)}
	if n.Start != nil && strings.HasPrefix(n.Start.Value, "|") && t.at.line < len(lines) {
		first := lines[t.at.line]
		t.indent = len(first) - len(strings.TrimLeft(first, " "))
		t.at, t.exact = place{line: t.at.line + 1, column: t.indent + 1}, true
	}
	return t
}

// keyPath extends a path by a key of the file.
func keyPath(path, key string) string {
	if !plainWord(key) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
