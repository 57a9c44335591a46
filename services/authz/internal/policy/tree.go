package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/scopewire/scopewire/internal/config"
)

// maxNesting is far beyond what the schema nests (6); it keeps the YAML parser,
// which recurses, from what a hostile file would make of it.
const maxNesting = 64

// checkTree finds what YAML permits and a policy must not: a key without a
// value, which decodes like a key that is not there and so would turn
// `columns:` into every column; anchors, aliases and merge keys, which hide
// what is granted from who reads the place where it is granted; tags; and
// scalars that are no strings, where a reader and YAML may disagree on what
// they spell.
func checkTree(data []byte) error {
	if err := checkNesting(data); err != nil {
		return err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return errors.New(yaml.FormatError(err, false, true))
	}
	var p config.Problems
	for _, doc := range file.Docs {
		if doc.Body != nil {
			walk(&p, "", doc.Body)
		}
	}
	return p.Err()
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
			// walk names every one of them, but a long chain would keep the parser
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

// untyped are the keys whose values are not strings.
func untyped(path string) bool {
	return path == "version" || strings.HasSuffix(path, "].trusted") ||
		strings.HasPrefix(path, "issuers[") && strings.HasSuffix(path, ".accept_typ_jwt")
}

// walk collects the findings below a node.
func walk(p *config.Problems, path string, n ast.Node) {
	at := func(format string, args ...any) {
		line := 0
		if t := n.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
		where := path
		if where == "" {
			where = "policy"
		}
		p.Addf(where, "line %d: %s", line, fmt.Sprintf(format, args...))
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			walk(p, path, v)
		}
	case *ast.MappingValueNode:
		walkPair(p, path, n, at)
	case *ast.SequenceNode:
		for i, v := range n.Values {
			walk(p, fmt.Sprintf("%s[%d]", path, i), v)
		}
	case *ast.StringNode, *ast.LiteralNode, *ast.CommentGroupNode:
	case *ast.NullNode:
		at("no value; leave out what is not meant")
	case *ast.AnchorNode, *ast.AliasNode:
		at("anchors and aliases are not accepted: a grant is read where it stands")
	case *ast.TagNode:
		at("tags are not accepted")
	case *ast.IntegerNode, *ast.BoolNode:
		if !untyped(path) {
			at("%s is not a string in YAML; put it in quotes", n.GetToken().Value)
		}
	default:
		at("%s is not a string in YAML; put it in quotes", n.GetToken().Value)
	}
}

// walkPair collects the findings of one key and its value.
func walkPair(p *config.Problems, path string, n *ast.MappingValueNode, at func(string, ...any)) {
	key, ok := n.Key.(*ast.StringNode)
	if !ok {
		at("a key is a string; put it in quotes")
		return
	}
	path = keyPath(path, key.Value)
	switch n.Value.(type) {
	case *ast.NullNode, *ast.TagNode, *ast.AnchorNode, *ast.AliasNode:
		// These can decode like a key that is not there.
	default:
		if later(path) {
			return
		}
	}
	walk(p, path, n.Value)
}

// later reports whether a key of a grant is refused by its own sentence, so
// that what it holds need not be looked at.
func later(path string) bool {
	for _, suffix := range []string{"].rows", "].when"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
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
