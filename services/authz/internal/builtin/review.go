package builtin

import (
	"fmt"
	"strings"
)

// section is a heading of a review file and the names under it.
//
// A file holds headings at the start of a line, "word key=value …: reason", and
// under each its items, indented and separated by white space. Lines that begin
// with # are comments. An item says what is reviewed: a name for all its
// overloads, or name(type,type), with types as pg_type names them, for one. The
// more exact one wins.
type section struct {
	word   string
	attrs  map[string]string
	reason string
	items  []string
}

// parseReview reads a review file. The files are part of the program, so what is
// wrong with one is an error for the tests, not for a user.
func parseReview(text string) ([]section, error) {
	var all []section
	for n, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			if len(all) == 0 {
				return nil, fmt.Errorf("line %d: an item before the first heading", n+1)
			}
			last := &all[len(all)-1]
			last.items = append(last.items, strings.Fields(line)...)
		default:
			head, reason, ok := strings.Cut(line, ": ")
			if !ok || reason == "" {
				return nil, fmt.Errorf("line %d: a heading without a reason", n+1)
			}
			words := strings.Fields(head)
			s := section{word: words[0], attrs: map[string]string{}, reason: reason}
			for _, w := range words[1:] {
				key, value, _ := strings.Cut(w, "=")
				s.attrs[key] = value
			}
			all = append(all, s)
		}
	}
	return all, nil
}
