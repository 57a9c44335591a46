package bench

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
)

var (
	whole   = flag.Bool("peers", false, "measure beside the peers, which takes long")
	rounds  = flag.Int("rounds", 5, "rounds, of which the median is taken")
	seconds = flag.Int("seconds", 3, "length of one run of pgbench")
	clients = flag.String("clients", "1,8,32,128", "numbers of clients")
	only    = flag.String("cells", "", "only cells whose name holds this")
	output  = flag.String("report", "", "folder for report, figures and charts; empty: the report is printed alone")
)

// inEveryRun are the cells that show that all kinds of measuring work.
var inEveryRun = []string{"prepared, 2 clients", "simple, 2 clients, TLS", "connect, 8 clients", "miss, 1 clients", "denials, 8 clients"}

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestPeers measures where -peers asks for it; without that, that what measures works: each
// cell once, for a second.
func TestPeers(t *testing.T) {
	numbers, length, times := []int{2}, 1, 1
	if *whole {
		numbers, length, times = nil, *seconds, *rounds
		for _, text := range strings.Split(*clients, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
	} else if _, err := exec.LookPath("pgbench"); err != nil {
		t.Skip("pgbench is not installed")
	}
	targets := worldOf(t)
	var cells []cell
	for _, c := range cellsOf(length, numbers) {
		if *whole && strings.Contains(c.Name, *only) || !*whole && slices.Contains(inEveryRun, c.Name) {
			cells = append(cells, c)
		}
	}
	begin := time.Now()
	samples, err := measureAll(t.Context(), targets, cells, times, func(line string) {
		if *whole {
			fmt.Fprintf(os.Stderr, "%6.0fs %s\n", time.Since(begin).Seconds(), line)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := report{Samples: samples, Rounds: times, Seconds: length}
	text := r.markdown()
	if !*whole {
		for _, at := range targets {
			if !strings.Contains(text, at.Name) {
				t.Errorf("the report does not name %s:\n%s", at.Name, text)
			}
		}
		for _, name := range inEveryRun {
			if !strings.Contains(text, "| "+name+" | scopewire |") {
				t.Errorf("the report has no %s of Scopewire:\n%s", name, text)
			}
		}
		return
	}
	t.Log("\n" + text)
	if *output != "" {
		if err := r.write(*output); err != nil {
			t.Fatal(err)
		}
	}
}

// worldOf starts PostgreSQL, Scopewire and the peers that are installed.
func worldOf(t *testing.T) []target {
	t.Helper()
	p := cluster.StartProcesses(t, demo.Config{
		Schema: "CREATE TABLE bulk (i int, v text); CREATE TABLE secret (id int, note text);",
		SQL:    "GRANT CREATE, USAGE ON SCHEMA public TO shop_app",
		Scopes: `  bench:
    - actions: [select]
      objects: [public.pgbench_accounts, public.pgbench_branches]
    - actions: [insert]
      objects: [public.bulk]
      trusted: true
    - presets: [introspection]
`,
		Users:            []demo.User{{Name: "client", Scopes: []string{"bench"}}},
		TokenLifetime:    12 * time.Hour,
		PostgresSettings: map[string]string{"max_connections": "2600", "shared_buffers": "256MB", "fsync": "off", "max_wal_size": "8GB"},
	})
	super := p.Postgres.ConnString(demo.Database)
	pgbenchInit(t, super)
	app, _ := p.Roles()
	// Rows of COPY are thrown away, so that the table is the same in each run.
	pgtest.Exec(t, super, "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO "+app+`;
		CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER thrown_away BEFORE INSERT ON bulk FOR EACH ROW EXECUTE FUNCTION nothing()`)
	password, err := os.ReadFile(filepath.Join(p.Dir, "app.password"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.Token("client")
	if err != nil {
		t.Fatal(err)
	}
	shared := sharedDir(t)
	f := files{dir: shared, server: p.Postgres.Addr, database: demo.Database, user: app, password: strings.TrimSpace(string(password)),
		pgbouncerAddr: p.Address(t), haproxyTCP: p.Address(t)}
	f.certificate, f.key = readable(t, shared, filepath.Join(p.Dir, "front.crt")), readable(t, shared, filepath.Join(p.Dir, "front.key"))
	targets := []target{{Name: "direct", Plain: f.server, Secure: f.server, User: f.user, Password: f.password, Database: f.database}}
	for _, peer := range []func(testing.TB, files) (target, bool){pgbouncer, haproxy} {
		if at, found := peer(t, f); found {
			targets = append(targets, at)
		}
	}
	plain, secure, admin := p.Address(t), p.Address(t), p.Address(t)
	host, port := split(t, f.server)
	proxy := p.FurtherProxy(t, admin, write(t, p.Dir, "bench.yaml", fmt.Sprintf(`
instance: bench
listeners:
  - {address: %[1]q, insecure_loopback: true}
  - {address: %[2]q, tls: {cert_file: %[3]s/front.crt, key_file: %[3]s/front.key}}
databases:
  - name: %[4]s
    host: %[5]s
    port: %[6]s
    tls: {mode: disable}
    logins: [{name: app, user: %[7]s, password: {file: %[3]s/app.password}}]
authz: {address: %[8]q, server_name: localhost, tls: {cert_file: %[3]s/proxy.crt, key_file: %[3]s/proxy.key, ca_file: %[3]s/ca.crt}}
audit: {address: %[9]q, server_name: localhost, tls: {cert_file: %[3]s/proxy.crt, key_file: %[3]s/proxy.key, ca_file: %[3]s/ca.crt}}
spool: {dir: %[3]s/bench-spool}
limits: {decision: 5s, staleness: 3s, sessions_per_principal: 5000, denials_per_principal: 1000000}
admin: {address: %[10]q}
`, plain, secure, p.Dir, demo.Database, host, port, app, p.AuthzAddr, p.AuditAddr, admin)))
	p.Proxy.Stop()
	return append(targets, target{Name: "scopewire", Plain: plain, Secure: secure, User: app, Password: token, Database: demo.Database,
		PID: proxy.PID(), Others: map[string]int{"authz": p.Authz.PID(), "audit": p.Audit.PID()}})
}

// sharedDir is a folder that nobody can read.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "scopewire-bench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // G302: read by nobody.
		t.Fatal(err)
	}
	return dir
}

func readable(t *testing.T, dir, file string) string {
	t.Helper()
	b, err := os.ReadFile(file) //nolint:gosec // G304: the world's own.
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, filepath.Base(file), string(b))
}

// pgbenchInit makes pgbench's tables, 100,000 accounts.
func pgbenchInit(t *testing.T, dsn string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgbench", "-i", "-q", "-s", "1", dsn).CombinedOutput() //nolint:gosec // G204: the test's own server.
	if err != nil {
		t.Fatalf("pgbench -i: %v\n%s", err, out)
	}
}

func TestReadOutcome(t *testing.T) {
	const said = "transaction type: <builtin: select only>\nnumber of clients: 2\nnumber of transactions actually processed: 12345\n" +
		"number of failed transactions: 0 (0.000%)\nlatency average = 0.16 ms\ntps = 4115.25 (without initial connection time)\n"
	got, err := readOutcome(said)
	if err != nil || got.Transactions != 12345 || got.TPS != 4115.25 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", strings.Replace(said, "failed transactions: 0", "failed transactions: 7", 1), strings.Replace(said, "tps", "x", 1)} {
		if got, err := readOutcome(bad); err == nil {
			t.Errorf("%q gives %+v", bad, got)
		}
	}
}

func TestUsage(t *testing.T) {
	before, err := cpu(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for x := 0; ; x++ {
		// Until the kernel has charged something.
		after, err := cpu(os.Getpid())
		if err != nil || after < before {
			t.Fatalf("%v after %v: %v", after, before, err)
		}
		if after > before {
			break
		}
	}
	if held, err := memory(os.Getpid()); err != nil || held < 1<<20 {
		t.Errorf("this process holds %d bytes: %v", held, err)
	}
}

func TestReport(t *testing.T) {
	var samples []sample
	for round, base := range []time.Duration{20, 22, 30} {
		for name, factor := range map[string]time.Duration{"pgbouncer": 1, "scopewire": 2} {
			samples = append(samples, sample{Cell: "simple, 8 clients", Target: name, Round: round,
				Of: figures{TPS: 1000 / float64(factor), CPU: base * factor * time.Microsecond}})
		}
	}
	r := report{Samples: samples, Rounds: 3, Seconds: 1}
	text := r.markdown()
	for _, want := range []string{"| simple, 8 clients | pgbouncer | 1000 | 22.0 (20.0–30.0) |", "| simple, 8 clients | scopewire | 500 | 44.0 (40.0–60.0) | 2.00 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "figures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back []sample
	if err := json.Unmarshal(b, &back); err != nil || len(back) != len(samples) {
		t.Errorf("%d figures: %v", len(back), err)
	}
}

func TestTargetsAreAddresses(t *testing.T) {
	at := target{Name: "x", Plain: net.JoinHostPort("127.0.0.1", "1"), Secure: net.JoinHostPort("127.0.0.1", "2"), User: "u", Database: "d"}
	if got, want := at.dsn(true), "host=127.0.0.1 port=2 dbname=d user=u sslmode=require"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := (load{Clients: 1, Seconds: 1}).run(context.Background(), at); err == nil {
		t.Error("where nobody listens, pgbench succeeds")
	}
}
