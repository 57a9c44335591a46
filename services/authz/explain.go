package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/secret"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
	"github.com/scopewire/scopewire/services/authz/internal/rpc"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
	"github.com/scopewire/scopewire/services/authz/internal/state"
	"github.com/scopewire/scopewire/services/authz/internal/verify"
)

// Explainer says how statements would be decided, and why. It analyses and judges
// with the service's own code, on a policy file and a catalog read once. Safe for
// concurrent use.
type Explainer struct {
	file   string
	policy *policy.Policy
	snap   *catalog.Snapshot
}

// Question is a statement and who asks.
type Question struct {
	// SQL is the text of a Query message, or of a Parse message with Parse set.
	SQL   []byte
	Parse bool
	// Token is an access token whose claims are believed: its signature is not
	// checked. Without one, Scopes are those of a token that says nothing else.
	Token  secret.Bytes
	Scopes []string
	// Login is the database role that the session runs as, SearchPath its
	// search_path as SHOW prints it; empty is what a session of the login starts
	// with.
	Login, SearchPath string
	// Roles are the database roles behind the names that policy gives logins, where
	// they are known. Without Login the policy's own choice is looked up in them.
	Roles map[string]string
	// Now is the time that conditions see. Client is the client's address, host or
	// host:port; empty is unknown, and so are TLS and ApplicationName then.
	Now             time.Time
	Client          string
	TLS             bool
	ApplicationName string
}

// NewExplainer reads a policy file, and the catalog of a database within timeout.
func NewExplainer(ctx context.Context, policyFile string, database snapshotter.Database, timeout time.Duration, machine sys.System) (*Explainer, error) {
	text, err := machine.FS.ReadFile(policyFile)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", policyFile, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	snap, err := readOnce(ctx, database, machine)
	if err != nil {
		return nil, fmt.Errorf("catalog of %s: %w", database.Name, err)
	}
	return &Explainer{file: policyFile, policy: p, snap: snap}, nil
}

