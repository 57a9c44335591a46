package oracle

import "strings"

// Script cuts a psql script into statements, as psqlscan.l does: at semicolons
// outside of parentheses, quotes and bodies of BEGIN ATOMIC. Meta-commands are
// left out, but for those that send what stands before them; so are the rows that follow a COPY FROM
// stdin. Variables (:name) stay as they are.
func Script(text string) []string {
	var all []string
	s := scriptScanner{text: text}
	for {
		sql, ok := s.statement()
		if sql != "" {
			all = append(all, sql)
		}
		if !ok {
			return all
		}
	}
}

type scriptScanner struct {
	text string
	at   int
}

// statement returns the next statement, without its semicolon; false at the end.
func (s *scriptScanner) statement() (string, bool) {
	var b strings.Builder
	parens, begins := 0, 0
	var words []string
	for s.at < len(s.text) {
		if s.text[s.at] == '\\' {
			if s.meta() && b.Len() > 0 {
				return strings.TrimSpace(b.String()), true
			}
			continue
		}
		end, blank := next(s.text, s.at)
		token := s.text[s.at:end]
		s.at = end
		if blank {
			// Comments go: what they hold is no statement.
			b.WriteByte(' ')
			continue
		}
		switch word := strings.ToLower(token); {
		case token == "(":
			parens++
		case token == ")":
			parens--
		case token == ";" && parens <= 0 && begins == 0:
			sql := strings.TrimSpace(b.String())
			if copyIn.MatchString(sql) {
				s.rows()
			}
			return sql, true
		case isWord(token):
			words = append(words, word)
			if definesRoutine(words) {
				begins = max(0, begins+nesting(word, begins))
			}
		}
		b.WriteString(token)
	}
	return strings.TrimSpace(b.String()), false
}

// definesRoutine reports whether the first words are those of CREATE FUNCTION or
// PROCEDURE, whose bodies may hold semicolons.
func definesRoutine(words []string) bool {
	if len(words) < 2 || words[0] != "create" {
		return false
	}
	at := 1
	if len(words) > 3 && words[1] == "or" && words[2] == "replace" {
		at = 3
	}
	return words[at] == "function" || words[at] == "procedure"
}

// nesting is what a word adds to the depth of BEGIN … END.
func nesting(word string, depth int) int {
	switch {
	case word == "begin":
		return 1
	case word == "case" && depth > 0:
		return 1
	case word == "end" && depth > 0:
		return -1
	}
	return 0
}

// meta passes over a meta-command and reports whether it sends the statement
// before it.
func (s *scriptScanner) meta() bool {
	line := s.text[s.at:]
	if n := strings.IndexByte(line, '\n'); n >= 0 {
		line = line[:n]
	}
	s.at += len(line)
	if strings.HasPrefix(line, `\;`) {
		s.at -= len(line) - 2
		return true
	}
	return strings.HasPrefix(line, `\g`) || strings.HasPrefix(line, `\crosstabview`) || strings.HasPrefix(line, `\watch`)
}

// rows passes over the rows that follow a COPY FROM stdin.
func (s *scriptScanner) rows() {
	const end = "\n\\.\n"
	if n := strings.Index(s.text[s.at:], end); n >= 0 {
		s.at += n + len(end)
	}
}
