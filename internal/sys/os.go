package sys

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// OS returns the real machine.
func OS() System {
	return System{Clock: osClock{}, Net: osNet{}, FS: osFS{}, Rand: osRand{}}
}

type osClock struct{}

func (osClock) Now() time.Time { return time.Now() }

func (osClock) NewTimer(d time.Duration) Timer { return osTimer{time.NewTimer(d)} }

func (osClock) AfterFunc(d time.Duration, f func()) Timer { return osTimer{time.AfterFunc(d, f)} }

type osTimer struct{ t *time.Timer }

func (t osTimer) C() <-chan time.Time        { return t.t.C }
func (t osTimer) Stop() bool                 { return t.t.Stop() }
func (t osTimer) Reset(d time.Duration) bool { return t.t.Reset(d) }

type osNet struct{}

func (osNet) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func (osNet) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, network, address)
}

type osRand struct{}

// Read uses crypto/rand.Read, which since Go 1.24 never returns an error.
func (osRand) Read(p []byte) { _, _ = rand.Read(p) }

type osFS struct{}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

type osFile struct{ *os.File }

func (f osFile) Allocate(size int64) error { return allocate(f.File, size) }

func (f osFile) SyncData() error { return syncData(f.File) }

func (f osFile) Map(size int64) (Mapping, error) { return mapFile(f.File, size) }

func (osFS) ReadFile(name string) ([]byte, error)         { return os.ReadFile(name) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (osFS) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }
func (osFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osFS) Rename(oldname, newname string) error         { return os.Rename(oldname, newname) }
func (osFS) Remove(name string) error                     { return os.Remove(name) }

func (osFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

func writeFileAtomic(fsys FS, name string, data []byte, perm fs.FileMode) error {
	tmp := name + ".tmp"
	f, err := fsys.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err == nil {
		err = fsys.SyncDir(filepath.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
