package rpc

import (
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// forgetful is a verifier by which tokens hold for so many questions more.
type forgetful struct {
	Verifier
	holds int
}

func (f *forgetful) Holds(p verify.Principal) bool {
	f.holds--
	return f.holds >= 0 && f.Verifier.Holds(p)
}

// TestFault_F14_KeysThatGoWhileJudging: what made a token good is looked at after the epoch
// was read, so that no answer with a number behind a withdrawal was made by what was withdrawn.
func TestFault_F14_KeysThatGoWhileJudging(t *testing.T) {
	w := settled(t)
	token := w.token(t, "orders.read")
	if resp := w.ask(t, request(token, "SELECT id FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW {
		t.Fatalf("%v", resp)
	}
	w.server.tokens.verifier = &forgetful{w.server.tokens.verifier, 1}
	if resp := w.ask(t, request(token, "SELECT id FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_UNKNOWN_TOKEN {
		t.Errorf("its key has gone after the token was found: %v", resp)
	}
}

// EndDecisions moves the epoch, which watches are told at once, and revokes nobody.
func TestEndDecisions(t *testing.T) {
	w := settled(t)
	token := w.token(t, "orders.read")
	stream, err := w.client.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.server.EndDecisions(); err != nil {
		t.Fatal(err)
	}
	// Heartbeats are an hour apart.
	after, err := stream.Recv()
	if err != nil || after.GetEpoch().GetRevocation() != before.GetEpoch().GetRevocation()+1 || len(after.GetRevocations()) != 0 {
		t.Errorf("behind %v comes %v, %v", before.GetEpoch(), after, err)
	}
	w.clock.advance(time.Millisecond)
	resp := w.ask(t, request(token, "SELECT id FROM orders"))
	if resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW || resp.GetEpoch().GetRevocation() != after.GetEpoch().GetRevocation() {
		t.Errorf("%v", resp)
	}
	// Revocations count on from there.
	done, _ := w.revoke(t, &authzv1.Revocation{Subject: "alice"})
	if done.GetEpoch().GetRevocation() != after.GetEpoch().GetRevocation()+1 {
		t.Errorf("the next revocation is number %d", done.GetEpoch().GetRevocation())
	}
	if resp := w.ask(t, request(token, "SELECT id FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE {
		t.Errorf("a revoked token: %v", resp)
	}
}
