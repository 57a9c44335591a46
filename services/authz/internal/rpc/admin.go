package rpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/internal/revocation"
	transport "github.com/scopewire/scopewire/internal/rpc"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

// AdminDeps are what administration works with, beside the server's.
type AdminDeps struct {
	// Reload reads the policy now, within ctx. The error says why what was read is not in
	// force.
	Reload func(ctx context.Context) error
	// Revisions lists the policy's revisions, newest first.
	Revisions func() []state.Revision
	// Skew is the greatest by which an issuer's clock may be ahead.
	Skew func() time.Duration
}

// Admin implements authzv1.AuthorizationAdminServiceServer. Who may call it the
// transport says.
type Admin struct {
	authzv1.UnimplementedAuthorizationAdminServiceServer

	server *Server
	deps   AdminDeps
}

// NewAdmin makes the administration of a server.
func NewAdmin(server *Server, deps AdminDeps) *Admin { return &Admin{server: server, deps: deps} }

// maxNote bounds what is recorded of a caller's reasons, in bytes.
const maxNote = 512

// noteOf is what is recorded of a note.
func noteOf(note string) string {
	// Cut first: what the cut has broken is replaced.
	return valid(note[:min(len(note), maxNote)])
}

// Revoke implements authzv1.AuthorizationAdminServiceServer. When the caller gives up
// waiting the revocation holds all the same.
func (a *Admin) Revoke(ctx context.Context, req *authzv1.RevokeRequest) (*authzv1.RevokeResponse, error) {
	r := proto.CloneOf(req.GetRevocation())
	if r == nil {
		r = &authzv1.Revocation{}
	}
	if err := revocation.Check(r); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	by := state.Actor{Caller: transport.Caller(ctx).String(), Note: noteOf(req.GetNote())}
	log := a.server.deps.Logger.With("caller", by.Caller, "note", by.Note)
	done, err := a.server.Revoke(ctx, Until(r, a.server.deps.Clock.Now(), a.deps.Skew()), by)
	switch {
	case errors.Is(err, revocation.ErrFull):
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		log.WarnContext(ctx, "tokens revoked, and not every proxy has said so in time", "number", done.GetEpoch().GetRevocation())
		return nil, status.Error(codes.DeadlineExceeded, "the tokens are revoked; not every proxy has said so in time, nor has its lease run out")
	case err != nil:
		log.ErrorContext(ctx, "tokens not revoked", "error", err)
		return nil, status.Error(codes.Unavailable, "the revocation could not be kept, and nothing is revoked")
	}
	log.InfoContext(ctx, "tokens revoked", "number", done.GetEpoch().GetRevocation(), "subject", r.GetSubject(), "issuer", r.GetIssuer(),
		"client_id", r.GetClientId(), "acknowledged", done.GetAcknowledged(), "leases_expired", done.GetLeasesExpired())
	return done, nil
}

// Until is a revocation with a moment where it names no token: what was issued until now
// is meant, by clocks that may be ahead, and not what is issued from then on.
func Until(r *authzv1.Revocation, now time.Time, skew time.Duration) *authzv1.Revocation {
	if len(r.GetTokenSha256()) > 0 || r.GetTokenId() != "" || r.GetIssuedBefore() != 0 {
		return r
	}
	r = proto.CloneOf(r)
	r.IssuedBefore = now.Add(skew).Unix() + 1
	return r
}

// ListRevisions implements authzv1.AuthorizationAdminServiceServer.
func (a *Admin) ListRevisions(_ context.Context, req *authzv1.ListRevisionsRequest) (*authzv1.ListRevisionsResponse, error) {
	const defaultPage = 100
	size := int(req.GetPageSize())
	if size == 0 || size > defaultPage {
		size = defaultPage
	}
	below := ^uint64(0)
	if req.GetPageToken() != "" {
		n, err := strconv.ParseUint(req.GetPageToken(), 10, 64)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, "the page token is none of ours")
		}
		below = n
	}
	resp := &authzv1.ListRevisionsResponse{}
	for _, r := range a.deps.Revisions() {
		if r.Number >= below {
			continue
		}
		if len(resp.Revisions) == size {
			resp.NextPageToken = strconv.FormatUint(resp.Revisions[size-1].GetRevision(), 10)
			break
		}
		resp.Revisions = append(resp.Revisions, &authzv1.PolicyRevision{Revision: r.Number, Digest: r.Digest[:], LoadedAtMicros: r.Loaded.UnixMicro()})
	}
	return resp, nil
}

// Reload implements authzv1.AuthorizationAdminServiceServer.
func (a *Admin) Reload(ctx context.Context, _ *authzv1.ReloadRequest) (*authzv1.ReloadResponse, error) {
	err := a.deps.Reload(ctx)
	_, revision, _ := a.server.deps.Policies.Current()
	a.server.deps.Logger.InfoContext(ctx, "policy read again", "caller", transport.Caller(ctx).String(), "revision", revision, "in_force", err == nil)
	resp := &authzv1.ReloadResponse{Revision: revision}
	if err != nil {
		resp.Error = valid(err.Error())
	}
	return resp, nil
}
