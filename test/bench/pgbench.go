package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load is one run of pgbench.
type load struct {
	// Protocol is simple, extended or prepared; empty for simple.
	Protocol string
	Clients  int
	Seconds  int
	// Script replaces pgbench's own SELECT by key.
	Script string
	// Connects makes a connection for each transaction.
	Connects bool
	// Latencies writes down how long each transaction took.
	Latencies bool
	TLS       bool
}

// outcome is what pgbench says of a run.
type outcome struct {
	Transactions int
	TPS          float64
	// Latencies are in order, and empty unless asked for.
	Latencies []time.Duration
}

var (
	processedLine = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	tpsLine       = regexp.MustCompile(`tps = ([0-9.]+)`)
	failedLine    = regexp.MustCompile(`number of failed transactions: (\d+)`)
)

// run runs pgbench against an address.
func (l load) run(ctx context.Context, at target) (outcome, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	args := []string{"-n", "-M", l.protocol(), "-c", strconv.Itoa(l.Clients), "-j", strconv.Itoa(min(l.Clients, 2)), "-T", strconv.Itoa(l.Seconds)}
	if l.Connects {
		args = append(args, "-C")
	}
	if l.Latencies {
		args = append(args, "-l", "--log-prefix", filepath.Join(dir, "log"))
	}
	if l.Script == "" {
		args = append(args, "-S")
	} else {
		file := filepath.Join(dir, "script.sql")
		if err := os.WriteFile(file, []byte(l.Script), 0o600); err != nil {
			return outcome{}, err
		}
		args = append(args, "-f", file)
	}
	cmd := exec.CommandContext(ctx, "pgbench", append(args, at.dsn(l.TLS))...) //nolint:gosec // G204: our own arguments.
	cmd.Env = at.environment()
	out, err := cmd.CombinedOutput()
	// What makes clients give up is no failure of the program's before 15.
	if err != nil || bytes.Contains(out, []byte("aborted")) {
		return outcome{}, fmt.Errorf("pgbench through %s: %w\n%s", at.Name, err, out)
	}
	o, err := readOutcome(string(out))
	if err != nil || !l.Latencies {
		return o, err
	}
	o.Latencies, err = readLatencies(dir)
	return o, err
}

func (l load) protocol() string {
	if l.Protocol == "" {
		return "simple"
	}
	return l.Protocol
}

func readOutcome(out string) (outcome, error) {
	processed, tps := processedLine.FindStringSubmatch(out), tpsLine.FindStringSubmatch(out)
	if processed == nil || tps == nil {
		return outcome{}, fmt.Errorf("pgbench said:\n%s", out)
	}
	if failed := failedLine.FindStringSubmatch(out); failed != nil && failed[1] != "0" {
		return outcome{}, fmt.Errorf("transactions failed:\n%s", out)
	}
	n, err := strconv.Atoi(processed[1])
	if err != nil {
		return outcome{}, err
	}
	rate, err := strconv.ParseFloat(tps[1], 64)
	return outcome{Transactions: n, TPS: rate}, err
}

// readLatencies reads pgbench's logs: client, number, microseconds, ….
func readLatencies(dir string) ([]time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	for _, file := range files {
		b, err := os.ReadFile(file) //nolint:gosec // G304: our own folder.
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			fields := strings.Fields(line)
			if len(fields) < 3 {
				return nil, fmt.Errorf("%s: %q", file, line)
			}
			us, err := strconv.ParseInt(fields[2], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", file, line, err)
			}
			all = append(all, time.Duration(us)*time.Microsecond)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("pgbench logged no transaction in %s", dir)
	}
	slices.Sort(all)
	return all, nil
}

// quantile is a value of an ordered list.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
