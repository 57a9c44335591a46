package proxy

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// What authz says of an open session's token: every refusal ends it, but for those that
// say that there is no answer.
func TestStanding(t *testing.T) {
	asked := time.Now()
	for number, name := range authzv1.AuthenticateRefusalReason_name {
		reason := authzv1.AuthenticateRefusalReason(number)
		want := session.Standing{Ended: true}
		switch reason {
		case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNSPECIFIED,
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_UNAVAILABLE,
			authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_INTROSPECTION:
			want = session.Standing{Next: confirmAgain}
		case authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_EXPIRED:
			want = session.Standing{}
		default:
		}
		got := standing(&authzv1.ConfirmResponse{Outcome: &authzv1.ConfirmResponse_Refusal{Refusal: &authzv1.AuthenticateRefusal{Reason: reason}}}, asked)
		if got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	confirmed := func(in *durationpb.Duration) *authzv1.ConfirmResponse {
		return &authzv1.ConfirmResponse{Outcome: &authzv1.ConfirmResponse_Confirmed{Confirmed: &authzv1.Confirmed{ConfirmIn: in}}}
	}
	lasting := func(left *durationpb.Duration) *authzv1.ConfirmResponse {
		resp := confirmed(durationpb.New(time.Minute))
		resp.GetConfirmed().ExpiresIn = left
		return resp
	}
	for i, c := range []struct {
		resp *authzv1.ConfirmResponse
		want session.Standing
	}{
		{nil, session.Standing{Next: confirmAgain}},
		{&authzv1.ConfirmResponse{}, session.Standing{Next: confirmAgain}},
		{confirmed(nil), session.Standing{}},
		{confirmed(durationpb.New(time.Minute)), session.Standing{Next: time.Minute}},
		{confirmed(durationpb.New(-1)), session.Standing{Next: confirmAgain}},
		{confirmed(&durationpb.Duration{Seconds: 1 << 60}), session.Standing{Next: confirmAgain}},
		{lasting(durationpb.New(time.Hour)), session.Standing{Next: time.Minute, Expires: asked.Add(time.Hour)}},
		{lasting(durationpb.New(-time.Second)), session.Standing{Next: time.Minute, Expires: asked.Add(-time.Second)}},
		{lasting(&durationpb.Duration{Seconds: 1 << 60}), session.Standing{Next: confirmAgain}},
	} {
		if got := standing(c.resp, asked); got != c.want {
			t.Errorf("%d: %+v", i, got)
		}
	}
}
