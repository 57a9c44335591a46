package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// runtimeDir is where a running `scopewire up` or `scopewire demo` of this user
// is found by the other commands: it holds the sockets of the audit service and of authz,
// and the demo's description. It is the user's alone, since whoever can connect to the
// sockets can read what was recorded, and revoke.
func runtimeDir() (string, error) {
	dir := os.Getenv("SCOPEWIRE_RUNTIME_DIR")
	if dir == "" {
		if base := os.Getenv("XDG_RUNTIME_DIR"); base != "" {
			dir = filepath.Join(base, "scopewire")
		} else {
			dir = filepath.Join(os.TempDir(), "scopewire-"+strconv.Itoa(os.Getuid()))
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make runtime directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at runtime directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("runtime directory %s is not a directory of yours alone (mode 0700): remove it, or set SCOPEWIRE_RUNTIME_DIR", dir)
	}
	return dir, nil
}

// The files of the runtime directory.
const (
	auditSocket = "audit.sock"
	authzSocket = "authz.sock"
	demoFile    = "demo.json"
)
