package resolve

import (
	"errors"
	"strconv"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// node is a node of a query tree as outfuncs.c prints it: {LABEL :field value …}.
type node struct {
	label  string
	fields map[string][]any
}

// parseTree reads one node. Values are *node, []any for a list, and string.
func parseTree(s string) (*node, error) {
	p := &treeParser{s: s}
	n, err := p.node()
	if err != nil {
		return nil, err
	}
	return n, nil
}

type treeParser struct {
	s string
	i int
}

var errTree = errors.New("a query tree cannot be read")

func (p *treeParser) token() string {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\n' || p.s[p.i] == '\t') {
		p.i++
	}
	if p.i == len(p.s) {
		return ""
	}
	start := p.i
	switch p.s[p.i] {
	case '{', '}', '(', ')':
		p.i++
		return p.s[start:p.i]
	}
	for p.i < len(p.s) && !strings.ContainsRune(" \n\t{}()", rune(p.s[p.i])) {
		if p.s[p.i] == '\\' {
			p.i++
		}
		p.i++
	}
	p.i = min(p.i, len(p.s))
	return p.s[start:p.i]
}

func (p *treeParser) node() (*node, error) {
	if p.token() != "{" {
		return nil, errTree
	}
	n := &node{label: p.token(), fields: make(map[string][]any)}
	field := ""
	for {
		before := p.i
		tok := p.token()
		switch {
		case tok == "":
			return nil, errTree
		case tok == "}":
			return n, nil
		case strings.HasPrefix(tok, ":") && len(tok) > 1:
			field = tok[1:]
			n.fields[field] = nil
		default:
			p.i = before
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			n.fields[field] = append(n.fields[field], v)
		}
	}
}

func (p *treeParser) value() (any, error) {
	before := p.i
	switch tok := p.token(); tok {
	case "{":
		p.i = before
		return p.node()
	case "(":
		list := []any{}
		for {
			before := p.i
			tok := p.token()
			if tok == ")" {
				return list, nil
			}
			if tok == "" {
				return nil, errTree
			}
			p.i = before
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	case "", ")", "}":
		return nil, errTree
	default:
		return tok, nil
	}
}

// child is the node in a field, or nil.
func (n *node) child(field string) *node {
	if v := n.fields[field]; len(v) == 1 {
		c, _ := v[0].(*node)
		return c
	}
	return nil
}

// list are the nodes in a list field.
func (n *node) list(field string) []*node {
	v := n.fields[field]
	if len(v) != 1 {
		return nil
	}
	items, _ := v[0].([]any)
	var out []*node
	for _, item := range items {
		if c, ok := item.(*node); ok {
			out = append(out, c)
		}
	}
	return out
}

func (n *node) text(field string) string {
	if v := n.fields[field]; len(v) > 0 {
		s, _ := v[0].(string)
		return s
	}
	return ""
}

func (n *node) oid(field string) catalog.OID {
	v, _ := strconv.ParseUint(n.text(field), 10, 32)
	return catalog.OID(v)
}

// target is the expression of the first column.
func (n *node) target() *node {
	if list := n.list("targetList"); len(list) > 0 {
		return list[0].child("expr")
	}
	return nil
}

// resultType is exprType for the nodes that the tests meet; 0 for others.
func (n *node) resultType() catalog.OID {
	for _, field := range []string{
		"paramtype", "consttype", "funcresulttype", "opresulttype", "resulttype", "row_typeid", "aggtype", "wintype",
		"typeId", "array_typeid", "coalescetype", "vartype", "casetype",
	} {
		if _, ok := n.fields[field]; ok {
			return n.oid(field)
		}
	}
	if n.label == "SCALARARRAYOPEXPR" {
		return Bool
	}
	if n.label == "NAMEDARGEXPR" {
		return n.child("arg").resultType()
	}
	return 0
}
