// What sessions may do with the stock configuration (reference: security defaults), and how it changes
// with their principal and their roles (32 sections 3 and 6).

const GROUP = 'Permissions';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;
const NO_SUCH_SESSION = 107;
const UNHANDLED = 109;

const CLIENT = ['READ_TOPIC', 'SELECT_TOPIC', 'SEND_TO_MESSAGE_HANDLER'];
const TOPICS = ['ACQUIRE_LOCK', 'EDIT_TIME_SERIES_EVENTS', 'EXPOSE_BRANCH', 'MODIFY_TOPIC', 'UPDATE_TOPIC'];
const VIEWS = ['MODIFY_TOPIC_VIEWS', 'READ_TOPIC_VIEWS'];
const ADMINISTRATOR = {
  global: ['CONTROL_SERVER', 'MODIFY_SECURITY', 'MODIFY_SESSION', ...VIEWS, 'REGISTER_HANDLER', 'VIEW_SECURITY', 'VIEW_SERVER', 'VIEW_SESSION'],
  path: [...CLIENT, ...TOPICS, 'SEND_TO_SESSION'],
  reserved: [...CLIENT, 'MODIFY_TOPIC', 'UPDATE_TOPIC'],
};

// The stock roles: global permissions, those for an ordinary path, and those below Diffusion.
const ROLES = {
  CLIENT: { global: [], path: CLIENT, reserved: [] },
  TOPIC_CONTROL: { global: VIEWS, path: [...CLIENT, ...TOPICS], reserved: [] },
  CLIENT_CONTROL: { global: ['MODIFY_SESSION', 'REGISTER_HANDLER', 'VIEW_SESSION'], path: [...CLIENT, 'ACQUIRE_LOCK', 'SEND_TO_SESSION'], reserved: [] },
  AUTHENTICATION_HANDLER: { global: ['AUTHENTICATE', 'REGISTER_HANDLER'], path: CLIENT, reserved: [] },
  OPERATOR: { global: ['VIEW_SERVER', 'VIEW_SESSION'], path: CLIENT, reserved: CLIENT },
  ADMINISTRATOR,
  JMX_ADMINISTRATOR: ADMINISTRATOR,
};

const sorted = (list) => [...new Set(list)].sort();

async function permissionsAre(t, session, { global, path, reserved }, what) {
  const { security } = session;
  t.equal((await security.getGlobalPermissions()).sort(), sorted(global), `${what}: global permissions`);
  t.equal((await security.getPathPermissions(t.path('any/path'))).sort(), sorted(path), `${what}: permissions of a path`);
  for (const at of ['Diffusion', 'Diffusion/a/b']) {
    t.equal((await security.getPathPermissions(at)).sort(), sorted(reserved), `${what}: permissions of ${at}`);
  }
}

