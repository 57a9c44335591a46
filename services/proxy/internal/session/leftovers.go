package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/stmt"
)

// Code that nobody looked into can drop a prepared statement or cursor and make
// another under its name, and take the name of a cursor that a ROLLBACK TO has dropped.
// After it ran, a name stands for what it stood for only when the server has the name
// with the text it was made from.

// source is the digest of the message that made a name: what pg_prepared_statements and
// pg_cursors show as the statement is all of that message's text.
type source = [sha256.Size]byte

// sqlName is a prepared statement or cursor.
type sqlName struct {
	space stmt.Space
	name  string
}

// plan follows what planning a statement runs: calls of immutable functions are
// worked out at Bind already (eval_const_expressions), before anything executes.
func (s *Session) plan(d *decide.Decision) {
	for _, st := range d.Statements {
		opaque := slices.ContainsFunc(st.GetEffects(), func(e *authzv1.Effect) bool { return e.GetKind() == authzv1.EffectKind_EFFECT_KIND_OPAQUE })
		if opaque && planned(st.GetKind()) {
			s.follow([]*authzv1.Statement{{Effects: []*authzv1.Effect{{Kind: authzv1.EffectKind_EFFECT_KIND_OPAQUE}}}}, nil)
		}
	}
}

// planned reports whether statements of a kind are planned at Bind. Utility statements
// are not (PortalStart), and some of them must be alone in their pipeline, which a
// question would end. An authorizer that names no kind may mean either.
func planned(kind string) bool {
	switch kind {
	case "", "select", "insert", "update", "delete", "merge":
		return true
	default:
		return false
	}
}

// takeLeftovers enters what the server says code has left.
func (s *Session) takeLeftovers(rows []string, idle bool) error {
	w := &s.around
	var temporary []string
	objects, written := map[string]temporaryObject{}, false
	there := map[sqlName]source{}
	for _, row := range rows {
		const digits = 2 * sha256.Size
		switch {
		case row != "" && row[0] == 't':
			oid, rest, _ := strings.Cut(row[1:], " ")
			of, name, ok := strings.Cut(rest, " ")
			if !ok {
				return errors.New("no name")
			}
			temporary, objects[oid] = append(temporary, name), temporaryObject{name: name, of: of}
		case row == "x":
			written = true
		case len(row) > digits && (row[0] == byte(stmt.Statements) || row[0] == byte(stmt.Portals)):
			sum, err := hex.DecodeString(row[1 : 1+digits])
			if err != nil {
				return errors.New("no digest")
			}
			there[sqlName{stmt.Space(row[0]), row[1+digits:]}] = source(sum)
		default:
			return errors.New("an answer of another form")
		}
	}
	s.compareNames(there)
	slices.Sort(temporary)
	w.own.temporary = slices.Compact(temporary)
	w.own.listed(objects)
	// What code has written in a transaction may have been the catalog. The names of what
	// is temporary may come and go with a rollback.
	w.altered = w.altered || w.own.code && written && !idle
	w.own.code = w.own.code && !idle
	w.own.list = !idle
	return nil
}

// compareNames forgets the names that the server has not, or with another text.
func (s *Session) compareNames(there map[sqlName]source) {
	for _, space := range []stmt.Space{stmt.Statements, stmt.Portals} {
		for name, p := range s.names.Names(space) {
			found, ok := there[sqlName{space, name}]
			// Code cannot name the unnamed ones.
			if name != "" && (!ok || found != p.source) {
				s.names.Forget(space, name)
			}
		}
	}
	s.showNames()
}
