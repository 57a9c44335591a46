package analyze

import (
	"unicode/utf8"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// The SQLSTATEs that analysis answers with (errcodes.txt).
const (
	stateSyntax          = "42601"
	stateUndefinedTable  = "42P01"
	stateUndefinedColumn = "42703"
	stateAmbiguousColumn = "42702"
	stateAmbiguousAlias  = "42P09"
	stateUndefinedParam  = "42P02"
	stateAmbiguousParam  = "42P08"

	stateIndeterminateType = "42P18"
	stateUndefinedFunction = "42883"
	stateUndefinedObject   = "42704"
	stateDatatypeMismatch  = "42804"
	stateCannotCoerce      = "42846"
	stateDuplicateObject   = "42710"
	stateWrongObjectType   = "42809"
	stateUnsupported       = "0A000"
	stateTooManyColumns    = "54011"
	stateBadEncoding       = "22021"
	stateTooComplex        = "54001"
	stateProgramLimit      = "54000"
	stateUndefinedSchema   = "3F000"
	stateSchemaDefinition  = "42P15"
	stateInvalidColumn     = "42P10"
	stateCannotConnect     = "57P03"
)

// verdict ends the analysis of a unit. It is an error, so that it travels up the
// walker the ordinary way.
type verdict struct {
	outcome  access.Outcome
	reason   access.Reason
	detail   string
	err      access.Error
	requires []access.Access
	// hidesUnit asks for every access found so far, with all columns, besides
	// requires. hidesColumns asks for select on all of each relation touched as well:
	// the error depends on which columns there are.
	hidesUnit, hidesColumns bool
}

func (v *verdict) Error() string { return string(v.reason) + ": " + v.detail }

func deny(reason access.Reason, detail string) error {
	return &verdict{outcome: access.Denied, reason: reason, detail: detail}
}

func refuse(reason access.Reason, state, message string) error {
	return &verdict{outcome: access.Refused, reason: reason, detail: message,
		err: access.Error{SQLState: state, Message: message}}
}

func fail(reason access.Reason, state, message string, position int) error {
	return &verdict{outcome: access.Failed, reason: reason, detail: "state " + state,
		err: access.Error{SQLState: state, Message: message, Position: position}}
}

// hide is PostgreSQL's own error about a name, to be told only to whom all that
// was looked at is granted.
func hide(state, message string, position int, requires ...access.Access) error {
	return &verdict{outcome: access.Hidden, reason: access.Undefined, detail: "state " + state,
		err:      access.Error{SQLState: state, Message: message, Position: position},
		requires: requires, hidesUnit: true}
}

// hideColumn is PostgreSQL's own error about a column that is read.
func hideColumn(state, message string, position int) *verdict {
	return &verdict{outcome: access.Hidden, reason: access.Undefined, detail: "state " + state,
		err:       access.Error{SQLState: state, Message: message, Position: position},
		hidesUnit: true, hidesColumns: true}
}

// hint adds PostgreSQL's hint to an error that was just made.
func (v *verdict) hint(text string) *verdict {
	v.err.Hint = text
	return v
}

// hintRewrite is the hint of transformAssignedExpr (parse_target.c).
const hintRewrite = "You will need to rewrite or cast the expression."

// errorPosition turns a byte offset of the parser into PostgreSQL's position:
// characters, from 1. A negative offset is none.
func errorPosition(text string, offset int32) int {
	if offset < 0 || int(offset) > len(text) {
		return 0
	}
	return utf8.RuneCountInString(text[:offset]) + 1
}
