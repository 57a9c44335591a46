package auditview

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// event is the JSON form. Keys are only ever added.
type event struct {
	Time              string      `json:"time"`
	Reference         string      `json:"reference"`
	Event             string      `json:"event"`
	Verdict           string      `json:"verdict,omitempty"`
	Reason            string      `json:"reason,omitempty"`
	ReasonDetail      string      `json:"reason_detail,omitempty"`
	LoginRefusal      string      `json:"login_refusal,omitempty"`
	SQLState          string      `json:"sqlstate,omitempty"`
	Principal         *principal  `json:"principal,omitempty"`
	Unverified        *principal  `json:"unverified_principal,omitempty"`
	Statements        []statement `json:"statements,omitempty"`
	StatementsOmitted int         `json:"statements_omitted,omitempty"`
	Outcome           *outcome    `json:"outcome,omitempty"`
	// Administration is of what operators did.
	Administration  *administration `json:"administration,omitempty"`
	Database        string          `json:"database,omitempty"`
	Login           string          `json:"login,omitempty"`
	StartupUser     string          `json:"startup_user,omitempty"`
	ClientAddress   string          `json:"client_address,omitempty"`
	ApplicationName string          `json:"application_name,omitempty"`
	Session         string          `json:"session,omitempty"`
	Transaction     uint64          `json:"transaction,omitempty"`
	Message         string          `json:"message,omitempty"`
	StatementID     string          `json:"statement_id,omitempty"`
	Follows         string          `json:"follows,omitempty"`
	TraceID         string          `json:"trace_id,omitempty"`
	SpanID          string          `json:"span_id,omitempty"`
	Epoch           *epoch          `json:"epoch,omitempty"`
	Proxy           string          `json:"proxy,omitempty"`
	SpoolEpoch      string          `json:"spool_epoch,omitempty"`
	SpoolSequence   uint64          `json:"spool_sequence,omitempty"`
	StoreSequence   uint64          `json:"store_sequence,omitempty"`
	StoredAt        string          `json:"stored_at,omitempty"`
	ChainHash       string          `json:"chain_hash,omitempty"`
}

type principal struct {
	Subject string   `json:"subject"`
	Client  string   `json:"client,omitempty"`
	Issuer  string   `json:"issuer,omitempty"`
	Actors  []string `json:"actors,omitempty"`
	Scopes  []string `json:"scopes,omitempty"`
}

type statement struct {
	Kind            string      `json:"kind,omitempty"`
	Normalised      string      `json:"normalised,omitempty"`
	SHA256          string      `json:"sha256,omitempty"`
	Accesses        []accessDoc `json:"accesses,omitempty"`
	AccessesOmitted int         `json:"accesses_omitted,omitempty"`
}

type accessDoc struct {
	Action     string   `json:"action"`
	Named      string   `json:"named"`
	Resolved   string   `json:"resolved,omitempty"`
	Columns    []string `json:"columns,omitempty"`
	AllColumns bool     `json:"all_columns,omitempty"`
	// Alternatives are actions that would do as well; within marks what is checked
	// against an owner, through says by way of what, runs which code.
	Alternatives []string `json:"alternatives,omitempty"`
	Within       bool     `json:"within,omitempty"`
	Through      []string `json:"through,omitempty"`
	Runs         []string `json:"runs,omitempty"`
}

type outcome struct {
	Kind       string `json:"kind,omitempty"`
	CommandTag string `json:"command_tag,omitempty"`
	SQLState   string `json:"sqlstate,omitempty"`
	Rows       uint64 `json:"rows"`
	Commands   uint64 `json:"commands,omitempty"`
	Duration   string `json:"duration"`
}

type epoch struct {
	Policy     uint64            `json:"policy"`
	Revocation uint64            `json:"revocation"`
	Catalog    map[string]uint64 `json:"catalog,omitempty"`
}

// JSON writes one event as one line of JSON in ASCII. Values that are over
// 64 KiB are cut and say so, lists end after a hundred. The error is w's.
func JSON(w io.Writer, stored *auditv1.StoredEvent) error {
	b, err := json.Marshal(document(stored))
	if err != nil {
		return fmt.Errorf("encode audit event: %w", err)
	}
	_, err = io.WriteString(w, asciiJSON(string(b))+"\n")
	return err
}

