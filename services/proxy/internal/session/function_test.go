package session_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

// function is a FunctionCall with arguments and a result in text.
func function(oid uint32, args ...string) pgproto3.FrontendMessage {
	f := &pgproto3.FunctionCall{Function: oid}
	for _, a := range args {
		f.Arguments = append(f.Arguments, []byte(a))
	}
	return f
}

const (
	int4pl   = 177
	int4div  = 154
	loCreate = 715
	loOpen   = 952
	loWrite  = 955
	loUnlink = 964
)

// A function called by number goes to the server like a Query, in whatever state the
// transaction is, and a denied one is answered like a Query that does not parse.
func TestSec_T15_FunctionCalls(t *testing.T) {
	denied := function(deniedFunction, "1", "pg_database")
	for name, script := range map[string][]talk{
		"allowed":               {say(ready, function(int4pl, "2", "3"))},
		"several at once":       {say(ready, function(int4pl, "2", "3"), function(int4pl, "4", "5")), say(ready)},
		"binary":                {say(ready, &pgproto3.FunctionCall{Function: int4pl, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{{0, 0, 0, 2}, {0, 0, 0, 3}}, ResultFormatCode: 1})},
		"null":                  {say(ready, &pgproto3.FunctionCall{Function: int4pl, Arguments: [][]byte{nil, []byte("1")}})},
		"failing":               {say(ready, function(int4div, "1", "0"))},
		"too few arguments":     {say(ready, function(int4pl, "2"))},
		"missing":               {say(ready, function(4000000000))},
		"in a transaction":      {say(ready, q("BEGIN")), say(ready, function(int4pl, "2", "3")), say(ready, function(int4div, "1", "0")), say(ready, function(int4pl, "2", "3")), say(ready, q("COMMIT"))},
		"a large object":        {say(ready, q("BEGIN")), say(ready, function(loCreate, "77")), say(ready, function(loOpen, "77", "131072")), say(ready, function(loWrite, "0", "bytes")), say(ready, q("COMMIT")), say(ready, q("SELECT convert_from(lo_get(77), 'UTF8')")), say(ready, function(loUnlink, "77"))},
		"ends a pipeline":       {say(ready, prep("", "INSERT INTO t VALUES (10, 'x')"), bind("", ""), exec(""), function(int4pl, "2", "3"), prep("", "SELECT 1/0"), bind("", ""), exec(""), syn), say(ready), say(ready, q("SELECT count(*) FROM t"))},
		"in a failed pipeline":  {say(ready, prep("", "SELECT 1/0"), bind("", ""), exec(""), function(int4pl, "2", "3"), syn)},
		"keeps the unnamed":     {say(ready, prep("", "SELECT 5"), syn), say(ready, function(int4pl, "2", "3")), say(ready, bind("", ""), exec(""), syn)},
		"denied":                {say(ready, denied), say(ready, q("SELECT 1"))},
		"denied in transaction": {say(ready, q("BEGIN")), say(ready, denied), say(ready, q("SELECT 1")), say(ready, q("COMMIT"))},
		"denied in a pipeline":  {say(ready, prep("", "INSERT INTO t VALUES (10, 'x')"), bind("", ""), exec(""), denied), say(ready, q("SELECT count(*) FROM t"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := direct(t, dbname(t)).hold(unparsable(script))
			for i, l := range want {
				want[i] = asDenied(l)
			}
			r := newRig(t, dbname(t))
			got := r.client.hold(script)
			if diff := cmp.Diff(normalise(want), normalise(got)); diff != "" {
				t.Errorf("direct (-) and through the session (+):\n%s", diff)
			}
			if r.received("pg_database") {
				t.Error("the server was sent a denied call")
			}
		})
	}
}

// A function call is recorded as one, by its digest: before it is forwarded, and before
// a denial is told.
func TestFunctionCallsAreRecorded(t *testing.T) {
	r := newRig(t, dbname(t))
	r.client.hold([]talk{say(ready, function(int4pl, "2", "3")), say(ready, function(deniedFunction, "1", "x"))})
	for _, typ := range []auditv1.EventType{auditv1.EventType_EVENT_TYPE_STATEMENT_INTENT, auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED} {
		events := r.spool.of(typ)
		if len(events) != 1 || events[0].GetMessage() != auditv1.MessageKind_MESSAGE_KIND_FUNCTION_CALL || len(events[0].GetUnitSha256()) != 32 {
			t.Errorf("%v: %v", typ, events)
		}
	}
}
