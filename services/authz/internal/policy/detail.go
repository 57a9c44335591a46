package policy

import (
	"fmt"
	"slices"
)

// Detail is one grant that a token carries in authorization_details (RFC 9396),
// of type postgresql. A list that is nil was not there.
type Detail struct {
	Databases []string `yaml:"databases"`
	Actions   []string `yaml:"actions"`
	Objects   []string `yaml:"objects"`
	Columns   []string `yaml:"columns"`
	Presets   []string `yaml:"presets"`
	// HasRows is set when the detail has a row filter.
	HasRows bool `yaml:"rows"`
}

// CheckDetails reports what is wrong with a token's details, as a policy file
// with the same grants would be refused. A token that has such details is not to
// be accepted: "the AS MUST refuse" to issue them (RFC 9396 section 5), so what
// was meant is anybody's guess. The error quotes the details' words.
func CheckDetails(details []Detail) error {
	c := &compiler{report: newReport(nil), presets: sharedPresets()}
	for i, d := range details {
		c.compileDetail(detailName(i), d)
	}
	return c.Err()
}

func detailName(i int) string { return fmt.Sprintf("authorization_details[%d]", i) }

// compileDetail checks a detail and makes it a rule, which is never trusted.
func (c *compiler) compileDetail(path string, d Detail) *rule {
	optional := func(l []string) *[]string {
		if l == nil {
			return nil
		}
		return &l
	}
	if d.Databases != nil && len(d.Databases) == 0 {
		c.Addf(path+".databases", "name at least one database, or leave the key out for any")
	}
	if slices.Contains(d.Databases, "") {
		c.Addf(path+".databases", "the name of a database is not empty")
	}
	r := c.compileGrant(path, grantItem{
		Actions: optional(d.Actions), Objects: optional(d.Objects), Columns: optional(d.Columns), Presets: optional(d.Presets),
	}, nil)
	r.databases = d.Databases
	return r
}

// granted are the rules of the details that the issuer's ceiling leaves. One that
// has a row filter gives nothing until there are row filters, and one that is
// malformed nothing ever.
func (p *Policy) granted(issuer string, details []Detail) []*rule {
	top := p.ceilings[issuer]
	if top == nil {
		return nil
	}
	var rules []*rule
	for i, d := range details {
		c := &compiler{report: newReport(nil), presets: p.presets}
		r := c.compileDetail(detailName(i), d)
		if d.HasRows || c.Err() != nil {
			continue
		}
		if r = top.narrow(r); r != nil {
			rules = append(rules, r)
		}
	}
	return rules
}
