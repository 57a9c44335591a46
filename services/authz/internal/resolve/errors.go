package resolve

import "fmt"

// SQLSTATEs (errcodes.txt).
const (
	internalError       = "XX000"
	undefinedSchema     = "3F000"
	syntaxError         = "42601"
	datatypeMismatch    = "42804"
	wrongObjectType     = "42809"
	undefinedFunction   = "42883"
	ambiguousFunction   = "42725"
	undefinedObject     = "42704"
	indeterminateType   = "42P18"
	cannotCoerce        = "42846"
	invalidFunction     = "42P13"
	featureNotSupported = "0A000"
	tooManyArguments    = "54023"
)

// maxArguments is FUNC_MAX_ARGS of pg_config_manual.h.
const maxArguments = 100

func errorf(state, format string, args ...any) *Error {
	return &Error{SQLState: state, Message: fmt.Sprintf(format, args...)}
}
