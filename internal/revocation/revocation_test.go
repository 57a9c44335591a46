package revocation

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

func token() Token {
	return Token{SHA256: sha256.Sum256([]byte("t")), Twin: sha256.Sum256([]byte("twin")), ID: "id", Issuer: "iss", Subject: "sub", ClientID: "cli", IssuedAt: time.Unix(1000, 0)}
}

func TestMatches(t *testing.T) {
	sum, twin, other := sha256.Sum256([]byte("t")), sha256.Sum256([]byte("twin")), sha256.Sum256([]byte("u"))
	silent := token()
	silent.IssuedAt, silent.ID, silent.Twin = time.Time{}, "", [sha256.Size]byte{}
	acting, elsewhere := token(), token()
	acting.Acted("", "actor")
	elsewhere.Acted("other", "actor")
	for name, c := range map[string]struct {
		r    *authzv1.Revocation
		t    Token
		want bool
	}{
		"nothing named":               {&authzv1.Revocation{}, token(), false},
		"nothing but an end":          {&authzv1.Revocation{ExpiresAt: 5000, Number: 3}, token(), false},
		"the token":                   {&authzv1.Revocation{TokenSha256: sum[:]}, token(), true},
		"its other spelling":          {&authzv1.Revocation{TokenSha256: twin[:]}, token(), true},
		"no digest, of one spelling":  {&authzv1.Revocation{TokenSha256: make([]byte, 32)}, silent, false},
		"who acts for the subject":    {&authzv1.Revocation{Subject: "actor"}, acting, true},
		"who acts, of its issuer":     {&authzv1.Revocation{Subject: "actor", Issuer: "iss"}, acting, true},
		"who acts, of another issuer": {&authzv1.Revocation{Subject: "actor", Issuer: "other"}, elsewhere, true},
		"a namesake of who acts":      {&authzv1.Revocation{Subject: "actor", Issuer: "iss"}, elsewhere, false},
		"for whom somebody acts":      {&authzv1.Revocation{Subject: "sub", Issuer: "iss"}, elsewhere, true},
		"who acts, before a moment":   {&authzv1.Revocation{Subject: "actor", IssuedBefore: 999}, acting, false},
		"nobody of no name":           {&authzv1.Revocation{ClientId: "x"}, token(), false},
		"another token":               {&authzv1.Revocation{TokenSha256: other[:]}, token(), false},
		"its id":                      {&authzv1.Revocation{TokenId: "id"}, token(), true},
		"an id, of none":              {&authzv1.Revocation{TokenId: "id"}, silent, false},
		"its id of another issuer":    {&authzv1.Revocation{TokenId: "id", Issuer: "x"}, token(), false},
		"issuer and subject":          {&authzv1.Revocation{Issuer: "iss", Subject: "sub"}, token(), true},
		"a subject in another case":   {&authzv1.Revocation{Subject: "Sub"}, token(), false},
		"its client":                  {&authzv1.Revocation{ClientId: "cli"}, token(), true},
		"its client, another subject": {&authzv1.Revocation{ClientId: "cli", Subject: "x"}, token(), false},
		"everything issued before":    {&authzv1.Revocation{IssuedBefore: 1001}, token(), true},
		"issued at that moment":       {&authzv1.Revocation{IssuedBefore: 1000}, token(), false},
		"issued nobody knows when":    {&authzv1.Revocation{IssuedBefore: 1}, silent, true},
		"the subject's before":        {&authzv1.Revocation{Subject: "sub", IssuedBefore: 1001}, token(), true},
		"another subject's before":    {&authzv1.Revocation{Subject: "x", IssuedBefore: 1001}, token(), false},
		"the subject's, but younger":  {&authzv1.Revocation{Subject: "sub", IssuedBefore: 999}, token(), false},
	} {
		if got := Matches(c.r, c.t); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		c.r.Number = 1
		l, err := NewList(1, []*authzv1.Revocation{c.r})
		if err != nil {
			if Check(c.r) == nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if l.Ended(c.t) != c.want {
			t.Errorf("%s: the list says otherwise", name)
		}
	}
}

func TestListGrowsAndForgets(t *testing.T) {
	now := time.Unix(2000, 0)
	l := &List{}
	add := func(r *authzv1.Revocation, number uint64, kept int) {
		t.Helper()
		next, n, err := l.With(r, now)
		if err != nil || n != number || len(next.Entries()) != kept {
			t.Fatalf("number %d of %d entries, %v; want %d of %d", n, len(next.Entries()), err, number, kept)
		}
		l = next
	}
	add(&authzv1.Revocation{Subject: "a", IssuedBefore: 100}, 1, 1)
	add(&authzv1.Revocation{Subject: "a", IssuedBefore: 200}, 2, 1)
	add(&authzv1.Revocation{Subject: "a", IssuedBefore: 150}, 2, 1)
	add(&authzv1.Revocation{TokenId: "x", ExpiresAt: 2500}, 3, 2)
	add(&authzv1.Revocation{TokenId: "x"}, 4, 2)
	add(&authzv1.Revocation{TokenId: "x", ExpiresAt: 9999}, 4, 2)
	add(&authzv1.Revocation{TokenId: "y", ExpiresAt: 2500}, 5, 3)
	now = time.Unix(2500, 0)
	add(&authzv1.Revocation{TokenId: "z"}, 6, 3)
	if got := l.Since(2); len(got) != 2 || got[0].GetNumber() != 4 || l.Count() != 6 {
		t.Errorf("since 2: %v", got)
	}
	if got := l.Since(6); len(got) != 0 {
		t.Errorf("since the last: %v", got)
	}
	entries := make([]*authzv1.Revocation, MaxEntries)
	for i := range entries {
		entries[i] = &authzv1.Revocation{TokenId: fmt.Sprint(i), Number: uint64(i + 1)} //nolint:gosec // G115: small.
	}
	full, err := NewList(MaxEntries, entries)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := full.With(&authzv1.Revocation{TokenId: "one more"}, now); !errors.Is(err, ErrFull) {
		t.Errorf("a full list: %v", err)
	}
	for _, bad := range []*authzv1.Revocation{{}, {TokenSha256: []byte("short")}, {IssuedBefore: -1}, {Subject: "\xff"}} {
		if _, _, err := l.With(bad, now); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// What a proxy is told of a principal is what authz holds revocations against.
func TestOf(t *testing.T) {
	sum, twin := sha256.Sum256([]byte("t")), sha256.Sum256([]byte("twin"))
	got := Of(&authzv1.Principal{Issuer: "iss", Subject: "sub", ClientId: "cli", TokenId: "id", TokenTwinSha256: twin[:],
		Actors: []*authzv1.Actor{{Subject: "actor"}, {Issuer: "x", Subject: "y"}}, IssuedAt: timestamppb.New(time.Unix(1000, 0))}, sum)
	want := token()
	want.Acted("", "actor")
	if !got.IssuedAt.Equal(want.IssuedAt) {
		t.Errorf("issued at %s", got.IssuedAt)
	}
	if got.IssuedAt = want.IssuedAt; got != want {
		t.Errorf("%+v", got)
	}
}
