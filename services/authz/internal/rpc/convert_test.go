package rpc

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// TestEveryNameIsInTheContract goes through the enums of both sides: each name
// here has its own value there, and each value there is reached.
func TestEveryNameIsInTheContract(t *testing.T) {
	distinct := func(name string, values []int32, reached int) {
		t.Helper()
		seen := map[int32]bool{}
		for _, v := range values {
			if v == 0 || seen[v] {
				t.Errorf("%s: value %d", name, v)
			}
			seen[v] = true
		}
		if reached != 0 && len(seen) != reached {
			t.Errorf("%s: %d of %d values are reached", name, len(seen), reached)
		}
	}
	var values []int32
	for _, r := range []access.Reason{
		access.Granted, access.NotGranted, access.ExplicitDeny, access.UnknownObject, access.StatementKind, access.Construct,
		access.FunctionDenied, access.RelationKind, access.OpaqueCode, access.SettingDenied, access.Protocol, access.Syntax,
		access.GrammarUnknown, access.Undefined, access.Limit, access.Encoding, access.TokenExpired, access.TokenRevoked, access.Introspection,
		access.TokenInvalid, access.Unavailable, access.Context, access.ConditionNotMet,
	} {
		values = append(values, int32(reasonProto(r)))
	}
	distinct("reasons", values, len(authzv1.Reason_name)-1)

	values = nil
	for _, a := range append(access.Actions(), access.Any) {
		values = append(values, int32(actionProto(a)))
	}
	distinct("actions", values, len(authzv1.Action_name)-1)

	values = nil
	for _, k := range access.Kinds() {
		values = append(values, int32(kindProto(k)))
	}
	distinct("kinds", values, len(authzv1.ObjectKind_name)-1)

	values = nil
	for _, e := range []access.EffectKind{
		access.EffectBegin, access.EffectCommit, access.EffectRollback, access.EffectSavepoint, access.EffectRelease,
		access.EffectRollbackTo, access.EffectOpaque,
	} {
		values = append(values, int32(effectProto(e)))
	}
	distinct("effects", values, 0)

	values = nil
	for _, r := range []verify.Reason{
		verify.Malformed, verify.Algorithm, verify.Signature, verify.IssuerUnknown, verify.Audience, verify.Expired,
		verify.NotYetValid, verify.Type, verify.ClaimsInvalid, verify.Binding, verify.Unavailable,
	} {
		values = append(values, int32(refusalProto(r)))
	}
	distinct("refusals", values, 0)

	if reasonProto("levitation") != 0 || actionProto("") != 0 || effectProto("unspecified") != 0 {
		t.Error("a name that is not in the contract has a value")
	}
}

// TestEveryFieldOfAnAccess: what analysis knows of an access crosses the contract.
func TestEveryFieldOfAnAccess(t *testing.T) {
	orders := access.Object{Kind: access.Table, Schema: "public", Name: "orders"}
	view := access.Object{Kind: access.Table, Schema: "public", Name: "v"}
	a := access.Access{
		Action: access.Update, Or: []access.Action{access.Delete}, Named: access.Object{Kind: access.Table, Name: "orders"}, Resolved: orders,
		Columns: []string{"id"}, AllColumns: true, Within: true, Through: []access.Object{view},
		Trust: []access.Trust{{Code: "trigger log of public.orders", Extension: "x"}, {Code: "bad \xff"}},
	}
	// A field that is added here and forgotten there is the zero value. What else would do
	// for usage of a type is the bundled policy's to know: who does without denies more.
	for i, v := 0, reflect.ValueOf(a); i < v.NumField(); i++ {
		if v.Field(i).IsZero() && v.Type().Field(i).Name != "Bearers" {
			t.Fatalf("the test leaves %s out", v.Type().Field(i).Name)
		}
	}
	want := &authzv1.Access{
		Action: authzv1.Action_ACTION_UPDATE, Alternatives: []authzv1.Action{authzv1.Action_ACTION_DELETE},
		Named:    &authzv1.ObjectName{Kind: authzv1.ObjectKind_OBJECT_KIND_TABLE, Name: "orders"},
		Resolved: &authzv1.ObjectName{Kind: authzv1.ObjectKind_OBJECT_KIND_TABLE, Schema: "public", Name: "orders"},
		Columns:  []string{"id"}, AllColumns: true, Within: true,
		Through: []*authzv1.ObjectName{{Kind: authzv1.ObjectKind_OBJECT_KIND_TABLE, Schema: "public", Name: "v"}},
		Trust:   []*authzv1.Code{{Name: "trigger log of public.orders", Extension: "x"}, {Name: "bad \uFFFD"}},
	}
	got := accessProto(a)
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	// The same for a field of the contract.
	fields := got.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if !got.ProtoReflect().Has(fields.Get(i)) {
			t.Errorf("nothing fills %s", fields.Get(i).Name())
		}
	}
}
