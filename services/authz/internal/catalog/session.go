package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Session is what a session sees that a snapshot does not show, as the query of
// package probe describes it.
type Session struct {
	Additions
	// Database and ServerVersionNum say where it was asked.
	Database         string
	ServerVersionNum int
	// Wrote says that the open transaction has written something, if only rows.
	Wrote bool
	// Made says that it has written some of its temporary objects: COMMIT may drop them.
	Made bool
	// Roles is what RolesDigest gives for the roles it sees; empty unless Wrote.
	Roles string
	// AllRoles are all roles it sees, without search paths; empty unless the transaction
	// may have changed some.
	AllRoles []Role
	// Hidden says what is left out, in words that are below.
	Hidden []string
	// TooLong stands alone: the answer would be longer than MaxDescription.
	TooLong bool
}

// What a session's description leaves out.
const (
	// hiddenIsolation: what the transaction has changed besides temporary objects. Under
	// its isolation level queries do not see what the server looks up.
	hiddenIsolation = "isolation"
	// hiddenParents: parents of temporary tables, for the same reason.
	hiddenParents = "parents"
	// hiddenSystem: changes of objects that came with the server.
	hiddenSystem = "system"
	// hiddenTriggers: changes of event triggers.
	hiddenTriggers = "event triggers"
)

// ErrTooLong says that a session has changed more than can be described.
var ErrTooLong = errors.New("the session's description is too long")

// ErrHidden says that a session sees what cannot be described.
var ErrHidden = errors.New("the session sees what cannot be described")

// ErrRoles says that a session sees other roles than the snapshot has and does not list
// them: the snapshot is behind, or the transaction's isolation level hides what it has
// changed.
var ErrRoles = errors.New("the session sees other roles")

// DescribeSession decodes what a session's backend said of all it sees. It is as
// strict as Describe.
func DescribeSession(document []byte) (*Session, error) {
	if len(document) > MaxDescription {
		return nil, fmt.Errorf("describe a session: %w", ErrTooLong)
	}
	if !utf8.Valid(document) {
		return nil, errors.New("describe a session: the document is not UTF-8")
	}
	var v Session
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("describe a session: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("describe a session: more than one document")
	}
	if v.TooLong {
		return nil, fmt.Errorf("describe a session: %w", ErrTooLong)
	}
	for _, word := range v.Hidden {
		if word != hiddenIsolation && word != hiddenParents && word != hiddenSystem && word != hiddenTriggers {
			return nil, errors.New("describe a session: something unknown is left out")
		}
	}
	if err := errors.Join(v.checkObjects(), v.Dropped.check()); err != nil {
		return nil, fmt.Errorf("describe a session: %w", err)
	}
	return &v, nil
}

// check refuses drops of what cannot be dropped. The schema public can, and comes with the
// server.
func (d *Dropped) check() error {
	for _, list := range [][]OID{d.Relations, d.Types, d.Functions, d.Operators, d.Casts, d.OperatorClasses, d.Collations, d.Extensions,
		d.Languages, d.Wrappers, d.Servers, d.Publications} {
		for _, oid := range list {
			if oid < FirstUnpinnedOID {
				return fmt.Errorf("object %d cannot be dropped", oid)
			}
		}
	}
	return nil
}

// Over returns the base as the session sees it. altered says that the session's
// transaction has changed the catalog, or may have; without that it is enough that its
// temporary objects are described. The base must be indexed and not be older than the
// description by more than it may be stale. The description belongs to the result from
// then on.
//
// It fails with ErrRoles and ErrHidden, and with another error when the description
// is not one of the base's database, or would make a name ambiguous.
func (v *Session) Over(base *Snapshot, altered bool) (*Snapshot, error) {
	if v.Database != base.Database || v.ServerVersionNum != base.ServerVersionNum {
		return nil, errors.New("show what a session sees: it was asked in another database")
	}
	for _, word := range v.Hidden {
		if altered || word == hiddenParents {
			return nil, fmt.Errorf("show what a session sees: %w", ErrHidden)
		}
	}
	roles, err := v.rolesOver(base, altered)
	if err != nil {
		return nil, fmt.Errorf("show what a session sees: %w", err)
	}
	// The names of all that lies in a schema are those of the schema.
	for i := range v.Schemas {
		if old := base.schemaByOID(v.Schemas[i].OID); old != nil && old.Name != v.Schemas[i].Name {
			return nil, fmt.Errorf("show what a session sees: a schema was renamed: %w", ErrHidden)
		}
	}
	s := Overlay(base, v.Additions)
	if roles != nil {
		s.index.setRoles(roles)
	}
	if err := s.consistent(); err != nil {
		return nil, fmt.Errorf("show what a session sees: %w", err)
	}
	return s, nil
}

