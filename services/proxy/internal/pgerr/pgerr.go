// Package pgerr is the one place where Scopewire's answers become PostgreSQL
// ErrorResponses: denials, refusals, syntax errors, and the closed form of the
// server's own errors.
//
// Three answers are kept apart. A denial is 42501 with a constant message and
// the denial's reference as DETAIL; it is the same for what is not granted and
// for what does not exist. A refusal means that no decision could be had; each
// kind has a row in Refusals. A syntax error is what the parser says of the
// client's own text. What the server says goes out closed: severity, SQLSTATE,
// position, and one constant message per SQLSTATE, because its texts quote names
// and values.
package pgerr

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// SQLSTATEs that the proxy itself gives out ("PostgreSQL Error Codes").
const (
	InsufficientPrivilege = "42501"
	SyntaxError           = "42601"
	FailedTransaction     = "25P02"
	ProtocolViolation     = "08P01"
	ConnectionFailure     = "08006"
	FeatureNotSupported   = "0A000"
	InvalidAuthorization  = "28000"
	InvalidPassword       = "28P01"
	CannotConnectNow      = "57P03"
	TooManyConnections    = "53300"
	DiskFull              = "53100"
	ProgramLimitExceeded  = "54000"
	StatementTooComplex   = "54001"
	TooManyResources      = "53000"
	CharacterNotInRepert  = "22021"
	AdminShutdown         = "57P01"
	UndefinedDatabase     = "3D000"
	QueryCanceled         = "57014"
	SerializationFailure  = "40001"

	NotInPrerequisiteState = "55000"
)

// DeniedMessage is what a denial says, whatever was denied.
const DeniedMessage = "permission denied by the access token's scopes"

// Refusal is a reason for which no decision could be had.
type Refusal int

// The refusals, a row each in refusals.
const (
	// RefusalUnavailable: authz cannot be reached, is too slow, or has no fresh
	// policy or catalog.
	RefusalUnavailable Refusal = iota
	// RefusalSpoolFull: the audit spool cannot take another record.
	RefusalSpoolFull
	// RefusalTokenExpired: the session's token has expired.
	RefusalTokenExpired
	// RefusalTokenRevoked: the session's token has been revoked.
	RefusalTokenRevoked
	// RefusalTokenInvalid: the session's token is not accepted any more.
	RefusalTokenInvalid
	// RefusalNewToken: a token that was to take the place of the session's is not accepted.
	RefusalNewToken
	// RefusalIntrospection: the issuer could not say whether the token is active.
	RefusalIntrospection
	// RefusalTooLong: the statement's text is over the length limit.
	RefusalTooLong
	// RefusalTooComplex: the statement is nested or chained too deep.
	RefusalTooComplex
	// RefusalEncoding: the text is not valid UTF-8 or carries a NUL.
	RefusalEncoding
	// RefusalResources: the session holds too many prepared statements.
	RefusalResources
	// RefusalAltered: the transaction has changed the catalog in a way that cannot be
	// followed before its end.
	RefusalAltered
	// RefusalRetry: the catalog has changed in a way that the transaction cannot be
	// asked about before its first statement.
	RefusalRetry
	// RefusalObjects: the session's own objects, temporary or not committed, are too
	// many to tell authz about.
	RefusalObjects
	// RefusalMoved: a portal or cursor was opened before its names came to mean
	// something else.
	RefusalMoved
)

var refusals = map[Refusal]struct{ sqlstate, message string }{
	RefusalUnavailable:   {CannotConnectNow, "no authorization decision can be had now"},
	RefusalSpoolFull:     {DiskFull, "the statement cannot be recorded for audit now"},
	RefusalTokenExpired:  {InvalidAuthorization, "the access token has expired"},
	RefusalTokenRevoked:  {InvalidAuthorization, "the access token has been revoked"},
	RefusalTokenInvalid:  {InvalidAuthorization, "the access token is not accepted any more"},
	RefusalNewToken:      {InvalidPassword, "the new access token was refused, the one before stays"},
	RefusalIntrospection: {CannotConnectNow, "the access token could not be checked with its issuer now"},
	RefusalTooLong:       {ProgramLimitExceeded, "the statement is longer than the limit"},
	RefusalTooComplex:    {StatementTooComplex, "the statement is nested or chained beyond the limit"},
	RefusalEncoding:      {CharacterNotInRepert, "the statement is not valid UTF-8 text"},
	RefusalResources:     {TooManyResources, "the session holds too many prepared statements"},
	RefusalAltered:       {FeatureNotSupported, "the transaction has changed the catalog in a way that cannot be followed: commit it first"},
	RefusalRetry:         {SerializationFailure, "the catalog has changed: try the transaction again"},
	RefusalObjects:       {ProgramLimitExceeded, "the session's temporary and uncommitted objects are beyond the limit"},
	RefusalMoved:         {NotInPrerequisiteState, "the cursor was opened before its names came to mean something else"},
}

