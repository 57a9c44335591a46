package rpc

import (
	"testing"

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
		access.GrammarUnknown, access.Undefined, access.Limit, access.Encoding, access.TokenExpired, access.TokenRevoked,
		access.TokenInvalid, access.Unavailable, access.Context, access.ConditionNotMet,
	} {
		values = append(values, int32(reasonProto(r)))
	}
	distinct("reasons", values, len(authzv1.Reason_name)-1)

	values = nil
	for _, a := range access.Actions() {
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
