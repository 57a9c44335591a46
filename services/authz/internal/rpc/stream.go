package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
)

// errStopping ends streams when the service stops; a proxy goes to another
// replica then.
var errStopping = status.Error(codes.Unavailable, "the service is stopping")

// Authorize implements authzv1.AuthorizationServiceServer.
func (s *Server) Authorize(stream grpc.BidiStreamingServer[authzv1.AuthorizeRequest, authzv1.AuthorizeResponse]) error {
	// What is under way when the stream ends is of no use to anybody: ctx ends
	// then, and the workers are waited for.
	ctx, cancel := context.WithCancelCause(stream.Context())
	var workers sync.WaitGroup
	defer s.asks()()
	defer workers.Wait()
	defer cancel(nil)

	requests := make(chan *authzv1.AuthorizeRequest)
	ended := make(chan error, 1)
	if !s.read(func() { ended <- receive(ctx, stream.Recv, requests) }) {
		return errStopping
	}
	// send serialises the workers' answers: a stream has one sender at a time.
	var mu sync.Mutex
	send := func(resp *authzv1.AuthorizeResponse) {
		mu.Lock()
		defer mu.Unlock()
		if err := stream.Send(resp); err != nil {
			cancel(fmt.Errorf("send answer: %w", err))
		}
	}
	// own bounds what this stream has under way; slots bounds the process.
	own := make(chan struct{}, s.cfg.StreamRequests)
	for {
		select {
		case <-s.stopping:
			return errStopping
		case <-ctx.Done():
			return status.Error(codes.Canceled, "the stream has ended")
		case err := <-ended:
			if err == nil {
				// The proxy asks nothing more; it still gets its answers.
				workers.Wait()
			}
			return err
		case req := <-requests:
			select {
			case own <- struct{}{}:
			case <-ctx.Done():
				continue
			case <-s.stopping:
				continue
			}
			workers.Go(func() {
				defer func() { <-own }()
				send(s.judge(ctx, req))
			})
		}
	}
}

// receive passes messages on until the stream ends; nil is the client's own end.
func receive[M any](ctx context.Context, recv func() (M, error), to chan<- M) error {
	for {
		m, err := recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return status.Error(codes.Canceled, "the stream has ended")
		}
	}
}
