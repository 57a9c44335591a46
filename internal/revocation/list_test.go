package revocation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// Lists that share an index, and have entries beside it, end what a list made anew ends.
func TestListsThatGrewEndTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	l := &List{}
	now := time.Unix(5000, 0)
	name := func() string { return fmt.Sprint(random.IntN(300)) }
	for i := range 1500 {
		r := &authzv1.Revocation{}
		switch random.IntN(4) {
		case 0:
			r.TokenId = name()
		case 1:
			r.ClientId, r.Issuer = name(), "i"
		case 2:
			r.TokenSha256 = append(make([]byte, 31), byte(random.IntN(256)))
		default:
			r.Subject, r.IssuedBefore = name(), int64(1000+random.IntN(3000))
		}
		var err error
		if l, _, err = l.With(r, now); err != nil {
			t.Fatal(err)
		}
		anew, err := NewList(l.Count(), l.Entries())
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			token := Token{ID: name(), Subject: name(), Issuer: "i", ClientID: name(), SHA256: [32]byte{31: byte(random.IntN(256))}, IssuedAt: time.Unix(int64(random.IntN(5000)), 0)}
			if got, want := l.Ended(token), anew.Ended(token); got != want {
				t.Fatalf("after revocation %d: a list that grew says %t of %+v, one made anew %t", i, got, token, want)
			}
		}
	}
}
