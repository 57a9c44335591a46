package policy

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// actionSet is a set of actions.
type actionSet uint32

// bit is the set of one action, empty for what is no action.
func bit(a access.Action) actionSet {
	switch a {
	case access.Select:
		return 1 << 0
	case access.Insert:
		return 1 << 1
	case access.Update:
		return 1 << 2
	case access.Delete:
		return 1 << 3
	case access.Truncate:
		return 1 << 4
	case access.References:
		return 1 << 5
	case access.Trigger:
		return 1 << 6
	case access.Execute:
		return 1 << 7
	case access.Usage:
		return 1 << 8
	case access.Temporary:
		return 1 << 9
	case access.Connect:
		return 1 << 10
	case access.Maintain:
		return 1 << 11
	case access.Listen:
		return 1 << 12
	case access.Notify:
		return 1 << 13
	case access.Set:
		return 1 << 14
	case access.DDL:
		return 1 << 15
	case access.Admin:
		return 1 << 16
	default:
		return 0
	}
}

func setOf(actions []access.Action) actionSet {
	var s actionSet
	for _, a := range actions {
		s |= bit(a)
	}
	return s
}

// applicable are the actions that mean something for a kind of object.
func applicable(k access.Kind) actionSet {
	return setOf(slices.DeleteFunc(access.Actions(), func(a access.Action) bool { return !applies(a, k) }))
}

// kindSet is a set of kinds of object.
type kindSet uint16

// kindBit is the set of one kind, empty for what is no kind.
func kindBit(k access.Kind) kindSet {
	switch k {
	case access.Table:
		return 1 << 0
	case access.Sequence:
		return 1 << 1
	case access.Function:
		return 1 << 2
	case access.Procedure:
		return 1 << 3
	case access.Schema:
		return 1 << 4
	case access.Database:
		return 1 << 5
	case access.Setting:
		return 1 << 6
	case access.Channel:
		return 1 << 7
	case access.Type:
		return 1 << 8
	default:
		return 0
	}
}
