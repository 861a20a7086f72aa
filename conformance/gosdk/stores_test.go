package gosdk

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"advect.dev"
)

// The two security stores: who may connect, and what roles may do. Each scenario
// that changes them has a server of its own.

const (
	authenticationGroup = "Authentication store"
	securityGroup       = "Security store"
)

var stores = []scenario{
	{"authentication.stock", authenticationGroup, "a stock server has four principals, lets sessions without one in as CLIENT, and trusts no properties", both, authenticationStock},
	{"authentication.principals", authenticationGroup, "principals are added, get other roles and passwords, and are removed: each connection from then on goes by it", both, authenticationPrincipals},
	{"authentication.script-errors", authenticationGroup, "a script that fails changes nothing, and is reported line by line: known and unknown principals, wrong passwords, syntax", ws, authenticationScriptErrors},
	{"authentication.script-language", authenticationGroup, "scripts written by hand: single and double quotes, commas or spaces in lists, any case of keywords, empty lines", ws, authenticationScriptLanguage},
	{"authentication.locked", authenticationGroup, "a locked principal is changed by sessions of the principal that locks it, and by no other", ws, authenticationLocked},
	{"authentication.anonymous", authenticationGroup, "sessions without a principal: denied, abstained from, and let in with other roles", ws, authenticationAnonymous},
	{"authentication.proposed-properties", authenticationGroup, "of the properties that clients propose the trusted ones with valid values are kept, at connection and re-authentication", ws, authenticationProposed},
	{"authentication.permissions", authenticationGroup, "to read either store takes VIEW_SECURITY, to change it MODIFY_SECURITY", ws, authenticationPermissions},
	{"authentication.restart", authenticationGroup, "both stores outlive the server", ws, authenticationRestart},
	{"security.stock", securityGroup, "a stock server has the predefined roles, adds none to sessions, and isolates no path", both, securityStock},
	{"security.identity", securityGroup, "a script made of what the store holds changes nothing", ws, securityIdentity},
	{"security.paths", securityGroup, "the assignment nearest to a path decides, an empty one too; of several roles at one path all count; what is removed is inherited again", ws, securityPaths},
	{"security.isolation", securityGroup, "an isolated path inherits nothing from above, until it is isolated no longer", ws, securityIsolation},
	{"security.inclusion", securityGroup, "a role has what the roles that it includes have, and they in turn; global permissions are in force at once", ws, securityInclusion},
	{"security.default-roles", securityGroup, "roles that all sessions have, named and without principal, come on top of their own", ws, securityDefaultRoles},
	{"security.script-errors", securityGroup, "a script that fails changes nothing, and is reported line by line: unknown permissions, circles of inclusion, syntax", ws, securityScriptErrors},
	{"security.script-language", securityGroup, "scripts written by hand: topic for path, single and double quotes, commas or spaces, any case of keywords", ws, securityScriptLanguage},
	{"security.locked-role", securityGroup, "a locked role is changed by sessions of the principal that locks it, and by no other", ws, securityLockedRole},
	{"security.in-force", securityGroup, "what a role may read is in force at once: subscriptions come and go with it", both, securityInForce},
	{"security.go-explain", securityGroup, "Go: why a session or a principal has a permission or not; without VIEW_SECURITY PERMISSION_DENIED, no session NO_SUCH_SESSION", ws, securityExplain},
}

// A governed is a server of the scenario's own, and its administrator.
type governed struct {
	s *scene
	*serverProcess
	*advect.Session
}

func (s *scene) governed(args ...string) governed {
	s.t.Helper()
	server := s.serve(args...)
	return governed{s, server, s.at(server.port, as("admin")...)}
}

// principals changes the store of principals, one line each.
func (g governed) principals(script ...string) {
	g.s.t.Helper()
	g.s.none(g.Security().UpdatePrincipalStore(g.s.ctx, strings.Join(script, "\n")), "change the store of principals")
}

// roles changes the store of roles, one line each.
func (g governed) roles(script ...string) {
	g.s.t.Helper()
	g.s.none(g.Security().UpdateRoleStore(g.s.ctx, strings.Join(script, "\n")), "change the store of roles")
}

func (g governed) connect(options ...advect.Option) *advect.Session {
	g.s.t.Helper()
	return g.s.at(g.port, options...)
}