// Denied is the answer to a denied statement; reference is the id of its audit
// event.
func Denied(reference string) *pgproto3.ErrorResponse {
	e := statement(InsufficientPrivilege, DeniedMessage)
	e.Detail = "Reference: " + reference
	return e
}

// Refused is the answer when no decision could be had.
func Refused(r Refusal) *pgproto3.ErrorResponse {
	row, ok := refusals[r]
	if !ok {
		row = refusals[RefusalUnavailable]
	}
	return statement(row.sqlstate, row.message)
}

// ExpiryNotice tells that the access token is good for so much longer.
func ExpiryNotice(left time.Duration) *pgproto3.NoticeResponse {
	return &pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000",
		Message: fmt.Sprintf("the access token expires in %s", left.Round(time.Second)),
		Hint:    "Give the session a new one: SET scopewire.token = '...'"}
}

// Statement is the answer that PostgreSQL itself would give. Position counts
// characters from 1; 0 is none.
func Statement(sqlstate, message string, position uint32) *pgproto3.ErrorResponse {
	e := statement(sqlstate, message)
	e.Position = int32(min(position, 1<<30)) //nolint:gosec // G115: bounded here.
	return e
}

// OverTime is what PostgreSQL answers for a statement over its time (ProcessInterrupts,
// tcop/postgres.c).
func OverTime() *pgproto3.ErrorResponse {
	return statement(QueryCanceled, "canceling statement due to statement timeout")
}

// Aborted is what PostgreSQL answers in a failed transaction
// (tcop/postgres.c, exec_simple_query).
func Aborted() *pgproto3.ErrorResponse {
	return statement(FailedTransaction, "current transaction is aborted, commands ignored until end of transaction block")
}

// Fatal is an answer after which the connection is closed.
func Fatal(sqlstate, message string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: sqlstate, Message: message}
}

func statement(sqlstate, message string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: sqlstate, Message: message}
}

// Fields are the fields of an ErrorResponse or NoticeResponse that the proxy
// reads.
type Fields struct {
	Severity string
	SQLState string
	Message  string
	Position uint32
}

// Decode reads the fields of an ErrorResponse or NoticeResponse body ("Error and
// Notice Message Fields"). A body of another form, or one without SQLSTATE or
// severity, reports false.
func Decode(body []byte) (Fields, bool) {
	var f Fields
	for rest := string(body); rest != ""; {
		typ := rest[0]
		if typ == 0 {
			return f, len(rest) == 1 && validSQLState(f.SQLState) && f.Severity != ""
		}
		s, after, ok := strings.Cut(rest[1:], "\x00")
		if !ok {
			return f, false
		}
		rest = after
		switch typ {
		case 'V':
			f.Severity = s
		case 'S':
			// Localised, and all that servers before 9.6 send.
			if f.Severity == "" {
				f.Severity = s
			}
		case 'C':
			f.SQLState = s
		case 'M':
			f.Message = s
		case 'P':
			if n, err := strconv.ParseUint(s, 10, 31); err == nil {
				f.Position = uint32(n)
			}
		default:
			// Every other field quotes names, values or code.
		}
	}
	return f, false
}

func validSQLState(s string) bool {
	if len(s) != 5 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// severities are the words that may stand in a severity field; any other is
// replaced.
var severities = map[string]bool{"ERROR": true, "FATAL": true, "PANIC": true, "WARNING": true,
	"NOTICE": true, "DEBUG": true, "INFO": true, "LOG": true}

// Closed is the closed form of what the server said.
func Closed(f Fields) *pgproto3.ErrorResponse {
	severity := f.Severity
	if !severities[severity] {
		severity = "ERROR"
	}
	e := &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: f.SQLState,
		Message: Message(f.SQLState)}
	e.Position = int32(min(f.Position, 1<<30)) //nolint:gosec // G115: bounded here.
	return e
}

// Message is the one message of an SQLSTATE in closed form.
func Message(sqlstate string) string {
	switch sqlstate {
	case FailedTransaction:
		return Aborted().Message
	case QueryCanceled:
		return "canceling statement due to user request or timeout"
	case AdminShutdown:
		return "terminating connection due to administrator command"
	case "00000":
		return "notice"
	case "01000":
		return "warning"
	}
	if m, ok := conditions[sqlstate]; ok {
		return m
	}
	if len(sqlstate) == 5 {
		if m, ok := conditions[sqlstate[:2]+"000"]; ok {
			return m
		}
	}
	return "error"
}
