package state

import (
	"fmt"
	"path/filepath"
	"testing"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
)

// BenchmarkRevoke is one revocation beside so many that are kept, made durable. Its
// act waits for audit beside no other, then beside as many as wait at most.
func BenchmarkRevoke(b *testing.B) {
	for _, kept := range []int{100, 1000, 9000} {
		for _, waiting := range []int{0, maxActs} {
			b.Run(fmt.Sprintf("kept=%d/waiting=%d", kept, waiting), func(b *testing.B) {
				machine := sys.OS()
				f, err := Open(machine.FS, machine.Clock, filepath.Join(b.TempDir(), "state.json"))
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				if err := f.KeepActs(ActEpoch{1}); err != nil {
					b.Fatal(err)
				}
				next := 0
				revoke := func() {
					next++
					if _, err := f.Revoke(&authzv1.Revocation{Issuer: "https://idp.example.com", Subject: fmt.Sprintf("user-%d", next), IssuedBefore: 1_800_000_000},
						Actor{Caller: "spiffe://scopewire/admin", Note: "note"}); err != nil {
						b.Fatal(err)
					}
				}
				l := f.ledger
				for range kept {
					next++
					if _, l, err = l.revoke(&authzv1.Revocation{Issuer: "https://idp.example.com", Subject: fmt.Sprintf("user-%d", next), IssuedBefore: 1_800_000_000},
						Actor{Caller: "spiffe://scopewire/admin", Note: "note"}, machine.Clock.Now()); err != nil {
						b.Fatal(err)
					}
				}
				if waiting == 0 {
					l = l.forget(l.acts.last)
				}
				f.hold(l)
				b.ReportAllocs()
				for range b.N {
					revoke()
					if waiting == 0 {
						f.ledger = f.ledger.forget(f.ledger.acts.last)
					}
					if next > kept+900 {
						b.StopTimer()
						f.hold(l)
						next = kept
						b.StartTimer()
					}
				}
			})
		}
	}
}
