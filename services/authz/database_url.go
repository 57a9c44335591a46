package authz

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
)

// Database says how to reach a database.
type Database = snapshotter.Database

// ParseDatabaseURL reads postgres://user@host:port/database, with the parameters
// host (the folder of a unix socket), sslmode (verify-full, the default, or
// disable) and sslrootcert. A password does not belong into a command line or
// into logs, so that one in the URL is an error; its source comes beside it.
func ParseDatabaseURL(s string, password config.Source) (Database, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The error would quote the URL.
		return Database{}, errors.New("the database's URL cannot be read: write postgres://user@host:port/database")
	case u.Scheme != "postgres" && u.Scheme != "postgresql", u.Opaque != "", u.Fragment != "", u.User.Username() == "":
		return Database{}, errors.New("write the database's URL as postgres://user@host:port/database")
	}
	if _, there := u.User.Password(); there {
		return Database{}, errors.New("a password in a URL ends in logs and lists of processes: give its file or environment variable")
	}
	d := Database{Name: strings.TrimPrefix(u.Path, "/"), Host: u.Hostname(), User: u.User.Username(), Password: password}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			return Database{}, errors.New("the port in the database's URL is no port")
		}
		d.Port = uint16(port)
	}
	for key, values := range u.Query() {
		if len(values) != 1 {
			return Database{}, fmt.Errorf("the parameter %s stands twice", key)
		}
		switch key {
		case "host":
			if d.Host != "" || !strings.HasPrefix(values[0], "/") {
				return Database{}, errors.New("the parameter host is the folder of a unix socket, instead of a host")
			}
			d.Host = values[0]
		case "port":
			port, err := strconv.ParseUint(values[0], 10, 16)
			if err != nil {
				return Database{}, errors.New("the parameter port is no port")
			}
			d.Port = uint16(port)
		case "sslmode":
			d.TLS.Mode = values[0]
		case "sslrootcert":
			d.TLS.CAFile = values[0]
		default:
			return Database{}, fmt.Errorf("the parameter %s is unknown; there are host, port, sslmode and sslrootcert", key)
		}
	}
	return d, nil
}
