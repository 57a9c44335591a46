package auditview

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// ocsfVersion is the version of the Open Cybersecurity Schema Framework that OCSF writes.
const ocsfVersion = "1.3.0"

// The classes of OCSF that events belong to (schema.ocsf.io, events/).
const (
	ocsfBase           = 0    // Base Event
	ocsfAuthentication = 3002 // Authentication
	ocsfEntity         = 3004 // Entity Management
	ocsfDatastore      = 6005 // Datastore Activity
)

// The activities of those classes that are used. Zero is Unknown in each of them.
const (
	ocsfLogon        = 1
	ocsfLogoff       = 2
	ocsfEntityUpdate = 3
	ocsfUpdate       = 2
	ocsfQuery        = 4
	ocsfWrite        = 5
	ocsfCreate       = 6
	ocsfDelete       = 7
	ocsfOther        = 99
	// ocsfByAccess is no activity of OCSF: it is read off what the statements touch.
	ocsfByAccess = -1
)

// ocsfRow says what events of a type are in OCSF. status and severity are the numbers of
// status_id (1 success, 2 failure, 0 unknown) and severity_id (1 informational, 3 medium).
type ocsfRow struct{ class, activity, status, severity int }

// ocsfOf is the row of an event type; one that this version does not know is a Base Event.
func ocsfOf(t auditv1.EventType) ocsfRow {
	switch t {
	case auditv1.EventType_EVENT_TYPE_LOGIN:
		return ocsfRow{ocsfAuthentication, ocsfLogon, 1, 1}
	case auditv1.EventType_EVENT_TYPE_LOGIN_REFUSED:
		return ocsfRow{ocsfAuthentication, ocsfLogon, 2, 3}
	case auditv1.EventType_EVENT_TYPE_LOGOUT:
		return ocsfRow{ocsfAuthentication, ocsfLogoff, 1, 1}
	case auditv1.EventType_EVENT_TYPE_TOKEN_EXPIRED, auditv1.EventType_EVENT_TYPE_TOKEN_REVOKED:
		return ocsfRow{ocsfAuthentication, ocsfOther, 2, 1}
	case auditv1.EventType_EVENT_TYPE_TOKEN_REFRESHED:
		return ocsfRow{ocsfAuthentication, ocsfOther, 1, 1}
	case auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT:
		return ocsfRow{ocsfDatastore, ocsfByAccess, 0, 1}
	case auditv1.EventType_EVENT_TYPE_STATEMENT_FINISHED:
		return ocsfRow{ocsfDatastore, ocsfOther, 0, 1}
	case auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED:
		return ocsfRow{ocsfDatastore, ocsfByAccess, 2, 3}
	case auditv1.EventType_EVENT_TYPE_STATEMENT_REFUSED, auditv1.EventType_EVENT_TYPE_STATEMENT_ERROR:
		return ocsfRow{ocsfDatastore, ocsfByAccess, 2, 1}
	case auditv1.EventType_EVENT_TYPE_CANCEL:
		return ocsfRow{ocsfDatastore, ocsfOther, 1, 1}
	case auditv1.EventType_EVENT_TYPE_PROTOCOL_VIOLATION:
		return ocsfRow{ocsfDatastore, ocsfOther, 2, 3}
	case auditv1.EventType_EVENT_TYPE_TOKENS_REVOKED, auditv1.EventType_EVENT_TYPE_POLICY_CHANGED:
		return ocsfRow{ocsfEntity, ocsfEntityUpdate, 1, 1}
	case auditv1.EventType_EVENT_TYPE_GAP:
		return ocsfRow{ocsfBase, ocsfOther, 2, 3}
	default:
		return ocsfRow{ocsfBase, ocsfOther, 0, 1}
	}
}

