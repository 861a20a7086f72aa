package advect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"advect.dev/internal/service"
)

// Security is what a session does with permissions, authentication and the two
// stores of the server (protocol 32): that of principals with their passwords and
// roles, and that of roles with their permissions. All methods may be used
// concurrently. See also [Session.ChangePrincipal] and [Session.ReAuthenticate].
type Security struct{ session *Session }

// Security returns the session's security.
func (s *Session) Security() *Security { return &Security{s} }

// Revoke ends the authentication of a session: it is closed, and its close reason
// is [SessionAuthorizationRevoked]. This session needs the permissions
// MODIFY_SESSION and AUTHENTICATE. The error matches [ErrNoSuchSession] if it is
// not open.
func (s *Security) Revoke(ctx context.Context, session SessionID) error {
	_, err := call(ctx, s.session, service.RevokeAuthentication, service.SessionRequest{Session: session})
	if err != nil {
		return fmt.Errorf("revoke authentication of session %s: %w", session, err)
	}
	return nil
}

// GlobalPermissions returns the permissions of this session that are for no path.
func (s *Security) GlobalPermissions(ctx context.Context) ([]GlobalPermission, error) {
	codes, err := call(ctx, s.session, service.ListGlobalPermissions, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("list global permissions: %w", err)
	}
	return permissions[GlobalPermission](codes), nil
}

// PathPermissions returns the permissions of this session for a path.
func (s *Security) PathPermissions(ctx context.Context, path string) ([]PathPermission, error) {
	codes, err := call(ctx, s.session, service.ListPathPermissions, service.Text(path))
	if err != nil {
		return nil, fmt.Errorf("list permissions for path %s: %w", path, err)
	}
	return permissions[PathPermission](codes), nil
}

func permissions[P ~byte](codes service.Permissions) []P {
	list := make([]P, len(codes))
	for i, code := range codes {
		list[i] = P(code)
	}
	return list
}

// A PrincipalStore is the store of the system authenticator: who may connect.
type PrincipalStore struct {
	Principals []Principal
	// Anonymous says what becomes of connections without a principal.
	Anonymous AnonymousAction
	// AnonymousRoles are the roles of such sessions.
	AnonymousRoles []string
	// Trusted says which session properties that clients propose are accepted, by
	// key. All others are ignored.
	Trusted map[string]PropertyValidation
}

// A Principal is a principal of a [PrincipalStore]. Passwords cannot be read.
type Principal struct {
	Name     string
	Roles    []string
	LockedBy string // the principal that alone may change it; "": anyone who may
}

// AnonymousAction is what becomes of connections without a principal.
type AnonymousAction byte

// The actions.
const (
	AllowAnonymous   = AnonymousAction(service.AllowAnonymous)
	DenyAnonymous    = AnonymousAction(service.DenyAnonymous)
	AbstainAnonymous = AnonymousAction(service.AbstainAnonymous) // leave it to other authenticators
)

// String returns the platform's name of the action, such as "ALLOW".
func (a AnonymousAction) String() string { return service.AnonymousAction(a).String() }

// A PropertyValidation says which values of a proposed session property are
// accepted: those in Values or, if that is nil, those that Regex matches.
type PropertyValidation struct {
	Values []string
	Regex  string
}

// PrincipalStore returns the store of principals. The session needs the permission
// VIEW_SECURITY.
func (s *Security) PrincipalStore(ctx context.Context) (*PrincipalStore, error) {
	res, err := call(ctx, s.session, service.GetSystemAuthentication, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("get principal store: %w", err)
	}
	store := &PrincipalStore{Anonymous: AnonymousAction(res.Anonymous), AnonymousRoles: res.AnonymousRoles}
	for _, p := range res.Principals {
		store.Principals = append(store.Principals, Principal{p.Name, p.Roles, optional(p.LockedBy)})
	}
	for key, v := range res.Trusted {
		if store.Trusted == nil {
			store.Trusted = make(map[string]PropertyValidation, len(res.Trusted))
		}
		validation := PropertyValidation{Regex: v.Regex}
		if v.Kind == service.OneOfValues {
			validation.Values = append([]string{}, v.Values...)
		}
		store.Trusted[key] = validation
	}
	return store, nil
}

// UpdatePrincipalStore changes the store of principals by a script: all of it, or,
// if the error matches [ErrInvalidScript], nothing. A [*ScriptError] then has each
// mistake with line and column. Each line is a command, such as
//
//	add principal 'bob' 'password' ['CLIENT' 'TOPIC_CONTROL']
//	assign roles 'bob' ['CLIENT']
//	set password 'bob' 'other'
//	remove principal 'bob'
//	allow anonymous connections ['CLIENT']
//	trust client proposed property 'tier' if value in ['gold' 'free']
//
// The session needs the permission MODIFY_SECURITY. An empty script is not sent.
func (s *Security) UpdatePrincipalStore(ctx context.Context, script string) error {
	return s.update(ctx, "principal", service.UpdateSystemAuthentication, script)
}

