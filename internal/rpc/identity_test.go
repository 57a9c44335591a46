package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/internal/sys"
)

// methods lists every method of every contract that is linked in, from the
// descriptors: "/package.Service/Method".
func methods() (out []string) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "scopewire.") {
			return true
		}
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				out = append(out, "/"+string(s.FullName())+"/"+string(s.Methods().Get(j).Name()))
			}
		}
		return true
	})
	slices.Sort(out)
	return out
}

// call makes the call as a stream, which serves every kind of method, and
// returns how it ended.
func call(t *testing.T, c *grpc.ClientConn, method string) codes.Code {
	t.Helper()
	stream, err := c.NewStream(deadline(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err == nil {
		_ = stream.SendMsg(&emptypb.Empty{})
		_ = stream.CloseSend()
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	return status.Code(err)
}

// strange is a client that is not made by this package: an attacker with a
// certificate of our authority.
func strange(t *testing.T, ca *authority, want leaf, address string) *grpc.ClientConn {
	t.Helper()
	pair, err := tls.X509KeyPair(ca.issue(t, want))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.pem)
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(
		&tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{pair}})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestSec_T42_CallerMatrix: every identity against every method, over real TLS.
// The table below is written out by hand, so that a change of the matrix has to
// be made twice.
func TestSec_T42_CallerMatrix(t *testing.T) {
	allowed := map[string]string{
		"/scopewire.authz.v1.AuthorizationService/Authenticate":       "proxy",
		"/scopewire.authz.v1.AuthorizationService/Confirm":            "proxy",
		"/scopewire.authz.v1.AuthorizationService/Authorize":          "proxy",
		"/scopewire.authz.v1.AuthorizationService/Watch":              "proxy",
		"/scopewire.authz.v1.AuthorizationAdminService/Revoke":        "admin",
		"/scopewire.authz.v1.AuthorizationAdminService/ListRevisions": "admin",
		"/scopewire.authz.v1.AuthorizationAdminService/Reload":        "admin",
		"/scopewire.policy.v1.PolicyDecisionService/Decide":           "authz",
		"/scopewire.audit.v1.AuditIngestService/Append":               "proxy authz",
		"/scopewire.audit.v1.AuditQueryService/ListEvents":            "admin",
		"/scopewire.audit.v1.AuditQueryService/GetEvent":              "admin",
		"/scopewire.audit.v1.AuditQueryService/TailEvents":            "admin",
		"/scopewire.audit.v1.AuditQueryService/VerifyStore":           "admin",
		"/scopewire.proxy.v1.CancelService/Cancel":                    "proxy",
	}
	ca := newAuthority(t)
	s := newServer(t, rpc.ServerConfig{
		Address: "127.0.0.1:0", TLS: ca.files(t, leaf{uris: []string{"spiffe://scopewire/audit"}}),
	}, rpc.ServerDeps{})
	everything(s, auditv1.UnimplementedAuditQueryServiceServer{})
	l := listen(t, "127.0.0.1:0")
	serve(t, s, l)

	identities := map[string][]string{
		"proxy":          {"spiffe://scopewire/proxy"},
		"proxy/a":        {"spiffe://scopewire/proxy/a"},
		"authz":          {"spiffe://scopewire/authz"},
		"audit":          {"spiffe://scopewire/audit"},
		"admin":          {"spiffe://scopewire/admin"},
		"local":          {"spiffe://scopewire/local"},
		"none":           nil,
		"two":            {"spiffe://scopewire/proxy", "spiffe://scopewire/admin"},
		"foreign domain": {"spiffe://elsewhere/proxy"},
		"prefix":         {"spiffe://scopewire/proxyx"},
		"upper case":     {"spiffe://scopewire/Proxy"},
		"query":          {"spiffe://scopewire/proxy?x"},
		"fragment":       {"spiffe://scopewire/proxy#x"},
		"user":           {"spiffe://a@scopewire/proxy"},
		"port":           {"spiffe://scopewire:1/proxy"},
		"escaped":        {"spiffe://scopewire/%70roxy"},
		"empty instance": {"spiffe://scopewire/proxy/"},
		"dotted":         {"spiffe://scopewire/admin/../proxy"},
		"empty role":     {"spiffe://scopewire/"},
	}
	all := methods()
	if len(all) < 12 {
		t.Fatalf("only %d methods are known: %v", len(all), all)
	}
	for name, uris := range identities {
		c := strange(t, ca, leaf{uris: uris}, l.Addr().String())
		role, _, _ := strings.Cut(name, "/")
		for _, method := range all {
			want := codes.PermissionDenied
			if slices.Contains(strings.Fields(allowed[method]), role) {
				want = codes.Unimplemented
			}
			got := call(t, c, method)
			if name == "user" && got == codes.Unavailable {
				// TLS itself refuses a certificate that names a user.
				continue
			}
			if got != want {
				t.Errorf("%s calls %s: %v, want %v", name, method, got, want)
			}
		}
		if name == "user" {
			continue
		}
		// Health is for whoever is somebody; nothing else of gRPC is served, nor a method
		// that nobody has listed, of a listed service either.
		for method, somebody := range map[string]codes.Code{
			"/grpc.health.v1.Health/Check":                  codes.OK,
			"/grpc.health.v1.Health/Nothing":                codes.PermissionDenied,
			"/scopewire.audit.v1.Nothing/Nothing":           codes.PermissionDenied,
			"/scopewire.audit.v1.AuditQueryService/Nothing": codes.PermissionDenied,
			"/grpc.channelz.v1.Channelz/GetServer":          codes.PermissionDenied,
		} {
			want := codes.PermissionDenied
			if slices.Contains([]string{"proxy", "authz", "audit", "admin"}, role) {
				want = somebody
			}
			if got := call(t, c, method); got != want {
				t.Errorf("%s calls %s: %v, want %v", name, method, got, want)
			}
		}
	}
}

// TestSec_T44_EveryMethodHasRow: a method of the contracts without a row, or a row
// without a method, is a mistake to be found here. The descriptors that are linked
// in have to be those of every file of proto.
func TestSec_T44_EveryMethodHasRow(t *testing.T) {
	matrix := rpc.DefaultMatrix()
	all := methods()
	for _, m := range all {
		if len(matrix[m]) == 0 {
			t.Errorf("%s has no row", m)
		}
	}
	for m := range matrix {
		if !slices.Contains(all, m) && !strings.HasPrefix(m, "/grpc.") {
			t.Errorf("the row of %s is for no method", m)
		}
	}
	files, err := filepath.Glob("../../proto/scopewire/*/v1/*.proto")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d contracts: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimPrefix(file, "../../proto/")
		if _, err := protoregistry.GlobalFiles.FindFileByPath(name); err != nil {
			t.Errorf("%s is not linked into this test: %v", name, err)
		}
	}
	// And a server does not start with one.
	m := rpc.DefaultMatrix()
	delete(m, "/scopewire.audit.v1.AuditQueryService/TailEvents")
	s := newServer(t, rpc.ServerConfig{}, rpc.ServerDeps{Matrix: m})
	auditv1.RegisterAuditQueryServiceServer(s, auditv1.UnimplementedAuditQueryServiceServer{})
	if err := s.Serve(t.Context(), rpc.NewPipe()); err == nil || !strings.Contains(err.Error(), "AuditQueryService/TailEvents has no row") {
		t.Error(err)
	}
}

func TestParseIdentity(t *testing.T) {
	for uri, want := range map[string]rpc.Identity{
		"spiffe://scopewire/proxy":       {Role: rpc.Proxy},
		"spiffe://scopewire/proxy/eu-1":  {Role: rpc.Proxy, Instance: "eu-1"},
		"spiffe://scopewire/admin/a_b.C": {Role: rpc.Admin, Instance: "a_b.C"},
	} {
		if got, err := rpc.ParseIdentity(uri); got != want || err != nil {
			t.Errorf("%s: %v, %v", uri, got, err)
		}
	}
	for _, uri := range []string{"", "proxy", "spiffe://scopewire", "spiffe://scopewire/proxy/a/b", "spiffe://scopewire/proxy/.",
		"spiffe://scopewire/proxy/..", "spiffe://scopewire/proxy/a b", "spiffe://scopewire/proxy/\n", "spiffe://scopewire/proxy/" + strings.Repeat("a", 3000)} {
		if got, err := rpc.ParseIdentity(uri); err == nil || got != (rpc.Identity{}) {
			t.Errorf("%q was taken as %v", uri, got)
		}
	}
}

// What a server and a client refuse of each other's certificates.
func TestSec_T42_Handshakes(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	serverFiles := ca.files(t, leaf{uris: []string{"spiffe://scopewire/audit"}})
	s := newServer(t, rpc.ServerConfig{Address: "127.0.0.1:0", TLS: serverFiles}, rpc.ServerDeps{})
	everything(s, query{})
	l := listen(t, "127.0.0.1:0")
	serve(t, s, l)
	admin := leaf{uris: []string{"spiffe://scopewire/admin"}}
	mixed := func(cert, authorities *authority) rpc.TLSFiles {
		f := cert.files(t, admin)
		write(t, f.CAFile, authorities.pem)
		return f
	}
	// A client's handshake ends before the server has judged its certificate
	// (RFC 8446 section 4.4.2.4): what it hears then depends on who is faster.
	const refusedLater = "Unavailable"
	for name, c := range map[string]struct {
		files  rpc.TLSFiles
		server rpc.Role
		sni    string
		want   string // of the error; empty: it works
	}{
		"good":           {ca.files(t, admin), rpc.Audit, "", ""},
		"good by name":   {ca.files(t, admin), rpc.Audit, "localhost", ""},
		"other role":     {ca.files(t, admin), rpc.Authz, "", "the server is audit where authz is expected"},
		"other name":     {ca.files(t, admin), rpc.Audit, "authz.example.com", "not authz.example.com"},
		"foreign server": {mixed(ca, other), rpc.Audit, "", "unknown authority"},
		"foreign client": {mixed(other, ca), rpc.Audit, "", refusedLater},
		"expired client": {ca.files(t, leaf{uris: admin.uris, expired: true}), rpc.Audit, "", refusedLater},
	} {
		conn := dial(t, rpc.ClientConfig{Address: l.Addr().String(), TLS: c.files, ServerName: c.sni}, rpc.ClientDeps{Server: c.server})
		r, err := auditv1.NewAuditQueryServiceClient(conn).ListEvents(deadline(t), &auditv1.ListEventsRequest{})
		switch {
		case c.want == "" && (err != nil || r.GetNextPageToken() != "admin"):
			t.Errorf("%s: %v, %v", name, r, err)
		case c.want != "" && (status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		}
	}

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.pem)
	pair, err := tls.X509KeyPair(ca.issue(t, admin))
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]*tls.Config{
		"TLS 1.2":        {RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12},
		"no certificate": {RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}},
		"no ALPN":        {RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{pair}},
	} {
		conn, err := tls.Dial("tcp", l.Addr().String(), cfg)
		if err == nil {
			// In TLS 1.3 the server's refusal arrives with the first read.
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			var one [1]byte
			_, err = conn.Read(one[:])
			_ = conn.Close()
		}
		if err == nil {
			t.Errorf("%s: the server talks", name)
		}
	}
	// Plaintext to a TLS port.
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	_, _ = raw.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
	var b [1]byte
	if n, err := raw.Read(b[:]); n > 0 && err == nil && b[0] == 0 {
		t.Error("the server answers plaintext with a frame")
	}
}