// ocsfDoc is an event in OCSF. What OCSF has no attribute for is in unmapped, in the form
// that JSON writes.
type ocsfDoc struct {
	CategoryUID  int           `json:"category_uid"`
	ClassUID     int           `json:"class_uid"`
	ActivityID   int           `json:"activity_id"`
	ActivityName string        `json:"activity_name,omitempty"`
	TypeUID      int           `json:"type_uid"`
	SeverityID   int           `json:"severity_id"`
	StatusID     int           `json:"status_id"`
	StatusCode   string        `json:"status_code,omitempty"`
	StatusDetail string        `json:"status_detail,omitempty"`
	Time         int64         `json:"time"`
	Duration     *int64        `json:"duration,omitempty"`
	Metadata     ocsfMetadata  `json:"metadata"`
	Actor        *ocsfActor    `json:"actor,omitempty"`
	User         *ocsfUser     `json:"user,omitempty"`
	Session      *ocsfUID      `json:"session,omitempty"`
	Source       *ocsfEndpoint `json:"src_endpoint,omitempty"`
	Service      *ocsfName     `json:"service,omitempty"`
	Database     *ocsfDatabase `json:"database,omitempty"`
	TypeID       int           `json:"type_id,omitempty"`
	QueryInfo    *ocsfQueryDoc `json:"query_info,omitempty"`
	Entity       *ocsfName     `json:"entity,omitempty"`
	Comment      string        `json:"comment,omitempty"`
	Unmapped     event         `json:"unmapped"`
}

type ocsfMetadata struct {
	Version        string   `json:"version"`
	UID            string   `json:"uid"`
	CorrelationUID string   `json:"correlation_uid,omitempty"`
	EventCode      string   `json:"event_code"`
	Sequence       uint64   `json:"sequence,omitempty"`
	LoggedTime     int64    `json:"logged_time,omitempty"`
	Product        ocsfName `json:"product"`
}

type ocsfName struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name,omitempty"`
	Type   string `json:"type,omitempty"`
}

type ocsfUID struct {
	UID    string `json:"uid"`
	Issuer string `json:"issuer,omitempty"`
}

type ocsfUser struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	Domain string `json:"domain,omitempty"`
}

type ocsfActor struct {
	User    *ocsfUser `json:"user,omitempty"`
	Session *ocsfUID  `json:"session,omitempty"`
	App     string    `json:"app_name,omitempty"`
}

type ocsfEndpoint struct {
	IP   string `json:"ip"`
	Port int    `json:"port,omitempty"`
}

type ocsfDatabase struct {
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
}

type ocsfQueryDoc struct {
	UID   string `json:"uid,omitempty"`
	Query string `json:"query_string"`
}

// OCSF writes one event as one line of JSON in ASCII, as the Open Cybersecurity Schema
// Framework has it. Values are bounded as JSON's are. The error is w's.
func OCSF(w io.Writer, stored *auditv1.StoredEvent) error {
	e := stored.GetEvent()
	row := ocsfOf(e.GetType())
	d := ocsfDoc{
		CategoryUID: row.class / 1000, ClassUID: row.class, SeverityID: row.severity, StatusID: row.status,
		StatusCode: bounded(e.GetSqlstate()), StatusDetail: bounded(e.GetReasonDetail()), Unmapped: document(stored),
		Metadata: ocsfMetadata{Version: ocsfVersion, UID: idText(e.GetEventId()), CorrelationUID: idText(e.GetStatementId()),
			EventCode: eventWord(e), Sequence: stored.GetStoreSequence(), Product: ocsfName{Name: "Scopewire", Vendor: "Scopewire"}},
	}
	if at := e.GetTime(); at.IsValid() {
		d.Time = at.AsTime().UnixMilli()
	}
	if at := stored.GetStoredAt(); at.IsValid() {
		d.Metadata.LoggedTime = at.AsTime().UnixMilli()
	}
	d.ActivityID = row.activity
	if row.activity == ocsfByAccess {
		d.ActivityID = ocsfActivity(e.GetStatements())
	}
	if d.ActivityID == ocsfOther {
		d.ActivityName = eventWord(e)
	}
	d.TypeUID = d.ClassUID*100 + d.ActivityID
	if o := e.GetOutcome(); o != nil {
		ms := o.GetDuration().AsDuration().Milliseconds()
		d.Duration, d.StatusID = &ms, ocsfStatus(o.GetKind())
	}
	d.who(e)
	switch row.class {
	case ocsfDatastore:
		d.Database, d.TypeID = &ocsfDatabase{bounded(e.GetDatabase()), 1}, 1
		if texts := normalised(e.GetStatements()); texts != "" {
			d.QueryInfo = &ocsfQueryDoc{idText(e.GetStatementId()), texts}
		}
	case ocsfAuthentication:
		d.Service = &ocsfName{Name: "postgresql"}
	case ocsfEntity:
		d.Entity = &ocsfName{Name: administrationText(e.GetAdministration()), Type: eventWord(e)}
		d.Comment = bounded(e.GetAdministration().GetNote())
	}
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode audit event: %w", err)
	}
	_, err = io.WriteString(w, asciiJSON(string(b))+"\n")
	return err
}