// document is the JSON form of an event.
func document(stored *auditv1.StoredEvent) event {
	e := stored.GetEvent()
	doc := event{
		Time: rfcTime(e.GetTime()), Reference: idText(e.GetEventId()), Event: eventWord(e),
		Verdict: verdictText(e), ReasonDetail: bounded(e.GetReasonDetail()), SQLState: bounded(e.GetSqlstate()),
		Principal: principalDoc(e.GetPrincipal()), Unverified: principalDoc(e.GetUnverifiedPrincipal()),
		Database: bounded(e.GetDatabase()), Login: bounded(e.GetLogin()), StartupUser: bounded(e.GetStartupUser()),
		ClientAddress: bounded(e.GetClientAddress()), ApplicationName: bounded(e.GetApplicationName()),
		Session: idText(e.GetSessionId()), Transaction: e.GetTransaction(), StatementID: idText(e.GetStatementId()),
		Follows: idText(e.GetFollows()), TraceID: hexText(e.GetTraceId()), SpanID: hexText(e.GetSpanId()),
		Proxy: bounded(e.GetOrigin().GetInstance()), SpoolEpoch: hexText(e.GetOrigin().GetSpoolEpoch()), SpoolSequence: e.GetOrigin().GetSequence(),
		StoreSequence: stored.GetStoreSequence(), StoredAt: rfcTime(stored.GetStoredAt()), ChainHash: hexText(stored.GetChainHash()),
	}
	if r := e.GetReason(); r != authzv1.Reason_REASON_UNSPECIFIED {
		doc.Reason = enumWord(r.String(), "REASON_")
	}
	if r := e.GetLoginRefusal(); r != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNSPECIFIED {
		doc.LoginRefusal = enumWord(r.String(), "AUTHENTICATE_REFUSAL_REASON_")
	}
	if m := e.GetMessage(); m != auditv1.MessageKind_MESSAGE_KIND_UNSPECIFIED {
		doc.Message = enumWord(m.String(), "MESSAGE_KIND_")
	}
	if o := e.GetOutcome(); o != nil {
		doc.Outcome = &outcome{outcomeWord(o), bounded(o.GetCommandTag()), bounded(o.GetSqlstate()), o.GetRows(), o.GetCommands(), o.GetDuration().AsDuration().String()}
	}
	doc.Administration = administrationDoc(e.GetAdministration())
	if p := e.GetEpoch(); p != nil {
		doc.Epoch = &epoch{Policy: p.GetPolicy(), Revocation: p.GetRevocation(), Catalog: p.GetCatalog()}
	}
	n := len(e.GetStatements())
	for _, s := range e.GetStatements()[:min(n, maxListed)] {
		doc.Statements = append(doc.Statements, statementDoc(s))
	}
	doc.StatementsOmitted = max(0, n-maxListed)
	return doc
}

func statementDoc(s *authzv1.Statement) statement {
	doc := statement{Kind: bounded(s.GetKind()), Normalised: bounded(s.GetNormalised()), SHA256: hexText(s.GetTextSha256())}
	n := len(s.GetAccesses())
	for _, a := range s.GetAccesses()[:min(n, maxListed)] {
		d := accessDoc{
			Action: enumWord(a.GetAction().String(), "ACTION_"), Named: objectName(a.GetNamed()),
			Columns: list(a.GetColumns()), AllColumns: a.GetAllColumns(),
			Within: a.GetWithin(), Through: objectNames(a.GetThrough()), Runs: codeNames(a.GetTrust()),
		}
		for _, other := range a.GetAlternatives()[:min(len(a.GetAlternatives()), maxListed)] {
			d.Alternatives = append(d.Alternatives, enumWord(other.String(), "ACTION_"))
		}
		if a.GetResolved() != nil {
			d.Resolved = objectName(a.GetResolved())
		}
		doc.Accesses = append(doc.Accesses, d)
	}
	doc.AccessesOmitted = max(0, n-maxListed)
	return doc
}

func principalDoc(p *authzv1.Principal) *principal {
	if p == nil {
		return nil
	}
	doc := &principal{Subject: bounded(p.GetSubject()), Client: bounded(p.GetClientId()), Issuer: bounded(p.GetIssuer()), Scopes: list(p.GetScopes())}
	for _, a := range p.GetActors()[:min(len(p.GetActors()), maxListed)] {
		doc.Actors = append(doc.Actors, bounded(a.GetSubject()))
	}
	return doc
}

func list(values []string) (out []string) {
	for _, v := range values[:min(len(values), maxListed)] {
		out = append(out, bounded(v))
	}
	if n := len(values); n > maxListed {
		out = append(out, fmt.Sprintf("...(%d more)", n-maxListed))
	}
	return out
}

// bounded cuts a value; JSON itself escapes it.
func bounded(s string) string {
	if len(s) <= jsonLimit {
		return s
	}
	cut := jsonLimit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s...(%d bytes more)", s[:cut], len(s)-cut)
}

// asciiJSON escapes what is not ASCII, and DEL, in a JSON document. Outside of
// strings JSON has neither.
func asciiJSON(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
