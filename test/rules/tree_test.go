package rules

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Source files have one role each and about 400 lines; tests may need a few more
// for their tables.
const (
	maxLines     = 450
	maxTestLines = 600
)

func TestFilesAreShort(t *testing.T) {
	for _, name := range files(t) {
		if path.Ext(name) != ".go" || strings.HasPrefix(name, "gen/") {
			continue
		}
		text := read(t, name)
		if strings.HasPrefix(text, "// Code generated ") {
			continue
		}
		limit := maxLines
		if strings.HasSuffix(name, "_test.go") {
			limit = maxTestLines
		}
		if n := strings.Count(text, "\n"); n > limit {
			t.Errorf("%s has %d lines, more than %d: give its roles a file each", name, n, limit)
		}
	}
}

// The patterns are split where whole they would match this file.
var (
	machinePaths = regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])/(ro` + `ot|wo` + `rk|ho` + `me|Us` + `ers)/[A-Za-z0-9._-]+`)
	hosts        = regexp.MustCompile(`(regis` + `try\.npmjs|npmjs\.(com|org)|proxy\.go` + `lang\.org|sum\.go` + `lang\.org|pypi\.(org|python)|deb\.debi` + `an\.org|security\.debi` + `an\.org|ftp\.[a-z]+\.debi` + `an\.org|crates\.io|repo1?\.maven|dock` + `er\.io|gh` + `cr\.io|quay\.io)`)
)

// allowedPaths are places on other machines than the one at hand.
var allowedPaths = []string{
	"/ho" + "me/linuxbrew", // where Homebrew installs on Linux
	"/ho" + "me/nonroot",   // the account of distroless images
}

func TestNoMachinePathsAndNoHosts(t *testing.T) {
	for _, name := range files(t) {
		text := read(t, name)
		if strings.ContainsRune(text, 0) {
			continue // binary: a corpus or an image
		}
		line := 0
		for l := range strings.SplitSeq(text, "\n") {
			line++
			for _, m := range machinePaths.FindAllString(l, -1) {
				if !slices.ContainsFunc(allowedPaths, func(a string) bool { return strings.Contains(m, a) }) {
					t.Errorf("%s:%d: %q is a path of one machine", name, line, strings.TrimSpace(m))
				}
			}
			if m := hosts.FindString(l); m != "" {
				t.Errorf("%s:%d: %q: clients know their registries, files do not name them", name, line, m)
			}
		}
	}
}

func TestLocksNameNoSource(t *testing.T) {
	for _, name := range files(t) {
		if path.Base(name) == "package-lock.json" && strings.Contains(read(t, name), `"resolved"`) {
			t.Errorf("%s names where packages came from: write it with npm install --omit-lockfile-registry-resolved", name)
		}
	}
}

// TestMakeBuildsEveryProgram keeps the list of programs in the Makefile whole.
func TestMakeBuildsEveryProgram(t *testing.T) {
	_, list, _ := strings.Cut(read(t, "Makefile"), "BINARIES := ")
	list, _, _ = strings.Cut(list, "\n\n")
	built := map[string]bool{}
	for entry := range strings.FieldsSeq(strings.ReplaceAll(list, "\\", "")) {
		name, rest, _ := strings.Cut(entry, ",")
		dir, _, _ := strings.Cut(rest, ",")
		if path.Base(dir) != name {
			t.Errorf("Makefile: %s is built from %s", name, dir)
		}
		built[strings.TrimPrefix(dir, "./")] = true
	}
	for _, p := range packages(t) {
		if p.Name == "main" && (p.within("cmd") || p.within("services")) && !built[p.path()] {
			t.Errorf("make does not build %s", p.path())
		}
	}
}
