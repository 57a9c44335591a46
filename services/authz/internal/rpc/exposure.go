package rpc

import (
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/exposure"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

// exposureOf says how the server's errors and notices about an allowed unit reach the
// client, and whether the whole answer hangs on the time or the client.
func exposureOf(g *policy.Grants, r policy.Request, statements []access.Statement, f facts, conditional bool) (authzv1.ErrorExposure, bool) {
	const open, closed = authzv1.ErrorExposure_ERROR_EXPOSURE_OPEN, authzv1.ErrorExposure_ERROR_EXPOSURE_CLOSED
	switch f.policy.Errors() {
	case policy.ErrorsOpen:
		return open, conditional
	case policy.ErrorsGranted:
		may := g.ReadsAll
		reach, known := exposure.Reach(statements, f.snap)
		if !known {
			may = g.SeesAll
			if reach, known = exposure.Database(f.snap); !known {
				return closed, conditional
			}
		}
		all, hung := may(r, reach)
		if !all {
			return closed, conditional || hung
		}
		return open, conditional || hung
	default:
		return closed, conditional
	}
}
