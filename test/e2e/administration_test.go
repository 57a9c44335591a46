package e2e_test

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/test/cluster"
)

// operator runs the command line beside a world, as its operator does.
type operator struct {
	*demo.World
	t           *testing.T
	binary, dir string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	dir, err := os.MkdirTemp("", "sw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o := &operator{t: t, dir: dir, binary: filepath.Join(cluster.Binaries(t, "scopewire"), "scopewire")}
	o.World = cluster.Start(t, demo.Config{AuthzSocket: filepath.Join(dir, "authz.sock"), AuditSocket: filepath.Join(dir, "audit.sock")})
	return o
}

// run returns what a command printed, and how it ended.
func (o *operator) run(stdin string, args ...string) (string, int) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), o.binary, args...)
	cmd.Env = []string{"SCOPEWIRE_RUNTIME_DIR=" + o.dir, "HOME=" + o.dir}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		o.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// act is what audit says an operator did.
type act struct {
	Event          string `json:"event"`
	Proxy          string `json:"proxy"`
	Administration struct {
		Caller     string `json:"caller"`
		Note       string `json:"note"`
		Revocation struct {
			Number      uint64 `json:"number"`
			TokenSHA256 string `json:"token_sha256"`
			Subject     string `json:"subject"`
			Client      string `json:"client"`
		} `json:"revocation"`
		Policy struct {
			Revision uint64 `json:"revision"`
		} `json:"policy"`
	} `json:"administration"`
}

// acts are the events of a type, newest first, once there are so many.
func (o *operator) acts(kind string, count int) (list []act) {
	o.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		out, code := o.run("", "audit", "list", "--json", "--type", kind)
		if code != 0 {
			o.t.Fatal(out)
		}
		list = nil
		for line := range strings.Lines(out) {
			var a act
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				o.t.Fatal(err)
			}
			list = append(list, a)
		}
		if len(list) >= count {
			return list
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%d events of type %s: %+v", len(list), kind, list)
		}
	}
}

// respelled is a token with its ES256 signature (r, s) written as (r, n-s): whoever holds
// the token can do that, it verifies, and its digest is another.
func respelled(t *testing.T, token string) string {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(sig) != 64 {
		t.Fatalf("no ES256 signature: %d bytes, %v", len(sig), err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	return token[:dot+1] + base64.RawURLEncoding.EncodeToString(sig)
}

// TestRevokeCommand: the command ends what it names, says what it has done, and audit
// says who did it and why.
func TestRevokeCommand(t *testing.T) {
	o := newOperator(t)
	alice, bob, carol := mint(t, o.World, "alice", "orders.read"), mint(t, o.World, "bob", "orders.read"), mint(t, o.World, "carol", "orders.read")
	sessions := map[string]*pgx.Conn{}
	for _, token := range []string{alice, bob, carol} {
		sessions[token] = cluster.ConnectWith(t, o.ConnString("x"), token)
	}
	again := cluster.ConnectWith(t, o.ConnString("x"), respelled(t, bob))
	// Within a lease of its start authz waits for proxies that an earlier process may have told
	// something. What comes after waits for nobody but the one that is there.
	if out, code := o.run("", "revoke", "--subject", "nobody", "--note", "first"); code != 0 || !strings.HasPrefix(out, "revoked (number 1): 1 proxies have applied it, ") {
		t.Errorf("%d %q", code, out)
	}
	for i, c := range []struct {
		stdin string
		args  []string
		ended string
	}{
		{"", []string{"--subject", "alice", "--note", "INC-7"}, alice},
		{bob + "\n", []string{"--token-file", "-", "--expires", "1h", "--note", "leaked"}, bob},
	} {
		out, code := o.run(c.stdin, append([]string{"revoke"}, c.args...)...)
		if code != 0 || !strings.HasPrefix(out, "revoked (number ") || !strings.Contains(out, "1 proxies have applied it, 0 leases") {
			t.Errorf("%q: %d %q", c.args, code, out)
		}
		if conn, err := cluster.TryConnectWith(t.Context(), o.ConnString("x"), c.ended); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("%q: the token still logs in", c.args)
		}
		if _, err := sessions[c.ended].Exec(t.Context(), "SELECT 1"); err == nil {
			t.Errorf("%q: the session goes on", c.args)
		}
		got := o.acts("tokens_revoked", i+2)[0]
		a := got.Administration
		if got.Proxy != "authz" || a.Caller != "local" || a.Note != c.args[len(c.args)-1] || a.Revocation.Number != uint64(i+2) ||
			(a.Revocation.Subject == "alice") != (i == 0) || (len(a.Revocation.TokenSHA256) == 64) != (i == 1) {
			t.Errorf("%q: audit says %+v", c.args, got)
		}
	}
	if _, err := again.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a session under another spelling of the token goes on")
	}
	if conn, err := cluster.TryConnectWith(t.Context(), o.ConnString("x"), respelled(t, bob)); err == nil {
		_ = conn.Close(t.Context())
		t.Error("another spelling of the token logs in")
	}
	if _, err := sessions[carol].Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("somebody else's session: %v", err)
	}
	for _, c := range []struct {
		stdin, want string
		args        []string
	}{
		{"", "names a token", nil},
		{"", "either --token-file or --token-sha256", []string{"--token-file", "-", "--token-sha256", "00"}},
		{"", "there is none", []string{"--token-file", "-"}},
		{"", "64 digits", []string{"--token-sha256", "00"}},
		{"", "the token:", []string{"--token-sha256", "zz"}},
		{"", "no such file", []string{"--token-file", filepath.Join(o.dir, "nothing")}},
	} {
		if out, code := o.run(c.stdin, append([]string{"revoke"}, c.args...)...); code == 0 || !strings.Contains(out, c.want) {
			t.Errorf("%q: %d %q", c.args, code, out)
		}
	}
	if a := o.acts("policy_changed", 1)[0]; a.Administration.Caller != "policy file" || a.Administration.Policy.Revision != 1 {
		t.Errorf("the policy that the service began with: %+v", a)
	}
	if n := len(o.acts("tokens_revoked", 3)); n != 3 {
		t.Errorf("%d revocations are recorded", n)
	}
	elsewhere := *o
	elsewhere.dir = t.TempDir()
	if err := os.Chmod(elsewhere.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, code := elsewhere.run("", "revoke", "--subject", "alice"); code == 0 || !strings.Contains(out, "no scopewire is running") {
		t.Errorf("without a service: %d %q", code, out)
	}
}

