package decide

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// FuzzCheck: whatever authz answers, an allow comes of nothing but an allow that is whole:
// to this very request, with an epoch, without an error, question, edit or obligation that
// nobody fulfils, and good for no longer than an hour from when it was asked for.
func FuzzCheck(f *testing.F) {
	request := &authzv1.AuthorizeRequest{RequestId: 7, UnitSha256: make([]byte, 32)}
	for _, resp := range []*authzv1.AuthorizeResponse{
		{Verdict: authzv1.Verdict_VERDICT_ALLOW, Reason: authzv1.Reason_REASON_GRANTED, Epoch: &authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{"app": 1}},
			Age: durationpb.New(0), Ttl: durationpb.New(time.Minute), Cacheability: authzv1.Cacheability_CACHEABILITY_EXACT,
			Statements: []*authzv1.Statement{{Kind: "select", Effects: []*authzv1.Effect{{Kind: authzv1.EffectKind_EFFECT_KIND_BEGIN}}}}},
		{Verdict: authzv1.Verdict_VERDICT_DENY, Reason: authzv1.Reason_REASON_NOT_GRANTED},
		{Verdict: authzv1.Verdict_VERDICT_ERROR, Error: &authzv1.StatementError{Sqlstate: "42P01", Message: "m"}},
		{Verdict: authzv1.Verdict_VERDICT_PROBE, Probes: []*authzv1.Probe{{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION}}},
		{Verdict: authzv1.Verdict_VERDICT_ALLOW, Edits: []*authzv1.Edit{{}}, Obligations: &authzv1.Obligations{RowLimit: 1}},
	} {
		b, err := proto.Marshal(resp)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true, true)
		f.Add(b, true, false)
		f.Add(b, false, false)
	}
	sent := time.Unix(1_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte, ours, fresh bool) {
		resp := &authzv1.AuthorizeResponse{}
		if proto.Unmarshal(b, resp) != nil {
			return
		}
		if ours {
			resp.RequestId, resp.UnitSha256 = request.GetRequestId(), request.GetUnitSha256()
		}
		msg := &authzv1.AuthorizeRequest{RequestId: request.GetRequestId(), UnitSha256: request.GetUnitSha256(), FreshCatalog: fresh}
		d, err := check(msg, resp, sent)
		if err != nil {
			return
		}
		if !ours && (resp.GetRequestId() != msg.GetRequestId() || len(resp.GetUnitSha256()) != 32) {
			t.Error("an answer to another request is taken")
		}
		if !d.Allowed() {
			return
		}
		ob := resp.GetObligations()
		if resp.GetVerdict() != authzv1.Verdict_VERDICT_ALLOW || resp.GetEpoch().GetPolicy() == 0 || resp.GetError() != nil || len(resp.GetProbes())+len(resp.GetEdits()) > 0 ||
			ob.GetRowLimit() != 0 || len(resp.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("allowed: %v", resp)
		}
		if d.AsOf.After(sent) || d.Expires.Before(sent) || d.Expires.After(sent.Add(time.Hour)) || d.catalogAsOf().After(sent) || d.Longest < 0 {
			t.Errorf("as of %v, catalog as of %v, until %v: %v", d.AsOf, d.CatalogAsOf, d.Expires, resp)
		}
	})
}
