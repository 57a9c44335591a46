package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
)

// Acts are durable together with what they are about, wait across a restart, and are
// forgotten once they are reported.
func TestActsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	machine := sys.OS()
	var f *File
	again := func() {
		t.Helper()
		if f != nil {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if f, err = Open(machine.FS, machine.Clock, path); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	revoke := func(r *authzv1.Revocation) {
		t.Helper()
		_, err := f.Revoke(r, Actor{Caller: "admin/\"ops\"", Note: "n\n"})
		must(err)
	}
	again()
	revoke(&authzv1.Revocation{Subject: "before"})
	if _, _, acts := f.Acts(); len(acts) != 0 {
		t.Errorf("acts are kept unasked: %v", acts)
	}
	must(f.KeepActs(ActEpoch{1, 2}))
	must(f.KeepActs(ActEpoch{9}))
	revoke(&authzv1.Revocation{Subject: "s", Issuer: "i", IssuedBefore: 5})
	_, err := f.NextPolicy(Digest{3})
	must(err)
	_, err = f.NextPolicy(Digest{3})
	must(err)
	// What is covered by another is an act all the same.
	revoke(&authzv1.Revocation{Subject: "s", Issuer: "i", IssuedBefore: 4})
	epoch, reported, before := f.Acts()
	if epoch != (ActEpoch{1, 2}) || reported != 0 || len(before) != 3 || before[2].Number != 3 || before[0].Revocation.GetNumber() != 2 ||
		before[2].Revocation.GetNumber() != 2 || before[1].Policy.Number != 1 || before[0].Caller != "admin/\"ops\"" {
		t.Fatalf("%v %d %+v", epoch, reported, before)
	}
	again()
	_, _, after := f.Acts()
	if diff := cmp.Diff(before, after, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	must(f.Reported(2))
	must(f.Reported(1))
	again()
	epoch, reported, after = f.Acts()
	if epoch != (ActEpoch{1, 2}) || reported != 2 || len(after) != 1 || after[0].Number != 3 {
		t.Errorf("%v %d %+v", epoch, reported, after)
	}
	must(f.Reported(99))
	revoke(&authzv1.Revocation{Subject: "next"})
	if _, reported, acts := f.Acts(); reported != 3 || len(acts) != 1 || acts[0].Number != 4 {
		t.Errorf("%d %+v", reported, acts)
	}
	must(f.Close())
	if err := f.Reported(4); err == nil {
		t.Error("a closed state forgets")
	}
}

// Acts that cannot be are damage.
func TestDamagedActs(t *testing.T) {
	machine := sys.OS()
	for name, acts := range map[string]string{
		"no epoch":            `{"epoch":"","last":1,"reported":0}`,
		"an epoch of zeros":   `{"epoch":"00000000000000000000000000000000","last":1,"reported":0}`,
		"more than the last":  `{"epoch":"01000000000000000000000000000000","last":1,"reported":0,"waiting":[{"number":2,"at":"2030-01-01T00:00:00Z","caller":"c","revocation":{"number":1,"sub":"s"}}]}`,
		"reported already":    `{"epoch":"01000000000000000000000000000000","last":2,"reported":2,"waiting":[{"number":2,"at":"2030-01-01T00:00:00Z","caller":"c","revocation":{"number":1,"sub":"s"}}]}`,
		"about nothing":       `{"epoch":"01000000000000000000000000000000","last":2,"reported":0,"waiting":[{"number":2,"at":"2030-01-01T00:00:00Z","caller":"c"}]}`,
		"a digest of letters": `{"epoch":"01000000000000000000000000000000","last":2,"reported":0,"waiting":[{"number":2,"at":"2030-01-01T00:00:00Z","caller":"c","policy":{"revision":1,"digest":"zz","loaded":"2030-01-01T00:00:00Z"}}]}`,
		"a field of tomorrow": `{"epoch":"01000000000000000000000000000000","last":0,"reported":0,"more":1}`,
	} {
		body := `{"policies":[],"catalogs":{},"acts":` + acts + `}`
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, sealed(t, body), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(machine.FS, machine.Clock, path)
		if err == nil {
			_ = f.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sealed is a file with that content and the digest that belongs to it.
func sealed(t *testing.T, body string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	out, err := json.Marshal(document{Format: format, SHA256: hex.EncodeToString(sum[:]), Content: json.RawMessage(body)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
