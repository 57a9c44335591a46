package oracle

import (
	"fmt"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// everything is a policy whose one scope grants all that there is, with every code
// trusted. Wildcards cover neither the server's own schemas nor what is about the
// cluster: these are named.
func everything(snap *catalog.Snapshot) string {
	var b strings.Builder
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	b.WriteString(`version: 1
issuers:
  - {issuer: 'https://oracle.invalid', audiences: [postgres]}
scopes:
  ` + scope + `:
    - {actions: [select, insert, update, delete, truncate, references, trigger, maintain], objects: ["*.*"], trusted: true}
    - {actions: [execute], objects: ["function:*.*", "procedure:*.*"], trusted: true}
    - {actions: [usage, select, update], objects: ["sequence:*.*"]}
    - {actions: [usage], objects: ["type:*.*"], trusted: true}
    - {actions: [usage, ddl], objects: ["schema:*", "schema:pg_catalog"], trusted: true}
    - {actions: [connect, temporary], objects: ["database:*"]}
    - {actions: [admin], objects: ["database:postgres", "database:regression_tbd", "database:regression_utf8", "database:` + snap.Database + `"]}
    - {actions: [listen, notify], objects: ["channel:*"]}
    - {actions: [set], objects: ["setting:*", "setting:role", "setting:session_authorization"]}
    - {presets: [session, introspection, advisory_locks, migrations]}
    - actions: [select, insert, update, delete]
      trusted: true
      objects:
`)
	system := func(schema string) bool { return schema == "pg_catalog" || schema == "information_schema" }
	for i := range snap.Relations {
		if r := &snap.Relations[i]; system(r.Schema) && r.Kind != catalog.KindComposite {
			fmt.Fprintf(&b, "        - %s\n", quoted(quote(r.Schema)+"."+quote(r.Name)))
		}
	}
	b.WriteString("    - actions: [execute, admin]\n      trusted: true\n      objects:\n")
	seen := map[string]bool{}
	for i := range snap.Functions {
		f := &snap.Functions[i]
		if name := quote(f.Schema) + "." + quote(f.Name); system(f.Schema) && !seen[name] {
			seen[name] = true
			fmt.Fprintf(&b, "        - %s\n", quoted("function:"+name))
		}
	}
	return b.String()
}
