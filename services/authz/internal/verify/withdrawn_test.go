package verify

import (
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"
)

// TestFault_F14_WithdrawnKeysAreTold: when a key has gone from an issuer's set, and by then no
// token that it signed holds, whoever keeps decisions is told, until that has worked; a key
// more, or a set that cannot be read, is nothing to be told of.
func TestFault_F14_WithdrawnKeysAreTold(t *testing.T) {
	s := newIDP(t)
	next := pair{kid: "next", signer: s.key.signer}
	other := newIDP(t).key
	other.kid = "other"
	var told, failing atomic.Int32
	var principal Principal
	s.v.withdrawn = func() error {
		told.Add(1)
		if s.v.Holds(principal) {
			t.Error("told before the key had gone")
		}
		if failing.Add(-1) >= 0 {
			return errors.New("no space left on device")
		}
		return nil
	}
	if err := s.v.Configure(nil); err != nil {
		t.Fatal(err)
	}
	s.v.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	if err := s.v.Configure([]Issuer{{Issuer: s.URL, Audiences: []string{testAudience}}}); err != nil {
		t.Fatal(err)
	}
	want := func(what string, n int32) {
		t.Helper()
		if got := told.Swap(0); got != n {
			t.Errorf("%s: told %d times, want %d", what, got, n)
		}
	}
	principal = s.want(t, s.key, "")
	want("the first set", 0)
	s.set(nil, s.key, other)
	s.tick(DefaultRefresh)
	want("a key more", 0)
	s.set(nil, s.key)
	failing.Store(2)
	// It is no key of the principal's.
	kept := principal
	principal = s.want(t, other, "")
	s.tick(DefaultRefresh)
	want("a key less, and the disk is full", 1)
	s.tick(retryFirst)
	s.tick(retryFirst)
	want("once more, and again", 2)
	s.tick(retryFirst)
	s.tick(DefaultRefresh)
	want("it has worked", 0)
	principal = kept
	s.set(nil, next)
	s.tick(DefaultRefresh + time.Second)
	want("the same key of another name", 1)
}
