package journal

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

// audit is an ingest that does to batches what the test says: nil keeps them.
type audit struct {
	mu    sync.Mutex
	fault func(*auditv1.AppendRequest) (*auditv1.AppendResponse, error)
	kept  []*auditv1.AppendRequest
}

func (a *audit) Append(ctx context.Context, _ ...grpc.CallOption) (grpc.BidiStreamingClient[auditv1.AppendRequest, auditv1.AppendResponse], error) {
	return &appending{ctx: ctx, audit: a}, nil
}

// errSilent stands for no answer.
var errSilent = errors.New("silent")

type appending struct {
	grpc.ClientStream
	ctx   context.Context //nolint:containedctx // The stream's.
	audit *audit
	sent  *auditv1.AppendRequest
}

func (s *appending) Send(req *auditv1.AppendRequest) error {
	s.sent = req
	return nil
}

func (s *appending) Recv() (*auditv1.AppendResponse, error) {
	s.audit.mu.Lock()
	fault := s.audit.fault
	s.audit.mu.Unlock()
	if fault != nil {
		resp, err := fault(s.sent)
		if errors.Is(err, errSilent) {
			<-s.ctx.Done()
			return nil, s.ctx.Err()
		}
		return resp, err
	}
	s.audit.mu.Lock()
	defer s.audit.mu.Unlock()
	s.audit.kept = append(s.audit.kept, s.sent)
	return &auditv1.AppendResponse{BatchId: s.sent.GetBatchId(), DurableSequence: s.sent.GetFirstSequence() + uint64(len(s.sent.GetRecords())) - 1}, nil
}

func (a *audit) set(fault func(*auditv1.AppendRequest) (*auditv1.AppendResponse, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// events are those that were kept, once each, in order.
func (a *audit) events(t *testing.T) (events []*auditv1.Event, lost []*auditv1.SequenceRange) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, req := range a.kept {
		lost = append(lost, req.GetLost()...)
		for i, record := range req.GetRecords() {
			ev := &auditv1.Event{}
			if err := proto.Unmarshal(record, ev); err != nil {
				t.Fatal(err)
			}
			if ev.GetOrigin().GetSequence() != req.GetFirstSequence()+uint64(i) || ev.GetOrigin().GetInstance() != req.GetInstance() {
				t.Errorf("event %d of a batch from %d: %v", i, req.GetFirstSequence(), ev.GetOrigin())
			}
			events = append(events, ev)
		}
	}
	return events, lost
}

func run(t *testing.T, acts Acts, a *audit) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- Run(ctx, Deps{Clock: sys.OS().Clock, Logger: slog.New(slog.DiscardHandler), Acts: acts, Audit: a, Instance: "authz"})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func revoke(t *testing.T, s state.Store, subject string) {
	t.Helper()
	if _, err := s.Revoke(&authzv1.Revocation{Subject: subject}, state.Actor{Caller: "admin/ops", Note: "why"}); err != nil {
		t.Fatal(err)
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	<-sys.OS().Clock.NewTimer(d).C()
	synctest.Wait()
}

// Acts are reported in order, whatever audit does meanwhile, and each as what it was.
func TestActsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.NewMemory(sys.OS().Clock)
		if err := s.KeepActs(state.ActEpoch{1}); err != nil {
			t.Fatal(err)
		}
		start := sys.OS().Clock.Now().UTC()
		a := &audit{}
		run(t, s, a)
		if _, err := s.NextPolicy(state.Digest{7}); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		for name, fault := range map[string]func(*auditv1.AppendRequest) (*auditv1.AppendResponse, error){
			"an error":  func(*auditv1.AppendRequest) (*auditv1.AppendResponse, error) { return nil, errors.New("away") },
			"no answer": func(*auditv1.AppendRequest) (*auditv1.AppendResponse, error) { return nil, errSilent },
			"an answer for another": func(*auditv1.AppendRequest) (*auditv1.AppendResponse, error) {
				return &auditv1.AppendResponse{DurableSequence: 99}, nil
			},
			"less than what was sent": func(r *auditv1.AppendRequest) (*auditv1.AppendResponse, error) {
				return &auditv1.AppendResponse{BatchId: r.GetBatchId()}, nil
			},
		} {
			a.set(fault)
			before, _ := a.events(t)
			revoke(t, s, name)
			pass(answer + retry)
			if now, _ := a.events(t); len(now) != len(before) {
				t.Errorf("%s: the act counts as reported", name)
			}
			a.set(nil)
			pass(answer + 2*retry)
			now, lost := a.events(t)
			if len(now) != len(before)+1 || len(lost) > 0 || now[len(now)-1].GetAdministration().GetRevocation().GetSubject() != name {
				t.Errorf("%s: %d events, lost %v", name, len(now), lost)
			}
			if _, _, waiting := s.Acts(); len(waiting) > 0 {
				t.Errorf("%s: %d acts wait", name, len(waiting))
			}
		}
		got, _ := a.events(t)
		first := got[0]
		if !first.GetTime().AsTime().Equal(start.Truncate(time.Microsecond)) || len(first.GetEventId()) != 16 || first.GetEventId()[6]>>4 != 7 {
			t.Errorf("%v", first)
		}
		want := &auditv1.Administration{Caller: "policy file", Policy: &authzv1.PolicyRevision{Revision: 1,
			Digest: append([]byte{7}, make([]byte, 31)...), LoadedAtMicros: start.UnixMicro()}}
		if diff := cmp.Diff(want, first.GetAdministration(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		second := got[1].GetAdministration()
		if second.GetCaller() != "admin/ops" || second.GetNote() != "why" || second.GetRevocation().GetNumber() != 1 || got[1].GetEpoch().GetRevocation() != 1 {
			t.Errorf("%v", got[1])
		}
	})
}

// An act that is sent twice is one event; what does not wait any more is a gap.
func TestActsAreOneEventAndGapsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := state.NewMemory(sys.OS().Clock)
		if err := s.KeepActs(state.ActEpoch{2}); err != nil {
			t.Fatal(err)
		}
		a := &audit{}
		seen := map[string]int{}
		a.set(func(r *auditv1.AppendRequest) (*auditv1.AppendResponse, error) {
			for _, record := range r.GetRecords() {
				seen[string(record)]++
			}
			return nil, errors.New("away")
		})
		revoke(t, s, "x")
		run(t, s, a)
		pass(3 * retry)
		if len(seen) != 1 {
			t.Errorf("one act in %d forms", len(seen))
		}
		const most = 1000
		for i := range most + 5 {
			revoke(t, s, string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676)))
		}
		a.set(nil)
		pass(time.Minute)
		events, lost := a.events(t)
		if len(events) != most || len(lost) != 1 || lost[0].GetFirst() != 1 || lost[0].GetLast() != 6 || events[0].GetOrigin().GetSequence() != 7 {
			t.Errorf("%d events, lost %v", len(events), lost)
		}
	})
}
