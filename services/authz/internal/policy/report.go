package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scopewire/scopewire/internal/config"
)

// place is where something stands in the policy file, both counted from 1; the
// column counts characters. The zero value is no place.
type place struct{ line, column int }

// report collects what is wrong with a policy file, with the place of each
// finding.
type report struct {
	lines []string
	// places are those of every key and every item, by path.
	places   map[string]place
	findings []finding
	// broken are the paths whose value could not be read: what is missing there
	// is no finding of its own.
	broken map[string]bool
}

type finding struct {
	path, text string
	at         place
}

func newReport(data []byte) *report {
	return &report{
		lines:  strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n"),
		places: make(map[string]place), broken: make(map[string]bool),
	}
}

// Addf adds a finding about the key or item at path.
func (r *report) Addf(path, format string, args ...any) {
	for at := path; at != ""; at = parentPath(at) {
		if r.broken[at] {
			return
		}
	}
	r.addAt(r.placeOf(path), path, fmt.Sprintf(format, args...))
}

// addBroken adds a finding about a value that could not be read.
func (r *report) addBroken(at place, path, text string) {
	r.addAt(at, path, text)
	r.broken[path] = true
}

func (r *report) addAt(at place, path, text string) {
	if path == "" {
		path = "policy"
	}
	r.findings = append(r.findings, finding{path: path, text: text, at: at})
}

// placeOf is the place of a path, or of the nearest thing around it: a key that
// is missing stands nowhere.
func (r *report) placeOf(path string) place {
	for at := path; at != ""; at = parentPath(at) {
		if p, ok := r.places[at]; ok {
			return p
		}
	}
	return place{}
}

// parentPath removes the last key or index of a path; a key in brackets is
// quoted, so that brackets inside it are told apart.
func parentPath(path string) string {
	if strings.HasSuffix(path, `"]`) {
		if i := strings.LastIndex(path, `["`); i >= 0 {
			return path[:i]
		}
	}
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// Err is nil when nothing was found. Findings are in the order of the file.
func (r *report) Err() error {
	slices.SortStableFunc(r.findings, func(a, b finding) int { return a.at.line - b.at.line })
	var p config.Problems
	for _, f := range r.findings {
		p.Addf(f.path, "%s%s", f.text, r.excerpt(f.at))
	}
	return p.Err()
}

// maxExcerpt bounds a quoted line, in characters.
const maxExcerpt = 120

// excerpt quotes the line of a place with a caret below it.
func (r *report) excerpt(at place) string {
	if at.line < 1 || at.line > len(r.lines) {
		return ""
	}
	// A line that does not show as it is spelled is better not shown.
	line, column := strings.TrimRight(r.lines[at.line-1], " \t\r"), at.column
	if line != displayText(line) || column < 1 {
		return fmt.Sprintf("\n      line %d, column %d", at.line, column)
	}
	column = min(column, utf8.RuneCountInString(line)+1)
	text := []rune(line)
	if len(text) > maxExcerpt {
		from := min(max(0, column-maxExcerpt/2), len(text)-maxExcerpt)
		text, column = text[from:from+maxExcerpt], column-from
	}
	return fmt.Sprintf("\n    %5d | %s\n          | %s^", at.line, string(text), strings.Repeat(" ", column-1))
}
