// Package decide obtains decisions and says how long they hold.
//
// An Authorizer judges one protocol unit. Remote asks authz over one stream that
// all sessions share; Cache stands in front of it and keeps allows for the fingerprint
// or the exact text, as authz says. Watcher keeps a Fence up to date: the highest epoch seen
// from any source, and the last moment at which it is known to have been the
// newest. A decision may be used again while Fence.Holds says so, and never
// otherwise: its epoch must be the highest seen in policy, revocations and the catalog
// of its database, its TTL must not have run out, and of each of these either the
// decision itself or a later round trip of the watch must be younger than the
// staleness bound. A database that cannot be read holds up no other. Ages are counted from the
// moment a request was SENT, on the proxy's monotonic clock; counting from
// receipt would let a delayed answer look fresh.
//
// What can fail: no stream, no answer in time, an answer for something else, an
// answer with anything in it that this version does not know. All of them are
// errors, and an error refuses the statement.
package decide

import (
	"context"
	"crypto/sha256"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/secret"
)

// Authorizer judges protocol units. Implementations are safe for concurrent
// use, block no longer than ctx allows, keep no reference to the request's
// bytes after they return, and return an error whenever there is any doubt.
type Authorizer interface {
	Authorize(ctx context.Context, req *Request) (*Decision, error)
}

// TokenHash is the SHA-256 of a token: the token's name outside authz.
type TokenHash [sha256.Size]byte

// UnitKind is the protocol message a unit came in.
type UnitKind int

// The kinds of unit.
const (
	// UnitQuery is the text of a Query message.
	UnitQuery UnitKind = iota + 1
	// UnitParse is a Parse message.
	UnitParse
	// UnitFunctionCall is a FunctionCall message.
	UnitFunctionCall
)

// Request is one unit and the session it would run in. It belongs to the caller
// and is not changed.
type Request struct {
	SessionID   id.ID
	StatementID id.ID
	Token       secret.Bytes
	TokenHash   TokenHash
	// Principal tells whose share of the cache the decision counts against; it plays
	// no part in finding one.
	Principal string
	// Context is shared by a session's requests and never modified in place;
	// ContextKey is its ContextKey, without which nothing is kept.
	Context    *authzv1.SessionContext
	ContextKey string
	// Answers are what the session's backend said to probes, shared and never
	// modified in place; AnswersKey is their AnswersKey, empty without any.
	Answers    []*authzv1.ProbeAnswer
	AnswersKey string
	// Client is what is known of the session's client. It plays no part in finding
	// a decision: one that depends on it is not Cacheable.
	Client *authzv1.ClientInfo
	// Fresh asks for a decision from a catalog that is read after now.
	Fresh bool
	Kind  UnitKind
	// Text is the SQL, or the body of a FunctionCall.
	Text []byte
	// ParameterTypes are the OIDs of a Parse.
	ParameterTypes []uint32
	// SettledTypes are the types its parameters were found to have when it was judged
	// first, nil then.
	SettledTypes []uint32
	// FunctionOID and Arguments describe a FunctionCall.
	FunctionOID uint32
	Arguments   uint32
}

// Decision is the judgement of a unit. It is immutable.
type Decision struct {
	// Verdict is one of ALLOW, DENY, REFUSE, ERROR and PROBE; never anything else.
	Verdict authzv1.Verdict
	// Reason and Detail say why, for audit alone.
	Reason authzv1.Reason
	Detail string
	// Statements are what authz found in the unit, for audit and effects.
	Statements []*authzv1.Statement
	// Error is set under ERROR, and may be under REFUSE.
	Error *authzv1.StatementError
	// Probes are set under PROBE: what to ask the session's backend. Each is of a
	// kind that this version knows, with a name where the kind has one.
	Probes []*authzv1.Probe
	// Refreshed is the token that an allowed unit brings, nil for any other unit.
	Refreshed *Refreshed
	// Epoch is what the decision was made from.
	Epoch *authzv1.Epoch
	// AsOf is the moment up to which the facts are known to be fresh at least.
	AsOf time.Time
	// CatalogAsOf is the same for the catalog alone, where it is known to be fresher than
	// the rest; else it may be zero.
	CatalogAsOf time.Time
	// Expires is when the TTL runs out.
	Expires time.Time
	// Cacheable says that the decision may be used for another unit with the
	// same text, Fingerprint that it may be for one with the same fingerprint as well;
	// Cached that it was.
	Cacheable, Fingerprint, Cached bool
	// Open says that the server's errors and notices may reach the client untouched.
	Open bool
	// Longest is the longest that the unit may run, 0 without a limit.
	Longest time.Duration
}

// Refreshed is a token that is to take the place of a session's.
type Refreshed struct {
	// Token is the session's from then on.
	Token secret.Bytes
	// Principal is whom it names, Expires when its life ends.
	Principal *authzv1.Principal
	Expires   time.Time
	// ConfirmIn is after how long the token is to be confirmed, 0 for never.
	ConfirmIn time.Duration
	// Revocation is the number of the last revocation that it was judged by.
	Revocation uint64
}

// catalogAsOf is the moment up to which the catalog behind the decision is known to be
// fresh at least.
func (d *Decision) catalogAsOf() time.Time { return later(d.AsOf, d.CatalogAsOf) }

// Allowed reports whether the unit may be forwarded.
func (d *Decision) Allowed() bool { return d != nil && d.Verdict == authzv1.Verdict_VERDICT_ALLOW }