// who fills in actor and user. Authentication has both; the others the actor alone.
func (d *ocsfDoc) who(e *auditv1.Event) {
	p := e.GetPrincipal()
	if p == nil {
		p = e.GetUnverifiedPrincipal()
	}
	session := &ocsfUID{UID: idText(e.GetSessionId()), Issuer: bounded(p.GetIssuer())}
	user := &ocsfUser{UID: bounded(p.GetSubject()), Name: bounded(p.GetSubject()), Domain: bounded(p.GetIssuer())}
	switch {
	case e.GetAdministration() != nil:
		d.Actor = &ocsfActor{App: bounded(e.GetAdministration().GetCaller())}
		return
	case d.ClassUID == ocsfAuthentication:
		if p == nil {
			user.UID, user.Name = bounded(e.GetStartupUser()), bounded(e.GetStartupUser())
		}
		d.User, d.Session = user, session
	case p != nil:
		d.Actor = &ocsfActor{User: user, Session: session, App: bounded(e.GetApplicationName())}
	}
	if host, port, err := net.SplitHostPort(e.GetClientAddress()); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			n = 0
		}
		d.Source = &ocsfEndpoint{bounded(host), int(n)}
	}
}

// ocsfStatus is the status_id of an end. What was suspended has gone well so far.
func ocsfStatus(k auditv1.OutcomeKind) int {
	switch k {
	case auditv1.OutcomeKind_OUTCOME_KIND_COMPLETED, auditv1.OutcomeKind_OUTCOME_KIND_SUSPENDED:
		return 1
	case auditv1.OutcomeKind_OUTCOME_KIND_FAILED, auditv1.OutcomeKind_OUTCOME_KIND_SKIPPED:
		return 2
	default:
		return 0
	}
}

// ocsfActivity is the activity that changes most of what the statements do.
func ocsfActivity(statements []*authzv1.Statement) int {
	order := []int{ocsfOther, ocsfQuery, ocsfWrite, ocsfUpdate, ocsfCreate, ocsfDelete}
	most := 0
	for _, s := range statements {
		for _, a := range s.GetAccesses() {
			if a.GetWithin() {
				continue
			}
			for i, activity := range order {
				if activity == ocsfActivityOf(a.GetAction(), s.GetKind()) {
					most = max(most, i)
				}
			}
		}
	}
	return order[most]
}

func ocsfActivityOf(a authzv1.Action, kind string) int {
	switch a {
	case authzv1.Action_ACTION_SELECT:
		return ocsfQuery
	case authzv1.Action_ACTION_INSERT:
		return ocsfWrite
	case authzv1.Action_ACTION_UPDATE:
		return ocsfUpdate
	case authzv1.Action_ACTION_DELETE, authzv1.Action_ACTION_TRUNCATE:
		return ocsfDelete
	case authzv1.Action_ACTION_DDL:
		switch {
		case strings.HasPrefix(kind, "create"):
			return ocsfCreate
		case strings.HasPrefix(kind, "drop"):
			return ocsfDelete
		default:
			return ocsfUpdate
		}
	default:
		return ocsfOther
	}
}

// normalised is the text of the statements, in order.
func normalised(statements []*authzv1.Statement) string {
	var texts []string
	for _, s := range statements[:min(len(statements), maxListed)] {
		if s.GetNormalised() != "" {
			texts = append(texts, s.GetNormalised())
		}
	}
	return bounded(strings.Join(texts, "; "))
}
