package rpc

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/devissuer"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

// settled is a world of which no earlier server can have told anybody anything.
func settled(t *testing.T) *world {
	w := newWorld(t, func(c *Config) { c.Heartbeat = time.Hour })
	w.clock.advance(leastLease)
	w.setPolicy(t, testPolicy, 7)
	w.setCatalog(t, 3, "orders", "secrets")
	return w
}

// respell writes a token's ES256 signature (r, s) as (r, n-s), which verifies as well.
func respell(token string) string {
	dot := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(sig) != 64 {
		panic("no ES256 signature")
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	return token[:dot+1] + base64.RawURLEncoding.EncodeToString(sig)
}

// revoke ends a token id, and reports whether proxies would have to be waited for.
func (w *world) revoke(t *testing.T, r *authzv1.Revocation) (resp *authzv1.RevokeResponse, waits bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	resp, err := w.server.Revoke(ctx, r, state.Actor{})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return resp, err != nil
}

// end asks for a revocation as an administrator does.
func (w *world) end(req *authzv1.RevokeRequest) (*authzv1.RevokeResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return w.admin.Revoke(ctx, req)
}

// TestFault_F12: a revoked token is refused at login and at every statement from the
// moment on at which the revocation is made, and others are not.
func TestFault_F12_RevokedTokensAreRefused(t *testing.T) {
	for name, r := range map[string]func(token string) *authzv1.Revocation{
		"by its hash": func(token string) *authzv1.Revocation {
			return &authzv1.Revocation{TokenSha256: byHash(token, "").TokenSha256}
		},
		"by the hash of its other spelling": func(token string) *authzv1.Revocation {
			return &authzv1.Revocation{TokenSha256: byHash(respell(token), "").TokenSha256}
		},
		"by who acts for the subject": func(string) *authzv1.Revocation {
			return &authzv1.Revocation{Subject: "delegate", Issuer: testIssuer}
		},
		"by subject": func(string) *authzv1.Revocation { return &authzv1.Revocation{Subject: "alice", Issuer: testIssuer} },
		"by issuer and the moment": func(string) *authzv1.Revocation {
			return &authzv1.Revocation{Issuer: testIssuer, IssuedBefore: time.Now().Unix() + 60}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t)
			token, others := w.mint(t, "alice", time.Hour, "everything"), w.mint(t, "bob", time.Hour, "everything")
			if name == "by who acts for the subject" {
				var err error
				if token, err = w.issuer.Mint(devissuer.Claims{Subject: "alice", Scopes: []string{"everything"}, Lifetime: time.Hour,
					Set: map[string]any{"act": map[string]any{"sub": "delegate", "act": map[string]any{"sub": "bob"}}}}); err != nil {
					t.Fatal(err)
				}
			}
			for _, tok := range []string{token, others} {
				if resp := w.ask(t, request(tok, "SELECT * FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW {
					t.Fatal(resp)
				}
			}
			done, err := w.end(&authzv1.RevokeRequest{Revocation: r(token), Note: "test"})
			if err != nil || done.GetEpoch().GetRevocation() != 1 {
				t.Fatal(done, err)
			}
			for _, sql := range []string{"SELECT * FROM orders", "ROLLBACK", "SELECT 1"} {
				resp := w.ask(t, byHash(token, sql))
				if resp.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE || resp.GetReason() != authzv1.Reason_REASON_TOKEN_REVOKED || resp.GetEpoch().GetRevocation() != 1 {
					t.Errorf("%s: %v %v", sql, resp.GetVerdict(), resp.GetReason())
				}
			}
			if r := w.login(t, token, "app", "x").GetRefusal(); r.GetReason() != authzv1.AuthenticateRefusalReason_AUTHENTICATE_REFUSAL_REASON_REVOKED {
				t.Errorf("login: %v", r)
			}
			if name == "by issuer and the moment" {
				return
			}
			if resp := w.ask(t, byHash(others, "SELECT * FROM orders")); resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW {
				t.Errorf("another token: %v", resp)
			}
			if refused := w.ask(t, request(others, "SET scopewire.token = '"+token+"'")); refused.GetVerdict() != authzv1.Verdict_VERDICT_REFUSE {
				t.Errorf("a revoked token as a new one: %v", refused)
			}
		})
	}
}

// What names no token ends what was issued until now; a person can log in again.
func TestRevokeSubjectUntilNow(t *testing.T) {
	w := settled(t)
	before := w.mint(t, "alice", time.Hour, "everything")
	if _, err := w.end(&authzv1.RevokeRequest{Revocation: &authzv1.Revocation{Subject: "alice"}}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Second)
	w.setPolicy(t, testPolicy, 7)
	w.setCatalog(t, 3, "orders", "secrets")
	after := w.mint(t, "alice", time.Hour, "everything")
	if r := w.login(t, before, "app", "x"); r.GetRefusal() == nil {
		t.Error("a token issued before is accepted")
	}
	if r := w.login(t, after, "app", "x"); r.GetAuthenticated() == nil {
		t.Errorf("a token issued after is refused: %v", r.GetRefusal())
	}
}