// What each call needs: global permissions, those of a path, and the call itself, which can be repeated. It
// is handed the session under test and {t, client, path, series}: a session to act on, a topic, a time series.
const NEEDS = [
  ['select', [], ['SELECT_TOPIC'], (s, { path }) => s.select(path)],
  ['fetch', [], ['SELECT_TOPIC'], (s, { path }) => s.fetchRequest().fetch(path)],
  ['listen to topics', [], ['SELECT_TOPIC'], async (s, { path }) => (await s.notifications.addListener(LISTENER)).select(path)],
  ['add a topic', [], ['MODIFY_TOPIC'], (s, { t, path }) => s.topics.add(path, t.TopicType.STRING)],
  ['set', [], ['UPDATE_TOPIC'], (s, { t, path }) => s.topicUpdate.set(path, t.datatypes.string(), 'value')],
  ['add and set', [], ['MODIFY_TOPIC', 'UPDATE_TOPIC'], (s, { t, path }) => s.topicUpdate.set(path, t.datatypes.string(), 'value', { specification: t.spec('STRING') })],
  ['append', [], ['UPDATE_TOPIC'], (s, { t, series }) => s.timeseries.append(series, 'value', t.datatypes.string())],
  ['edit', [], ['UPDATE_TOPIC', 'EDIT_TIME_SERIES_EVENTS'], (s, { t, series }) => s.timeseries.edit(series, 0, 'edited', t.datatypes.string())],
  ['query a range', [], ['READ_TOPIC'], (s, { series }) => s.timeseries.rangeQuery().selectFrom(series)],
  ['lock', [], ['ACQUIRE_LOCK'], async (s, { path }) => (await s.lock(path)).unlock()],
  ['request to a path', [], ['SEND_TO_MESSAGE_HANDLER'], (s, { t, path }) => s.messages.sendRequest(path, 'text', t.datatypes.string())],
  ['request to a session', [], ['SEND_TO_SESSION'], (s, { t, path, client }) => s.messages.sendRequest(path, 'text', client, t.datatypes.string())],
  ['request to a filter', [], ['SEND_TO_SESSION'], (s, { path }) => s.messages.sendRequestToFilter('has nothing', path, 'text', { onResponse() {}, onResponseError() {} })],
  ['handle requests', ['REGISTER_HANDLER'], [], async (s, { path }) => (await s.messages.addRequestHandler(path, HANDLER)).close()],
  ['handle requests, with properties', ['REGISTER_HANDLER', 'VIEW_SESSION'], [], async (s, { path }) => (await s.messages.addRequestHandler(path, HANDLER, ['*F'])).close()],
  ['handle missing topics', ['REGISTER_HANDLER'], [], (s, { path }) => new Promise((resolve, reject) =>
    s.topics.addMissingTopicHandler(path, { onMissingTopic() {}, onRegister: (_, end) => resolve(end()), onClose() {}, onError() {} }).catch(reject))],
  ['authenticate others', ['AUTHENTICATE', 'REGISTER_HANDLER'], [], async (s) => (await s.security.setAuthenticator('after-system-handler', HANDLER)).close()],
  ['revoke', ['AUTHENTICATE', 'MODIFY_SESSION'], [], (s) => s.security.revokeAuthentication(NOBODY)],
  ['listen to sessions', ['REGISTER_HANDLER', 'VIEW_SESSION'], [], async (s, { t }) =>
    (await s.clients.addSessionEventListener(HANDLER, t.diffusion.newSessionEventParametersBuilder().after(Date.now() + 1e6).build())).close()],
  ['read properties', ['VIEW_SESSION'], [], (s, { client }) => s.clients.getSessionProperties(client, ['*F'])],
  ['query sessions', ['VIEW_SESSION'], [], (s) => s.clients.fetchRequest().fetch()],
  ['read selections', ['VIEW_SESSION'], [], (s, { client }) => s.clients.getTopicSelections(client)],
  ['set properties', ['MODIFY_SESSION', 'VIEW_SESSION'], [], (s, { client }) => s.clients.setSessionProperties(client, { a: 'b' })],
  ['set properties by filter', ['MODIFY_SESSION', 'VIEW_SESSION'], [], (s) => s.clients.setSessionPropertiesByFilter('has nothing', { a: 'b' })],
  ['close', ['MODIFY_SESSION'], [], (s) => s.clients.close(NOBODY)],
  ['close by filter', ['MODIFY_SESSION', 'VIEW_SESSION'], [], (s) => s.clients.close('has nothing')],
  ['conflate', ['MODIFY_SESSION'], [], (s, { client }) => s.clients.setConflated(client, true)],
  ['conflate by filter', ['MODIFY_SESSION', 'VIEW_SESSION'], [], (s) => s.clients.setConflated('has nothing', true)],
  ['change roles', ['MODIFY_SESSION'], [], (s, { client }) => s.clients.changeRoles(client, [], ['A'])],
  ['change roles by filter', ['MODIFY_SESSION', 'VIEW_SESSION'], [], (s) => s.clients.changeRoles('has nothing', [], ['A'])],
  ['subscribe others', ['MODIFY_SESSION'], ['SELECT_TOPIC'], (s, { client, path }) => s.clients.subscribe(client, path)],
  ['unsubscribe others', ['MODIFY_SESSION'], ['SELECT_TOPIC'], (s, { client, path }) => s.clients.unsubscribe(client, path)],
  ['unsubscribe others in all scopes', ['MODIFY_SESSION'], ['SELECT_TOPIC'], (s, { client, path }) => s.clients.unsubscribeAllScopes(client, path)],
  ['read metrics', ['VIEW_SERVER'], [], (s) => s.metrics.metricsRequest().fetch()],
  ['list collectors', ['VIEW_SERVER'], [], (s) => s.metrics.listTopicMetricCollectors()],
  ['remove a collector', ['CONTROL_SERVER'], [], (s) => s.metrics.removeTopicMetricCollector('none')],
  ['list alerts', ['CONTROL_SERVER'], [], (s) => s.metrics.listMetricAlerts()],
  ['read locks', ['VIEW_SERVER'], [], (s) => s.clients.getSessionLocks()],
  ['read the log', ['VIEW_SERVER'], [], (s) => s.logRetrieval.fetchEntries(0, 1)],
  ['read the security store', ['VIEW_SECURITY'], [], (s) => s.security.getSecurityConfiguration()],
  ['read the authentication store', ['VIEW_SECURITY'], [], (s) => s.security.getSystemAuthenticationConfiguration()],
  ['change the security store', ['MODIFY_SECURITY'], [], (s) => s.security.updateSecurityStore('isolate path "none"')],
  ['change the authentication store', ['MODIFY_SECURITY'], [], (s) => s.security.updateAuthenticationStore('allow anonymous connections')],
];

