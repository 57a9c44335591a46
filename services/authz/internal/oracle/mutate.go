package oracle

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// Mutator bends statements: it puts other names, literals and pieces into them.
type Mutator struct {
	random *rand.Rand
	model  *Model
	// seen are the token lists of earlier statements, whose pieces are reused.
	seen [][]string
}

// NewMutator makes a mutator.
func NewMutator(r *rand.Rand) *Mutator { return &Mutator{random: r} }

// remembered is how many statements pieces are taken from.
const remembered = 200

// Learn adds a statement to those that pieces are taken from.
func (m *Mutator) Learn(sql string) {
	tokens := Tokens(sql)
	if len(tokens) > 400 {
		return
	}
	if len(m.seen) == remembered {
		m.seen = slices.Delete(m.seen, 0, 1)
	}
	m.seen = append(m.seen, tokens)
}

// Mutate bends a statement in one to three places.
func (m *Mutator) Mutate(sql string) string {
	tokens := Tokens(sql)
	for range 1 + m.random.IntN(3) {
		if len(tokens) > 1 {
			tokens = m.bend(tokens)
		}
	}
	return strings.Join(tokens, " ")
}

// bend changes one place. The first word stays: it is what the statement is.
func (m *Mutator) bend(tokens []string) []string {
	at := 1 + m.random.IntN(len(tokens)-1)
	tokens = slices.Clone(tokens)
	switch m.random.IntN(24) {
	case 0:
		return slices.Delete(tokens, at, at+1)
	case 1:
		other := 1 + m.random.IntN(len(tokens)-1)
		tokens[at], tokens[other] = tokens[other], tokens[at]
		return tokens
	case 2:
		return slices.Insert(tokens, at, tokens[1+m.random.IntN(len(tokens)-1)])
	case 3, 4:
		if piece := m.piece(); piece != nil {
			return slices.Insert(tokens, at, piece...)
		}
	case 5:
		if piece := m.piece(); piece != nil {
			return slices.Replace(tokens, at, min(len(tokens), at+1+m.random.IntN(3)), piece...)
		}
	}
	// A name for a name, a literal for a literal.
	for range len(tokens) {
		switch token := tokens[at]; {
		case isWord(token) && slices.Contains(m.model.Keywords, strings.ToLower(token)):
		case isWord(token), strings.HasPrefix(token, `"`):
			tokens[at] = m.name(token)
			return tokens
		case token[0] >= '0' && token[0] <= '9', token[0] == '\'':
			tokens[at] = m.literal()
			return tokens
		}
		if at++; at == len(tokens) {
			at = 1
		}
	}
	return tokens
}

// name is a name of the model in the place of another: a relation's for a
// relation's, else mostly a column's.
func (m *Mutator) name(old string) string {
	relations := m.model.Relations
	if len(relations) == 0 {
		return old
	}
	folded := strings.Trim(strings.ToLower(old), `"`)
	for _, r := range relations {
		if r.Name == folded {
			return quote(relations[m.random.IntN(len(relations))].Name)
		}
	}
	for range 5 {
		r := relations[m.random.IntN(len(relations))]
		if len(r.Columns) > 0 && m.random.IntN(4) > 0 {
			return quote(r.Columns[m.random.IntN(len(r.Columns))].Name)
		}
		if len(m.model.Routines) > 0 && m.random.IntN(3) == 0 {
			return quote(m.model.Routines[m.random.IntN(len(m.model.Routines))].Name)
		}
	}
	return quote(relations[m.random.IntN(len(relations))].Name)
}

func (m *Mutator) literal() string {
	options := []string{"0", "1", "-1", "2.5", "'a'", "''", "NULL", "'1'", "'{}'", "true", "'tenk1'", "'int4_tbl'", "CURRENT_USER", "100000"}
	return options[m.random.IntN(len(options))]
}

// piece is a run of tokens out of an earlier statement that is closed: its
// parentheses match. nil for none.
func (m *Mutator) piece() []string {
	if len(m.seen) == 0 {
		return nil
	}
	from := m.seen[m.random.IntN(len(m.seen))]
	start := m.random.IntN(len(from))
	depth := 0
	for end := start; end < len(from) && end < start+25; end++ {
		switch from[end] {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
		if depth < 0 {
			return nil
		}
		if depth == 0 && (end > start || m.random.IntN(3) == 0) && m.random.IntN(3) > 0 {
			return from[start : end+1]
		}
	}
	return nil
}
