package rpc

import (
	"context"
	"time"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

// facts are what one answer is made from.
type facts struct {
	policy *policy.Policy
	snap   *catalog.Snapshot
	epoch  *authzv1.Epoch
	// made says that the session's transaction has made temporary objects.
	made bool
	// oldest is when the reading of the oldest of them started.
	oldest time.Time
}

// gather takes the facts about a database as they are. It says why there are
// none to answer from, or "".
func (s *Server) gather(database string) (facts, string) {
	p, revision, readAt := s.deps.Policies.Current()
	if p == nil || revision == 0 {
		return facts{}, "there is no policy"
	}
	snap, snapAt, ok := s.deps.Catalogs.Current(database)
	if !ok || snap == nil || snap.Version == 0 {
		return facts{}, "there is no catalog of the database"
	}
	f := facts{
		policy: p, snap: snap, oldest: readAt,
		epoch: &authzv1.Epoch{
			Policy: revision, Revocation: s.deps.State.Revocations().Count(), Catalog: map[string]uint64{database: snap.Version},
		},
	}
	if snapAt.Before(f.oldest) {
		f.oldest = snapAt
	}
	if s.deps.Clock.Now().Sub(f.oldest) > s.cfg.MaxSourceAge {
		return facts{}, "policy or catalog could not be read for too long"
	}
	return f, ""
}

// gatherFor takes the facts for a request, which are read again when they are
// behind what its proxy has seen. A pinned transaction is judged by its own
// policy, and the pin stands for the policy component.
func (s *Server) gatherFor(ctx context.Context, req *authzv1.AuthorizeRequest) (facts, string) {
	database := req.GetContext().GetDatabase()
	least, pin := req.GetLeastEpoch(), req.GetPinnedPolicy()
	wanted := least.GetPolicy()
	if pin != 0 {
		wanted = pin
	}
	f, missing := s.gather(database)
	if missing == "" && behind(f.epoch, wanted, least) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.RefreshWait)
		defer cancel()
		// What a refresh could not do shows in the facts.
		if f.epoch.GetPolicy() < wanted {
			_ = s.deps.Policies.Refresh(ctx)
		}
		if catalogBehind(f.epoch, least) {
			_ = s.deps.Catalogs.Refresh(ctx, database)
		}
		f, missing = s.gather(database)
	}
	switch {
	case missing != "":
		return facts{}, missing
	case behind(f.epoch, wanted, least):
		return facts{}, "this replica is behind the epoch that the proxy has seen"
	case pin != 0 && pin != f.epoch.GetPolicy():
		if f.policy = s.deps.Policies.Revision(pin); f.policy == nil {
			return facts{}, "the policy that the transaction is pinned to is not remembered"
		}
		f.epoch.Policy = pin
	}
	return f, ""
}

// behind compares component by component. A component that this replica does not
// have is one it is behind in.
func behind(have *authzv1.Epoch, policy uint64, least *authzv1.Epoch) bool {
	return have.GetPolicy() < policy || have.GetRevocation() < least.GetRevocation() || catalogBehind(have, least)
}

func catalogBehind(have, least *authzv1.Epoch) bool {
	for database, version := range least.GetCatalog() {
		if have.GetCatalog()[database] < version {
			return true
		}
	}
	return false
}