// TestFault_F12: Revoke waits for whoever may still use what it was told, and for nobody
// else.
func TestFault_F12_RevokeWaits(t *testing.T) {
	const lease = 30 * time.Second
	n := 0
	another := func() *authzv1.Revocation { n++; return &authzv1.Revocation{TokenId: fmt.Sprint(n)} }
	check := func(t *testing.T, w *world, want bool) {
		t.Helper()
		if resp, waits := w.revoke(t, another()); waits != want {
			t.Errorf("Revoke waits: %v, %v", waits, resp)
		}
	}
	enter := func(t *testing.T, w *world) (authzv1.AuthorizationService_WatchClient, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		stream, err := w.client.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&authzv1.WatchRequest{Instance: "p", Sequence: 1, Lease: durationpb.New(lease)}); err != nil {
			t.Fatal(err)
		}
		next(t, stream, func(r *authzv1.WatchResponse) bool { return r.GetAnswers() == 1 })
		return stream, cancel
	}
	t.Run("nobody", func(t *testing.T) { check(t, settled(t), false) })
	t.Run("an earlier server's proxies", func(t *testing.T) { check(t, newWorld(t, nil), true) })
	t.Run("a proxy that asks and does not watch", func(t *testing.T) {
		w := settled(t)
		stream := w.open(t)
		stream.ask(request(w.token(t, "everything"), "SELECT 1"))
		check(t, w, true)
	})
	t.Run("a proxy until it has applied it", func(t *testing.T) {
		w := settled(t)
		stream, _ := enter(t, w)
		got := make(chan *authzv1.RevokeResponse, 1)
		go func() {
			resp, err := w.end(&authzv1.RevokeRequest{Revocation: another()})
			if err != nil {
				t.Error(err)
			}
			got <- resp
		}()
		push := next(t, stream, func(r *authzv1.WatchResponse) bool { return len(r.GetRevocations()) == 1 })
		if push.GetEpoch().GetRevocation() != 1 || push.GetRevocations()[0].GetNumber() != 1 || push.GetAnswers() != 0 {
			t.Errorf("%v", push)
		}
		// What it claims beyond what it was told does not count.
		for seq, applied := range []uint64{0, 1} {
			if err := stream.Send(&authzv1.WatchRequest{Sequence: uint64(seq + 2), Applied: &authzv1.Epoch{Revocation: applied}}); err != nil { //nolint:gosec // G115: small.
				t.Fatal(err)
			}
		}
		if resp := <-got; resp.GetAcknowledged() != 1 || resp.GetLeasesExpired() != 0 {
			t.Errorf("%v", resp)
		}
	})
	t.Run("a proxy that says nothing, for its lease", func(t *testing.T) {
		w := settled(t)
		stream, _ := enter(t, w)
		check(t, w, true)
		got := make(chan *authzv1.RevokeResponse, 1)
		go func() {
			resp, err := w.server.Revoke(context.Background(), another(), state.Actor{})
			if err != nil {
				t.Error(err)
			}
			got <- resp
		}()
		next(t, stream, func(r *authzv1.WatchResponse) bool { return r.GetEpoch().GetRevocation() == 2 })
		w.clock.advance(lease)
		// The timer is the machine's: an acknowledgement of nothing makes it look again.
		w.server.acknowledge(&watcher{}, 0)
		if resp := <-got; resp.GetAcknowledged() != 0 || resp.GetLeasesExpired() != 1 {
			t.Errorf("%v", resp)
		}
	})
	t.Run("a proxy that has gone, for its lease", func(t *testing.T) {
		w := settled(t)
		_, cancel := enter(t, w)
		moved := w.acknowledgedNow()
		cancel()
		<-moved
		check(t, w, true)
		w.clock.advance(lease)
		check(t, w, false)
		w.server.mu.Lock()
		defer w.server.mu.Unlock()
		w.server.noteLocked()
	})
	t.Run("a lease beyond all bounds", func(t *testing.T) {
		w := settled(t)
		stream := w.watch(t)
		if err := stream.Send(&authzv1.WatchRequest{Lease: durationpb.New(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := stream.Recv(); err != nil {
				if status.Code(err) != codes.InvalidArgument {
					t.Error(err)
				}
				break
			}
		}
	})
}

func (w *world) acknowledgedNow() <-chan struct{} {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	return w.server.acknowledged
}

// A proxy that comes back is told what it has missed, all of it and nothing twice.
func TestWatchTellsWhatWasMissed(t *testing.T) {
	w := settled(t)
	const all = 3*maxRevocations + 7
	for i := range all {
		w.revoke(t, &authzv1.Revocation{TokenId: fmt.Sprint(i)})
	}
	stream := w.watch(t)
	if err := stream.Send(&authzv1.WatchRequest{Instance: "p", Sequence: 1, Applied: &authzv1.Epoch{Revocation: 5}}); err != nil {
		t.Fatal(err)
	}
	want := uint64(6)
	next(t, stream, func(r *authzv1.WatchResponse) bool {
		for _, rev := range r.GetRevocations() {
			if rev.GetNumber() != want {
				t.Fatalf("revocation %d instead of %d", rev.GetNumber(), want)
			}
			want++
		}
		return want == all+1
	})
}

func TestRevokeSaysWhatIsWrong(t *testing.T) {
	w := settled(t)
	for _, r := range []*authzv1.Revocation{nil, {}, {TokenSha256: []byte("x")}, {IssuedBefore: -1}, {Number: 7, ExpiresAt: 9}} {
		if _, err := w.end(&authzv1.RevokeRequest{Revocation: r}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", r, err)
		}
	}
}