// readOnce reads a catalog as the service does.
func readOnce(ctx context.Context, database snapshotter.Database, machine sys.System) (*catalog.Snapshot, error) {
	s, err := snapshotter.New(snapshotter.Config{Databases: []snapshotter.Database{database}},
		snapshotter.Deps{Sys: machine, Versions: state.NewMemory(machine.Clock), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	// It ends with its context, and never with an error.
	wait.Go(func() { _ = s.Run(running) })
	defer wait.Wait()
	defer stop()
	if err := s.Refresh(ctx, database.Name); err != nil {
		return nil, err
	}
	snap, _, ok := s.Current(database.Name)
	if !ok {
		return nil, errors.New("it could not be read")
	}
	return snap, nil
}

// Explain answers one question. An error is for a question that cannot be put: a
// token that is no token, an unknown role.
func (e *Explainer) Explain(q Question) (*Explanation, error) {
	who, err := e.principal(q)
	if err != nil {
		return nil, err
	}
	unit, request, err := e.unit(q, who)
	if err != nil {
		return nil, err
	}
	analysis := analyzeUnit(unit, e.snap)
	grants := e.policy.Grants(rpc.PrincipalOf(who, e.policy))
	d := grants.DecideIn(request, analysis)
	out := &Explanation{
		Verdict: verdictWord(d), Reason: string(d.Reason), Detail: d.Detail, Conditional: d.Conditional, PolicyFile: e.file,
		IdleScopes: e.policy.Idle(who.Scopes), Judged: analysis.Outcome == access.Judge,
		Statements: []ExplainedStatement{},
	}
	if d.Failed != nil {
		out.Error = &ExplainedError{SQLState: d.Failed.SQLState, Message: d.Failed.Message, Position: d.Failed.Position}
	}
	for _, s := range analysis.Statements {
		st := ExplainedStatement{Kind: s.Kind, Normalised: s.Normalised, Accesses: explainAll(grants, request, s.Accesses)}
		if s.Session {
			st.Accesses = append(st.Accesses, explainedFinding(grants.ExplainSession(request)))
		}
		for _, f := range s.Effects {
			st.Effects = append(st.Effects, ExplainedEffect{Kind: string(f.Kind), Name: f.Name})
		}
		out.Statements = append(out.Statements, st)
	}
	out.Requires = explainAll(grants, request, analysis.Requires)
	return out, nil
}

// verdictWord names what the client would hear.
func verdictWord(d policy.Decision) string {
	switch {
	case d.Allow && d.Failed == nil && !d.Refused:
		return VerdictAllow
	case d.Refused:
		return VerdictRefuse
	case d.Failed != nil:
		return VerdictError
	default:
		return VerdictDeny
	}
}

func (e *Explainer) principal(q Question) (verify.Principal, error) {
	if q.Token.Len() == 0 {
		return verify.Principal{Scopes: q.Scopes}, nil
	}
	if len(q.Scopes) > 0 {
		return verify.Principal{}, errors.New("give a token or scopes, not both")
	}
	who, err := verify.ReadUnverified(q.Token, issuersOf(e.policy), q.Now)
	if err != nil {
		return verify.Principal{}, err
	}
	if err := policy.CheckDetails(rpc.DetailsOf(who)); err != nil {
		return verify.Principal{}, fmt.Errorf("token refused: %w", err)
	}
	return who, nil
}

// unit is the question as a proxy would put it.
func (e *Explainer) unit(q Question, who verify.Principal) (rpc.Unit, policy.Request, error) {
	r := policy.Request{Now: q.Now, Database: e.snap.Database}
	if q.Client != "" {
		r.Client = &policy.Client{TLS: q.TLS, ApplicationName: q.ApplicationName}
		address, err := netip.ParseAddr(q.Client)
		if err != nil {
			peer, err := netip.ParseAddrPort(q.Client)
			if err != nil {
				return rpc.Unit{}, r, fmt.Errorf("the client's address: %w", err)
			}
			address = peer.Addr()
		}
		r.Client.Address = address
	}
	login := q.Login
	if login == "" {
		// Names of logins are the proxy's; without its configuration a role of the same
		// name is a fair guess.
		login, _ = e.policy.Login(e.snap.Database, "", who.Scopes, who.Claims)
		if role := q.Roles[login]; role != "" {
			login = role
		}
	}
	path := q.SearchPath
	if path == "" {
		i := slices.IndexFunc(e.snap.Roles, func(role catalog.Role) bool { return role.Name == login })
		if i < 0 {
			return rpc.Unit{}, r, fmt.Errorf("the database has no role %q: name the one that sessions run as, or their search_path", login)
		}
		path = e.snap.Roles[i].SearchPath
	}
	return rpc.Unit{Text: q.SQL, Parse: q.Parse, Context: &authzv1.SessionContext{
		Database: e.snap.Database, ServerVersionNum: uint32(e.snap.ServerVersionNum), //nolint:gosec // G115: six digits.
		Login: login, Role: login, SearchPath: path,
		Settings: map[string]string{"standard_conforming_strings": "on"},
	}}, r, nil
}

func explainAll(g *policy.Grants, r policy.Request, accesses []access.Access) []ExplainedAccess {
	var out []ExplainedAccess
	for _, a := range accesses {
		f := g.Explain(r, a)
		x := explainedFinding(f)
		x.Action, x.Object = string(a.Action), policy.Display(f.Object)
		x.Columns, x.AllColumns, x.Within = a.Columns, a.AllColumns, a.Within
		if a.Named.Name != "" {
			x.Named = policy.Display(a.Named)
		}
		for _, other := range a.Or {
			x.Or = append(x.Or, string(other))
		}
		for _, o := range a.Through {
			x.Through = append(x.Through, policy.Display(o))
		}
		for _, code := range a.Trust {
			x.Runs = append(x.Runs, code.Code)
		}
		out = append(out, x)
	}
	return out
}

// explainedFinding is how policy judged, without what.
func explainedFinding(f policy.Finding) ExplainedAccess {
	x := ExplainedAccess{Allowed: f.Reason == access.Granted, Reason: string(f.Reason), Code: f.Code, Needed: f.Needed, Text: f.Text}
	for _, rule := range f.Rules {
		x.Rules = append(x.Rules, ExplainedRule(rule))
	}
	return x
}

// issuersOf are the issuers that a policy accepts.
func issuersOf(p *policy.Policy) []verify.Issuer {
	var issuers []verify.Issuer
	for _, is := range p.Issuers() {
		issuers = append(issuers, verify.Issuer{
			Issuer: is.Issuer, Audiences: is.Audiences, JWKSURI: is.JWKSURI, JWKSFile: is.JWKSFile,
			Algorithms: is.Algorithms, AcceptTypJWT: is.AcceptTypJWT, Skew: is.Skew, MaxLifetime: is.MaxTokenLifetime,
			Mode: verify.Mode(is.Verification), Introspection: verify.Introspection(is.Introspection),
		})
	}
	return issuers
}
