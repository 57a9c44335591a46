package pgboot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// writeSettings appends to postgresql.conf, where the last of several lines for
// a setting wins.
func writeSettings(data, socketDir string, port int, c Config) error {
	set := map[string]string{
		"unix_socket_directories": socketDir,
		"listen_addresses":        "",
		"port":                    strconv.Itoa(port),
		"log_destination":         "stderr",
		"logging_collector":       "off",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"ssl":                     "off",
		// A join that a test did not mean must not fill the machine's disk.
		"temp_file_limit": "1GB",
	}
	if c.TCP {
		set["listen_addresses"] = "127.0.0.1"
	}
	if !c.Fsync {
		set["fsync"] = "off"
		set["synchronous_commit"] = "off"
		set["full_page_writes"] = "off"
	}
	if c.TLS != nil {
		set["ssl"] = "on"
		set["ssl_cert_file"] = "server.crt"
		set["ssl_key_file"] = "server.key"
		if c.TLS.ClientCAFile != "" {
			set["ssl_ca_file"] = "root.crt"
		}
	}
	for name, value := range c.Settings {
		set[name] = value
	}
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		// In a configuration file a quote is doubled and a backslash escapes
		// (PostgreSQL documentation, section 19.1.2).
		value := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(set[name])
		fmt.Fprintf(&b, "%s = '%s'\n", name, value)
	}
	return appendFile(filepath.Join(data, "postgresql.conf"), "\n"+b.String())
}

// writeHBA puts c's lines before those of initdb: the first that matches wins.
func writeHBA(data string, c Config) error {
	if len(c.HBA) == 0 {
		return nil
	}
	name := filepath.Join(data, "pg_hba.conf")
	old, err := os.ReadFile(name) //nolint:gosec // G304: a file of the server's folder
	if err != nil {
		return err
	}
	return os.WriteFile(name, append([]byte(strings.Join(c.HBA, "\n")+"\n"), old...), 0o600) //nolint:gosec // G703: a file of the server's folder
}

// copyCertificates copies the files of c.TLS into the data folder, where the
// server looks for relative names and owns what it reads.
func copyCertificates(data string, c Config) error {
	if c.TLS == nil {
		return nil
	}
	for name, source := range map[string]string{
		"server.crt": c.TLS.CertFile, "server.key": c.TLS.KeyFile, "root.crt": c.TLS.ClientCAFile,
	} {
		if source == "" {
			continue
		}
		pem, err := os.ReadFile(source) //nolint:gosec // G304: the caller names the file
		if err != nil {
			return fmt.Errorf("copy certificate: %w", err)
		}
		if err := os.WriteFile(filepath.Join(data, name), pem, 0o600); err != nil { //nolint:gosec // G703: constant names in the server's folder
			return fmt.Errorf("copy certificate: %w", err)
		}
	}
	return nil
}

func appendFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // G304: a file of the server's folder
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
