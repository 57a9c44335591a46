// Package upstream opens backend sessions: TLS, authentication and multi-host
// rules are pgconn's, the connection is then taken over whole.
//
// A backend is used only when its server encoding is UTF8, its
// standard_conforming_strings is on and its BackendKeyData is its own process id
// (a pooler in transaction mode answers with another). What the session's context
// is at its start is asked of the server, so that a default set by ALTER ROLE or
// ALTER DATABASE is known.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

const (
	// minServer is the oldest server_version_num that is served.
	minServer = 140000
	// maxIdentifierLength is that of every server that was not built to differ
	// (NAMEDATALEN - 1, pg_config_manual.h). What names stand for is followed by it.
	maxIdentifierLength = "63"
)

// Target is a database and the credential to open it with.
type Target struct {
	Host     string
	Port     uint16
	Database string
	User     string
	Password secret.Bytes
	// TLS is the client side's configuration; nil speaks plaintext.
	TLS *tls.Config
	// WithoutBinding lets a server log in by SCRAM without binding it to the TLS
	// connection. Only for certificates whose hash SCRAM does not define.
	WithoutBinding bool
	// Login is the credential's name in the configuration.
	Login string
}

// Conn is an open, idle backend session. The caller closes it.
type Conn struct {
	net.Conn
	// PID is the backend's process id.
	PID uint32
	// Parameters are the parameter statuses the server reported at login.
	Parameters map[string]string
	// Context is the session context at the start.
	Context *authzv1.SessionContext

	hijacked *pgconn.HijackedConn
}

// Error is a backend that could not be used. Its text is for the log: it may
// quote the server.
type Error struct{ err error }

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// SQLState is what the server said, empty where it said nothing.
func (e *Error) SQLState() string {
	var said *pgconn.PgError
	if errors.As(e.err, &said) {
		return said.Code
	}
	return ""
}

// Connect opens a backend session with the given run-time parameters.
func Connect(ctx context.Context, dialer sys.Dialer, t Target, params map[string]string) (*Conn, error) {
	pc, err := Open(ctx, dialer, t, params)
	if err != nil {
		return nil, err
	}
	c, err := takeOver(ctx, pc, t)
	if err != nil {
		return nil, &Error{errors.Join(err, pc.Close(ctx))}
	}
	return c, nil
}

// Open opens a session under a login for questions of our own, as a client's would be
// opened. The caller closes it.
func Open(ctx context.Context, dialer sys.Dialer, t Target, params map[string]string) (*pgconn.PgConn, error) {
	// Everything that ParseConfig would take from the environment or from files is
	// given here or overwritten below.
	cfg, err := pgconn.ParseConfig("host=placeholder.invalid user=u dbname=d password=p sslmode=disable require_auth=scram-sha-256")
	if err != nil {
		return nil, &Error{fmt.Errorf("prepare backend configuration: %w", err)}
	}
	cfg.Host, cfg.Port, cfg.Database, cfg.User = t.Host, t.Port, t.Database, t.User
	cfg.Password = string(t.Password.Expose())
	cfg.TLSConfig, cfg.Fallbacks = t.TLS, nil
	if t.TLS != nil && !t.WithoutBinding {
		// Who stands in between, with a certificate that is accepted, cannot pass SCRAM on
		// (SCRAM-SHA-256-PLUS, tls-server-end-point, RFC 5929).
		cfg.ChannelBinding = "require"
	}
	cfg.DialFunc = dialer.DialContext
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	cfg.MinProtocolVersion, cfg.MaxProtocolVersion = "3.0", "3.0"
	cfg.MaxProtocolMessageBodyLen = 1 << 20
	cfg.BuildFrontend = buildFrontend
	cfg.RuntimeParams = params
	pc, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, &Error{fmt.Errorf("connect to database %s: %w", t.Database, err)}
	}
	return pc, nil
}

// learnContext reads what the meaning of SQL depends on. Names are qualified,
// because the session's search_path is not known yet.
const learnContext = "SHOW search_path; SELECT pg_catalog.pg_backend_pid()::pg_catalog.text, CURRENT_USER::pg_catalog.text; " +
	"SHOW server_version_num; SHOW standard_conforming_strings; SHOW server_encoding; SHOW transform_null_equals; " +
	"SHOW max_identifier_length"

func takeOver(ctx context.Context, pc *pgconn.PgConn, t Target) (*Conn, error) {
	results, err := pc.Exec(ctx, learnContext).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("learn the session's context: %w", err)
	}
	var v []string
	for _, r := range results {
		for _, row := range r.Rows {
			for _, col := range row {
				v = append(v, string(col))
			}
		}
	}
	if len(v) != 8 {
		return nil, fmt.Errorf("learn the session's context: %d values, want 8", len(v))
	}
	path, pid, role, version, conforming, encoding, nullEquals, nameLength := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
	num, err := strconv.ParseUint(version, 10, 32)
	if err != nil || num < minServer {
		return nil, fmt.Errorf("server_version_num %s: PostgreSQL 14 or newer is needed", version)
	}
	if pid != strconv.FormatUint(uint64(pc.PID()), 10) {
		return nil, errors.New("the server's process id is not the one it announced: a pooler that shares sessions is in between")
	}
	if encoding != "UTF8" {
		return nil, fmt.Errorf("server_encoding is %s: only UTF8 is served", encoding)
	}
	if conforming != "on" {
		return nil, errors.New("standard_conforming_strings is off")
	}
	if nullEquals != "off" {
		return nil, errors.New("transform_null_equals is on")
	}
	if nameLength != maxIdentifierLength {
		return nil, fmt.Errorf("max_identifier_length is %s: names would be told apart otherwise than here", nameLength)
	}
	// A write that took long has made pgconn read in the background, and that reader would
	// take the first bytes of what the server says next.
	if err := pc.SyncConn(ctx); err != nil {
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	if n := pc.Frontend().ReadBufferLen(); n != 0 {
		return nil, fmt.Errorf("%d bytes came that nothing was asked for", n)
	}
	h, err := pc.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	// Its buffers would stay for as long as the session; a cancel needs none.
	h.Frontend = nil
	return &Conn{
		Conn: h.Conn, PID: h.PID, Parameters: h.ParameterStatuses, hijacked: h,
		Context: &authzv1.SessionContext{
			Generation: 1, Database: t.Database, ServerVersionNum: uint32(num), Login: t.Login, Role: role, SearchPath: path,
			Settings: map[string]string{"standard_conforming_strings": conforming, "transform_null_equals": nullEquals},
		},
	}, nil
}

// Cancel asks the server to stop what the session runs, over a connection of its
// own that is encrypted as the session's is.
func (c *Conn) Cancel(ctx context.Context) error {
	pc, err := pgconn.Construct(c.hijacked)
	if err != nil {
		return fmt.Errorf("prepare cancel request: %w", err)
	}
	if err := pc.CancelRequest(ctx); err != nil {
		return fmt.Errorf("send cancel request: %w", err)
	}
	return nil
}
