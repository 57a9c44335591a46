package ingest

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/rpc"
)

// TestSec_T42_OwnRecordsOnly: a certificate that names an instance delivers for
// that instance alone.
func TestSec_T42_OwnRecordsOnly(t *testing.T) {
	for _, c := range []struct {
		caller   rpc.Identity
		instance string
		want     codes.Code
	}{
		{rpc.Identity{Role: rpc.Proxy, Instance: "eu-1"}, "eu-1", codes.OK},
		{rpc.Identity{Role: rpc.Proxy, Instance: "eu-1"}, "eu-2", codes.PermissionDenied},
		{rpc.Identity{Role: rpc.Proxy, Instance: "eu-1"}, "EU-1", codes.PermissionDenied},
		{rpc.Identity{Role: rpc.Proxy, Instance: "eu-1"}, "", codes.PermissionDenied},
		{rpc.Identity{Role: rpc.Proxy}, "eu-2", codes.OK},
		{rpc.Identity{Role: rpc.Local}, "eu-2", codes.OK},
		{rpc.Identity{Role: rpc.Local}, "", codes.InvalidArgument},
	} {
		_, err := read(c.caller, &auditv1.AppendRequest{Instance: c.instance, SpoolEpoch: []byte("0123456789abcdef"), FirstSequence: 1})
		if got := status.Code(err); got != c.want {
			t.Errorf("%v delivers for %q: %v, want %v", c.caller, c.instance, got, c.want)
		}
	}
}

// FuzzRecord: no record makes the check panic, and what it takes for an event
// has the id it says.
func FuzzRecord(f *testing.F) {
	req := &auditv1.AppendRequest{Instance: "eu-1", SpoolEpoch: []byte("0123456789abcdef"), FirstSequence: 1}
	f.Add([]byte{})
	f.Add([]byte("\x08\x01\x12\x10abcdefghijklmnop\x2a\x1a\x0a\x04eu-1\x12\x100123456789abcdef\x18\x01"))
	f.Fuzz(func(t *testing.T, record []byte) {
		req.Records = [][]byte{record}
		batch, err := read(rpc.Identity{Role: rpc.Local}, req)
		if err != nil {
			if len(record) <= RecordLimit {
				t.Fatal(err)
			}
			return
		}
		if i := batch.Items[0]; (i.Damage == "") == (i.EventID == [16]byte{}) {
			t.Fatalf("%+v", i)
		}
	})
}