// rolesOver are the roles that the session sees; none when they are those of the base.
// The names of a role's objects are those that the base has, so that a renamed role cannot
// be followed.
func (v *Session) rolesOver(base *Snapshot, altered bool) ([]Role, error) {
	if !altered || !v.Wrote || v.Roles == base.rolesDigest {
		return nil, nil
	}
	if len(v.AllRoles) == 0 {
		return nil, ErrRoles
	}
	if rolesDigest(v.AllRoles) != v.Roles {
		return nil, errors.New("the roles are not those of their digest")
	}
	// Who may use these is not described.
	if !base.openToAll("pg_catalog") || !base.openToAll("information_schema") {
		return nil, ErrHidden
	}
	for i := range v.AllRoles {
		r := &v.AllRoles[i]
		if old := base.RoleByOID(r.OID); old != nil {
			if old.Name != r.Name {
				return nil, fmt.Errorf("a role was renamed: %w", ErrHidden)
			}
			r.SearchPath = old.SearchPath
		}
	}
	if v.opens(base) {
		return nil, fmt.Errorf("a role may use other schemas: %w", ErrHidden)
	}
	return v.AllRoles, nil
}

// opens reports whether the roles' own changes let one that was there before use other
// schemas than before, which a backend may not have noticed: it keeps the schemas that it
// has found for a search_path until pg_namespace or the role changes, not a membership
// (recomputeNamespacePath and InitializeSearchPath of namespace.c). What a changed schema
// lets a role use that has the memberships it had, it notices.
func (v *Session) opens(base *Snapshot) bool {
	var moved []string
	for i := range v.AllRoles {
		r := &v.AllRoles[i]
		if base.RoleByOID(r.OID) != nil && !maps.Equal(reach(base.Roles, r.OID), reach(v.AllRoles, r.OID)) {
			moved = append(moved, r.Name)
		}
	}
	for i := range v.Schemas {
		now := &v.Schemas[i]
		before := base.schemaByOID(now.OID)
		if before == nil {
			continue
		}
		for _, role := range moved {
			if slices.Contains(now.ClosedTo, role) != slices.Contains(before.ClosedTo, role) {
				return true
			}
		}
	}
	return false
}

// powers are what decides, of a role, on the schemas that it or its members may use.
type powers struct {
	superuser, inherit, login bool
	notInherited              string
}

// reach are the role and all roles it is a member of, directly or not.
func reach(roles []Role, oid OID) map[OID]powers {
	found := map[OID]powers{}
	for next := []OID{oid}; len(next) > 0; next = next[1:] {
		if _, seen := found[next[0]]; seen {
			continue
		}
		for i := range roles {
			if r := &roles[i]; r.OID == next[0] {
				found[r.OID] = powers{r.Superuser, r.Inherit, r.Login, fmt.Sprint(slices.Sorted(slices.Values(r.NotInherited)))}
				next = append(next, r.MemberOf...)
			}
		}
	}
	return found
}

// openToAll reports whether all roles may use a schema, or there is none.
func (s *Snapshot) openToAll(name string) bool {
	schema := s.schema(name)
	return schema == nil || len(schema.ClosedTo) == 0
}

// schemaByOID finds a schema of a snapshot, or returns nil.
func (s *Snapshot) schemaByOID(oid OID) *Schema {
	for i := range s.Schemas {
		if s.Schemas[i].OID == oid {
			return &s.Schemas[i]
		}
	}
	return nil
}

// consistent checks that no addition takes the name of an object that stays: one of
// the two is out of date.
func (s *Snapshot) consistent() error {
	for i := range s.own.Relations {
		r := &s.own.Relations[i]
		if other := s.base.RelationByName(r.Schema, r.Name); other != nil && other.OID != r.OID && !s.replaced.relations[other.OID] {
			return fmt.Errorf("two relations are called %s.%s: %w", r.Schema, r.Name, ErrHidden)
		}
	}
	for i := range s.own.Types {
		t := &s.own.Types[i]
		if other := s.base.TypeByName(t.Schema, t.Name); other != nil && other.OID != t.OID && !s.replaced.types[other.OID] {
			return fmt.Errorf("two types are called %s.%s: %w", t.Schema, t.Name, ErrHidden)
		}
	}
	return nil
}

// RolesDigest identifies the roles of a snapshot, by the text that package probe's
// query makes of those that a session sees.
func (s *Snapshot) RolesDigest() string { return rolesDigest(s.Roles) }

func rolesDigest(roles []Role) string {
	flag := map[bool]string{true: " t", false: " f"}
	var b strings.Builder
	for i, r := range sorted(roles, func(r Role) OID { return r.OID }) {
		if i > 0 {
			b.WriteByte('|')
		}
		fmt.Fprintf(&b, "%d %s%s%s%s%s ", r.OID, hex.EncodeToString([]byte(r.Name)), flag[r.Login], flag[r.Superuser], flag[r.Inherit], flag[r.BypassRowSecurity])
		writeOIDs(&b, r.MemberOf)
		b.WriteByte(' ')
		writeOIDs(&b, r.NotInherited)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

func writeOIDs(b *strings.Builder, oids []OID) {
	for i, oid := range slices.Sorted(slices.Values(oids)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%d", oid)
	}
}
