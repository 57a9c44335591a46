package decide

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/internal/telemetry"
)

// maxQueued bounds the requests that wait to be sent; beyond it a caller waits,
// within its own deadline.
const maxQueued = 256

var (
	errNoStream    = errors.New("no stream to authz")
	errStreamEnded = errors.New("stream to authz ended")
	errBehind      = errors.New("authz answered from an epoch that is behind")
)

// Remote asks authz. All sessions share one stream, which is opened again when
// it ends; a request that was under way then is asked again within its
// deadline, since asking twice changes nothing.
type Remote struct {
	client authzv1.AuthorizationServiceClient
	fence  *Fence
	clock  sys.Clock
	log    *slog.Logger

	mu sync.Mutex
	// current is the open stream, nil without one; changed is closed and replaced
	// whenever current is set.
	current *stream
	changed chan struct{}
	nextID  uint64
}

// NewRemote returns an Authorizer over client. Nothing is asked before Run runs.
func NewRemote(client authzv1.AuthorizationServiceClient, fence *Fence, clock sys.Clock, log *slog.Logger) *Remote {
	return &Remote{client: client, fence: fence, clock: clock, log: log, changed: make(chan struct{})}
}

// stream is one open Authorize stream.
type stream struct {
	send chan *authzv1.AuthorizeRequest
	// done is closed when the stream has ended.
	done chan struct{}

	mu      sync.Mutex
	waiting map[uint64]chan *authzv1.AuthorizeResponse
}

// Run keeps a stream open until ctx ends. It returns nil.
func (r *Remote) Run(ctx context.Context) error {
	b := backoff{clock: r.clock}
	for ctx.Err() == nil {
		err := r.serve(ctx, &b)
		if ctx.Err() != nil {
			return nil
		}
		r.log.Warn("decision stream to authz ended", "error", err)
		b.wait(ctx)
	}
	return nil
}

// serve opens one stream and runs it until it ends.
func (r *Remote) serve(ctx context.Context, b *backoff) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rpc, err := r.client.Authorize(ctx)
	if err != nil {
		return fmt.Errorf("open decision stream: %w", err)
	}
	st := &stream{send: make(chan *authzv1.AuthorizeRequest, maxQueued), done: make(chan struct{}),
		waiting: make(map[uint64]chan *authzv1.AuthorizeResponse)}
	r.set(st)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer close(st.done)
	defer r.set(nil)
	wg.Go(func() {
		defer cancel()
		for {
			select {
			case <-ctx.Done():
				return
			case req := <-st.send:
				if err := rpc.Send(req); err != nil {
					return
				}
			}
		}
	})
	for {
		resp, err := rpc.Recv()
		if err != nil {
			return fmt.Errorf("decision stream: %w", err)
		}
		b.reset()
		st.deliver(resp)
	}
}

func (r *Remote) set(st *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = st
	close(r.changed)
	r.changed = make(chan struct{})
}

func (s *stream) deliver(resp *authzv1.AuthorizeResponse) {
	s.mu.Lock()
	ch := s.waiting[resp.GetRequestId()]
	delete(s.waiting, resp.GetRequestId())
	s.mu.Unlock()
	if ch != nil {
		ch <- resp
	}
}

// Authorize asks authz for the decision on req.
func (r *Remote) Authorize(ctx context.Context, req *Request) (*Decision, error) {
	withToken, behind := false, 0
	for {
		st, id, err := r.stream(ctx)
		if err != nil {
			return nil, err
		}
		// A message of its own for each attempt: an earlier stream's sender may
		// still be reading the last one.
		msg := message(req)
		msg.RequestId = id
		msg.Trace = &authzv1.TraceContext{}
		msg.Trace.Traceparent, msg.Trace.Tracestate = telemetry.Inject(ctx)
		msg.LeastEpoch = r.fence.Least(req.Context.GetDatabase())
		if withToken {
			msg.Token = req.Token.Expose()
		}
		sent := r.clock.Now()
		resp, err := st.ask(ctx, msg)
		if errors.Is(err, errStreamEnded) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if resp.GetVerdict() == authzv1.Verdict_VERDICT_UNKNOWN_TOKEN {
			if withToken {
				return nil, errors.New("authz does not know the token it was just given")
			}
			withToken = true
			continue
		}
		d, err := r.accept(msg, resp, sent)
		// The epoch may have risen while the answer was under way. It says so when it is
		// asked again.
		if errors.Is(err, errBehind) && behind < maxBehind {
			behind++
			continue
		}
		return d, err
	}
}

