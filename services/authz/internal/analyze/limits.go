package analyze

// Limits bound the work that one text can cause. The zero value of a field is
// its default.
type Limits struct {
	// Length is the longest text in bytes. Default 1 MiB.
	Length int
	// CommentNesting is how deep comments nest. Default 32; PostgreSQL's scanner
	// takes quadratic time in it.
	CommentNesting int
	// Nesting is how deep parentheses, brackets, CASE and BEGIN nest. Default 1000.
	Nesting int
	// Chain is the longest chain of operators, casts, joins and set operations, as
	// a path through the parse tree. Default 4900: the tree costs two messages a
	// link, and the protobuf decoder stops at 10,000.
	Chain int
	// Tokens is how many tokens a text may have, comments left out. Default
	// 200,000. A multiple assignment counts its source once per column, since
	// the parser copies it as often.
	Tokens int
	// Work bounds name look-ups, in columns compared. Default 20,000,000, about
	// 100 ms.
	Work int
}

// The defaults. A real server stops between 2,000 and 5,000 chained operators at
// its default max_stack_depth, so that the cap loses next to nothing.
const (
	defaultLength         = 1 << 20
	defaultCommentNesting = 32
	defaultNesting        = 1000
	defaultChain          = 4900
	defaultTokens         = 200_000
	defaultWork           = 20_000_000
)

// maxTargets is MaxTupleAttributeNumber (access/htup_details.h): the most columns
// a target list can have.
const maxTargets = 1664

// maxJoinColumns is the most columns a join can have: an AttrNumber is an int16
// (addRangeTableEntryForJoin).
const maxJoinColumns = 32767

func (l Limits) withDefaults() Limits {
	fill := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	fill(&l.Length, defaultLength)
	fill(&l.CommentNesting, defaultCommentNesting)
	fill(&l.Nesting, defaultNesting)
	fill(&l.Chain, defaultChain)
	fill(&l.Tokens, defaultTokens)
	fill(&l.Work, defaultWork)
	return l
}