func (g governed) denied(what string, options ...advect.Option) {
	g.s.t.Helper()
	g.s.code(g.s.refused(what, g.s.to(g.port, options...)...), advect.CodeAccessDenied, what)
}

// with returns the options of a session with a principal and its password.
func with(principal, password string, more ...advect.Option) []advect.Option {
	return append([]advect.Option{advect.WithPrincipal(principal), advect.WithPassword(password)}, more...)
}

func (s *scene) principalStore(session *advect.Session) *advect.PrincipalStore {
	s.t.Helper()
	store, err := session.Security().PrincipalStore(s.ctx)
	s.none(err, "read the store of principals")
	return store
}

func (s *scene) roleStore(session *advect.Session) *advect.RoleStore {
	s.t.Helper()
	store, err := session.Security().RoleStore(s.ctx)
	s.none(err, "read the store of roles")
	return store
}

// rolesOf returns the roles of each principal.
func (s *scene) rolesOf(session *advect.Session) map[string][]string {
	s.t.Helper()
	all := map[string][]string{}
	for _, p := range s.principalStore(session).Principals {
		slices.Sort(p.Roles)
		all[p.Name] = p.Roles
	}
	return all
}

func (s *scene) role(session *advect.Session, name string) advect.Role {
	s.t.Helper()
	store := s.roleStore(session)
	i := slices.IndexFunc(store.Roles, func(r advect.Role) bool { return r.Name == name })
	s.ok(i >= 0, "there is no role %s", name)
	return store.Roles[i]
}

