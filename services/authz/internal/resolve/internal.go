package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// internalOID is the type of what only the server's own code may hold (pg_type.dat).
const internalOID catalog.OID = 2281

// sealed reports whether a server lets nothing become or leave the type internal
// (can_coerce_type and find_coercion_pathway of parse_coerce.c), and no call take or
// return it (ParseFuncOrColumn of parse_func.c, make_op of parse_oper.c): since August
// 2026, for an untyped literal was taken before.
func sealed(version int) bool { return catalog.HasRelease(version, catalog.August2026) }

// seals reports whether two different types cannot become each other since one is
// internal.
func (r *Resolver) seals(from, to catalog.OID) bool {
	return r.sealed && (from == internalOID || to == internalOID)
}

// checkInternal refuses a call of what takes or returns internal.
func (r *Resolver) checkInternal(declared []catalog.OID, result catalog.OID) *Error {
	switch {
	case !r.sealed:
		return nil
	case slices.Contains(declared, internalOID):
		return errorf(featureNotSupported, "functions accepting type \"internal\" cannot be called explicitly")
	case result == internalOID:
		return errorf(featureNotSupported, "functions returning type \"internal\" cannot be called explicitly")
	default:
		return nil
	}
}
