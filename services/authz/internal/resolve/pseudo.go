package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// Further types that resolution treats by OID (pg_type.dat).
const (
	int2vectorOID catalog.OID = 22
	oidvectorOID  catalog.OID = 30
	jsonOID       catalog.OID = 114
	textArrayOID  catalog.OID = 1009
	recordArray   catalog.OID = 2287

	anyOID                     catalog.OID = 2276
	anyarrayOID                catalog.OID = 2277
	anyelementOID              catalog.OID = 2283
	anynonarrayOID             catalog.OID = 2776
	anyenumOID                 catalog.OID = 3500
	anyrangeOID                catalog.OID = 3831
	anymultirangeOID           catalog.OID = 4537
	anycompatibleMultirangeOID catalog.OID = 4538
	anycompatibleOID           catalog.OID = 5077
	anycompatibleArrayOID      catalog.OID = 5078
	anycompatibleNonarrayOID   catalog.OID = 5079
	anycompatibleRangeOID      catalog.OID = 5080
)

// shellInput is the input function of a type that is only a shell (F_SHELL_IN).
const shellInput catalog.OID = 2398

// polymorphicFamily1 is IsPolymorphicTypeFamily1 of pg_type.h.
func polymorphicFamily1(oid catalog.OID) bool {
	switch oid {
	case anyelementOID, anyarrayOID, anynonarrayOID, anyenumOID, anyrangeOID, anymultirangeOID:
		return true
	default:
		return false
	}
}

// polymorphicFamily2 is IsPolymorphicTypeFamily2 of pg_type.h.
func polymorphicFamily2(oid catalog.OID) bool {
	switch oid {
	case anycompatibleOID, anycompatibleArrayOID, anycompatibleNonarrayOID, anycompatibleRangeOID,
		anycompatibleMultirangeOID:
		return true
	default:
		return false
	}
}

func polymorphic(oid catalog.OID) bool { return polymorphicFamily1(oid) || polymorphicFamily2(oid) }
