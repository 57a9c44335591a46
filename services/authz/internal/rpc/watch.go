package rpc

import (
	"context"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// Watch implements authzv1.AuthorizationServiceServer. Every numbered request
// is answered at once, and whatever happens a push comes with every change and
// every heartbeat. Revocations are sent from the number on that the first request
// says it has.
func (s *Server) Watch(stream grpc.BidiStreamingServer[authzv1.WatchRequest, authzv1.WatchResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	requests := make(chan *authzv1.WatchRequest)
	ended := make(chan error, 1)
	if !s.read(func() { ended <- receive(ctx, stream.Recv, requests) }) {
		return errStopping
	}
	timer := s.deps.Clock.NewTimer(s.cfg.Heartbeat)
	defer timer.Stop()
	var w *watcher
	defer func() { s.leave(w) }()
	answers := uint64(0)
	for {
		// Taken before the epoch is: a change in between is sent twice, not never.
		changed := s.change()
		more, err := s.tell(stream, w, answers)
		if err != nil {
			return err
		}
		answers = 0
		if more {
			continue
		}
		select {
		case <-s.stopping:
			return errStopping
		case err := <-ended:
			return err
		case req := <-requests:
			answers = req.GetSequence()
			if w == nil {
				if w, err = s.enter(req); err != nil {
					return err
				}
			}
			s.acknowledge(w, req.GetApplied().GetRevocation())
		case <-changed:
		case <-timer.C():
			timer.Reset(s.cfg.Heartbeat)
		}
	}
}

// maxRevocations is how many revocations go with one response: with the longest names
// they fit into gRPC's default limit of 4 MiB, with room to spare.
const maxRevocations = 256

// tell sends what is new. more says that there are revocations left to be told.
func (s *Server) tell(stream grpc.BidiStreamingServer[authzv1.WatchRequest, authzv1.WatchResponse], w *watcher, answers uint64) (more bool, err error) {
	resp := s.heartbeat(answers)
	if w != nil {
		// Read after the epoch: what it counts is among these.
		list := s.deps.State.Revocations().Since(w.told)
		if more = len(list) > maxRevocations; more {
			list = list[:maxRevocations]
		}
		if len(list) > 0 {
			resp.Revocations, w.told = list, list[len(list)-1].GetNumber()
		}
	}
	return more, stream.Send(resp)
}

// watcher is one watch.
type watcher struct {
	// lease is for how long its proxy goes on using what it was told.
	lease time.Duration
	// told is the number of the last revocation sent, of the stream's goroutine alone.
	told uint64
	// applied is the number of the last revocation that the proxy has applied, left when the
	// watch ended, zero while it is open. Guarded by the server's mu.
	applied uint64
	left    time.Time
}

// maxLease bounds what a proxy may declare. Whoever revokes waits for it.
const maxLease = time.Minute

// enter takes a watch at its first request.
func (s *Server) enter(req *authzv1.WatchRequest) (*watcher, error) {
	lease := time.Duration(0)
	if req.GetLease() != nil {
		lease = req.GetLease().AsDuration()
	}
	if req.GetLease() != nil && !req.GetLease().IsValid() || lease < 0 || lease > maxLease {
		return nil, status.Errorf(codes.InvalidArgument, "a lease is between 0 s and %s", maxLease)
	}
	// Durable before the proxy is answered anything that it could go on using.
	if err := s.deps.State.KeepLease(lease); err != nil {
		return nil, status.Error(codes.Unavailable, "the lease could not be kept")
	}
	w := &watcher{lease: lease, told: min(req.GetApplied().GetRevocation(), s.deps.State.Revocations().Count())}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
	return w, nil
}

// leave ends a watch. Its proxy may go on for its lease.
func (s *Server) leave(w *watcher) {
	if w == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.left = s.deps.Clock.Now()
	for other := range s.watchers {
		if !other.left.IsZero() && !w.left.Before(other.left.Add(other.lease)) {
			delete(s.watchers, other)
		}
	}
	s.noteLocked()
}

// acknowledge notes what a proxy has applied.
func (s *Server) acknowledge(w *watcher, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// It cannot have applied what it was not told.
	w.applied = max(w.applied, min(number, w.told))
	s.noteLocked()
}

// asks counts a decision stream, until the function that it returns is called.
func (s *Server) asks() func() {
	count := func(n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asking += n
		s.noteLocked()
	}
	count(1)
	return func() { count(-1) }
}

// noteLocked wakes those who wait for proxies.
func (s *Server) noteLocked() {
	close(s.acknowledged)
	s.acknowledged = make(chan struct{})
}

// heartbeat is the epoch of everything that this replica serves, and the age of
// each fact behind it. A catalog that is missing is not named. The common age, of
// the oldest, is as old as can be when any is missing: then it confirms nothing.
func (s *Server) heartbeat(answers uint64) *authzv1.WatchResponse {
	const never = time.Duration(math.MaxInt64)
	now := s.deps.Clock.Now()
	p, revision, readAt := s.deps.Policies.Current()
	age := max(0, now.Sub(readAt))
	if p == nil || revision == 0 {
		age = never
	}
	epoch := &authzv1.Epoch{Policy: revision, Revocation: s.deps.State.Revocations().Count(), Catalog: make(map[string]uint64)}
	ages := &authzv1.SourceAges{Policy: durationpb.New(age), Catalog: make(map[string]*durationpb.Duration)}
	for _, database := range s.cfg.Databases {
		snap, readAt, ok := s.deps.Catalogs.Current(database)
		if !ok || snap == nil || snap.Version == 0 {
			age = never
			continue
		}
		own := max(0, now.Sub(readAt))
		epoch.Catalog[database], ages.Catalog[database] = snap.Version, durationpb.New(own)
		age = max(age, own)
	}
	return &authzv1.WatchResponse{Epoch: epoch, Age: durationpb.New(age), Ages: ages, Answers: answers}
}
