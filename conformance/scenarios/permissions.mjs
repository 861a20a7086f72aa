// What sessions may do with the stock configuration (reference: security defaults), and how it changes
// with their principal and their roles (32 sections 3 and 6).

const GROUP = 'Permissions';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;

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
];
