package demo

import "fmt"

type configValues struct {
	Dir, Listen, Host, Port, Limits, Issuer, Database, Logins, Proxy, Keys string
}

// configFile is the demo's configuration: a complete one, with TLS everywhere it
// can be.
func configFile(v configValues) string {
	limits := v.Limits
	if limits == "" {
		limits = "{}"
	}
	return fmt.Sprintf(`# Configuration of a running demo: what "scopewire up -c" takes.
proxy:
  instance: demo
  listeners:
    - address: %[2]s
      tls: {cert_file: %[1]s/server.crt, key_file: %[1]s/server.key}
      oauth: {issuer: "%[9]s"}
  databases:
    - name: %[5]s
      host: %[3]s
      port: %[4]s
      tls: {ca_file: %[1]s/ca.crt}
%[10]s      logins:
        - name: app
          user: %[6]s
          password: {file: %[1]s/app.password}
%[11]s  spool: {dir: %[1]s/spool}
  limits: %[8]s
%[12]sauthz:
  policy: {file: %[1]s/policy.yaml}
  state: {memory: true}
  keys: {ca_file: %[1]s/ca.crt%[13]s}
  catalog:
    databases:
      - name: %[5]s
        host: %[3]s
        port: %[4]s
        user: %[7]s
        password: {file: %[1]s/catalog.password}
        tls: {ca_file: %[1]s/ca.crt}
audit:
  store: {directory: %[1]s/audit}
`, v.Dir, v.Listen, v.Host, v.Port, Database, appRole, catalogRole, limits, v.Issuer, v.Database, v.Logins, v.Proxy, v.Keys)
}
