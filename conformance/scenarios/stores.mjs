// The two security stores: who may connect, and what roles may do (32 section 5). Each scenario has a
// server of its own.

const AUTHENTICATION = 'Authentication store';
const SECURITY = 'Security store';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;

// A server, its administrator, and functions that edit its stores with the script builders of the SDK.
async function governed(t, args) {
  const server = await t.host.serve(args);
  const admin = await t.admin({ port: server.port });
  const { security } = admin;
  return {
    ...server, admin, security,
    authentication: (change) => security.updateAuthenticationStore(change(security.authenticationScriptBuilder()).build()),
    policy: (change) => security.updateSecurityStore(change(security.securityScriptBuilder()).build()),
    connect: (principal, credentials, options) => t.connect({ port: server.port, principal, credentials, ...options }),
  };
}

async function denied(t, promise, what) {
  t.equal((await t.rejects(promise, what))?.id, t.diffusion.clients.CloseReason.ACCESS_DENIED.id, `${what}: close reason`);
}

const principals = async ({ security }) => {
  const { principals } = await security.getSystemAuthenticationConfiguration();
  return Object.fromEntries(principals.map(({ name, roles }) => [name, [...roles].sort()]));
};

const role = async ({ security }, name) => (await security.getSecurityConfiguration()).roles.find((one) => one.name === name);

const paths = async (session, path) => (await session.security.getPathPermissions(path)).sort();