// maxBehind is how often authz is asked again that answered from an epoch that is behind.
// One that goes on so lags, which it says by itself when it is asked for a newer one.
const maxBehind = 3

// stream waits for an open stream and takes a request id.
func (r *Remote) stream(ctx context.Context) (*stream, uint64, error) {
	for {
		r.mu.Lock()
		st, changed := r.current, r.changed
		if st != nil {
			r.nextID++
			id := r.nextID
			r.mu.Unlock()
			return st, id, nil
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("%w: %w", errNoStream, ctx.Err())
		case <-changed:
		}
	}
}

// ask sends one request and waits for its answer.
func (s *stream) ask(ctx context.Context, msg *authzv1.AuthorizeRequest) (*authzv1.AuthorizeResponse, error) {
	ch := make(chan *authzv1.AuthorizeResponse, 1)
	id := msg.GetRequestId()
	s.mu.Lock()
	s.waiting[id] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("send to authz: %w", ctx.Err())
	case <-s.done:
		return nil, errStreamEnded
	case s.send <- msg:
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for authz: %w", ctx.Err())
	case <-s.done:
		return nil, errStreamEnded
	case resp := <-ch:
		return resp, nil
	}
}

// message builds the request message, without id, epoch and token.
func message(req *Request) *authzv1.AuthorizeRequest {
	sum := sha256.Sum256(req.Text)
	var text []byte
	if req.Kind != UnitFunctionCall {
		// The arguments of a call stay here.
		text = append(text, req.Text...)
	}
	m := &authzv1.AuthorizeRequest{
		SessionId: req.SessionID[:], StatementId: req.StatementID[:], TokenSha256: req.TokenHash[:],
		Context: req.Context, UnitSha256: sum[:], Client: req.Client, FreshCatalog: req.Fresh, ProbeAnswers: req.Answers,
	}
	switch req.Kind {
	case UnitQuery:
		m.Unit = &authzv1.AuthorizeRequest_Query{Query: text}
	case UnitParse:
		m.Unit = &authzv1.AuthorizeRequest_Parse{Parse: &authzv1.ParseUnit{Text: text, ParameterTypeOids: req.ParameterTypes, SettledTypeOids: req.SettledTypes}}
	case UnitFunctionCall:
		m.Unit = &authzv1.AuthorizeRequest_FunctionCall{
			FunctionCall: &authzv1.FunctionCallUnit{FunctionOid: req.FunctionOID, ArgumentCount: req.Arguments}}
	default:
		// No unit: authz denies it.
	}
	return m
}

// accept turns an answer into a decision, or into an error when it is not
// exactly an answer to what was asked.
func (r *Remote) accept(msg *authzv1.AuthorizeRequest, resp *authzv1.AuthorizeResponse, sent time.Time) (*Decision, error) {
	d, err := check(msg, resp, sent)
	if err != nil {
		return nil, err
	}
	current := r.fence.Observe(d.Epoch)
	// A component that is left out counts as zero. Observe cannot ask for those of
	// all databases: an answer needs to know only its own.
	database := msg.GetContext().GetDatabase()
	if d.Epoch.GetCatalog()[database] < r.fence.Least(database).GetCatalog()[database] {
		current = false
	}
	if !current && d.Allowed() {
		return nil, errBehind
	}
	if msg.GetFreshCatalog() && d.Allowed() {
		// Others need not have it read again.
		r.fence.Confirm(d.Epoch, Confirmation{Catalogs: map[string]time.Time{database: d.catalogAsOf()}})
	}
	return d, nil
}