func TestClientStatesWhomItMeans(t *testing.T) {
	ca := newAuthority(t)
	cfg := rpc.ClientConfig{Address: "127.0.0.1:1", TLS: ca.files(t, leaf{uris: []string{"spiffe://scopewire/proxy"}})}
	os := sys.OS()
	for _, role := range []rpc.Role{"", rpc.Local, "root"} {
		if c, err := rpc.Dial(cfg, rpc.ClientDeps{Clock: os.Clock, Net: os.Net, FS: os.FS, Server: role}); err == nil {
			_ = c.Close()
			t.Errorf("a client of %q was made", role)
		}
	}
}

// stepClock is a clock that moves when told to.
type stepClock struct {
	sys.Clock
	mu     sync.Mutex
	offset time.Duration
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Clock.Now().Add(c.offset)
}

func (c *stepClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// A rotation is taken up by the next handshake after the reload interval; half
// a rotation, and none at all, leave the last good set in use.
func TestCertificateRotation(t *testing.T) {
	ca, next := newAuthority(t), newAuthority(t)
	audit := leaf{uris: []string{"spiffe://scopewire/audit"}}
	files := ca.files(t, audit)
	clock := &stepClock{Clock: sys.OS().Clock}
	var out bytes.Buffer
	s := newServer(t, rpc.ServerConfig{Address: "127.0.0.1:0", TLS: files}, rpc.ServerDeps{Clock: clock, Log: testLog(&out)})
	everything(s, query{})
	l := listen(t, "127.0.0.1:0")
	stop := serve(t, s, l)
	works := func(a *authority) bool {
		c := dial(t, rpc.ClientConfig{Address: l.Addr().String(), TLS: a.files(t, leaf{uris: []string{"spiffe://scopewire/admin"}})}, rpc.ClientDeps{Server: rpc.Audit})
		defer func() { _ = c.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := auditv1.NewAuditQueryServiceClient(c).ListEvents(ctx, &auditv1.ListEventsRequest{})
		return err == nil
	}
	if !works(ca) || works(next) {
		t.Fatal("before the rotation")
	}
	cert, key := next.issue(t, audit)
	write(t, files.CertFile, cert)
	clock.step(time.Minute)
	for range 3 {
		if !works(ca) || works(next) {
			t.Fatal("half a rotation was taken up")
		}
		clock.step(time.Minute)
	}
	write(t, files.KeyFile, key)
	write(t, files.CAFile, next.pem)
	if works(ca) || !works(next) {
		t.Error("the rotation was not taken up")
	}
	stop()
	if n := strings.Count(out.String(), "do not load"); n != 1 {
		t.Errorf("the half rotation was logged %d times", n)
	}
	if n := strings.Count(out.String(), "certificates reloaded"); n != 1 {
		t.Errorf("the reload was logged %d times:\n%s", n, out.String())
	}
}
