package decide_test

import (
	"testing"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
)

// A question comes out as one, and is never an allow.
func TestProbe(t *testing.T) {
	fence := decide.NewFence(sys.OS().Clock, time.Hour)
	l := &liar{}
	l.answer = func(req *authzv1.AuthorizeRequest) []*authzv1.AuthorizeResponse {
		resp := allow(req)
		if len(req.GetProbeAnswers()) == 0 {
			resp.Verdict, resp.Probes = authzv1.Verdict_VERDICT_PROBE, []*authzv1.Probe{{Kind: authzv1.ProbeKind_PROBE_KIND_SESSION}}
		}
		return []*authzv1.AuthorizeResponse{resp}
	}
	a := remote(t, l, fence)
	req := request("SELECT 1")
	d, err := a.Authorize(t.Context(), req)
	if err != nil || d.Allowed() || len(d.Probes) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	req.Answers = []*authzv1.ProbeAnswer{{Probe: d.Probes[0], Exists: true, Description: []byte("{}")}}
	if d, err = a.Authorize(t.Context(), req); err != nil || !d.Allowed() || len(d.Probes) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}
