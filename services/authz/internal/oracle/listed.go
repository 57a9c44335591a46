package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Listed are statements over one schema, about what chance does not come upon: the
// newer forms of SQL.
type Listed struct {
	// Since is the first major version that has them, Until the last.
	Since int `yaml:"since,omitempty"`
	Until int `yaml:"until,omitempty"`
	// Schema are the statements that make the database.
	Schema     []string          `yaml:"schema"`
	Statements []ListedStatement `yaml:"statements"`
}

// ListedStatement is one statement, which runs when everything is granted.
type ListedStatement struct {
	SQL string `yaml:"sql"`
	// Denied is a part of the detail with which Scopewire denies it to everybody, by a
	// decision of the design.
	Denied string `yaml:"denied,omitempty"`
}

// LoadListed reads the lists of a folder, by name.
func LoadListed(dir string) (map[string]Listed, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	all := map[string]Listed{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var l Listed
		if err := yaml.UnmarshalWithOptions(b, &l, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, true))
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = l
	}
	return all, nil
}

// Served reports whether a server of that major version has the statements.
func (l Listed) Served(major int) bool {
	return major >= l.Since && (l.Until == 0 || major <= l.Until)
}

// listedRoles deals three times: everything, with its code trusted and not, and nothing.
func listedRoles(ctx context.Context, d *Database) ([]*Role, error) {
	trusted := Deal(rand.New(rand.NewPCG(1, 1)), d.Model, 100) //nolint:gosec // G404: repeatable, not secret.
	plain := make([]Grant, len(trusted))
	for i := range trusted {
		trusted[i].Columns = nil
		plain[i] = trusted[i]
		trusted[i].Trusted, plain[i].Trusted = runsCode(trusted[i].Kind), false
	}
	var roles []*Role
	for _, grants := range [][]Grant{trusted, plain, nil} {
		r, err := d.AddRole(ctx, "public", grants)
		if err != nil {
			return nil, err
		}
		roles = append(roles, r)
	}
	return roles, nil
}

// runsCode reports whether a grant on such an object can be trusted.
func runsCode(kind access.Kind) bool {
	return kind == access.Table || kind == access.Function || kind == access.Procedure
}

// withheldDraws is how often chance picks the right that is withheld.
const withheldDraws = 24

// Listed compares one statement as each role, and then under exactly the rights that it
// is said to need, and one less.
func (d *Database) Listed(ctx context.Context, roles []*Role, rules Rules, sql string) ([]Comparison, error) {
	var all []Comparison
	for _, r := range roles {
		c, lost, err := d.Compare(ctx, r, rules, Unit{SQL: sql})
		if err != nil || lost {
			return nil, fmt.Errorf("%s: no answer (%w)", sql, err)
		}
		all = append(all, c)
	}
	for i := range withheldDraws {
		random := rand.New(rand.NewPCG(2, uint64(i))) //nolint:gosec // G404: repeatable, not secret.
		c, found, err := d.Exact(ctx, random, rules, all[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sql, err)
		}
		if !found {
			break
		}
		c.Origin = "under exact grants: " + grantsList(c.Role.Grants)
		all = append(all, c)
	}
	return all, nil
}

// grantsList is what grants say.
func grantsList(grants []Grant) string {
	var all []string
	for _, g := range grants {
		all = append(all, g.SQL("r"))
	}
	return strings.Join(all, "; ")
}
