package rpc

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// The names of the enums of package access and verify are those of the
// contract, lower case. What is not found becomes UNSPECIFIED, which denies; a
// test goes through all of them.

// valid replaces what is not UTF-8. A string field with such bytes cannot be
// sent, and the attempt would end the stream for all of a proxy's sessions.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func allValid(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = valid(s)
	}
	return out
}

func reasonProto(r access.Reason) authzv1.Reason {
	return authzv1.Reason(authzv1.Reason_value["REASON_"+strings.ToUpper(string(r))])
}

func actionProto(a access.Action) authzv1.Action {
	return authzv1.Action(authzv1.Action_value["ACTION_"+strings.ToUpper(string(a))])
}

func kindProto(k access.Kind) authzv1.ObjectKind {
	return authzv1.ObjectKind(authzv1.ObjectKind_value["OBJECT_KIND_"+strings.ToUpper(string(k))])
}

func effectProto(k access.EffectKind) authzv1.EffectKind {
	return authzv1.EffectKind(authzv1.EffectKind_value["EFFECT_KIND_"+strings.ToUpper(string(k))])
}

func refusalProto(r verify.Reason) authzv1.AuthenticateRefusalReason {
	return authzv1.AuthenticateRefusalReason(
		authzv1.AuthenticateRefusalReason_value["AUTHENTICATE_REFUSAL_REASON_"+strings.ToUpper(string(r))])
}

func statementsProto(statements []access.Statement) []*authzv1.Statement {
	out := make([]*authzv1.Statement, len(statements))
	for i, st := range statements {
		p := &authzv1.Statement{Kind: valid(st.Kind), Normalised: valid(st.Normalised), TextSha256: st.TextSHA256[:], Cursor: valid(st.Cursor),
			ParameterTypeOids: st.ParameterTypes}
		for _, a := range st.Accesses {
			p.Accesses = append(p.Accesses, accessProto(a))
		}
		for _, e := range st.Effects {
			p.Effects = append(p.Effects, effectOf(e))
		}
		out[i] = p
	}
	return out
}

func effectOf(e access.Effect) *authzv1.Effect {
	out := &authzv1.Effect{Kind: effectProto(e.Kind), Name: valid(e.Name), Value: []byte(e.Value), Chain: e.Chain, Hold: e.Hold}
	if e.Query != nil {
		out.Query = &authzv1.ParseUnit{Text: []byte(e.Query.Text), SettledTypeOids: e.Query.ParameterTypes}
		out.SearchPath = valid(e.Query.SearchPath)
	}
	return out
}

// effectsKnown reports whether every effect has a name in the contract. One that
// has none must not pass for no effect.
func effectsKnown(statements []*authzv1.Statement) bool {
	for _, st := range statements {
		for _, e := range st.GetEffects() {
			if e.GetKind() == authzv1.EffectKind_EFFECT_KIND_UNSPECIFIED {
				return false
			}
		}
	}
	return true
}

func accessProto(a access.Access) *authzv1.Access {
	out := &authzv1.Access{
		Action: actionProto(a.Action), Named: objectProto(a.Named), Resolved: objectProto(a.Resolved),
		Columns: allValid(a.Columns), AllColumns: a.AllColumns, Within: a.Within,
	}
	for _, other := range a.Or {
		out.Alternatives = append(out.Alternatives, actionProto(other))
	}
	for _, o := range a.Through {
		out.Through = append(out.Through, objectProto(o))
	}
	for _, code := range a.Trust {
		out.Trust = append(out.Trust, &authzv1.Code{Name: valid(code.Code), Extension: valid(code.Extension)})
	}
	return out
}

// objectProto is nil for no object.
func objectProto(o access.Object) *authzv1.ObjectName {
	if o.Kind == "" && o.Schema == "" && o.Name == "" {
		return nil
	}
	return &authzv1.ObjectName{Kind: kindProto(o.Kind), Schema: valid(o.Schema), Name: valid(o.Name), ArgumentTypes: allValid(o.Arguments)}
}

func errorProto(e access.Error) *authzv1.StatementError {
	return &authzv1.StatementError{
		Sqlstate: valid(e.SQLState), Message: valid(e.Message), Hint: valid(e.Hint), Detail: valid(e.Detail),
		Position: uint32(max(0, e.Position)), //nolint:gosec // G115: bounded by the statement's length.
	}
}

// principalProto is nil for nobody.
func principalProto(p *verify.Principal) *authzv1.Principal {
	if p == nil {
		return nil
	}
	out := &authzv1.Principal{
		Issuer: p.Issuer, Subject: p.Subject, ClientId: p.ClientID, TokenId: p.TokenID, Scopes: p.Scopes,
	}
	for _, a := range p.Actors {
		out.Actors = append(out.Actors, &authzv1.Actor{Issuer: a.Issuer, Subject: a.Subject})
	}
	if p.Twin != nil {
		out.TokenTwinSha256 = p.Twin[:]
	}
	if !p.IssuedAt.IsZero() {
		out.IssuedAt = timestamppb.New(p.IssuedAt)
	}
	if !p.ExpiresAt.IsZero() {
		out.ExpiresAt = timestamppb.New(p.ExpiresAt)
	}
	return out
}
