package telemetry

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// Metric is an entry of the catalog. Instruments are made from nothing else.
type Metric uint8

// The metrics.
const (
	SessionsActive Metric = iota
	SessionsTotal
	StatementsTotal
	DecisionDuration
	RefusalsTotal
	SpoolBytes
	SpoolLagRecords
	AuditEventsTotal
	AuditAppendDuration
	AuditStoreBytes
	AuditStoreProblems
	AuthzRequestsTotal
	AuthzAnalysisDuration
	CatalogAge
	PolicyRevision
	CertificateLeft
	IntrospectionsTotal
	SignalsTotal
	metricCount
)

// Kind is how a metric behaves.
type Kind string

// The kinds.
const (
	// KindCounter only grows.
	KindCounter Kind = "counter"
	// KindUpDown is a count that goes both ways.
	KindUpDown Kind = "updown"
	// KindGauge is read when it is collected.
	KindGauge Kind = "gauge"
	// KindHistogram counts durations into buckets.
	KindHistogram Kind = "histogram"
)

// Label is a label and all the values it can have, but for "other".
type Label struct {
	Key    string
	Values []string
}

// Other is the value of a label for everything that is not in its list.
const Other = "other"

// Description is what the catalog says of a metric.
type Description struct {
	Metric Metric
	// Name is the name in Prometheus, suffixes included.
	Name string
	Kind Kind
	// Unit is a UCUM code: "s", "By", or "{thing}" for counts.
	Unit string
	Help string
	// Labels, in the order in which With takes their values.
	Labels []Label
	// Buckets are a histogram's upper bounds in its unit.
	Buckets []float64
}

// Catalog describes every metric, in the order of the constants.
func Catalog() []Description {
	return []Description{
		{SessionsActive, "scopewire_sessions_active", KindUpDown, "{session}",
			"Client sessions that are open now.", nil, nil},
		{SessionsTotal, "scopewire_sessions_total", KindCounter, "{session}",
			"Client sessions that ended, by how.", []Label{{"outcome", sessionOutcomes()}}, nil},
		{StatementsTotal, "scopewire_statements_total", KindCounter, "{statement}",
			"Protocol units judged by the proxy.", verdictAndReason(), nil},
		{DecisionDuration, "scopewire_decision_duration_seconds", KindHistogram, "s",
			"Time from a complete message to its decision, in the proxy.", []Label{{"source", []string{"cache", "remote"}}}, decisionBuckets()},
		{RefusalsTotal, "scopewire_refusals_total", KindCounter, "{refusal}",
			"Statements and logins refused because no decision could be had or a limit was met.", []Label{{"class", refusalClasses()}}, nil},
		{SpoolBytes, "scopewire_spool_bytes", KindGauge, "By",
			"Size of the proxy's audit spool.", nil, nil},
		{SpoolLagRecords, "scopewire_spool_lag_records", KindGauge, "{record}",
			"Records in the spool that audit has not acknowledged.", nil, nil},
		{AuditEventsTotal, "scopewire_audit_events_total", KindCounter, "{event}",
			"Records that reached the audit store, by what became of them.",
			[]Label{{"result", []string{"stored", "duplicate", "damaged", "gap"}}}, nil},
		{AuditAppendDuration, "scopewire_audit_append_duration_seconds", KindHistogram, "s",
			"Time from a received batch to its durable acknowledgement.", nil, decisionBuckets()},
		{AuditStoreBytes, "scopewire_audit_store_bytes", KindGauge, "By",
			"Size of the audit store's segments.", nil, nil},
		{AuditStoreProblems, "scopewire_audit_store_problems", KindGauge, "{problem}",
			"Damage found in the audit store since start. Anything but 0 needs a person.", nil, nil},
		{AuthzRequestsTotal, "scopewire_authz_requests_total", KindCounter, "{request}",
			"Requests answered by authz.", verdictAndReason(), nil},
		{AuthzAnalysisDuration, "scopewire_authz_analysis_duration_seconds", KindHistogram, "s",
			"Time to parse, bind and judge one unit.", nil, decisionBuckets()},
		{CatalogAge, "scopewire_catalog_age_seconds", KindGauge, "s",
			"Age of the oldest catalog snapshot in use.", nil, nil},
		{PolicyRevision, "scopewire_policy_revision", KindGauge, "{revision}",
			"The policy revision in force.", nil, nil},
		{CertificateLeft, "scopewire_certificate_left_seconds", KindGauge, "s",
			"Time until the first certificate that this process shows to other services ends; negative when it has.", nil, nil},
		{IntrospectionsTotal, "scopewire_introspections_total", KindCounter, "{question}",
			"Questions to an issuer about a token, by its answer. Failed ones deny.", []Label{{"answer", []string{"active", "inactive", "failed"}}}, nil},
		{SignalsTotal, "scopewire_signals_total", KindCounter, "{event}",
			"Requests to the receiver of security events, by what became of them.",
			[]Label{{"result", []string{"revoked", "nothing_asked", "refused", "unavailable"}}}, nil},
	}
}

// decisionBuckets go from a cache hit (microseconds) to the deadline of a
// decision (250 ms) and a little beyond.
func decisionBuckets() []float64 {
	return []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1}
}

// sessionOutcomes are how a session can end.
func sessionOutcomes() []string {
	return []string{
		"closed",              // the client said Terminate
		"client_gone",         // the client vanished
		"login_refused",       // the token was refused
		"discovery",           // the client was told where to get a token
		"login_timeout",       // the login deadline passed
		"protocol_violation",  // a message that may not come, or is not known
		"backend_unavailable", // the server could not be reached
		"backend_gone",        // the server ended the session
		"backend_hung",        // the server did not stop what was over its time
		"token_expired",       // expiry and grace passed
		"token_revoked",       // the token was revoked
		"limit",               // a limit of the session or of the proxy
		"shutdown",            // the proxy stopped
		"internal",            // a bug: the session's goroutine failed
	}
}

// refusalClasses are why there was no decision.
func refusalClasses() []string {
	return []string{
		"authz_unavailable", "authz_timeout", "authz_answer", "watch_stale",
		"spool_full", "spool_unsynced", "spool_failed",
		"token_expired", "token_revoked", "token_invalid", "introspection",
		"limit", "encoding", "context", "protocol", "backend", "shutdown", "internal",
	}
}

func verdictAndReason() []Label {
	return []Label{
		{"verdict", enumLabels(authzv1.Verdict(0).Descriptor(), "VERDICT_")},
		{"reason", enumLabels(authzv1.Reason(0).Descriptor(), "REASON_")},
	}
}

// VerdictLabel is the label value of a verdict.
func VerdictLabel(v authzv1.Verdict) string { return enumLabel(v.String(), "VERDICT_") }

// ReasonLabel is the label value of a reason.
func ReasonLabel(r authzv1.Reason) string { return enumLabel(r.String(), "REASON_") }

func enumLabels(d protoreflect.EnumDescriptor, prefix string) []string {
	values := d.Values()
	out := make([]string, values.Len())
	for i := range out {
		out[i] = enumLabel(string(values.Get(i).Name()), prefix)
	}
	return out
}

func enumLabel(name, prefix string) string {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return Other
	}
	return strings.ToLower(rest)
}