// sorted returns names in order, as one text.
func sorted[T any](list []T) string {
	var names []string
	for _, one := range list {
		names = append(names, fmt.Sprint(one))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// allowed compares the permissions of a session for a path.
func (s *scene) allowed(session *advect.Session, path, want string) {
	s.t.Helper()
	got, err := session.Security().PathPermissions(s.ctx, path)
	s.none(err, "path permissions")
	s.equal(sorted(got), want, "permissions of "+path)
}

// allowedAll compares the permissions of a session that are for no path.
func (s *scene) allowedAll(session *advect.Session, want string) {
	s.t.Helper()
	got, err := session.Security().GlobalPermissions(s.ctx)
	s.none(err, "global permissions")
	s.equal(sorted(got), want, "global permissions")
}

func authenticationStock(s *scene) {
	admin := s.admin()
	s.equal(s.rolesOf(admin), map[string][]string{
		"admin": {"ADMINISTRATOR"}, "client": {"CLIENT"}, "control": {"AUTHENTICATION_HANDLER", "CLIENT_CONTROL", "TOPIC_CONTROL"}, "operator": {"OPERATOR"},
	}, "principals")
	store := s.principalStore(admin)
	s.equal([]any{store.Anonymous, store.AnonymousRoles, len(store.Trusted)}, "[ALLOW [CLIENT] 0]", "anonymous connections, trusted properties")
	for _, p := range store.Principals {
		s.equal(p.LockedBy, "", "locking principal of "+p.Name)
	}
}

func authenticationPrincipals(s *scene) {
	g := s.governed()
	g.principals(`add principal 'bob' 'it\'s "quoted" \\' ['CLIENT', 'OPERATOR']`, `add principal 'al' 'pw'`)
	all := s.rolesOf(g.Session)
	s.equal([]any{all["bob"], all["al"]}, "[[CLIENT OPERATOR] []]", "roles")
	const quoted = `it's "quoted" \`
	g.connect(with("bob", quoted)...)
	g.denied("wrong password", with("bob", "wrong")...)
	g.principals(`assign roles 'bob' ['TOPIC_CONTROL']`, `set password 'bob' 'other'`, `verify password 'bob' 'other'`)
	g.denied("old password", with("bob", quoted)...)
	session := g.connect(with("bob", "other")...)
	s.allowedAll(session, "MODIFY_TOPIC_VIEWS READ_TOPIC_VIEWS")
	g.principals(`remove principal 'bob'`)
	g.denied("removed", with("bob", "other")...)
	_, there := s.rolesOf(g.Session)["bob"]
	s.ok(!there, "the principal is still there")
	s.ping(session)
}

func authenticationScriptErrors(s *scene) {
	g := s.governed()
	before := s.rolesOf(g.Session)
	for _, wrong := range []string{
		`add principal 'admin' 'pw'`, `set password 'nobody' 'pw'`, `assign roles 'nobody' ['CLIENT']`, `remove principal 'nobody'`,
		`verify password 'new' 'wrong'`, `verify password 'nobody' 'pw'`, `forget everything`, `add principal`, `ignore client proposed property 'none'`,
	} {
		reports := s.reported(g.Security().UpdatePrincipalStore(s.ctx, "add principal 'new' 'pw'\n"+wrong), wrong, advect.ErrInvalidScript)
		s.equal(reports[0].Line, 2, "line of "+wrong)
	}
	s.equal(s.rolesOf(g.Session), before, "principals")
}

func authenticationScriptLanguage(s *scene) {
	g := s.governed()
	g.principals(`add principal "one" "pw" ["A", "B"]`, "", `ADD Principal 'two' 'pw' ['A' 'B']`, `  add principal "three" "pw" [ "A" ,"B" ] locked by "one"`)
	all := s.rolesOf(g.Session)
	s.equal([]any{all["one"], all["two"], all["three"]}, "[[A B] [A B] [A B]]", "roles")
}

func authenticationLocked(s *scene) {
	g := s.governed()
	g.principals(`add principal 'root' 'pw' ['ADMINISTRATOR']`, `add principal 'kept' 'pw' ['CLIENT'] locked by 'root'`)
	store := s.principalStore(g.Session)
	i := slices.IndexFunc(store.Principals, func(p advect.Principal) bool { return p.Name == "kept" })
	s.equal(store.Principals[i].LockedBy, "root", "locking principal")
	for _, change := range []string{`set password 'kept' 'x'`, `assign roles 'kept' []`, `remove principal 'kept'`} {
		s.reported(g.Security().UpdatePrincipalStore(s.ctx, change), change+" by another", advect.ErrInvalidScript)
	}
	root := g.connect(with("root", "pw")...)
	s.none(root.Security().UpdatePrincipalStore(s.ctx, `set password 'kept' 'x'`), "change by who locks it")
	g.connect(with("kept", "x")...)
}

func authenticationAnonymous(s *scene) {
	g := s.governed()
	action := func(script string, want advect.AnonymousAction) {
		s.t.Helper()
		g.principals(script)
		s.equal(s.principalStore(g.Session).Anonymous, want, script)
	}
	action("deny anonymous connections", advect.DenyAnonymous)
	g.denied("denied")
	action("abstain anonymous connections", advect.AbstainAnonymous)
	g.denied("abstained from")
	action("allow anonymous connections ['OPERATOR']", advect.AllowAnonymous)
	s.equal(s.principalStore(g.Session).AnonymousRoles, "[OPERATOR]", "roles")
	s.allowedAll(g.connect(), "VIEW_SERVER VIEW_SESSION")
	action("allow anonymous connections", advect.AllowAnonymous)
	s.allowed(g.connect(), "a", "")
}

func authenticationProposed(s *scene) {
	g := s.governed()
	propose := func(p properties) []advect.Option { return as("client", advect.WithSessionProperties(p)) }
	all := properties{"Tier": "gold", "Desk": "a7", "Other": "x", "$Principal": "admin", "$Country": "DE"}
	kept := func(session *advect.Session, want properties) {
		s.t.Helper()
		s.has(g.Session, session, want, advect.AllUserProperties)
	}
	kept(g.connect(propose(all)...), properties{})
	g.principals(`trust client proposed property 'Tier' if value in ['gold', 'sil\'ver']`, `trust client proposed property 'Desk' if value matches '^a\\d$'`)
	trusted := s.principalStore(g.Session).Trusted
	s.equal(sorted(trusted["Tier"].Values), "gold sil'ver", "values")
	s.equal(trusted["Desk"].Regex, `^a\d$`, "expression")
	session := g.connect(propose(all)...)
	kept(session, properties{"Tier": "gold", "Desk": "a7"})
	kept(g.connect(advect.WithSessionProperties(properties{"Tier": "gold"})), properties{"Tier": "gold"})
	kept(g.connect(propose(properties{"Tier": "lead", "Desk": "xa7"})...), properties{})
	s.none(session.ReAuthenticate(s.ctx, "control", advect.Password("password"), properties{"Tier": "sil'ver", "Desk": "b1"}), "re-authenticate")
	kept(session, properties{"Tier": "sil'ver"})
	s.equal(session.Principal(), "control", "principal")
	s.is(session.ReAuthenticate(s.ctx, "admin", advect.Password("wrong"), nil), "wrong password", advect.ErrAccessDenied)
	kept(session, properties{"Tier": "sil'ver"})
	g.principals(`ignore client proposed property 'Tier'`)
	kept(g.connect(propose(all)...), properties{"Desk": "a7"})
}

func authenticationPermissions(s *scene) {
	g := s.governed()
	g.roles("set 'AUDITOR' permissions [VIEW_SECURITY]")
	g.principals("add principal 'auditor' 'password' ['AUDITOR']")
	reads := map[string]func(*advect.Session) error{
		"store of principals": func(by *advect.Session) error { _, err := by.Security().PrincipalStore(s.ctx); return err },
		"store of roles":      func(by *advect.Session) error { _, err := by.Security().RoleStore(s.ctx); return err },
		"explanation": func(by *advect.Session) error {
			_, err := by.Security().ExplainPrincipal(s.ctx, "client", "READ_TOPIC", "a")
			return err
		},
	}
	changes := map[string]func(*advect.Session) error{
		"change of principals": func(by *advect.Session) error {
			return by.Security().UpdatePrincipalStore(s.ctx, "add principal 'x' 'x'")
		},
		"change of roles": func(by *advect.Session) error { return by.Security().UpdateRoleStore(s.ctx, "isolate path 'x'") },
	}
	for _, principal := range []string{"control", "operator", "auditor"} {
		session := g.connect(as(principal)...)
		for what, call := range reads {
			if principal == "auditor" {
				s.none(call(session), what)
			} else {
				s.denied(call(session), principal+": "+what)
			}
		}
		for what, call := range changes {
			s.denied(call(session), principal+": "+what)
		}
	}
}

func authenticationRestart(s *scene) {
	g := s.governed()
	g.principals("add principal 'bob' 'password' ['CREW']", "deny anonymous connections")
	g.roles("set 'CREW' path 'ship' permissions [READ_TOPIC]", "isolate path 'ship'")
	g.signal(syscall.SIGTERM)
	again := s.serve("--data-dir", g.dataDir)
	s.allowed(s.at(again.port, as("bob")...), "ship/deck", "READ_TOPIC")
	s.code(s.refused("anonymous", s.to(again.port)...), advect.CodeAccessDenied, "anonymous")
	s.equal(s.roleStore(s.at(again.port, as("admin")...)).IsolatedPaths, "[ship]", "isolated paths")
}

func securityStock(s *scene) {
	admin := s.admin()
	store := s.roleStore(admin)
	s.equal([]int{len(store.AnonymousRoles), len(store.NamedRoles), len(store.IsolatedPaths)}, "[0 0 0]", "default roles and isolated paths")
	var names []string
	for _, r := range store.Roles {
		names = append(names, r.Name)
		s.equal(r.LockedBy, "", "locking principal of "+r.Name)
	}
	s.equal(sorted(names), "ADMINISTRATOR AUTHENTICATION_HANDLER CLIENT CLIENT_CONTROL JMX_ADMINISTRATOR OPERATOR TOPIC_CONTROL", "roles")
	client := s.role(admin, "CLIENT")
	s.equal(sorted(client.Default), "READ_TOPIC SELECT_TOPIC SEND_TO_MESSAGE_HANDLER", "default permissions")
	s.equal([]any{len(client.Global), client.Paths, len(client.Includes)}, "[0 map[Diffusion:[]] 0]", "CLIENT")
}

func securityIdentity(s *scene) {
	g := s.governed()
	g.roles("set 'CLIENT' path 'a/b' permissions []", "set 'CREW' includes ['CLIENT']", "set role 'CREW' locked by principal 'admin'", "isolate path 'a/b'")
	before := s.roleStore(g.Session)
	g.roles(before.Script())
	s.equal(fmt.Sprintf("%+v", s.roleStore(g.Session)), fmt.Sprintf("%+v", before), "store")
}

func securityPaths(s *scene) {
	g := s.governed()
	g.roles("set 'ONE' default path permissions [SELECT_TOPIC]",
		"set 'ONE' path 'a' permissions [READ_TOPIC]", "set 'ONE' path 'a/b' permissions [UPDATE_TOPIC]", "set 'ONE' path 'a/b/c' permissions []",
		"set 'TWO' path 'a' permissions [MODIFY_TOPIC]")
	g.principals("add principal 'both' 'password' ['ONE', 'TWO']")
	session := g.connect(as("both")...)
	for path, want := range map[string]string{
		"x": "SELECT_TOPIC", "ab": "SELECT_TOPIC", "a": "MODIFY_TOPIC READ_TOPIC", "a/x": "MODIFY_TOPIC READ_TOPIC",
		"a/b": "UPDATE_TOPIC", "a/b/x": "UPDATE_TOPIC", "a/b/c": "", "a/b/c/d": "",
	} {
		s.allowed(session, path, want)
	}
	g.roles("remove 'ONE' permissions for path 'a/b/c'", "set 'ONE' path 'a' permissions [ACQUIRE_LOCK]")
	s.allowed(session, "a/b/c/d", "UPDATE_TOPIC")
	s.allowed(session, "a", "ACQUIRE_LOCK MODIFY_TOPIC")
}

const clientPermissions = "READ_TOPIC SELECT_TOPIC SEND_TO_MESSAGE_HANDLER"

func securityIsolation(s *scene) {
	g := s.governed()
	session := g.connect()
	g.roles("isolate path 'a/b'")
	s.equal(s.roleStore(g.Session).IsolatedPaths, "[a/b]", "isolated paths")
	s.allowed(session, "a/b", "")
	s.allowed(session, "a/b/c", "")
	s.allowed(session, "a", clientPermissions)
	g.roles("set 'CLIENT' path 'a/b/c' permissions [READ_TOPIC]")
	s.allowed(session, "a/b/c/d", "READ_TOPIC")
	s.allowed(session, "a/b", "")
	g.roles("deisolate path 'a/b'")
	s.allowed(session, "a/b", clientPermissions)
}

func securityInclusion(s *scene) {
	g := s.governed()
	g.principals("add principal 'captain' 'password' ['CAPTAIN']")
	session := g.connect(as("captain")...)
	s.allowedAll(session, "") // of a role that does not exist
	g.roles("set 'CREW' permissions [VIEW_SERVER]", "set 'MATE' includes ['CREW']", "set 'CAPTAIN' includes ['MATE']")
	s.allowedAll(session, "VIEW_SERVER")
	_, err := session.FetchLog(s.ctx, 0, 1)
	s.none(err, "a call that it may make")
	g.roles("set 'CAPTAIN' permissions [VIEW_SESSION]", "set 'CREW' permissions []")
	s.allowedAll(session, "VIEW_SESSION")
	_, err = session.FetchLog(s.ctx, 0, 1)
	s.denied(err, "a call that it may make no longer")
	captain := s.role(g.Session, "CAPTAIN")
	s.equal([]any{captain.Includes, captain.Global}, "[[MATE] [VIEW_SESSION]]", "as it is read")
}

func securityDefaultRoles(s *scene) {
	g := s.governed()
	g.roles("set roles for anonymous sessions ['GUEST']", "set roles for named sessions ['MEMBER' 'CREW']",
		"set 'GUEST' permissions [VIEW_SERVER]", "set 'MEMBER' permissions [VIEW_SESSION]")
	store := s.roleStore(g.Session)
	s.equal([]string{sorted(store.AnonymousRoles), sorted(store.NamedRoles)}, "[GUEST CREW MEMBER]", "default roles")
	member := g.connect(as("client")...)
	s.allowedAll(g.connect(), "VIEW_SERVER")
	s.allowedAll(member, "VIEW_SESSION")
	p, err := g.Clients().Properties(s.ctx, member.ID(), "$Roles")
	s.none(err, "properties")
	for _, role := range []string{`"CLIENT"`, `"CREW"`, `"MEMBER"`} {
		s.ok(strings.Contains(p["$Roles"], role), "$Roles %s", p["$Roles"])
	}
}

func securityScriptErrors(s *scene) {
	g := s.governed()
	before := s.roleStore(g.Session)
	for _, wrong := range []string{
		`set "NEW" permissions [READ_TOPIC]`, `set "NEW" path "a" permissions [VIEW_SESSION]`, `set "NEW" default path permissions [READ_MINDS]`,
		`set "NEW" includes ["NEW"]`, `set "CLIENT" includes ["ADMINISTRATOR"]`, `grant everything`, `set "NEW permissions []`,
	} {
		reports := s.reported(g.Security().UpdateRoleStore(s.ctx, "set 'FIRST' permissions [VIEW_SESSION]\n"+wrong), wrong, advect.ErrInvalidScript)
		s.ok(slices.ContainsFunc(reports, func(r advect.ErrorReport) bool { return r.Line == 2 }), "%s: %v", wrong, reports)
	}
	s.equal(fmt.Sprintf("%+v", s.roleStore(g.Session)), fmt.Sprintf("%+v", before), "store")
}

func securityScriptLanguage(s *scene) {
	g := s.governed()
	g.roles(`set "A" topic "x" permissions [READ_TOPIC, UPDATE_TOPIC]`, `SET 'A' Path 'y' permissions [ READ_TOPIC UPDATE_TOPIC ]`, `set "A" default topic permissions []`)
	paths := s.role(g.Session, "A").Paths
	for _, path := range []string{"x", "y"} {
		s.equal(sorted(paths[path]), "READ_TOPIC UPDATE_TOPIC", "permissions of "+path)
	}
	g.roles(`remove "A" permissions for topic "x"`)
	s.equal(len(s.role(g.Session, "A").Paths), 1, "paths")
}

func securityLockedRole(s *scene) {
	g := s.governed()
	g.principals("add principal 'root' 'password' ['ADMINISTRATOR']")
	g.roles("set 'KEPT' permissions [VIEW_SERVER]", "set role 'KEPT' locked by principal 'root'")
	s.equal(s.role(g.Session, "KEPT").LockedBy, "root", "locking principal")
	for _, change := range []string{"set 'KEPT' permissions []", "set 'KEPT' path 'a' permissions []", "set 'KEPT' includes ['CLIENT']"} {
		s.reported(g.Security().UpdateRoleStore(s.ctx, change), change+" by another", advect.ErrInvalidScript)
	}
	s.none(g.connect(as("root")...).Security().UpdateRoleStore(s.ctx, "set 'KEPT' permissions [VIEW_SESSION]"), "change by who locks it")
	s.equal(s.role(g.Session, "KEPT").Global, "[VIEW_SESSION]", "permissions")
}

func securityInForce(s *scene) {
	g := s.governed()
	session := g.connect()
	publisher{g.Session, s}.add("a/b", advect.String)
	stream := watch[text](s, session, "?a//")
	s.subscribe(session, "?a//")
	s.await(stream, subscribe, 1)
	g.roles("set 'CLIENT' path 'a' permissions [SELECT_TOPIC]")
	s.equal(s.await(stream, unsubscribe, 1).reason, advect.UnsubscribeAuthorization, "reason")
	g.roles("remove 'CLIENT' permissions for path 'a'")
	s.await(stream, subscribe, 2)
	g.roles("set 'CLIENT' path 'a' permissions []")
	s.await(stream, unsubscribe, 2)
	s.denied(session.Topics().Subscribe(s.ctx, "?a//"), "a selection without SELECT_TOPIC")
}

func securityExplain(s *scene) {
	g := s.governed()
	g.roles("set 'CREW' path 'ship' permissions [READ_TOPIC]", "set 'CAPTAIN' includes ['CREW']")
	g.principals("add principal 'ahab' 'password' ['CAPTAIN']")
	session := g.connect(as("ahab")...)
	for permission, want := range map[string]string{
		"READ_TOPIC": "true ship [[CAPTAIN CREW]]", "UPDATE_TOPIC": "false ship [[CAPTAIN CREW]]",
	} {
		of, err := g.Security().ExplainSession(s.ctx, session.ID(), permission, "ship/deck")
		s.none(err, "explain a session")
		s.equal(fmt.Sprint(of.Granted, " ", of.At, " ", of.Via), want, permission)
		principal, err := g.Security().ExplainPrincipal(s.ctx, "ahab", permission, "ship/deck")
		s.none(err, "explain a principal")
		s.equal(principal.Text, of.Text, "explanation of the principal")
	}
	_, err := session.Security().ExplainSession(s.ctx, session.ID(), "READ_TOPIC", "ship")
	s.denied(err, "without VIEW_SECURITY")
	_, err = g.Security().ExplainSession(s.ctx, nobody, "READ_TOPIC", "ship")
	s.is(err, "no session", advect.ErrNoSuchSession)
	_, err = g.Security().ExplainPrincipal(s.ctx, "ahab", "READ_MINDS", "ship")
	s.is(err, "no permission", advect.ErrInvalidData)
}
