package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Limits of a description. A relation has 1600 columns at most (MaxHeapAttributeNumber
// of access/htup_details.h), a name 63 bytes (NAMEDATALEN of pg_config_manual.h).
const (
	// MaxDescription is how long a description may be, in bytes.
	MaxDescription = 4 << 20
	maxObjects     = 256
	maxColumns     = 1600
	maxHanging     = 4096
	maxName        = 63
)

// Describe decodes what a session's backend answered to a probe: a JSON object with
// the fields of Additions, in the form that package probe's queries give. It is
// strict: an unknown field, a second document, anything over a limit and anything
// that would stand in the place of an object that came with the server is an error,
// and then nothing of it may be used. What is not said is zero: an object without
// details has all-zero Details.
func Describe(document []byte) (Additions, error) {
	var a Additions
	if len(document) > MaxDescription {
		return Additions{}, errors.New("describe an object: the document is too long")
	}
	if !utf8.Valid(document) {
		return Additions{}, errors.New("describe an object: the document is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Additions{}, fmt.Errorf("describe an object: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Additions{}, errors.New("describe an object: more than one document")
	}
	if err := a.check(); err != nil {
		return Additions{}, fmt.Errorf("describe an object: %w", err)
	}
	return a, nil
}

func (a *Additions) check() error {
	if len(a.Schemas)+len(a.Relations)+len(a.Types)+len(a.Functions) > maxObjects {
		return errors.New("too many objects")
	}
	if !reflect.ValueOf(a.Dropped).IsZero() {
		return errors.New("a description cannot drop anything")
	}
	for _, v := range a.Schemas {
		if err := checkObject(v.OID, "-", v.Name); err != nil {
			return err
		}
	}
	return a.checkObjects()
}

// checkObjects checks everything, however much it is.
func (a *Additions) checkObjects() error {
	if a.TempSchema != "" && !strings.HasPrefix(a.TempSchema, "pg_temp_") {
		return fmt.Errorf("%q is no temporary schema", a.TempSchema)
	}
	for _, v := range a.Schemas {
		// Of the schemas that come with the server, public is one of users.
		if err := checkName(v.Name); err != nil {
			return err
		}
		if v.OID == 0 || strings.HasPrefix(v.Name, "pg_") || v.Name == "information_schema" {
			return fmt.Errorf("schema %q came with the server", v.Name)
		}
	}
	for _, v := range a.Relations {
		if err := v.check(); err != nil {
			return err
		}
	}
	for _, v := range a.Types {
		if err := checkObject(v.OID, v.Schema, v.Name); err != nil {
			return err
		}
		if !strings.ContainsRune("bcdeprm", rune(v.Kind)) || len(v.Checks)+len(v.Constraints)+len(v.Support) > maxHanging {
			return fmt.Errorf("type %q: kind %d", v.Name, v.Kind)
		}
	}
	for _, v := range a.Functions {
		if err := checkObject(v.OID, v.Schema, v.Name); err != nil {
			return err
		}
		if !strings.ContainsRune("fpaw", rune(v.Kind)) || v.Defaults != len(v.DefaultExpressions) || v.Defaults > len(v.Arguments) ||
			len(v.ArgumentModes) != len(v.AllArguments) || len(v.AllArguments) > maxHanging || len(v.Arguments) > maxHanging {
			return fmt.Errorf("function %q: kind %d", v.Name, v.Kind)
		}
	}
	return a.checkOperators()
}

// checkOperators checks what is behind operators, casts and sorting, and the rest.
func (a *Additions) checkOperators() error {
	for _, v := range a.Operators {
		if err := checkObject(v.OID, v.Schema, v.Name); err != nil {
			return err
		}
		if v.Left == 0 && v.Right == 0 {
			return fmt.Errorf("operator %q", v.Name)
		}
	}
	for _, v := range a.Casts {
		if v.OID < FirstNormalOID || v.Source == 0 || v.Target == 0 || !strings.ContainsRune("eai", rune(v.Context)) ||
			!strings.ContainsRune("fib", rune(v.Method)) || (v.Method == 'f') != (v.Function != 0) {
			return fmt.Errorf("cast %d", v.OID)
		}
	}
	for _, v := range a.OperatorClasses {
		if err := checkObject(v.OID, v.Schema, v.Name); err != nil {
			return err
		}
		if v.Input == 0 || v.Family == 0 || v.Method == "" || len(v.Functions) != len(v.Numbers) || len(v.Operators) != len(v.Strategies) ||
			len(v.Functions)+len(v.Operators) > maxHanging {
			return fmt.Errorf("operator class %q", v.Name)
		}
	}
	for _, v := range a.Collations {
		if err := checkObject(v.OID, v.Schema, v.Name); err != nil {
			return err
		}
	}
	for _, v := range a.Extensions {
		if err := errors.Join(checkName(v.Name), checkName(v.Schema)); err != nil {
			return err
		}
		if v.OID < FirstNormalOID {
			return fmt.Errorf("extension %q came with the server", v.Name)
		}
	}
	for _, v := range a.Globals {
		if err := checkName(v.Name); err != nil {
			return err
		}
		if v.OID < FirstNormalOID || !strings.ContainsRune("lwsp", rune(v.Kind)) {
			return fmt.Errorf("%q of kind %d came with the server", v.Name, v.Kind)
		}
	}
	return nil
}

func (r *Relation) check() error {
	if err := checkObject(r.OID, r.Schema, r.Name); err != nil {
		return err
	}
	switch r.Kind {
	case KindTable, KindPartitionedTable, KindView, KindMaterializedView, KindForeignTable, KindSequence, KindComposite,
		KindIndex, KindPartitionedIndex:
	case KindToast:
		return fmt.Errorf("relation %q: a TOAST table", r.Name)
	default:
		return fmt.Errorf("relation %q: kind %d", r.Name, r.Kind)
	}
	hanging := len(r.Triggers) + len(r.Rules) + len(r.Policies) + len(r.Checks) + len(r.CheckNames) + len(r.OtherConstraints) + len(r.IndexExpressions) +
		len(r.ExclusionOperators) + len(r.ForeignOperatorClasses) + len(r.PartitionOperatorClasses) + len(r.StatisticsExpressions) + len(r.Keys) + len(r.ForeignKeys) + len(r.ReferencedBy)
	if len(r.Columns) > maxColumns || hanging > maxHanging {
		return fmt.Errorf("relation %q: too much hangs off it", r.Name)
	}
	last := int16(0)
	for _, c := range r.Columns {
		if err := checkName(c.Name); err != nil {
			return fmt.Errorf("relation %q: %w", r.Name, err)
		}
		if c.Number <= last || c.Type == 0 {
			return fmt.Errorf("relation %q: column %d of type %d", r.Name, c.Number, c.Type)
		}
		last = c.Number
	}
	return nil
}

// checkObject refuses what could be taken for an object of the server's own.
func checkObject(oid OID, schema, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := checkName(schema); err != nil {
		return err
	}
	if oid < FirstNormalOID || schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast" {
		return fmt.Errorf("%s.%s has OID %d: it came with the server", schema, name, oid)
	}
	return nil
}

func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%q is no name", name)
	}
	return nil
}
