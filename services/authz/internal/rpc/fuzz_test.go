package rpc

import (
	"crypto/sha256"
	"testing"

	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// FuzzJudge: whatever a request holds, there is an answer that can be sent; it
// is no allow under a token nobody knows, nor under one without scopes where
// anything is touched.
func FuzzJudge(f *testing.F) {
	w := newWorld(f, nil)
	token := w.token(f)
	if got := w.server.judge(f.Context(), request(token, "")); got.GetVerdict() != allow {
		f.Fatal(got)
	}
	for _, sql := range []string{"SELECT id FROM orders", "BEGIN; SELECT 1", "'", "/* */;"} {
		b, err := proto.Marshal(request("unknown", sql))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	known := sha256.Sum256([]byte(token))
	f.Fuzz(func(t *testing.T, data []byte) {
		req := &authzv1.AuthorizeRequest{}
		if proto.Unmarshal(data, req) != nil {
			return
		}
		check := func(req *authzv1.AuthorizeRequest) *authzv1.AuthorizeResponse {
			got := w.server.judge(t.Context(), req)
			if _, err := proto.Marshal(got); err != nil || got.GetRequestId() != req.GetRequestId() || got.GetVerdict() == 0 {
				t.Fatalf("%v: %v", err, got)
			}
			return got
		}
		if got := check(req); got.GetVerdict() == allow {
			t.Fatalf("an allow under an unknown token: %v", got)
		}
		// The same unit and context once more, under a token that is known.
		good := request(token, "")
		req.SessionId, req.StatementId, req.TokenSha256, req.Token = good.SessionId, good.StatementId, known[:], nil
		unit := sha256.Sum256(append(req.GetQuery(), req.GetParse().GetText()...))
		req.UnitSha256 = unit[:]
		if got := check(req); got.GetVerdict() == allow {
			for _, st := range got.GetStatements() {
				if len(st.GetAccesses()) > 0 {
					t.Fatalf("an allow without scopes: %v", got)
				}
			}
		}
	})
}
