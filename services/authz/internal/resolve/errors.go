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

// The hints of ParseFuncOrColumn (parse_func.c) and op_error (parse_oper.c).
const (
	hintNoFunction       = "No function matches the given name and argument types. You might need to add explicit type casts."
	hintNoProcedure      = "No procedure matches the given name and argument types. You might need to add explicit type casts."
	hintWhichFunction    = "Could not choose a best candidate function. You might need to add explicit type casts."
	hintWhichProcedure   = "Could not choose a best candidate procedure. You might need to add explicit type casts."
	hintNoOperator       = "No operator matches the given name and argument types. You might need to add explicit type casts."
	hintNoPrefixOperator = "No operator matches the given name and argument type. You might need to add an explicit type cast."
	hintWhichOperator    = "Could not choose a best candidate operator. You might need to add explicit type casts."
)

// hint adds a hint to an error that was just made.
func (e *Error) hint(text string) *Error {
	e.Hint = text
	return e
}

func errorf(state, format string, args ...any) *Error {
	return &Error{SQLState: state, Message: fmt.Sprintf(format, args...)}
}