export const stores = [
  {
    id: 'authentication.stock',
    group: AUTHENTICATION,
    title: 'a stock server has four principals, lets sessions without one in as CLIENT, and trusts no properties',
    services: [57],
    transports: BOTH,
    async run(t) {
      const { security } = await t.admin();
      t.equal(await principals({ security }), {
        admin: ['ADMINISTRATOR'], client: ['CLIENT'], control: ['AUTHENTICATION_HANDLER', 'CLIENT_CONTROL', 'TOPIC_CONTROL'], operator: ['OPERATOR'],
      }, 'principals');
      const { anonymous, trustedClientProposedProperties, principals: all } = await security.getSystemAuthenticationConfiguration();
      t.equal([anonymous.action, anonymous.roles], ['allow', ['CLIENT']], 'anonymous connections');
      t.equal(Object.keys(trustedClientProposedProperties), [], 'trusted properties');
      t.ok(all.every(({ lockingPrincipal }) => !lockingPrincipal), 'no locked principals');
    },
  },
  {
    id: 'authentication.principals',
    group: AUTHENTICATION,
    title: 'principals are added, get other roles and passwords, and are removed: each connection from then on goes by it',
    services: [57, 58],
    transports: BOTH,
    async run(t) {
      const on = await governed(t);
      await on.authentication((script) => script.addPrincipal('bob', `it's "quoted" \\`, ['CLIENT', 'OPERATOR']).addPrincipal('al', 'pw'));
      const { bob, al } = await principals(on);
      t.equal([bob, al], [['CLIENT', 'OPERATOR'], []], 'roles');
      await on.connect('bob', `it's "quoted" \\`);
      await denied(t, on.connect('bob', 'wrong'), 'wrong password');
      await on.authentication((script) => script.assignRoles('bob', ['TOPIC_CONTROL']).setPassword('bob', 'other').verifyPassword('bob', 'other'));
      await denied(t, on.connect('bob', `it's "quoted" \\`), 'old password');
      const session = await on.connect('bob', 'other');
      t.equal((await session.security.getGlobalPermissions()).sort(), ['MODIFY_TOPIC_VIEWS', 'READ_TOPIC_VIEWS'], 'permissions of the new roles');
      await on.authentication((script) => script.removePrincipal('bob'));
      await denied(t, on.connect('bob', 'other'), 'removed');
      t.equal([(await principals(on)).bob === undefined, session.isConnected()], [true, true], 'principal gone, session goes on');
    },
  },
  {
    id: 'authentication.script-errors',
    group: AUTHENTICATION,
    title: 'a script that fails changes nothing, and is reported line by line: known and unknown principals, wrong passwords, syntax',
    services: [58],
    transports: BOTH,
    async run(t) {
      const on = await governed(t);
      const before = await principals(on);
      const wrong = {
        'a principal that exists': (script) => script.addPrincipal('new', 'pw').addPrincipal('admin', 'pw'),
        'password of nobody': (script) => script.addPrincipal('new', 'pw').setPassword('nobody', 'pw'),
        'roles of nobody': (script) => script.addPrincipal('new', 'pw').assignRoles('nobody', ['CLIENT']),
        'removal of nobody': (script) => script.addPrincipal('new', 'pw').removePrincipal('nobody'),
        'verification of a wrong password': (script) => script.addPrincipal('new', 'pw').verifyPassword('new', 'wrong'),
        'verification of nobody': (script) => script.addPrincipal('new', 'pw').verifyPassword('nobody', 'pw'),
      };
      for (const [what, change] of Object.entries(wrong)) {
        const [report] = await t.reported(on.authentication(change), what);
        t.equal(report.line, 2, `${what}: line`);
      }
      const reports = await t.reported(on.security.updateAuthenticationStore('add principal "new" "pw"\nforget everything\nadd principal'), 'syntax');
      t.equal(reports[0].line, 2, 'line of the syntax error');
      t.equal(await principals(on), before, 'principals');
    },
  },
  {
    id: 'authentication.script-language',
    group: AUTHENTICATION,
    title: 'scripts written by hand: single and double quotes, commas or spaces in lists, any case of keywords, empty lines',
    services: [58],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.security.updateAuthenticationStore([
        'add principal "one" "pw" ["A", "B"]', '', `ADD Principal 'two' 'pw' ['A' 'B']`, '  add principal "three" "pw" [ "A" ,"B" ] locked by "one"',
      ].join('\n'));
      const { one, two, three } = await principals(on);
      t.equal([one, two, three], [['A', 'B'], ['A', 'B'], ['A', 'B']], 'roles');
    },
  },
  {
    id: 'authentication.locked',
    group: AUTHENTICATION,
    title: 'a locked principal is changed by sessions of the principal that locks it, and by no other',
    services: [57, 58],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.authentication((script) => script.addPrincipal('root', 'pw', ['ADMINISTRATOR']).addPrincipal('kept', 'pw', ['CLIENT'], 'root'));
      const { principals: all } = await on.security.getSystemAuthenticationConfiguration();
      t.equal(all.find(({ name }) => name === 'kept').lockingPrincipal, 'root', 'locking principal');
      for (const change of [(s) => s.setPassword('kept', 'x'), (s) => s.assignRoles('kept', []), (s) => s.removePrincipal('kept')]) {
        await t.reported(on.authentication(change), 'change by another');
      }
      const { security } = await on.connect('root', 'pw');
      await security.updateAuthenticationStore(security.authenticationScriptBuilder().setPassword('kept', 'x').build());
      await on.connect('kept', 'x');
    },
  },
  {
    id: 'authentication.anonymous',
    group: AUTHENTICATION,
    title: 'sessions without a principal: denied, abstained from, and let in with other roles',
    services: [57, 58],
    transports: BOTH,
    async run(t) {
      const on = await governed(t);
      const action = async () => (await on.security.getSystemAuthenticationConfiguration()).anonymous;
      await on.authentication((script) => script.denyAnonymousConnections());
      t.equal((await action()).action, 'deny', 'action');
      await denied(t, on.connect(), 'denied');
      await on.authentication((script) => script.abstainAnonymousConnections());
      t.equal((await action()).action, 'abstain', 'action');
      await denied(t, on.connect(), 'abstained from');
      await on.authentication((script) => script.allowAnonymousConnections(['OPERATOR']));
      t.equal(await action(), { action: 'allow', roles: ['OPERATOR'] }, 'anonymous connections');
      t.equal((await (await on.connect()).security.getGlobalPermissions()).sort(), ['VIEW_SERVER', 'VIEW_SESSION'], 'permissions');
      await on.authentication((script) => script.allowAnonymousConnections());
      t.equal(await paths(await on.connect(), 'a'), [], 'permissions without roles');
    },
  },
  {
    id: 'authentication.proposed-properties',
    group: AUTHENTICATION,
    title: 'of the properties that clients propose the trusted ones with valid values are kept, at connection and re-authentication',
    services: [57, 58, 67, 203],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      const propose = { Tier: 'gold', Desk: 'a7', Other: 'x', $Principal: 'admin', $Country: 'DE' };
      const kept = async (session) => on.admin.clients.getSessionProperties(session.sessionId, ['*U']);
      t.equal(await kept(await on.connect('client', 'password', { properties: propose })), {}, 'kept by a stock server');
      await on.authentication((script) => script.trustClientProposedPropertyIn('Tier', ['gold', `sil'ver`]).trustClientProposedPropertyMatches('Desk', '^a\\d$'));
      const { trustedClientProposedProperties: trusted } = await on.security.getSystemAuthenticationConfiguration();
      t.equal([[...trusted.Tier.values].sort(), trusted.Desk.regex], [['gold', `sil'ver`], '^a\\d$'], 'trusted properties');
      const session = await on.connect('client', 'password', { properties: propose });
      t.equal(await kept(session), { Tier: 'gold', Desk: 'a7' }, 'valid values');
      t.equal(await kept(await on.connect(undefined, undefined, { properties: { Tier: 'gold' } })), { Tier: 'gold' }, 'of a session without a principal');
      t.equal(await kept(await on.connect('client', 'password', { properties: { Tier: 'lead', Desk: 'xa7' } })), {}, 'other values');
      t.equal(await session.security.reauthenticate('control', 'password', { Tier: `sil'ver`, Desk: 'b1' }), true, 're-authentication');
      t.equal(await kept(session), { Tier: `sil'ver` }, 'after re-authentication');
      await on.authentication((script) => script.ignoreClientProposedProperty('Tier'));
      t.equal(await kept(await on.connect('client', 'password', { properties: propose })), { Desk: 'a7' }, 'one ignored again');
      await t.reported(on.authentication((script) => script.ignoreClientProposedProperty('Tier')), 'one that is not trusted');
    },
  },
  {
    id: 'authentication.permissions',
    group: AUTHENTICATION,
    title: 'to read either store takes VIEW_SECURITY, to change it MODIFY_SECURITY',
    services: [57, 58, 59, 60],
    transports: BOTH,
    async run(t) {
      const on = await governed(t);
      await on.policy((script) => script.setGlobalPermissions('AUDITOR', ['VIEW_SECURITY']));
      await on.authentication((script) => script.addPrincipal('auditor', 'pw', ['AUDITOR']));
      const calls = ({ security }) => ({
        'read authentication': () => security.getSystemAuthenticationConfiguration(),
        'read security': () => security.getSecurityConfiguration(),
        'change authentication': () => security.updateAuthenticationStore(security.authenticationScriptBuilder().addPrincipal('x', 'x').build()),
        'change security': () => security.updateSecurityStore(security.securityScriptBuilder().isolatePath('x').build()),
      });
      for (const principal of ['control', 'operator']) {
        for (const [what, call] of Object.entries(calls(await on.connect(principal, 'password')))) await t.refused(call(), ACCESS_DENIED, `${principal}: ${what}`);
      }
      for (const [what, call] of Object.entries(calls(await on.connect('auditor', 'pw')))) {
        if (what.startsWith('read')) await call();
        else await t.refused(call(), ACCESS_DENIED, `auditor: ${what}`);
      }
    },
  },
  {
    id: 'authentication.restart',
    group: AUTHENTICATION,
    title: 'both stores outlive the server',
    services: [57, 58, 59, 60],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.authentication((script) => script.addPrincipal('bob', 'pw', ['CREW']).denyAnonymousConnections());
      await on.policy((script) => script.setPathPermissions('CREW', 'ship', ['READ_TOPIC']).isolatePath('ship'));
      await t.host.stopServer(on.id, 'SIGTERM');
      const { port } = await t.host.serve({ dataDirOf: on.id });
      const bob = await t.connect({ port, principal: 'bob', credentials: 'pw' });
      t.equal(await paths(bob, 'ship/deck'), ['READ_TOPIC'], 'permissions');
      await denied(t, t.connect({ port }), 'anonymous');
      const admin = await t.admin({ port });
      t.equal((await admin.security.getSecurityConfiguration()).isolatedPaths, ['ship'], 'isolated paths');
    },
  },
  {
    id: 'security.stock',
    group: SECURITY,
    title: 'a stock server has the predefined roles, adds none to sessions, and isolates no path',
    services: [59],
    transports: BOTH,
    async run(t) {
      const { security } = await t.admin();
      const configuration = await security.getSecurityConfiguration();
      t.equal([configuration.anonymous, configuration.named, configuration.isolatedPaths], [[], [], []], 'default roles and isolated paths');
      const roles = Object.fromEntries(configuration.roles.map((one) => [one.name, one]));
      t.equal(Object.keys(roles).sort(), [
        'ADMINISTRATOR', 'AUTHENTICATION_HANDLER', 'CLIENT', 'CLIENT_CONTROL', 'JMX_ADMINISTRATOR', 'OPERATOR', 'TOPIC_CONTROL',
      ], 'roles');
      t.equal([...roles.CLIENT.default].sort(), ['READ_TOPIC', 'SELECT_TOPIC', 'SEND_TO_MESSAGE_HANDLER'], 'default permissions of CLIENT');
      t.equal([roles.CLIENT.global, roles.CLIENT.topic, roles.CLIENT.roles], [[], { Diffusion: [] }, []], 'CLIENT');
      t.ok(configuration.roles.every(({ lockingPrincipal }) => !lockingPrincipal), 'no locked roles');
    },
  },
  {
    id: 'security.identity',
    group: SECURITY,
    title: 'a script made of what the store holds changes nothing',
    services: [59, 60],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.policy((script) => script.setPathPermissions('CLIENT', 'a/b', []).setRoleIncludes('CREW', ['CLIENT']).setRoleLockedByPrincipal('CREW', 'admin').isolatePath('a/b'));
      const before = await on.security.getSecurityConfiguration();
      await on.policy((script) => {
        script.setRolesForAnonymousSessions(before.anonymous).setRolesForNamedSessions(before.named);
        for (const { name, global, default: paths, topic, roles, lockingPrincipal } of before.roles) {
          script.setGlobalPermissions(name, global).setDefaultPathPermissions(name, paths).setRoleIncludes(name, roles);
          for (const [path, permissions] of Object.entries(topic)) script.setPathPermissions(name, path, permissions);
          if (lockingPrincipal) script.setRoleLockedByPrincipal(name, lockingPrincipal);
        }
        for (const path of before.isolatedPaths) script.isolatePath(path);
        return script;
      });
      t.equal(await on.security.getSecurityConfiguration(), before, 'configuration');
    },
  },
  {
    id: 'security.paths',
    group: SECURITY,
    title: 'the assignment nearest to a path decides, an empty one too; of several roles at one path all count; what is removed is inherited again',
    services: [60, 144],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.policy((script) => script.setDefaultPathPermissions('ONE', ['SELECT_TOPIC'])
        .setPathPermissions('ONE', 'a', ['READ_TOPIC']).setPathPermissions('ONE', 'a/b', ['UPDATE_TOPIC']).setPathPermissions('ONE', 'a/b/c', [])
        .setPathPermissions('TWO', 'a', ['MODIFY_TOPIC']));
      await on.authentication((script) => script.addPrincipal('both', 'pw', ['ONE', 'TWO']));
      const session = await on.connect('both', 'pw');
      const expected = {
        'x': ['SELECT_TOPIC'], 'ab': ['SELECT_TOPIC'], 'a': ['MODIFY_TOPIC', 'READ_TOPIC'], 'a/x': ['MODIFY_TOPIC', 'READ_TOPIC'],
        'a/b': ['UPDATE_TOPIC'], 'a/b/x': ['UPDATE_TOPIC'], 'a/b/c': [], 'a/b/c/d': [],
      };
      for (const [path, permissions] of Object.entries(expected)) t.equal(await paths(session, path), permissions, `permissions of ${path}`);
      await on.policy((script) => script.removePathPermissions('ONE', 'a/b/c').setPathPermissions('ONE', 'a', ['ACQUIRE_LOCK']));
      t.equal(await paths(session, 'a/b/c/d'), ['UPDATE_TOPIC'], 'inherited again');
      t.equal(await paths(session, 'a'), ['ACQUIRE_LOCK', 'MODIFY_TOPIC'], 'replaced');
    },
  },
  {
    id: 'security.isolation',
    group: SECURITY,
    title: 'an isolated path inherits nothing from above, until it is isolated no longer',
    services: [59, 60, 144],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      const session = await on.connect();
      await on.policy((script) => script.isolatePath('a/b'));
      t.equal((await on.security.getSecurityConfiguration()).isolatedPaths, ['a/b'], 'isolated paths');
      t.equal([await paths(session, 'a/b'), await paths(session, 'a/b/c'), (await paths(session, 'a')).length], [[], [], 3], 'permissions');
      await on.policy((script) => script.setPathPermissions('CLIENT', 'a/b/c', ['READ_TOPIC']));
      t.equal([await paths(session, 'a/b/c/d'), await paths(session, 'a/b')], [['READ_TOPIC'], []], 'assigned within');
      await on.policy((script) => script.deisolatePath('a/b'));
      t.equal((await paths(session, 'a/b')).length, 3, 'permissions when isolated no longer');
    },
  },
  {
    id: 'security.inclusion',
    group: SECURITY,
    title: 'a role has what the roles that it includes have, and they in turn; global permissions are in force at once',
    services: [60, 143],
    transports: BOTH,
    async run(t) {
      const on = await governed(t);
      await on.authentication((script) => script.addPrincipal('captain', 'pw', ['CAPTAIN']));
      const session = await on.connect('captain', 'pw');
      const global = async () => (await session.security.getGlobalPermissions()).sort();
      t.equal(await global(), [], 'of a role that does not exist');
      await on.policy((script) => script.setGlobalPermissions('CREW', ['VIEW_SERVER']).setRoleIncludes('MATE', ['CREW']).setRoleIncludes('CAPTAIN', ['MATE']));
      t.equal(await global(), ['VIEW_SERVER'], 'included');
      await session.clients.getSessionLocks();
      await on.policy((script) => script.setGlobalPermissions('CAPTAIN', ['VIEW_SESSION']).setGlobalPermissions('CREW', []));
      t.equal(await global(), ['VIEW_SESSION'], 'changed');
      await t.refused(session.clients.getSessionLocks(), ACCESS_DENIED, 'a call that it may make no longer');
      const { roles, global: own } = await role(on, 'CAPTAIN');
      t.equal([roles, own], [['MATE'], ['VIEW_SESSION']], 'as it is read');
    },
  },
  {
    id: 'security.default-roles',
    group: SECURITY,
    title: 'roles that all sessions have, named and without principal, come on top of their own',
    services: [59, 60],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.policy((script) => script.setRolesForAnonymousSessions(['GUEST']).setRolesForNamedSessions(['MEMBER', 'CREW'])
        .setGlobalPermissions('GUEST', ['VIEW_SERVER']).setGlobalPermissions('MEMBER', ['VIEW_SESSION']));
      const { anonymous, named } = await on.security.getSecurityConfiguration();
      t.equal([anonymous, [...named].sort()], [['GUEST'], ['CREW', 'MEMBER']], 'default roles');
      const guest = await on.connect();
      const member = await on.connect('client', 'password');
      t.equal([await guest.security.getGlobalPermissions(), await member.security.getGlobalPermissions()], [['VIEW_SERVER'], ['VIEW_SESSION']], 'permissions');
      const { $Roles } = await on.admin.clients.getSessionProperties(member.sessionId, ['$Roles']);
      t.equal([...t.diffusion.stringToRoles($Roles)].sort(), ['CLIENT', 'CREW', 'MEMBER'], '$Roles');
    },
  },
  {
    id: 'security.script-errors',
    group: SECURITY,
    title: 'a script that fails changes nothing, and is reported line by line: unknown permissions, circles of inclusion, syntax',
    services: [60],
    transports: BOTH,
    async run(t) {
      const on = await governed(t);
      const before = await on.security.getSecurityConfiguration();
      const wrong = {
        'permission of a path for all': `set "NEW" permissions [READ_TOPIC]`,
        'global permission for a path': `set "NEW" path "a" permissions [VIEW_SESSION]`,
        'permission that does not exist': `set "NEW" default path permissions [READ_MINDS]`,
        'inclusion of itself': `set "NEW" includes ["NEW"]`,
        'circle of inclusion': `set "CLIENT" includes ["ADMINISTRATOR"]`,
        'unknown command': `grant everything`,
        'quote that is not closed': `set "NEW permissions []`,
      };
      for (const [what, line] of Object.entries(wrong)) {
        const reports = await t.reported(on.security.updateSecurityStore(`set "FIRST" permissions [VIEW_SESSION]\n${line}`), what);
        t.ok(reports.some((report) => report.line === 2), `${what}: line ${reports[0].line}`);
      }
      t.equal(await on.security.getSecurityConfiguration(), before, 'configuration');
    },
  },
  {
    id: 'security.script-language',
    group: SECURITY,
    title: 'scripts written by hand: topic for path, single and double quotes, commas or spaces, any case of keywords',
    services: [60],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.security.updateSecurityStore([
        `set "A" topic "x" permissions [READ_TOPIC, UPDATE_TOPIC]`, `SET 'A' Path 'y' permissions [ READ_TOPIC UPDATE_TOPIC ]`, `set "A" default topic permissions []`,
      ].join('\n'));
      const { topic } = await role(on, 'A');
      t.equal(Object.fromEntries(Object.entries(topic).map(([path, permissions]) => [path, [...permissions].sort()])), {
        x: ['READ_TOPIC', 'UPDATE_TOPIC'], y: ['READ_TOPIC', 'UPDATE_TOPIC'],
      }, 'permissions');
      await on.security.updateSecurityStore(`remove "A" permissions for topic "x"`);
      t.equal(Object.keys((await role(on, 'A')).topic), ['y'], 'paths');
    },
  },
  {
    id: 'security.locked-role',
    group: SECURITY,
    title: 'a locked role is changed by sessions of the principal that locks it, and by no other',
    services: [59, 60],
    transports: ONE,
    async run(t) {
      const on = await governed(t);
      await on.authentication((script) => script.addPrincipal('root', 'pw', ['ADMINISTRATOR']));
      await on.policy((script) => script.setGlobalPermissions('KEPT', ['VIEW_SERVER']).setRoleLockedByPrincipal('KEPT', 'root'));
      t.equal((await role(on, 'KEPT')).lockingPrincipal, 'root', 'locking principal');
      for (const change of [(s) => s.setGlobalPermissions('KEPT', []), (s) => s.setPathPermissions('KEPT', 'a', []), (s) => s.setRoleIncludes('KEPT', ['CLIENT'])]) {
        await t.reported(on.policy(change), 'change by another');
      }
      const { security } = await on.connect('root', 'pw');
      await security.updateSecurityStore(security.securityScriptBuilder().setGlobalPermissions('KEPT', ['VIEW_SESSION']).build());
      t.equal((await role(on, 'KEPT')).global, ['VIEW_SESSION'], 'changed by who locks it');
    },
  },
  {
    id: 'security.in-force',
    group: SECURITY,
    title: 'what a role may read is in force at once: subscriptions come and go with it',
    services: [60],
    transports: BOTH,
    async run(t) {
      const on = await governed(t);
      const session = await on.connect();
      await t.topic(on.admin, 'STRING', {}, 'a/b');
      const stream = t.watch(session, '?a//', t.datatypes.string());
      await session.select('?a//');
      await stream.await('subscribe');
      await on.policy((script) => script.setPathPermissions('CLIENT', 'a', ['SELECT_TOPIC']));
      t.equal((await stream.await('unsubscribe')).topic, 'a/b', 'lost');
      await on.policy((script) => script.removePathPermissions('CLIENT', 'a'));
      await stream.await('subscribe', { count: 2 });
      await on.policy((script) => script.setPathPermissions('CLIENT', 'a', []));
      await stream.await('unsubscribe', { count: 2 });
      await t.refused(session.select('?a//'), ACCESS_DENIED, 'a selection without SELECT_TOPIC');
    },
  },
];
