package stmt

// maxName is how many bytes of a name the server looks at (NAMEDATALEN - 1). A
// server that was built with another number is refused when it is opened.
const maxName = 63

// Kind is a forwarded message that is answered.
type Kind int

// The kinds of Op.
const (
	// Query: answered by anything but a function's result, ended by ReadyForQuery.
	Query Kind = iota + 1
	// Parse: ParseComplete.
	Parse
	// Bind: BindComplete.
	Bind
	// Describe: ParameterDescription (of a statement), then RowDescription or
	// NoData.
	Describe
	// Execute: rows or a COPY, then CommandComplete, EmptyQueryResponse or
	// PortalSuspended.
	Execute
	// Close: CloseComplete.
	Close
	// Sync: ReadyForQuery.
	Sync
	// FunctionCall: FunctionCallResponse, ended by ReadyForQuery.
	FunctionCall
)

// Space is the namespace of a name, as Describe and Close spell it.
type Space byte

// The two namespaces.
const (
	Statements Space = 'S'
	Portals    Space = 'P'
)

// Op is one message on its way through the server. P is what a statement or
// portal stands for.
type Op[P any] struct {
	Kind Kind
	// Space and Name are what Parse, Bind and Close make or drop.
	Space Space
	Name  string
	// Value is what Parse and Bind make, Weight how much of the session's memory
	// it counts for.
	Value  P
	Weight int
	// Substituted means that the server was sent something it cannot parse: only
	// an error may answer.
	Substituted bool
	// Injected means that the proxy asks on its own account: the client knows
	// nothing of it.
	Injected bool
	// Copies means that the server may turn to COPY for the message. Nothing may be
	// pushed behind it before AwaitCopy has said what became of it: the server reads
	// what follows as part of the COPY.
	Copies bool
	// Attachment is the session's own.
	Attachment any

	// queued, copying and completed, the number of commands that have, are the tracker's.
	queued    bool
	copying   copyState
	completed int
}

type key struct {
	space Space
	name  string
}

// named is the key of a name as the server knows it.
func named(space Space, name string) key { return key{space, name[:min(len(name), maxName)]} }

func (o *Op[P]) key() (key, bool) {
	switch o.Kind {
	case Parse, Bind, Close:
		return named(o.Space, o.Name), true
	case Query:
		// A simple query drops the unnamed statement.
		return named(Statements, ""), true
	default:
		return key{}, false
	}
}
