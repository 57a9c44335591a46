package main

import (
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/wallet"
)

// TestSeparate: a client's arguments are its own, also where they look like ours or
// like several in one.
func TestSeparate(t *testing.T) {
	for args, want := range map[string]string{
		"":                                 "",
		"whoami --profile p":               "whoami --profile p",
		"psql":                             "psql",
		"psql --help":                      "psql --help",
		"psql -At -c x":                    "psql -- -At -c x",
		"psql -h db --profile p":           "psql -- -h db --profile p",
		"psql --profile p -c x":            "psql --profile p -- -c x",
		"psql --profile=p --address a:1 d": "psql --profile=p --address a:1 -- d",
		"psql --version":                   "psql -- --version",
		"exec --env X -- cmd --env Y":      "exec --env X -- cmd --env Y",
		"exec pg_dump --help":              "exec -- pg_dump --help",
		"exec --profile":                   "exec --profile",
	} {
		if got := strings.Join(separate(strings.Fields(args)), " "); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
}

// TestEnvironment: the client has the token's file and no other password; what the
// person's environment or a service says of the server goes before the login.
func TestEnvironment(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGSERVICE", "PGDATABASE", "PGUSER", "PGSSLMODE", "PGSSLROOTCERT"} {
		t.Setenv(name, "")
	}
	p := &wallet.Profile{Database: "shop", RootCert: "/ca"}
	for name, tt := range map[string]struct {
		set        map[string]string
		env        []string
		want, lack []string
	}{
		"a login's": {nil, nil, []string{"PGHOST=db", "PGPORT=6432", "PGDATABASE=shop", "PGSSLMODE=verify-full", "PGSSLROOTCERT=/ca", "PGPASSFILE=/run/f"}, []string{"PGPASSWORD="}},
		"a person's": {map[string]string{"PGHOST": "other", "PGSSLMODE": "require", "PGPASSWORD": "mine", "PGPASSFILE": "/mine"}, nil,
			[]string{"PGHOST=other", "PGSSLMODE=require", "PGPASSFILE=/run/f"}, []string{"PGPASSWORD=", "PGPORT=6432", "PGPASSFILE=/mine"}},
		"a service": {map[string]string{"PGSERVICE": "s"}, nil, []string{"PGSERVICE=s", "PGPASSFILE=/run/f"}, []string{"PGHOST=db", "PGSSLMODE=verify-full"}},
		"asked for": {map[string]string{"TOKEN": "old"}, []string{"TOKEN", "PGPASSWORD"}, []string{"TOKEN=t0ken", "PGPASSWORD=t0ken"}, []string{"TOKEN=old"}},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.set {
				t.Setenv(k, v)
			}
			c := &clientFlags{Env: tt.env}
			got := "\n" + strings.Join(c.environment(p, "db:6432", "/run/f", "t0ken"), "\n") + "\n"
			for _, w := range tt.want {
				if !strings.Contains(got, "\n"+w+"\n") {
					t.Errorf("%s is missing", w)
				}
			}
			for _, l := range tt.lack {
				if strings.Contains(got, "\n"+l) {
					t.Errorf("%s is there", l)
				}
			}
		})
	}
}