// TestPolicyAdministration: Reload puts a changed file into force at once, or says why not,
// and ListRevisions has the history page by page.
func TestPolicyAdministration(t *testing.T) {
	w, admin := administered(t, demo.Config{})
	reload := func() *authzv1.ReloadResponse {
		t.Helper()
		resp, err := admin.Reload(within(t), &authzv1.ReloadRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	policy := filepath.Join(w.Dir, "policy.yaml")
	text, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	first := reload()
	if first.GetRevision() == 0 || first.GetError() != "" {
		t.Fatal(first)
	}
	for i := range 3 {
		text = append(text, "# changed\n"...)
		if err := os.WriteFile(policy, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if resp := reload(); resp.GetRevision() != first.GetRevision()+uint64(i)+1 || resp.GetError() != "" {
			t.Errorf("change %d: %v", i, resp)
		}
	}
	if err := os.WriteFile(policy, append(text, "nonsense: true\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if resp := reload(); resp.GetRevision() != first.GetRevision()+3 || !strings.Contains(resp.GetError(), "nonsense") {
		t.Errorf("a broken file: %v", resp)
	}
	var got []uint64
	req := &authzv1.ListRevisionsRequest{PageSize: 2}
	for {
		resp, err := admin.ListRevisions(within(t), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.GetRevisions()) > 2 {
			t.Errorf("a page of %d", len(resp.GetRevisions()))
		}
		for _, r := range resp.GetRevisions() {
			if len(r.GetDigest()) != 32 || r.GetLoadedAtMicros() == 0 {
				t.Errorf("%v", r)
			}
			got = append(got, r.GetRevision())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	for i, n := range got {
		if want := first.GetRevision() + 3 - uint64(i); n != want {
			t.Errorf("revisions %v", got)
		}
	}
	if len(got) < 4 {
		t.Errorf("revisions %v", got)
	}
	if _, err := admin.ListRevisions(within(t), &authzv1.ListRevisionsRequest{PageToken: "x"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a page token of somebody else's: %v", err)
	}
}

// within is a context for one call.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
