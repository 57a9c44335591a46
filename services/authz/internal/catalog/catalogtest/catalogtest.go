// Package catalogtest gives tests the catalog of an empty database as a real
// PostgreSQL has it: what resolution and binding work on, without a server.
//
// The folder empty holds one for each major version that is served, read from a
// server by a whole read of package snapshotter; the package's test writes it
// anew with -update, and fails when it differs from what a server gives. Left
// out is what depends on the cluster: digests of details, roles that did not
// come with the server, rights of roles on schemas, and the collations of the
// operating system.
package catalogtest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

//go:embed empty
var files embed.FS

// Oldest and Newest are the major versions that there are catalogs of.
const (
	Oldest = 14
	Newest = 18
)

// Empty returns the catalog of an empty database on PostgreSQL of that major
// version: a copy of the caller's own, not indexed, to which a test adds what it
// needs before it calls Index.
func Empty(t testing.TB, major int) *catalog.Snapshot {
	t.Helper()
	b, err := files.ReadFile(path(major))
	if err != nil {
		t.Fatalf("there is no catalog of PostgreSQL %d: %v", major, err)
	}
	s, err := decode(b)
	if err != nil {
		t.Fatalf("%s: %v", path(major), err)
	}
	return s
}

func path(major int) string { return fmt.Sprintf("empty/%d.json.gz", major) }

func decode(b []byte) (*catalog.Snapshot, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	s := &catalog.Snapshot{}
	if err := json.NewDecoder(z).Decode(s); err != nil {
		return nil, err
	}
	return s, z.Close()
}

// encode writes a snapshot as JSON without the fields that are zero. Equal
// snapshots give equal bytes.
func encode(s *catalog.Snapshot) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	text, err := appendValue(nil, reflect.ValueOf(s).Elem())
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(append(text, '\n')); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	var err error
	switch {
	case v.Kind() == reflect.Struct:
		b = append(b, '{')
		first := true
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || v.Field(i).IsZero() {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, `"`+f.Name+`":`...)
			if b, err = appendValue(b, v.Field(i)); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	default:
		text, err := json.Marshal(v.Interface())
		return append(b, text...), err
	}
}

// portable takes out of a snapshot what depends on the cluster that it was read
// from.
func portable(s *catalog.Snapshot) {
	s.Database, s.Digest, s.Version = "empty", [32]byte{}, 0
	for i := range s.Schemas {
		s.Schemas[i].ClosedTo = nil
	}
	for i := range s.Relations {
		s.Relations[i].Details = [32]byte{}
	}
	for i := range s.Types {
		s.Types[i].Details = [32]byte{}
	}
	for i := range s.Functions {
		s.Functions[i].Details = [32]byte{}
	}
	s.Roles = slices.DeleteFunc(s.Roles, func(r catalog.Role) bool { return r.OID >= firstUnpinned })
	s.Collations = slices.DeleteFunc(s.Collations, func(c catalog.Collation) bool { return c.OID >= firstUnpinned })
	s.Settings = slices.DeleteFunc(s.Settings, func(v catalog.Setting) bool { return strings.Contains(v.Name, ".") })
}

// firstUnpinned is the first OID that a server's own programs give out at initdb
// (FirstUnpinnedObjectId of access/transam.h): those below are the same in every
// cluster of a major version.
const firstUnpinned = 12000
