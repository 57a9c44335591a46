package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Matrix says which roles may call which method, by its full name,
// /package.Service/Method. A method without a row is refused.
type Matrix map[string][]Role

// DefaultMatrix is the matrix of Scopewire's contracts: a proxy may ask and
// append, authz may ask an external decision point, people may read and
// administer. Every method is written out, so that a new one is refused until
// somebody has said here who may call it.
func DefaultMatrix() Matrix {
	everybody := []Role{Proxy, Authz, Audit, Admin}
	return Matrix{
		"/scopewire.authz.v1.AuthorizationService/Authenticate":       {Proxy},
		"/scopewire.authz.v1.AuthorizationService/Authorize":          {Proxy},
		"/scopewire.authz.v1.AuthorizationService/Confirm":            {Proxy},
		"/scopewire.authz.v1.AuthorizationService/Watch":              {Proxy},
		"/scopewire.authz.v1.AuthorizationAdminService/Revoke":        {Admin},
		"/scopewire.authz.v1.AuthorizationAdminService/ListRevisions": {Admin},
		"/scopewire.authz.v1.AuthorizationAdminService/Reload":        {Admin},

		"/scopewire.policy.v1.PolicyDecisionService/Decide": {Authz},

		"/scopewire.audit.v1.AuditIngestService/Append":     {Proxy, Authz},
		"/scopewire.audit.v1.AuditQueryService/ListEvents":  {Admin},
		"/scopewire.audit.v1.AuditQueryService/GetEvent":    {Admin},
		"/scopewire.audit.v1.AuditQueryService/TailEvents":  {Admin},
		"/scopewire.audit.v1.AuditQueryService/VerifyStore": {Admin},

		"/scopewire.proxy.v1.CancelService/Cancel": {Proxy},

		"/grpc.health.v1.Health/Check": everybody,
		"/grpc.health.v1.Health/List":  everybody,
		"/grpc.health.v1.Health/Watch": everybody,

		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {Admin},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {Admin},
	}
}

// admits decides one call. fullMethod is "/package.Service/Method".
func (m Matrix) admits(who Identity, fullMethod string) error {
	if roles, listed := m[fullMethod]; listed && who.Role != "" {
		if who.Role == Local || slices.Contains(roles, who.Role) {
			return nil
		}
	}
	// The method is the caller's own word, but an odd one must not travel in an
	// error message.
	service, method, ok := splitMethod(fullMethod)
	if !ok {
		service, method = "unknown", "unknown"
	}
	return status.Errorf(codes.PermissionDenied, "%s may not call %s/%s", who, service, method)
}

func splitMethod(fullMethod string) (service, method string, ok bool) {
	rest, ok := strings.CutPrefix(fullMethod, "/")
	if !ok {
		return "", "", false
	}
	service, method, ok = strings.Cut(rest, "/")
	if !ok || !isMethodName(service) || !isMethodName(method) {
		return "", "", false
	}
	return service, method, true
}

func isMethodName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}

// check is an error when a registered method has no row: it could never be
// called, which is a bug to hear of at start.
func (m Matrix) check(services map[string]grpc.ServiceInfo) error {
	for name, info := range services {
		for _, method := range info.Methods {
			if full := "/" + name + "/" + method.Name; len(m[full]) == 0 {
				return fmt.Errorf("method %s has no row in the caller matrix", full)
			}
		}
	}
	return nil
}

func (m Matrix) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := m.admits(Caller(ctx), info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (m Matrix) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := m.admits(Caller(ss.Context()), info.FullMethod); err != nil {
		return err
	}
	return next(srv, ss)
}
