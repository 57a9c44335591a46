package stmt

import "github.com/scopewire/scopewire/services/proxy/internal/wire"

// fits says whether a message can answer a kind, and whether it is the last.
func fits(k Kind, space Space, typ byte) (done, ok bool) {
	if typ == wire.ErrorResponse {
		return k != Query && k != FunctionCall && k != Sync, true
	}
	switch k {
	case Query:
		switch typ {
		case wire.RowDescription, wire.DataRow, wire.CommandComplete, wire.EmptyQueryResponse,
			wire.CopyInResponse, wire.CopyOutResponse, wire.CopyData, wire.CopyDone:
			return false, true
		default:
			return true, typ == wire.ReadyForQuery
		}
	case Parse:
		return true, typ == wire.ParseComplete
	case Bind:
		return true, typ == wire.BindComplete
	case Close:
		return true, typ == wire.CloseComplete
	case Sync:
		return true, typ == wire.ReadyForQuery
	case Describe:
		if typ == wire.ParameterDescription {
			return false, space == Statements
		}
		return true, typ == wire.RowDescription || typ == wire.NoData
	case FunctionCall:
		return typ == wire.ReadyForQuery, typ == wire.FunctionCallResponse || typ == wire.ReadyForQuery
	case Execute:
		switch typ {
		case wire.DataRow, wire.CopyInResponse, wire.CopyOutResponse, wire.CopyData, wire.CopyDone:
			return false, true
		}
		return true, typ == wire.CommandComplete || typ == wire.EmptyQueryResponse || typ == wire.PortalSuspended
	default:
		return false, false
	}
}
