package advect

import (
	"context"
	"fmt"

	"advect.dev/internal/service"
)

// An Explanation says why somebody has a permission, or why not.
type Explanation struct {
	Granted bool
	// Roles are all that the session or the principal has.
	Roles []string
	// Path is the path that was asked about.
	Path string
	// At is the path of the assignments that decided, if any did: the nearest one
	// that assigns permissions to one of the roles, or that is isolated.
	At string
	// Via are the roles that decided. Each way begins with one of Roles and names the
	// roles that are included in turn; the last one is the role in question.
	Via [][]string
	// Text is all of it in one line, for people.
	Text string
}

// String returns Text.
func (e Explanation) String() string { return e.Text }

// ExplainSession says which role, at which path, grants or denies a permission to a
// session. The permission is named as in scripts of the store, in any case, such as
// "UPDATE_TOPIC"; global ones need no path. This session needs VIEW_SECURITY. The
// error matches [ErrNoSuchSession] if the session is not open. Only our servers
// explain: others do not know the service.
func (s *Security) ExplainSession(ctx context.Context, id SessionID, permission, path string) (Explanation, error) {
	return s.explain(ctx, "session "+id.String(), service.ExplainRequest{Session: &id, Permission: permission, Path: path})
}

// ExplainPrincipal does as ExplainSession for a principal of the server's store, as
// it would be after connecting with its password; "" stands for anonymous sessions.
// Roles that an authenticator gives show only in sessions.
func (s *Security) ExplainPrincipal(ctx context.Context, principal, permission, path string) (Explanation, error) {
	return s.explain(ctx, fmt.Sprintf("principal %q", principal), service.ExplainRequest{Principal: principal, Permission: permission, Path: path})
}

func (s *Security) explain(ctx context.Context, whose string, r service.ExplainRequest) (Explanation, error) {
	e, err := call(ctx, s.session, service.Explain, r)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain %s of %s: %w", r.Permission, whose, err)
	}
	return Explanation(e), nil
}
