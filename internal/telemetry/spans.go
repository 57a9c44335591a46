package telemetry

import "go.opentelemetry.io/otel/attribute"

// SpanName is the name of a span.
type SpanName string

// The spans.
const (
	// SpanSession is a client session, from login to end.
	SpanSession SpanName = "scopewire.session"
	// SpanStatement is one protocol unit, from message to answer.
	SpanStatement SpanName = "scopewire.statement"
	// SpanDecide is the proxy's way to a decision, cache included.
	SpanDecide SpanName = "scopewire.decide"
	// SpanAuthorize is authz's work on one request.
	SpanAuthorize SpanName = "scopewire.authorize"
	// SpanBackend is the server's work on a forwarded statement.
	SpanBackend SpanName = "scopewire.backend"
	// SpanAuditAppend is the store's work on one batch.
	SpanAuditAppend SpanName = "scopewire.audit.append"
)

// The attributes. Those named db.* are OpenTelemetry's semantic conventions
// for databases; none may carry a literal, a parameter or a token, so
// db.query.text is not among them.
const (
	// AttrDBSystem is always "postgresql".
	AttrDBSystem = attribute.Key("db.system.name")
	// AttrDBNamespace is the database.
	AttrDBNamespace = attribute.Key("db.namespace")
	// AttrDBOperation is the statement's kind, "SELECT".
	AttrDBOperation = attribute.Key("db.operation.name")
	// AttrDBCollection is the table, where there is exactly one.
	AttrDBCollection = attribute.Key("db.collection.name")
	// AttrDBQuerySummary is operation and tables: low cardinality.
	AttrDBQuerySummary = attribute.Key("db.query.summary")
	// AttrDBStatus is the SQLSTATE of an error.
	AttrDBStatus = attribute.Key("db.response.status_code")
	// AttrSession is the session's id.
	AttrSession = attribute.Key("scopewire.session.id")
	// AttrStatement is the statement's id.
	AttrStatement = attribute.Key("scopewire.statement.id")
	// AttrVerdict is the verdict, as in the metric's label.
	AttrVerdict = attribute.Key("scopewire.verdict")
	// AttrReason is the reason, as in the metric's label.
	AttrReason = attribute.Key("scopewire.reason")
	// AttrCache says whether the decision came from the cache.
	AttrCache = attribute.Key("scopewire.decision.cached")
	// AttrPolicyRevision is the revision the decision was made from.
	AttrPolicyRevision = attribute.Key("scopewire.policy.revision")
	// AttrRecords is the number of records in an audit batch.
	AttrRecords = attribute.Key("scopewire.audit.records")
)

// SpanDescription is what the catalog says of a span.
type SpanDescription struct {
	Name       SpanName
	Help       string
	Attributes []attribute.Key
}

// Spans describes every span and the attributes it may carry.
func Spans() []SpanDescription {
	return []SpanDescription{
		{SpanSession, "A client session.", []attribute.Key{AttrDBSystem, AttrDBNamespace, AttrSession}},
		{SpanStatement, "A protocol unit, from message to answer.", []attribute.Key{
			AttrDBSystem, AttrDBNamespace, AttrDBOperation, AttrDBCollection, AttrDBQuerySummary, AttrDBStatus,
			AttrSession, AttrStatement, AttrVerdict, AttrReason, AttrCache, AttrPolicyRevision}},
		{SpanDecide, "The proxy's way to a decision.", []attribute.Key{AttrStatement, AttrVerdict, AttrReason, AttrCache, AttrPolicyRevision}},
		{SpanAuthorize, "Authz's work on one request.", []attribute.Key{AttrDBNamespace, AttrSession, AttrStatement, AttrVerdict, AttrReason, AttrPolicyRevision}},
		{SpanBackend, "The server's work on a forwarded statement.", []attribute.Key{AttrDBSystem, AttrDBNamespace, AttrDBOperation, AttrStatement, AttrDBStatus}},
		{SpanAuditAppend, "The audit store's work on one batch.", []attribute.Key{AttrRecords}},
	}
}