// A RoleStore is the store of roles: what sessions may do.
type RoleStore struct {
	AnonymousRoles []string // that every session without a principal gets
	NamedRoles     []string // that every session with a principal gets
	Roles          []Role
	IsolatedPaths  []string // that inherit nothing from the paths above
}

// A Role is a set of permissions.
type Role struct {
	Name string
	// Global are permissions that are for no path.
	Global []GlobalPermission
	// Default are those for paths without an assignment, to any role of a session,
	// at them or above.
	Default []PathPermission
	// Paths are those for a path, and below it. An empty assignment is not the
	// same as none: it ends the search upwards.
	Paths map[string][]PathPermission
	// Includes are the names of roles whose permissions are included.
	Includes []string
	LockedBy string // the principal that alone may change it; "": anyone who may
}

// RoleStore returns the store of roles. The session needs the permission
// VIEW_SECURITY.
func (s *Security) RoleStore(ctx context.Context) (*RoleStore, error) {
	res, err := call(ctx, s.session, service.GetSecurityConfiguration, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("get role store: %w", err)
	}
	store := &RoleStore{AnonymousRoles: res.AnonymousRoles, NamedRoles: res.NamedRoles, IsolatedPaths: res.IsolatedPaths}
	for _, r := range res.Roles {
		role := Role{
			Name: r.Name, Global: permissions[GlobalPermission](r.Global), Default: permissions[PathPermission](r.Default),
			Includes: r.Includes, LockedBy: optional(r.LockedBy),
		}
		for path, codes := range r.Paths {
			if role.Paths == nil {
				role.Paths = make(map[string][]PathPermission, len(r.Paths))
			}
			role.Paths[path] = permissions[PathPermission](codes)
		}
		store.Roles = append(store.Roles, role)
	}
	return store, nil
}

// UpdateRoleStore changes the store of roles by a script, as
// [Security.UpdatePrincipalStore] does. The changes apply at once to all sessions.
//
//	set roles for named sessions ['CLIENT']
//	set 'TRADER' permissions [VIEW_SESSION]
//	set 'TRADER' default path permissions [SELECT_TOPIC, READ_TOPIC]
//	set 'TRADER' path 'orders' permissions [READ_TOPIC, UPDATE_TOPIC]
//	set 'TRADER' includes ['CLIENT']
//	remove 'TRADER' permissions for path 'orders'
//	isolate path 'secret'
func (s *Security) UpdateRoleStore(ctx context.Context, script string) error {
	return s.update(ctx, "role", service.UpdateSecurityConfiguration, script)
}

func (s *Security) update(ctx context.Context, store string, svc *service.Service[service.Text, service.Errors], script string) error {
	if strings.TrimSpace(script) == "" {
		return nil
	}
	problems, err := call(ctx, s.session, svc, service.Text(script))
	if err == nil {
		err = scriptError(problems)
	}
	if err != nil {
		return fmt.Errorf("update %s store: %w", store, err)
	}
	return nil
}

func optional(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Script returns the script that makes a store without roles into this one.
func (r *RoleStore) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "set roles for anonymous sessions %s\n", scriptStrings(r.AnonymousRoles))
	fmt.Fprintf(&b, "set roles for named sessions %s\n", scriptStrings(r.NamedRoles))
	for _, role := range r.Roles {
		name := FilterString(role.Name)
		fmt.Fprintf(&b, "set %s permissions %s\n", name, scriptNames(role.Global))
		fmt.Fprintf(&b, "set %s default path permissions %s\n", name, scriptNames(role.Default))
		for _, path := range slices.Sorted(maps.Keys(role.Paths)) {
			fmt.Fprintf(&b, "set %s path %s permissions %s\n", name, FilterString(path), scriptNames(role.Paths[path]))
		}
	}
	for _, role := range r.Roles { // when all of them are there
		if len(role.Includes) > 0 {
			fmt.Fprintf(&b, "set %s includes %s\n", FilterString(role.Name), scriptStrings(role.Includes))
		}
	}
	for _, path := range r.IsolatedPaths {
		fmt.Fprintf(&b, "isolate path %s\n", FilterString(path))
	}
	for _, role := range r.Roles {
		if role.LockedBy != "" {
			fmt.Fprintf(&b, "set role %s locked by principal %s\n", FilterString(role.Name), FilterString(role.LockedBy))
		}
	}
	return b.String()
}

// scriptStrings returns a list of strings as it stands in scripts, whose strings
// are those of filters.
func scriptStrings(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = FilterString(s)
	}
	return "[" + strings.Join(quoted, " ") + "]"
}

func scriptNames[P fmt.Stringer](list []P) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.String()
	}
	return "[" + strings.Join(names, " ") + "]"
}
