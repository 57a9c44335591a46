package snapshotter

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/devca"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
)

// TestTransport: a catalog comes from the server it is meant to come from, and
// the password goes to nobody else.
func TestTransport(t *testing.T) {
	machine := sys.OS()
	files := func(name, host string) devca.Files {
		ca, err := devca.New(machine.Clock, machine.Rand)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ca.WriteFiles(machine.FS, t.TempDir(), name, devca.Options{Name: host, DNSNames: []string{host}, Server: true})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	good, other := files("server", "db.example.com"), files("other", "db.example.com")
	srv := pgtest.Start(t,
		pgtest.TLS(good.Cert, good.Key, ""),
		pgtest.HBA("host all plain 127.0.0.1/32 password"),
		pgtest.HBA("host all hashed 127.0.0.1/32 md5"))
	pgtest.Exec(t, srv.ConnString("postgres"), `
		CREATE ROLE reader LOGIN PASSWORD 'the reader''s password';
		CREATE ROLE plain LOGIN PASSWORD 'the reader''s password';
		SET password_encryption = 'md5';
		CREATE ROLE hashed LOGIN PASSWORD 'the reader''s password';`)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("the reader's password"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := func(user string, tls TLS) Database {
		return Database{
			Name: "postgres", Host: "127.0.0.1", Port: uint16(srv.Port), User: user, TLS: tls,
			Password: config.Source{File: password},
		}
	}
	tests := []struct {
		name string
		db   Database
		want string // Part of the error; empty for a connection.
		tls  bool
	}{
		{"the server's name and authority", db("reader", TLS{CAFile: good.CA, ServerName: "db.example.com"}), "", true},
		{"another name", db("reader", TLS{CAFile: good.CA, ServerName: "db2.example.com"}), "certificate is valid for db.example.com", false},
		{"the address as the name", db("reader", TLS{CAFile: good.CA}), "doesn't contain any IP SANs", false},
		{"another authority", db("reader", TLS{CAFile: other.CA, ServerName: "db.example.com"}), "unknown authority", false},
		{"the machine's authorities", db("reader", TLS{ServerName: "db.example.com"}), "unknown authority", false},
		{"no such file", db("reader", TLS{CAFile: good.CA + ".no"}), "read authorities", false},
		{"a file without authorities", db("reader", TLS{CAFile: password}), "no certificate in", false},
		{"no key", db("reader", TLS{CAFile: good.CA, ServerName: "db.example.com", CertFile: good.Cert, KeyFile: password}), "certificate " + good.Cert, false},
		{"in the clear by SCRAM", db("reader", TLS{Mode: "disable"}), "", false},
		{"in the clear the server wants the password", db("plain", TLS{Mode: "disable"}), "auth", false},
		{"in the clear the server wants MD5", db("hashed", TLS{Mode: "disable"}), "auth", false},
		{"the password under TLS", db("plain", TLS{CAFile: good.CA, ServerName: "db.example.com"}), "", true},
	}
	// None of these may say where to connect or how.
	t.Setenv("PGHOST", "192.0.2.1")
	t.Setenv("PGSSLMODE", "disable")
	t.Setenv("PGOPTIONS", "-c default_transaction_read_only=off")
	t.Setenv("PGPASSWORD", "wrong")
	t.Setenv("PGTZ", "Europe/Paris")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := connect(t.Context(), tt.db, machine, time.Second)
			if err != nil {
				if tt.want == "" || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "the reader's") {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				return
			}
			defer func() { _ = conn.Close(context.Background()) }()
			if tt.want != "" {
				t.Fatal("connected")
			}
			var tls bool
			var readOnly, zone string
			err = conn.QueryRow(t.Context(), `SELECT ssl, pg_catalog.current_setting('transaction_read_only'), pg_catalog.current_setting('TimeZone')
				FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()`).Scan(&tls, &readOnly, &zone)
			if err != nil || tls != tt.tls || readOnly != "on" || zone != "UTC" {
				t.Errorf("TLS %t, read only %s, zone %s, %v", tls, readOnly, zone, err)
			}
		})
	}
}
