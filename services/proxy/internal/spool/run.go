package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
)

const (
	// Batches end at whichever comes first. A batch has at most one record more
	// than batchBytes.
	batchRecords = 4096
	batchBytes   = 1 << 20
	// Reconnects to the audit service wait between these bounds.
	minReconnect = 100 * time.Millisecond
	maxReconnect = 2 * time.Second
	// gatherShipment is how long what is to be shipped waits for what comes behind it: one
	// batch costs either side about the same, however little is in it.
	gatherShipment = 20 * time.Millisecond
	// gatherSync is the age at which a record is put on disk in mode group. What is left of
	// groupWindow is the disk's, before a statement waits for it.
	gatherSync = groupWindow * 2 / 5
	// ackTimeout is how long the audit service may take to make a batch durable
	// before the stream is given up and opened again.
	ackTimeout = 10 * time.Second
)

// Run syncs the current segment and ships to client until ctx ends. It returns
// nil; failures are logged and tried again.
func (s *Spool) Run(ctx context.Context, client auditv1.AuditIngestServiceClient) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.syncLoop(ctx) })
	s.shipLoop(ctx, client)
	return nil
}

// pause waits for a time, or for the end of ctx.
func (s *Spool) pause(ctx context.Context, long time.Duration) {
	if long <= 0 {
		return
	}
	timer := s.sys.Clock.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}

// shipLoop opens a stream to the audit service whenever there is something to
// ship.
func (s *Spool) shipLoop(ctx context.Context, client auditv1.AuditIngestServiceClient) {
	wait := time.Duration(0)
	for ctx.Err() == nil {
		err := s.ship(ctx, client, func() { wait = 0 })
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("audit service not reached; events stay in the spool", "error", err, "bytes", s.Bytes())
		wait = min(max(minReconnect, wait*2), maxReconnect)
		s.pause(ctx, wait)
	}
}

// ship sends batches over one stream until it fails.
func (s *Spool) ship(ctx context.Context, client auditv1.AuditIngestServiceClient, progress func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Append(ctx)
	if err != nil {
		return fmt.Errorf("open audit stream: %w", err)
	}
	for id := uint64(1); ; {
		seg, sealed := s.head()
		sent, err := s.shipSegment(ctx, stream, cancel, seg, &id)
		if err != nil {
			return err
		}
		if sent {
			progress()
		}
		if sealed {
			if err := s.drop(seg); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.more:
			s.pause(ctx, gatherShipment)
		}
	}
}

// head is the oldest segment.
func (s *Spool) head() (seg *segment, sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg = s.segments[0]
	// The last segment is kept even when sealed, until the next one is begun: its
	// file may still be needed to number the next record.
	return seg, seg.sealed && len(s.segments) > 1
}

// drop deletes a segment that has been shipped in full.
func (s *Spool) drop(seg *segment) error {
	s.mu.Lock()
	seg.dropped = true
	s.mu.Unlock()
	if err := s.sys.FS.Remove(seg.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove shipped spool segment: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = s.segments[1:]
	s.bytes -= seg.size
	return nil
}

// appendStream is what shipSegment needs of a stream.
type appendStream interface {
	Send(*auditv1.AppendRequest) error
	Recv() (*auditv1.AppendResponse, error)
}

// shipSegment sends what a segment holds beyond what was acknowledged before,
// and waits for each batch to be durable. It reports whether anything was sent.
func (s *Spool) shipSegment(ctx context.Context, stream appendStream, cancel func(), seg *segment, id *uint64) (bool, error) {
	r, err := s.openReader(seg)
	if err != nil {
		return false, err
	}
	sent := false
	for ctx.Err() == nil {
		batch := r.batch()
		if batch == nil {
			return sent, nil
		}
		batch.BatchId, batch.Instance, batch.SpoolEpoch = *id, s.cfg.Instance, seg.epoch[:]
		*id++
		if err := s.deliver(stream, cancel, batch); err != nil {
			return sent, err
		}
		sent = true
		s.mu.Lock()
		seg.shipped, seg.shippedRecords, seg.damaged = r.offset, r.next-seg.first, r.damaged
		if seg.epoch == s.epoch {
			s.delivered = r.next - 1
		}
		s.mu.Unlock()
	}
	return sent, ctx.Err()
}

// deliver sends one batch and waits for its acknowledgement.
func (s *Spool) deliver(stream appendStream, cancel func(), batch *auditv1.AppendRequest) error {
	guard := s.sys.Clock.AfterFunc(ackTimeout, cancel)
	defer guard.Stop()
	if err := stream.Send(batch); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("send audit batch: %w", err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("await audit acknowledgement: %w", err)
		}
		if resp.GetBatchId() == batch.GetBatchId() {
			return nil
		}
	}
}
