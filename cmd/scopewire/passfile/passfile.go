// Package passfile hands a token to PostgreSQL clients by a password file of
// libpq's form, which most drivers read (PGPASSFILE).
//
// The first line has the token as the password for the proxy's host and port, and
// for no other server; the lines of the person's own file follow, so that clients
// find there what they found before. The file can be written again while clients
// run: whoever connects anew reads it anew.
//
// Format and escapes: PostgreSQL's documentation, "The Password File", and
// passwordFromFile of fe-connect.c, which skips a file that others can read.
package passfile

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
)

// prefix begins the name of every file, before the process's id.
const prefix = "pgpass-"

// File is a password file of this process.
type File struct {
	fs         sys.FS
	name       string
	host, port string
	own        []byte
}

// New makes a name for a file in dir, which has to be the user's alone, and clears
// away what dead processes left. address is the proxy's host:port; own is the
// person's password file, which may be missing.
func New(fsys sys.FS, dir, address, own string) (*File, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("the proxy's address is host:port, not %q", address)
	}
	f := &File{fs: fsys, name: filepath.Join(dir, prefix+strconv.Itoa(os.Getpid())), host: host, port: port}
	if err := f.sweep(dir); err != nil {
		return nil, err
	}
	if f.own, err = ownLines(fsys, own); err != nil {
		return nil, err
	}
	return f, nil
}

// ownLines reads the person's file as libpq would: not when others can read it.
func ownLines(fsys sys.FS, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0) {
		return nil, nil
	}
	var lines []byte
	if err == nil {
		lines, err = fsys.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read your password file: %w", err)
	}
	return lines, nil
}

// Name is the file's name, for PGPASSFILE.
func (f *File) Name() string { return f.name }

// Write puts a token into the file, in the place of the one before.
func (f *File) Write(token secret.Bytes) error {
	var b strings.Builder
	for _, field := range []string{f.host, f.port, "*", "*", string(token.Expose())} {
		if strings.ContainsAny(field, "\r\n\x00") {
			return errors.New("write password file: a line of it cannot hold the token or the address")
		}
		if b.Len() > 0 {
			b.WriteByte(':')
		}
		b.WriteString(escape(field))
	}
	b.WriteByte('\n')
	b.Write(f.own)
	return sys.WriteFileAtomic(f.fs, f.name, []byte(b.String()), 0o600)
}

// escape writes a field so that no part of it ends it.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(s)
}

// Remove removes the file. That there is none is no error.
func (f *File) Remove() error {
	if err := f.fs.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove password file: %w", err)
	}
	return nil
}

// sweep removes the files of processes that are no more: they were killed.
func (f *File) sweep(dir string) error {
	entries, err := f.fs.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for old password files: %w", err)
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), prefix)
		pid, err := strconv.Atoi(strings.TrimSuffix(rest, ".tmp"))
		if !ours || err != nil || pid <= 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := f.fs.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an old password file: %w", err)
		}
	}
	return nil
}
