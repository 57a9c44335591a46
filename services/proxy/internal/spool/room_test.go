package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/spool"
)

// small mounts a file system of a mebibyte and a half, or says why it cannot.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1536k")
	if errors.Is(err, unix.EPERM) {
		t.Skip("mounting is not permitted")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that something else fills makes the spool refuse, between records, with what
// is last going on from the reserve; with room again the spool goes on by itself, and
// all that was acknowledged arrives.
func TestFault_F19_DiskFull(t *testing.T) {
	disk := small(t)
	dir := filepath.Join(disk, "spool")
	s := open(t, spool.Config{Dir: dir, MaxBytes: 1 << 20}, nil)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	other := filepath.Join(disk, "other")
	if err := os.WriteFile(other, bytes.Repeat([]byte{1}, 1200<<10), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	var acknowledged []string
	add := func(write func(*auditv1.Event) error) error {
		name := fmt.Sprintf("event-%d", len(acknowledged))
		err := write(event(name, 1000))
		if err == nil {
			acknowledged = append(acknowledged, name)
		}
		return err
	}
	var err error
	for err == nil {
		err = add(s.Append)
	}
	if !errors.Is(err, spool.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a full disk answers %v", err)
	}
	if len(acknowledged) < 100 {
		t.Fatalf("%d events fill a segment", len(acknowledged))
	}
	for i := range 100 {
		if err := add(s.AppendLast); err != nil {
			t.Fatalf("the reserve took %d events: %v", i, err)
		}
		if err := add(s.Append); !errors.Is(err, spool.ErrFull) {
			t.Fatalf("a full disk answers %v", err)
		}
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := add(s.Append); err != nil {
			t.Fatalf("with room again: %v", err)
		}
	}
	in.up()
	wantAll(t, in, acknowledged)
	if !in.ordered() {
		t.Error("events arrived out of order")
	}
	stop()
}

// The reserve of a spool that holds as much as it may is for what is last.
func TestFault_F19_Reserve(t *testing.T) {
	var log bytes.Buffer
	s, err := spool.Open(spool.Config{Dir: t.TempDir(), Instance: "proxy-1", MaxBytes: 1 << 20, Mode: spool.ModeGroup},
		spool.Deps{System: system(nil), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for err == nil {
		err = s.Append(event("e", 1000))
		if err == nil && s.Bytes() < 800<<10 && log.Len() > 0 {
			t.Fatalf("an alarm at %d bytes: %s", s.Bytes(), log.String())
		}
	}
	if !errors.Is(err, spool.ErrFull) || s.Bytes() < 880<<10 {
		t.Fatalf("%d bytes are full: %v", s.Bytes(), err)
	}
	n := 0
	for err = nil; err == nil; n++ {
		err = s.AppendLast(event("last", 1000))
	}
	if n < 100 || !errors.Is(err, spool.ErrFull) {
		t.Errorf("the reserve took %d events: %v", n, err)
	}
	if s.Bytes() > 1<<20 {
		t.Errorf("the spool holds %d bytes", s.Bytes())
	}
	if c := bytes.Count(log.Bytes(), []byte("nearly full")); c != 1 {
		t.Errorf("%d alarms: %s", c, log.String())
	}
}
