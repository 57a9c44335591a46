package state

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// plain is a ledger's file as encoding/json makes it, all at once.
func plain(t *testing.T, l *ledger) string {
	t.Helper()
	c := content{Policies: []revisionJSON{}, Catalogs: map[string]versionJSON{}, Revocation: l.revoked.Count(), Lease: int64(l.lease)}
	for _, r := range l.policies {
		c.Policies = append(c.Policies, revisionJSON{r.Number, hex.EncodeToString(r.Digest[:]), r.Loaded})
	}
	for name, v := range l.catalogs {
		c.Catalogs[name] = versionJSON{v.number, hex.EncodeToString(v.digest[:])}
	}
	for _, r := range l.revoked.Entries() {
		c.Revocations = append(c.Revocations, encodeRevocation(r))
	}
	if l.acts.kept() {
		c.Acts = &actsJSON{Epoch: hex.EncodeToString(l.acts.epoch[:]), Last: l.acts.last, Reported: l.acts.reported}
		for _, act := range l.acts.waiting {
			c.Acts.Waiting = append(c.Acts.Waiting, encodeAct(act))
		}
	}
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(sealed(t, string(body))) + "\n"
}

// Over random changes, some of which are given up as if the disk were full, what the encoder
// writes is what encoding/json would, and reads as the ledger.
func TestEncoderAgreesWithJSON(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var e encoder
	l := newLedger()
	now := time.Unix(1000, 0).UTC()
	for i := range 600 {
		next, err := l, error(nil)
		switch n := random.IntN(12); {
		case n == 0:
			_, next, err = l.nextPolicy(digest(byte(i)), now)
		case n == 1:
			_, next, err = l.nextCatalog(fmt.Sprintf("db \"<%d", random.IntN(3)), digest(byte(i)))
		case n == 2:
			next = l.keepLease(time.Duration(i) * time.Second)
		case n == 3:
			next = l.keepActs(ActEpoch{1})
		case n == 5:
			next, err = l.endDecisions()
		case n == 4:
			next = l.forget(l.acts.reported + uint64(random.IntN(8))) //nolint:gosec // G115: small.
		default:
			r := &authzv1.Revocation{Subject: fmt.Sprintf("<&\u2028'%d", random.IntN(200)), IssuedBefore: int64(i), ExpiresAt: int64(random.IntN(2) * (1000 + random.IntN(600)))}
			if random.IntN(4) == 0 {
				r = &authzv1.Revocation{TokenSha256: append(make([]byte, 31), byte(i))}
			}
			_, next, err = l.revoke(r, Actor{Caller: "a\"", Note: "<n>"}, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		if next == nil {
			continue
		}
		now = now.Add(time.Second)
		got, err := e.encode(next)
		if err != nil {
			t.Fatal(err)
		}
		if want := plain(t, next); string(got) != want {
			t.Fatalf("after change %d\ngot  %s\nwant %s", i, got, want)
		}
		read, err := decode(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(next.revoked.Entries(), read.revoked.Entries(), protocmp.Transform(), protocmp.IgnoreEmptyMessages()); diff != "" {
			t.Fatal(diff)
		}
		if len(e.entries) > 3*len(next.revoked.Entries())+65 || len(e.acts) > 3*len(next.acts.waiting)+65 {
			t.Fatalf("%d and %d texts are kept", len(e.entries), len(e.acts))
		}
		if random.IntN(4) > 0 {
			l = next
		}
	}
	if l.revoked.Count() < 100 || len(l.acts.waiting) == 0 {
		t.Errorf("%d revocations and %d acts were tried", l.revoked.Count(), len(l.acts.waiting))
	}
}
