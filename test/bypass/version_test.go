package bypass_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
)

// startPacket is a startup message of any version and body.
func startPacket(version uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, version), body...)
}

// firstAnswer is what comes for a startup message up to the first question for a
// credential, or to the end: NegotiateProtocolVersion with what it says, SQLSTATEs, "asked".
func firstAnswer(t *testing.T, addr string, authority *x509.CertPool, packet []byte) []string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(startPacket(80877103, "")); err != nil {
		t.Fatal(err)
	}
	var secure [1]byte
	if _, err := io.ReadFull(conn, secure[:]); err != nil {
		t.Fatal(err)
	}
	if secure[0] == 'S' {
		conn = tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authority, ServerName: "localhost"})
	}
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	var said []string
	for {
		var head [5]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("%v, then %v", said, err)
			}
			return append(said, "closed")
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(conn, body); err != nil {
			t.Fatal(err)
		}
		switch head[0] {
		case 'v':
			newest := binary.BigEndian.Uint32(body)
			names := strings.Split(strings.TrimSuffix(string(body[8:]), "\x00"), "\x00")
			said = append(said, fmt.Sprintf("negotiate %d.%d, %d of %q", newest>>16, newest&0xffff, binary.BigEndian.Uint32(body[4:]), names))
		case 'R':
			return append(said, "asked")
		case 'E':
			var e pgproto3.ErrorResponse
			if err := e.Decode(body); err != nil {
				t.Fatal(err)
			}
			said = append(said, e.Severity+" "+e.Code)
		default:
			t.Fatalf("%v, then a message %q", said, head[0])
		}
	}
}

// TestProtocolVersions: what a client of another version is told, and of protocol options,
// is what PostgreSQL 18 tells it. Older servers know 3.0 alone: there the texts that ask for
// nothing newer are compared.
func TestProtocolVersions(t *testing.T) {
	const (
		v30  = 3 << 16
		user = "user\x00wanda\x00database\x00" + demo.Database + "\x00"
	)
	var many strings.Builder
	for i := range 400 {
		fmt.Fprintf(&many, "_pq_.option_%d\x00on\x00", i)
	}
	w := world(t)
	major := majorOf(t, hijackAs(t, w, "wanda").ParameterStatuses["server_version"])
	pem, err := os.ReadFile(w.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(pem) {
		t.Fatal("no authority")
	}
	for name, tc := range map[string]struct {
		version uint32
		body    string
	}{
		"3.0":                             {v30, user + "\x00"},
		"3.1":                             {v30 + 1, user + "\x00"},
		"3.2":                             {v30 + 2, user + "\x00"},
		"3.3":                             {v30 + 3, user + "\x00"},
		"3.9999":                          {v30 + 9999, user + "\x00"},
		"3.65535":                         {v30 + 65535, user + "\x00"},
		"4.0":                             {4 << 16, user + "\x00"},
		"an option":                       {v30, user + "_pq_.x\x00on\x00\x00"},
		"an option before the user":       {v30, "_pq_.x\x00on\x00" + user + "\x00"},
		"options out of order":            {v30, user + "_pq_.z\x00on\x00_pq_.a\x00on\x00_pq_.m\x00on\x00\x00"},
		"an option twice":                 {v30, user + "_pq_.x\x00on\x00_pq_.x\x00off\x00\x00"},
		"an option in two cases":          {v30, user + "_pq_.x\x00on\x00_pq_.X\x00off\x00\x00"},
		"an option of no name":            {v30, user + "_pq_.\x00on\x00\x00"},
		"an option of an empty value":     {v30, user + "_pq_.x\x00\x00\x00"},
		"an option without a value":       {v30, user + "_pq_.x\x00"},
		"a long option":                   {v30, user + "_pq_." + strings.Repeat("x", 9000) + "\x00on\x00\x00"},
		"many options":                    {v30, user + many.String() + "\x00"},
		"an option of an unknown version": {v30 + 9999, user + "_pq_.x\x00on\x00\x00"},
		"options of 3.1":                  {v30 + 1, user + "_pq_.x\x00on\x00\x00"},
		"options of 3.2":                  {v30 + 2, user + "_pq_.x\x00on\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			packet := startPacket(tc.version, tc.body)
			got := firstAnswer(t, w.Addr, authority, packet)
			if tc.version>>16 == 3 && tc.version > v30 && major < 18 {
				if got[len(got)-1] != "asked" {
					t.Errorf("told %q", got)
				}
				return
			}
			if diff := cmp.Diff(firstAnswer(t, w.Postgres.Addr, authority, packet), got); diff != "" {
				t.Errorf("(-server +through Scopewire)\n%s", diff)
			}
		})
	}
}
