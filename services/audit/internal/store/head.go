package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/scopewire/scopewire/services/audit/internal/chain"
)

// The head file has two slots, written in turn, so that a torn write leaves the
// other one. A slot is
//
//	magic "SCWAHEA1" | sequence u64 | segment u64 | length u64 | hash [32] |
//	CRC32C u32
const (
	headName  = "head"
	headMagic = "SCWAHEA1"
	slotSize  = 8 + 8 + 8 + 8 + 32 + 4
)

func (p position) appendSlot(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, headMagic...)
	dst = binary.BigEndian.AppendUint64(dst, p.sequence)
	dst = binary.BigEndian.AppendUint64(dst, p.segment)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.length)) //nolint:gosec // G115: a length.
	dst = append(dst, p.hash[:]...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crc32.MakeTable(crc32.Castagnoli)))
}

func parseSlot(b []byte) (p position, ok bool) {
	if len(b) < slotSize || !bytes.HasPrefix(b, []byte(headMagic)) ||
		crc32.Checksum(b[:slotSize-4], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(b[slotSize-4:]) {
		return position{}, false
	}
	p.sequence = binary.BigEndian.Uint64(b[8:])
	p.segment = binary.BigEndian.Uint64(b[16:])
	p.length = int64(binary.BigEndian.Uint64(b[24:])) //nolint:gosec // G115: as written by appendSlot.
	copy(p.hash[:], b[32:])
	return p, true
}

// readHead returns the newest slot; zero when there is no file. ok is false when
// there is one and neither slot can be read.
func (s *Store) readHead() (p position, ok bool, err error) {
	b, err := s.deps.FS.ReadFile(filepath.Join(s.cfg.Directory, headName))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0 {
		return position{}, true, nil
	}
	if err != nil {
		return position{}, false, fmt.Errorf("read the audit store's head: %w", err)
	}
	for _, at := range []int{0, slotSize} {
		if at > len(b) {
			break
		}
		if q, valid := parseSlot(b[at:]); valid {
			ok = true
			if q.sequence >= p.sequence {
				p = q
				s.headSlot = int64(at)
			}
		}
	}
	// A first write that was torn leaves less than a slot.
	return p, ok || len(b) < slotSize, nil
}

// noteHead writes how far the store is. Its failure loses no event, only the
// proof that a tail is missing, so it is logged and tried again next time.
func (s *Store) noteHead(sync bool) {
	if s.head.sequence == 0 {
		return
	}
	err := s.writeHead()
	now := s.deps.Clock.Now()
	if err == nil && (sync || now.Sub(s.headSynced) >= headInterval) {
		err = s.headFile.Sync()
		s.headSynced = now
	}
	if err != nil {
		s.deps.Log.Error("the audit store's head could not be written", "error", err)
		if s.headFile != nil {
			_ = s.headFile.Close()
			s.headFile = nil
		}
	}
}

func (s *Store) writeHead() error {
	if s.headFile == nil {
		f, err := s.deps.FS.OpenFile(filepath.Join(s.cfg.Directory, headName), os.O_RDWR|os.O_CREATE, fileMode)
		if err != nil {
			return err
		}
		s.headFile = f
		if err := s.deps.FS.SyncDir(s.cfg.Directory); err != nil {
			return err
		}
	}
	s.headSlot = slotSize - s.headSlot
	if _, err := s.headFile.Seek(s.headSlot, io.SeekStart); err != nil {
		return err
	}
	n, err := s.headFile.Write(s.head.appendSlot(nil))
	if err == nil && n < slotSize {
		err = io.ErrShortWrite
	}
	return err
}

// confirm compares what the segments hold with what the head file says they
// held.
func (s *Store) confirm(noted position, seen chain.Hash, found bool) {
	switch {
	case noted.sequence == 0:
	case noted.sequence > s.head.sequence:
		s.problem("records %d to %d were stored and are missing at the end", s.head.sequence+1, noted.sequence)
		// Their numbers are not given out again.
		s.head.sequence = noted.sequence
	case found && seen != noted.hash:
		s.problem("record %d is not the one that was stored: its hash differs from the head's", noted.sequence)
	}
}
