package session

import (
	"testing"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

// TestOpensSnapshot: only what is sure to take a snapshot at once may be asked about
// before the transaction's first.
func TestOpensSnapshot(t *testing.T) {
	const query, parse = auditv1.MessageKind_MESSAGE_KIND_QUERY, auditv1.MessageKind_MESSAGE_KIND_PARSE
	for _, tt := range []struct {
		text    string
		message auditv1.MessageKind
		want    bool
	}{
		{"SELECT 1", query, true},
		{"\n -- SET\n /* a /* b */ LOCK */ (Select 1)", parse, true},
		{"CREATE TABLE t ()", query, true},
		{"CREATE TABLE t ()", parse, false},
		{"SET TRANSACTION READ ONLY", query, false},
		{"DECLARE c CURSOR FOR SELECT 1", parse, true},
		{"LOCK TABLE t", query, false},
		{"BEGIN; SELECT 1", query, false},
		{"; SELECT 1", query, false},
		{"selects", query, false},
		{"select_1", query, false},
		{"selecté", query, false},
		{"-- SELECT 1", query, false},
		{"/* SELECT 1", query, false},
		{"/*/ SELECT 1", query, false},
		{"", query, false},
	} {
		if got := opensSnapshot(&unit{message: tt.message, kind: decide.UnitQuery, text: []byte(tt.text)}); got != tt.want {
			t.Errorf("%q: %t", tt.text, got)
		}
	}
	if !opensSnapshot(&unit{kind: decide.UnitFunctionCall}) {
		t.Error("a function call")
	}
}
