// Package journal reports to audit what operators did: tokens revoked, policies changed.
//
// The state keeps each act together with what it changed, and this package sends them to
// audit's ingest as a proxy sends its spool: in order, under the state's epoch, and again
// until audit has acknowledged them. Audit away holds up nobody; the acts wait in the
// state. Beyond a thousand the oldest are lost, which audit is told as a gap.
package journal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

// Acts are those that wait; package state says how. Safe for concurrent use.
type Acts interface {
	Acts() (epoch state.ActEpoch, reported uint64, acts []state.Act)
	Reported(number uint64) error
}

// Deps are what a Journal works with.
type Deps struct {
	Clock  sys.Clock
	Logger *slog.Logger
	Acts   Acts
	Audit  auditv1.AuditIngestServiceClient
	// Instance is the name under which acts are reported.
	Instance string
}

const (
	// look is the time between two looks for acts, retry that after a failure.
	look  = 200 * time.Millisecond
	retry = 2 * time.Second
	// answer is how long audit may take to make a batch durable.
	answer = 10 * time.Second
	// batch is the most acts that are sent at once.
	batch = 100
)

// Run reports acts until ctx ends. It returns nil.
func Run(ctx context.Context, d Deps) error {
	timer := d.Clock.NewTimer(0)
	defer timer.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		}
		err := d.report(ctx)
		switch {
		case err == nil && failing:
			d.Logger.Info("acts of operators are reported to audit again")
		case err != nil && !failing && ctx.Err() == nil:
			d.Logger.Warn("acts of operators cannot be reported to audit", "error", err)
		}
		failing = err != nil
		if failing {
			timer.Reset(retry)
		} else {
			timer.Reset(look)
		}
	}
}

// report sends what waits, one batch after the other.
func (d Deps) report(ctx context.Context) error {
	_, _, acts := d.Acts.Acts()
	if len(acts) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.Audit.Append(ctx)
	if err != nil {
		return fmt.Errorf("open stream to audit: %w", err)
	}
	for number := uint64(1); ; number++ {
		epoch, reported, acts := d.Acts.Acts()
		if len(acts) == 0 {
			return nil
		}
		req, err := d.request(number, epoch, reported, acts[:min(len(acts), batch)])
		if err != nil {
			return err
		}
		last := req.GetFirstSequence() + uint64(len(req.GetRecords())) - 1
		// An audit that does not answer is left, and asked anew.
		late := d.Clock.AfterFunc(answer, cancel)
		resp, err := exchange(stream, req)
		late.Stop()
		if err != nil {
			return fmt.Errorf("report to audit: %w", err)
		}
		if resp.GetBatchId() != number || resp.GetDurableSequence() < last {
			return errors.New("report to audit: it acknowledged something else")
		}
		if err := d.Acts.Reported(last); err != nil {
			return fmt.Errorf("note what audit has: %w", err)
		}
	}
}

// stream is an open Append.
type stream interface {
	Send(*auditv1.AppendRequest) error
	Recv() (*auditv1.AppendResponse, error)
}

func exchange(s stream, req *auditv1.AppendRequest) (*auditv1.AppendResponse, error) {
	if err := s.Send(req); err != nil {
		// What it ended by, Recv says.
		if _, cause := s.Recv(); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return s.Recv()
}

// request is a batch of acts that follow one another.
func (d Deps) request(number uint64, epoch state.ActEpoch, reported uint64, acts []state.Act) (*auditv1.AppendRequest, error) {
	req := &auditv1.AppendRequest{BatchId: number, Instance: d.Instance, SpoolEpoch: epoch[:], FirstSequence: acts[0].Number}
	if first := reported + 1; first < acts[0].Number {
		req.Lost = []*auditv1.SequenceRange{{First: first, Last: acts[0].Number - 1}}
	}
	for i, act := range acts {
		if act.Number != req.FirstSequence+uint64(i) {
			break // The rest is the next batch's.
		}
		record, err := proto.Marshal(d.event(epoch, act))
		if err != nil {
			return nil, fmt.Errorf("encode act %d: %w", act.Number, err)
		}
		req.Records = append(req.Records, record)
	}
	return req, nil
}

// event is an act as audit stores it. It is the same whenever it is made.
func (d Deps) event(epoch state.ActEpoch, act state.Act) *auditv1.Event {
	ref := eventID(epoch, act)
	ev := &auditv1.Event{
		SchemaVersion: 1, EventId: ref[:], Time: timestamppb.New(act.At),
		Origin:         &auditv1.Origin{Instance: d.Instance, SpoolEpoch: epoch[:], Sequence: act.Number},
		Administration: &auditv1.Administration{Caller: act.Caller, Note: act.Note},
	}
	if act.Revocation != nil {
		ev.Type, ev.Administration.Revocation = auditv1.EventType_EVENT_TYPE_TOKENS_REVOKED, act.Revocation
		ev.Epoch = &authzv1.Epoch{Revocation: act.Revocation.GetNumber()}
	}
	if p := act.Policy; p != nil {
		ev.Type = auditv1.EventType_EVENT_TYPE_POLICY_CHANGED
		ev.Administration.Policy = &authzv1.PolicyRevision{Revision: p.Number, Digest: p.Digest[:], LoadedAtMicros: p.Loaded.UnixMicro()}
		ev.Epoch = &authzv1.Epoch{Policy: p.Number}
	}
	return ev
}

// eventID is a UUIDv7 (RFC 9562 section 5.7) of the act's time, and in place of random
// bits of a digest of its number: an act that is reported twice has one id.
func eventID(epoch state.ActEpoch, act state.Act) [16]byte {
	var number, ms [8]byte
	binary.BigEndian.PutUint64(number[:], act.Number)
	binary.BigEndian.PutUint64(ms[:], uint64(act.At.UnixMilli())) //nolint:gosec // G115: a time after 1970.
	sum := sha256.Sum256(append(epoch[:], number[:]...))
	ref := [16]byte(sum[:16])
	copy(ref[:6], ms[2:])
	ref[6] = ref[6]&0x0f | 0x70
	ref[8] = ref[8]&0x3f | 0x80
	return ref
}
