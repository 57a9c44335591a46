package regress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// hunk is a place where two outputs differ.
type hunk struct {
	// line is where it begins in what PostgreSQL itself gave, from 1.
	line string
	// direct and proxied are the lines of each side, one of them possibly none.
	direct, proxied []string
}

// String shows the hunk as diff does.
func (h hunk) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %s", h.line)
	for _, l := range h.direct {
		b.WriteString("\n< " + l)
	}
	for _, l := range h.proxied {
		b.WriteString("\n> " + l)
	}
	return b.String()
}

// reference matches what differs in every denial, and leads to its reason.
var reference = regexp.MustCompile(`Reference: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// hunks compares two outputs with diff, as pg_regress does (pg_regress.c:
// results_differ).
func hunks(ctx context.Context, dir string, direct, proxied []byte) ([]hunk, error) {
	if bytes.Equal(direct, proxied) {
		return nil, nil
	}
	files := []string{filepath.Join(dir, "direct.out"), filepath.Join(dir, "proxied.out")}
	for i, b := range [][]byte{direct, proxied} {
		if err := os.WriteFile(files[i], b, 0o600); err != nil {
			return nil, err
		}
	}
	//nolint:gosec // G204: diff with two files of the test's own.
	out, err := exec.CommandContext(ctx, "diff", "-a", files[0], files[1]).Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("diff: %w", err)
	}
	var all []hunk
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "< ") && len(all) > 0:
			all[len(all)-1].direct = append(all[len(all)-1].direct, line[2:])
		case strings.HasPrefix(line, "> ") && len(all) > 0:
			all[len(all)-1].proxied = append(all[len(all)-1].proxied, line[2:])
		case line == "---", strings.HasPrefix(line, `\ `):
		default:
			at, _, _ := strings.Cut(line, "c")
			all = append(all, hunk{line: at})
		}
	}
	return all, nil
}
