package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/auditview"
	"github.com/scopewire/scopewire/internal/id"
	"github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/services/audit"
)

// auditCommand reads the audit store.
type auditCommand struct {
	Address  string `help:"The audit service, host:port. Default: the scopewire that runs as the same user."`
	CertFile string `name:"cert" type:"path" help:"Client certificate of role admin (PEM)."`
	KeyFile  string `name:"key" type:"path" help:"Its key (PEM)."`
	CAFile   string `name:"ca" type:"path" help:"Authorities of the audit service's certificate (PEM)."`

	List   auditList   `cmd:"" help:"List events, newest first."`
	Show   auditShow   `cmd:"" help:"Show one event by its reference."`
	Verify auditVerify `cmd:"" help:"Check the hash chain of the store."`
}

type auditList struct {
	Limit   uint32        `default:"20" help:"How many events."`
	Type    []string      `help:"Only events of these types: login, login_refused, logout, statement_intent, statement_finished, statement_denied, statement_refused, statement_error, token_expired, token_revoked, token_refreshed, cancel, gap, protocol_violation, tokens_revoked, policy_changed."`
	Subject string        `help:"Only events of this subject."`
	Session string        `help:"Only events of this session."`
	Since   time.Duration `help:"Only events of the last such time, as in 15m."`
	JSON    bool          `help:"One JSON object per line."`
	OCSF    bool          `help:"One JSON object per line, as the Open Cybersecurity Schema Framework has it."`
}

type auditShow struct {
	Reference string `arg:"" help:"The reference a denial carried."`
	JSON      bool   `help:"As JSON."`
	OCSF      bool   `help:"As JSON of the Open Cybersecurity Schema Framework."`
}

type auditVerify struct{}

const (
	auditTimeout = 10 * time.Second
	// showWait is how long a reference may take to arrive in the store: the proxy
	// delivers events a moment after the client has heard.
	showWait = 3 * time.Second
)

// client connects to the audit service.
func (c *auditCommand) client(g *global) (auditv1.AuditQueryServiceClient, func() error, error) {
	cfg := rpc.ClientConfig{Address: c.Address, TLS: rpc.TLSFiles{CertFile: c.CertFile, KeyFile: c.KeyFile, CAFile: c.CAFile}}
	if c.Address == "" {
		dir, err := runtimeDir()
		if err != nil {
			return nil, nil, err
		}
		path := filepath.Join(dir, auditSocket)
		if _, err := g.system.FS.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("no scopewire is running as this user: start one, or give --address")
		}
		cfg.Address = "unix:" + path
	}
	cfg.InsecureLoopback = cfg.TLS.IsZero()
	conn, err := rpc.Dial(cfg, rpc.ClientDeps{Clock: g.system.Clock, Net: g.system.Net, FS: g.system.FS, Server: rpc.Audit,
		ReceiveLimit: audit.QueryReceiveLimit})
	if err != nil {
		return nil, nil, err
	}
	return auditv1.NewAuditQueryServiceClient(conn), conn.Close, nil
}

// Run implements the command.
func (c *auditList) Run(g *global, parent *commands) (err error) {
	client, done, err := parent.Audit.client(g)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	req, err := c.request(g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(g.ctx, auditTimeout)
	defer cancel()
	var events []*auditv1.StoredEvent
	for uint32(len(events)) < c.Limit { //nolint:gosec // G115: at most Limit.
		req.PageSize = min(c.Limit-uint32(len(events)), maxPage) //nolint:gosec // G115: at most Limit.
		resp, err := client.ListEvents(ctx, req)
		if err != nil {
			return auditError(err)
		}
		events = append(events, resp.GetEvents()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	write := auditview.JSON
	switch {
	case c.OCSF:
		write = auditview.OCSF
	case !c.JSON:
		return auditview.Table(os.Stdout, events)
	}
	for _, ev := range events {
		if err := write(os.Stdout, ev); err != nil {
			return err
		}
	}
	return nil
}

// maxPage is the most events that the service returns at once.
const maxPage = 1000

// request is what the flags ask for.
func (c *auditList) request(g *global) (*auditv1.ListEventsRequest, error) {
	req := &auditv1.ListEventsRequest{Subject: c.Subject}
	for _, t := range c.Type {
		v, ok := auditv1.EventType_value["EVENT_TYPE_"+strings.ToUpper(t)]
		if !ok {
			return nil, fmt.Errorf("there is no event type %q", t)
		}
		req.Types = append(req.Types, auditv1.EventType(v))
	}
	if c.Session != "" {
		session, err := id.Parse(c.Session)
		if err != nil {
			return nil, fmt.Errorf("--session: %w", err)
		}
		req.SessionId = session[:]
	}
	if c.Since > 0 {
		req.Since = timestamppb.New(g.system.Clock.Now().Add(-c.Since))
	}
	return req, nil
}

// Run implements the command.
func (c *auditShow) Run(g *global, parent *commands) (err error) {
	ref, err := id.Parse(c.Reference)
	if err != nil {
		return fmt.Errorf("the reference: %w", err)
	}
	client, done, err := parent.Audit.client(g)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	ev, err := awaitEvent(g, client, ref)
	if err != nil {
		return err
	}
	switch {
	case c.OCSF:
		return auditview.OCSF(os.Stdout, ev)
	case c.JSON:
		return auditview.JSON(os.Stdout, ev)
	}
	return auditview.Show(os.Stdout, ev)
}

// awaitEvent asks for an event until it is there or showWait is over.
func awaitEvent(g *global, client auditv1.AuditQueryServiceClient, ref id.ID) (*auditv1.StoredEvent, error) {
	ctx, cancel := context.WithTimeout(g.ctx, auditTimeout)
	defer cancel()
	deadline := g.system.Clock.Now().Add(showWait)
	for {
		resp, err := client.GetEvent(ctx, &auditv1.GetEventRequest{EventId: ref[:]})
		if err == nil {
			return resp.GetEvent(), nil
		}
		if status.Code(err) != codes.NotFound {
			return nil, auditError(err)
		}
		if g.system.Clock.Now().After(deadline) {
			return nil, fmt.Errorf("no event has the reference %s", ref)
		}
		timer := g.system.Clock.NewTimer(50 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C():
		}
	}
}

// Run implements the command.
func (c *auditVerify) Run(g *global, parent *commands) (err error) {
	client, done, err := parent.Audit.client(g)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	stream, err := client.VerifyStore(g.ctx, &auditv1.VerifyStoreRequest{})
	if err != nil {
		return auditError(err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return auditError(err)
		}
		fmt.Fprintf(os.Stderr, "\rchecked %d of %d events", resp.GetChecked(), resp.GetTotal())
		if !resp.GetDone() {
			continue
		}
		fmt.Fprintln(os.Stderr)
		for _, p := range resp.GetProblems() {
			fmt.Println(p)
		}
		if n := len(resp.GetProblems()); n > 0 {
			return fmt.Errorf("the store is damaged: %d problems", n)
		}
		fmt.Println("the chain holds")
		return nil
	}
}

// auditError is what a person is told of a failed call.
func auditError(err error) error {
	if status.Code(err) == codes.Unavailable {
		return fmt.Errorf("the audit service does not answer: %s", status.Convert(err).Message())
	}
	return fmt.Errorf("audit service: %s", status.Convert(err).Message())
}
