package rpc

import (
	"context"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// Watch implements authzv1.AuthorizationServiceServer. Every numbered request
// is answered at once, and whatever happens a push comes with every change and
// every heartbeat.
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
	answers := uint64(0)
	for {
		// Taken before the epoch is: a change in between is sent twice, not never.
		changed := s.change()
		if err := stream.Send(s.heartbeat(answers)); err != nil {
			return err
		}
		answers = 0
		select {
		case <-s.stopping:
			return errStopping
		case err := <-ended:
			return err
		case req := <-requests:
			answers = req.GetSequence()
		case <-changed:
		case <-timer.C():
			timer.Reset(s.cfg.Heartbeat)
		}
	}
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
	epoch := &authzv1.Epoch{Policy: revision, Revocation: s.deps.Revocation(), Catalog: make(map[string]uint64)}
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
