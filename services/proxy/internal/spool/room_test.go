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

// However many statements are under way when something else fills the disk, each has its
// outcome on record, and without another segment: half of them are taken before the disk
// is full, and what else may use the reserve has used all of it.
func TestFault_F19_DiskFullUnderWay(t *testing.T) {
	disk := small(t)
	s := open(t, spool.Config{Dir: filepath.Join(disk, "spool"), MaxBytes: 2 << 20}, nil)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	var rooms []int64
	var acknowledged []string
	intend := func() error {
		name := fmt.Sprintf("intent-%d", len(rooms))
		room, err := s.AppendIntent(event(name, 100), false)
		if err == nil {
			rooms, acknowledged = append(rooms, room), append(acknowledged, name)
		}
		return err
	}
	for range 50 {
		must(t, intend())
	}
	other := filepath.Join(disk, "other")
	if err := os.WriteFile(other, bytes.Repeat([]byte{1}, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	var err error
	for err == nil {
		err = intend()
	}
	if !errors.Is(err, spool.ErrFull) || !errors.Is(err, syscall.ENOSPC) || len(rooms) < 300 {
		t.Fatalf("%d intents fill a segment: %v", len(rooms), err)
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("last-%d", i)
		if err := s.AppendLast(event(name, 1000)); errors.Is(err, spool.ErrFull) && i > 100 {
			break
		} else if err != nil {
			t.Fatalf("the reserve took %d events: %v", i, err)
		}
		acknowledged = append(acknowledged, name)
	}
	for i, room := range rooms {
		name := fmt.Sprintf("outcome-%d", i)
		if err := s.AppendAfter(event(name, 400), room); err != nil {
			t.Fatalf("outcome %d of %d: %v", i, len(rooms), err)
		}
		acknowledged = append(acknowledged, name)
	}
	if n := len(segments(t, filepath.Join(disk, "spool"))); n != 1 {
		t.Errorf("%d segments on a full disk", n)
	}
	must(t, os.Remove(other))
	must(t, s.Append(event("later", 100)))
	in.up()
	wantAll(t, in, append(acknowledged, "later"))
	stop()
}

// Room that was kept comes back, whether the outcome could be written or not.
func TestFault_F19_RoomComesBack(t *testing.T) {
	const most = 64 << 10
	s := open(t, spool.Config{Dir: t.TempDir(), MaxBytes: most}, nil)
	in := newIngest()
	in.down = true
	stop := running(t, s, in)
	overlong := event("outcome", 1<<20)
	kept := int64(0)
	for range 300 {
		room, err := s.AppendIntent(event("intent", 1), false)
		must(t, err)
		if err := s.AppendAfter(overlong, room); err == nil {
			t.Fatal("an outcome over the limit was taken")
		}
		kept += room
	}
	if kept < 2*most {
		t.Errorf("only %d bytes were kept: this shows nothing", kept)
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
	in := newIngest()
	in.mute = true
	running(t, s, in)
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