const NOBODY = '0123456789abcdef-0000000000000001';
const HANDLER = { onRequest() {}, authenticate() {}, onSessionEvent() {}, onClose() {}, onError() {} };
const LISTENER = { onTopicNotification() {}, onDescendantNotification() {}, onClose() {}, onError() {} };

export const permissions = [
  {
    id: 'permissions.administrator',
    group: GROUP,
    title: 'admin has exactly these nine global permissions and these nine of a path',
    services: [143, 144],
    transports: BOTH,
    async run(t) {
      const { security } = await t.admin();
      const { GlobalPermission: G, PathPermission: P } = t.diffusion;
      const global = await security.getGlobalPermissions();
      t.equal(global.sort(), [
        G.VIEW_SESSION, G.MODIFY_SESSION, G.REGISTER_HANDLER, G.VIEW_SERVER, G.CONTROL_SERVER, G.VIEW_SECURITY,
        G.MODIFY_SECURITY, G.READ_TOPIC_VIEWS, G.MODIFY_TOPIC_VIEWS,
      ].sort(), 'global permissions');
      const path = await security.getPathPermissions('my/topic/path');
      t.equal(path.sort(), [
        P.SELECT_TOPIC, P.READ_TOPIC, P.UPDATE_TOPIC, P.MODIFY_TOPIC, P.SEND_TO_MESSAGE_HANDLER, P.SEND_TO_SESSION,
        P.EDIT_TIME_SERIES_EVENTS, P.ACQUIRE_LOCK, P.EXPOSE_BRANCH,
      ].sort(), 'permissions of a path');
    },
  },
  {
    id: 'permissions.principals',
    group: GROUP,
    title: 'each stock principal, and a session without one, has the permissions of its roles',
    services: [143, 144],
    transports: ONE,
    async run(t) {
      const union = (...roles) => ({
        global: roles.flatMap((role) => ROLES[role].global), path: roles.flatMap((role) => ROLES[role].path), reserved: roles.flatMap((role) => ROLES[role].reserved),
      });
      const principals = {
        client: union('CLIENT'), control: union('CLIENT_CONTROL', 'TOPIC_CONTROL', 'AUTHENTICATION_HANDLER'),
        admin: union('ADMINISTRATOR'), operator: union('OPERATOR'),
      };
      await permissionsAre(t, await t.connect(), ROLES.CLIENT, 'anonymous');
      for (const [principal, expected] of Object.entries(principals)) {
        await permissionsAre(t, await t.connect({ principal, credentials: 'password' }), expected, principal);
      }
    },
  },
  {
    id: 'permissions.roles',
    group: GROUP,
    title: 'each predefined role by itself has the permissions of the matrix',
    services: [123, 143, 144],
    transports: ONE,
    async run(t) {
      const [admin, session] = [await t.admin(), await t.connect()];
      let held = 'CLIENT';
      for (const [role, expected] of Object.entries(ROLES)) {
        if (role !== held) await admin.clients.changeRoles(session.sessionId, [held], [role]);
        await permissionsAre(t, session, expected, role);
        held = role;
      }
      await admin.clients.changeRoles(session.sessionId, [held], []);
      await permissionsAre(t, session, { global: [], path: [], reserved: [] }, 'without roles');
    },
  },
  {
    id: 'permissions.reserved-branch',
    group: GROUP,
    title: 'CLIENT and OPERATOR together keep in the reserved branch what OPERATOR has there',
    services: [123, 144],
    transports: ONE,
    async run(t) {
      const [admin, session] = [await t.admin(), await t.connect()];
      await admin.clients.changeRoles(session.sessionId, [], ['OPERATOR']);
      await permissionsAre(t, session, ROLES.OPERATOR, 'both roles');
    },
  },
  {
    id: 'permissions.examples-client',
    group: GROUP,
    title: 'client: subscription, fetch, notifications and requests to a path, and no control',
    services: [3, 85, 94, 117],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const client = await t.connect({ principal: 'client', credentials: 'password' });
      const [path, string] = [t.path(), t.datatypes.string()];
      await control.topicUpdate.set(path, string, 'value', { specification: t.spec('STRING') });
      await control.messages.addRequestHandler(path, { onRequest: (_, __, responder) => responder.respond('answer', string), onError() {}, onClose() {} }, [], string);
      const values = t.watch(client, path, string);
      await client.select(path);
      t.equal((await values.await('value')).value, 'value', 'value');
      t.equal((await client.fetchRequest().fetch(path)).size(), 1, 'topics fetched');
      const listener = { onDescendantNotification() {}, onTopicNotification() {}, onClose() {}, onError() {} };
      await (await client.notifications.addListener(listener)).select(path);
      t.equal(await client.messages.sendRequest(path, 'question', string, string), 'answer', 'answer');
      const refusals = {
        'update': () => client.topicUpdate.set(path, string, 'other'),
        'session lock': () => client.lock(t.path('lock')),
        'session properties': () => client.clients.getSessionProperties(control.sessionId, ['*F']),
        'close of a session': () => client.clients.close(control.sessionId),
        'security store': () => client.security.getSecurityConfiguration(),
        'authentication store': () => client.security.getSystemAuthenticationConfiguration(),
      };
      for (const [what, call] of Object.entries(refusals)) await t.refused(call(), ACCESS_DENIED, what);
    },
  },
  {
    id: 'permissions.examples-control',
    group: GROUP,
    title: 'control: topics, locks, messaging, control of sessions and an authenticator, but no metrics and no security stores',
    services: [14, 97, 105, 112, 114, 119],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const [control, client] = [await t.control({ port }), await t.connect({ port })];
      const string = t.datatypes.string();
      await control.topics.add('a', t.TopicType.STRING);
      await control.topicUpdate.set('a', string, 'value');
      t.equal(await (await control.lock('a')).unlock(), true, 'unlock');
      const handler = { onRequest() {}, onError() {}, onClose() {} };
      await control.messages.addRequestHandler('a', handler, ['$Principal'], string);
      client.messages.setRequestStream('b', { ...handler, onRequest: (_, __, responder) => responder.respond('answer', string) }, string, string);
      t.equal(await control.messages.sendRequest('b', 'question', client.sessionId, string, string), 'answer', 'answer');
      await control.clients.setSessionProperties(client.sessionId, { job: 'tester' });
      t.equal(await control.clients.getSessionProperties(client.sessionId, ['job']), { job: 'tester' }, 'properties');
      await control.clients.subscribe(client.sessionId, 'a');
      await control.clients.changeRoles(client.sessionId, [], ['OPERATOR']);
      await (await control.security.setAuthenticator('before-system-handler', { authenticate() {}, onClose() {}, onError() {} })).close();
      await control.clients.close(client.sessionId);
      const refusals = {
        'metrics': () => control.metrics.metricsRequest().fetch(),
        'locks of others': () => control.clients.getSessionLocks(),
        'security store': () => control.security.getSecurityConfiguration(),
        'authentication store': () => control.security.getSystemAuthenticationConfiguration(),
      };
      for (const [what, call] of Object.entries(refusals)) await t.refused(call(), ACCESS_DENIED, what);
    },
  },
  {
    id: 'permissions.examples-admin',
    group: GROUP,
    title: 'admin: security stores, metrics, session events, patches and time series, but no authenticator and no revocation',
    services: [57, 59, 99, 100, 119, 151, 186, 189, 204],
    transports: ONE,
    async run(t) {
      const [admin, client] = [await t.admin(), await t.connect()];
      t.ok((await admin.security.getSecurityConfiguration()).roles.length >= 6, 'roles');
      t.ok((await admin.security.getSystemAuthenticationConfiguration()).principals.length >= 4, 'principals');
      const path = await t.topic(admin, 'JSON');
      await admin.topicUpdate.set(path, t.datatypes.json(), { a: 1 });
      await admin.topicUpdate.applyJsonPatch(path, [{ op: 'replace', path: '/a', value: 2 }]);
      const series = await t.topic(admin, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string' });
      const { sequence } = await admin.timeseries.append(series, 'first', t.datatypes.string());
      await admin.timeseries.edit(series, sequence, 'edited', t.datatypes.string());
      t.ok((await admin.metrics.metricsRequest().fetch()).getServerNames().size === 1, 'servers with metrics');
      const parameters = t.diffusion.newSessionEventParametersBuilder().after(Date.now() + 1e6).build();
      await (await admin.clients.addSessionEventListener({ onSessionEvent() {}, onClose() {}, onError() {} }, parameters)).close();
      await t.refused(admin.security.setAuthenticator('before-system-handler', { authenticate() {}, onClose() {}, onError() {} }), ACCESS_DENIED, 'authenticator');
      await t.refused(admin.security.revokeAuthentication(client.sessionId), ACCESS_DENIED, 'revocation');
    },
  },
  {
    id: 'permissions.change-principal',
    group: GROUP,
    title: 'a session of control that becomes admin in mid-session edits both stores at once, and its permissions are swapped',
    services: [58, 60, 143, 203],
    transports: BOTH,
    async run(t) {
      const { port } = await t.host.serve();
      const session = await t.control({ port });
      const { security } = session;
      const edit = async () => {
        await security.updateSecurityStore(security.securityScriptBuilder().setGlobalPermissions('CAPTAIN', ['VIEW_SESSION']).build());
        await security.updateAuthenticationStore(security.authenticationScriptBuilder().addPrincipal('ahab', 'whale', ['CAPTAIN']).build());
      };
      await t.refused(edit(), ACCESS_DENIED, 'as control');
      await security.changePrincipal('admin', 'password');
      t.equal([security.getPrincipal(), (await session.getSessionProperties()).$Principal], ['admin', 'admin'], 'principal');
      await edit();
      t.ok(!(await security.getGlobalPermissions()).includes('AUTHENTICATE'), 'permissions of control are gone');
      const captain = await t.connect({ port, principal: 'ahab', credentials: 'whale' });
      t.equal(await captain.security.getGlobalPermissions(), ['VIEW_SESSION'], 'permissions of the new principal');
      await security.changePrincipal('client', 'password');
      await t.refused(edit(), ACCESS_DENIED, 'as client');
    },
  },
  {
    id: 'permissions.change-principal-subscriptions',
    group: GROUP,
    title: 'a change of principal is followed by what the session may read, gained and lost',
    services: [203],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const [control, session] = [await t.control({ port }), await t.connect({ port })];
      await t.topic(control, 'STRING', {}, 'secret/a');
      await t.govern(port, (script) => script.setPathPermissions('CLIENT', 'secret', ['SELECT_TOPIC']).setPathPermissions('OPERATOR', 'secret', ['SELECT_TOPIC', 'READ_TOPIC']));
      const stream = t.watch(session, '?secret//', t.datatypes.string());
      await session.select('?secret//');
      t.equal(await session.security.reauthenticate('operator', 'password', {}), true, 'operator');
      await stream.await('subscribe');
      t.equal(await session.security.reauthenticate('client', 'password', {}), true, 'client');
      t.equal((await stream.await('unsubscribe')).topic, 'secret/a', 'topic lost');
    },
  },
  {
    id: 'permissions.needed',
    group: GROUP,
    title: 'each call goes through with the permissions that it needs, and is refused with ACCESS_DENIED when one of them is missing',
    transports: ONE,
    timeoutMs: 40_000,
    async run(t) {
      const { port } = await t.host.serve();
      const admin = await t.admin({ port });
      const { sessionId: client } = await t.connect({ port });
      const [path, series] = [await t.topic(admin, 'STRING', {}, 'a/b'), await t.topic(admin, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string' }, 'a/s')];
      await admin.timeseries.append(series, 'first', t.datatypes.string());
      const { security } = admin;
      await security.updateAuthenticationStore(security.authenticationScriptBuilder().addPrincipal('subject', 'pw', ['SUBJECT']).build());
      const session = await t.connect({ port, principal: 'subject', credentials: 'pw' });
      for (const [what, global, paths, call] of NEEDS) {
        const outcome = async (without) => {
          const grant = (all) => all.filter((permission) => permission !== without);
          await security.updateSecurityStore(security.securityScriptBuilder()
            .setGlobalPermissions('SUBJECT', grant(global)).setDefaultPathPermissions('SUBJECT', grant(paths)).build());
          const error = await Promise.resolve(call(session, { t, client, path, series })).then(() => undefined, (reason) => reason);
          const id = (error?.cause ?? error)?.id;
          return [ACCESS_DENIED, t.diffusion.topics.TopicAddFailReason.PERMISSIONS_FAILURE.id].includes(id) ? 'refused' : id ?? 'done';
        };
        for (const permission of [...global, ...paths]) t.equal(await outcome(permission), 'refused', `${what}, without ${permission}`);
        const got = await outcome();
        t.ok(['done', NO_SUCH_SESSION, UNHANDLED].includes(got), `${what}, with ${[...global, ...paths]}: ${got}`);
      }
    },
  },
];
