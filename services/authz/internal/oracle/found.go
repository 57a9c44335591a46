package oracle

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
)

// Found is a difference as it is kept in a file.
type Found struct {
	// About says in a sentence what went wrong.
	About string `yaml:"about"`
	// Schema are the statements that make the database.
	Schema []string `yaml:"schema"`
	Grants []Grant  `yaml:"grants"`
	// Path is the search_path.
	Path string `yaml:"path"`
	SQL  string `yaml:"sql"`
	// Parse sends it as a Parse, with Args for its parameters.
	Parse bool     `yaml:"parse,omitempty"`
	Args  []string `yaml:"args,omitempty"`
	// Data are the rows of a COPY FROM STDIN.
	Data string `yaml:"data,omitempty"`
	// Server is the SQLSTATE of the server's answer, empty when the statement runs. A case
	// whose answer has changed shows nothing any more.
	Server string `yaml:"server"`
	// Since is the first major version that has what it uses.
	Since int `yaml:"since,omitempty"`
	// Before is the first major version that answers otherwise.
	Before int `yaml:"before,omitempty"`
	// Minors are the minor versions that began to answer so, by major version.
	Minors map[int]int `yaml:"minors,omitempty"`
	// Allowed is set when Scopewire lets it run.
	Allowed bool `yaml:"allowed,omitempty"`
}

// FoundOf is a difference ready to be kept. When it is kept, the answer expected of
// Scopewire is the server's.
func FoundOf(c Comparison, schema []string) Found {
	lines := strings.SplitN(c.String(), "\n", 2)
	about := fmt.Sprintf("%s; scopewire said %s: %s", lines[0], c.Verdict.Reason, c.Verdict.Detail)
	return Found{About: about, Schema: schema, Grants: c.Role.Grants, Path: c.Role.Path, SQL: c.Unit.SQL, Parse: c.Unit.Parse, Args: c.Unit.Args, Data: c.Unit.Data, Server: c.Server.State, Allowed: c.Server.Ran()}
}

// Save writes the case to a folder and returns the file's name, which is made of
// what it holds.
func (f Found) Save(dir string) (string, error) {
	b, err := yaml.MarshalWithOptions(f, yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	name := filepath.Join(dir, fmt.Sprintf("%x.yaml", sum[:6]))
	return name, os.WriteFile(name, b, 0o600)
}

// LoadFound reads the cases of a folder, in the order of their names.
func LoadFound(dir string) (map[string]Found, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	all := map[string]Found{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var f Found
		if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, true))
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = f
	}
	return all, nil
}
