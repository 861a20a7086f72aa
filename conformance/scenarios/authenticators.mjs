// Authenticators of clients, and how authentication ends (32 sections 2 to 4). Each scenario has a server
// of its own: an authenticator is asked about every session that connects.

const GROUP = 'Authenticators';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const BEFORE = 'before-system-handler';
const AFTER = 'after-system-handler';

const ACCESS_DENIED = 103;
const INVALID = 106;
const NO_SUCH_SESSION = 107;
const CONFLICT = 201;

// Registers an authenticator, and returns a record of what it is asked: {type, principal, credentials, properties, proposed}.
async function authenticator(t, session, name, decide) {
  const asked = t.record(`authenticator ${name}`);
  asked.registration = await session.security.setAuthenticator(name, {
    authenticate: (principal, credentials, properties, proposed, callback) => {
      asked.push({ type: 'request', principal, credentials, properties, proposed });
      decide({ principal, credentials, properties, proposed, callback });
    },
    onClose: () => asked.push({ type: 'close' }),
    onError: (error) => asked.push({ type: 'error', error: error?.id ?? String(error) }),
  });
  return asked;
}

async function denied(t, promise, what) {
  t.equal((await t.rejects(promise, what))?.id, t.diffusion.clients.CloseReason.ACCESS_DENIED.id, `${what}: close reason`);
}

// A server, a session of control there, and connect(principal, credentials) to it.
async function scene(t, args = {}) {
  const server = await t.host.serve(args);
  const connect = (principal, credentials, options = {}) => t.connect({ port: server.port, principal, credentials, ...options });
  return { ...server, connect, control: await t.control({ port: server.port }) };
}

export const authenticators = [
  {
    id: 'authenticators.prefix',
    group: GROUP,
    title: 'one that admits only principals with a prefix: anonymous and control are refused, diffusion_control with any password is admitted',
    services: [119, 120],
    transports: BOTH,
    async run(t) {
      const { connect, control } = await scene(t);
      const asked = await authenticator(t, control, BEFORE, ({ principal, callback }) =>
        (principal.startsWith('diffusion_') ? callback.allow() : callback.deny()));
      await denied(t, connect(), 'anonymous');
      await denied(t, connect('control', 'password'), 'control');
      const session = await connect('diffusion_control', 'whatever');
      t.equal((await session.getSessionProperties()).$Principal, 'diffusion_control', 'principal');
      t.equal(asked.items.map(({ principal }) => principal), ['', 'control', 'diffusion_control'], 'principals asked about');
    },
  },
  {
    id: 'authenticators.request',
    group: GROUP,
    title: 'it is told the principal, the credentials as text or octets, all fixed properties, and what is proposed',
    services: [120],
    transports: BOTH,
    async run(t) {
      const { connect, control } = await scene(t);
      const asked = await authenticator(t, control, BEFORE, ({ callback }) => callback.allow());
      const session = await connect('bob', 'pass wörd', { properties: { Tier: 'gold' } });
      const [first] = asked.items;
      t.equal([first.principal, first.credentials, first.proposed.Tier], ['bob', 'pass wörd', 'gold'], 'request');
      const { $SessionId, $Principal, $ClientIP, $Roles, $ExpiryTime } = first.properties;
      t.equal([$SessionId, $Principal, $ClientIP, $Roles], [session.sessionId.toString(), 'bob', '127.0.0.1', ''], 'properties');
      t.equal([$ExpiryTime, Object.keys(first.properties).every((key) => key.startsWith('$'))], [undefined, true], 'no others');
      await connect('octets', new Uint8Array([0, 7, 255]));
      t.equal(t.hex(asked.items[1].credentials), '0007ff', 'octets');
      await connect();
      t.equal([asked.items[2].principal, asked.items[2].credentials ?? null], ['', null], 'without a principal');
    },
  },
  {
    id: 'authenticators.allow-with-properties',
    group: GROUP,
    title: 'it assigns user properties, roles, another principal and where the client is; other fixed properties it cannot change',
    services: [67, 120],
    transports: BOTH,
    async run(t) {
      const { connect, control } = await scene(t);
      const rolesToString = (roles) => t.diffusion.rolesToString(new Set(roles));
      await authenticator(t, control, BEFORE, ({ properties, proposed, callback }) => callback.allow({
        ...properties, ...proposed, dept: 'x', $Principal: 'renamed', $Roles: rolesToString(['TOPIC_CONTROL', 'MADE UP']),
        $Country: 'de', $Language: 'EN', $Latitude: '51.5', $Longitude: 'nowhere', $ServerName: 'mine', $ClientIP: '1.2.3.4',
      }));
      const session = await connect('bob', 'x', { properties: { Tier: 'gold' } });
      const got = await control.clients.getSessionProperties(session.sessionId, ['*F', '*U']);
      t.equal([got.dept, got.Tier, got.$Principal], ['x', 'gold', 'renamed'], 'properties and principal');
      t.equal([...t.diffusion.stringToRoles(got.$Roles)].sort(), ['MADE UP', 'TOPIC_CONTROL'], 'roles');
      t.equal([got.$Country, got.$Language, Number(got.$Latitude), got.$Longitude, got.$ClientIP], ['DE', 'en', 51.5, 'NaN', '127.0.0.1'], 'place');
      t.ok(got.$ServerName !== 'mine', '$ServerName');
      t.equal((await session.topics.add('a', t.TopicType.STRING)).added, true, 'added with the new roles');
    },
  },
  {
    id: 'authenticators.order',
    group: GROUP,
    title: 'who abstains leaves it to the next: before the system, the system, after it; when all abstain the session is refused',
    services: [120],
    transports: BOTH,
    async run(t) {
      const { connect, control } = await scene(t);
      const before = await authenticator(t, control, BEFORE, ({ callback }) => callback.abstain());
      await connect('client', 'password');
      await denied(t, connect('client', 'wrong'), 'denied by the system');
      await denied(t, connect('nobody', 'x'), 'nobody knows it');
      const after = await authenticator(t, control, AFTER, ({ principal, callback }) => (principal === 'guest' ? callback.allow() : callback.abstain()));
      await connect('guest', 'x');
      await connect('client', 'password');
      await denied(t, connect('client', 'wrong'), 'denied by the system, with another after it');
      await denied(t, connect('nobody', 'x'), 'all abstain');
      t.equal(before.items.length, 7, 'requests before the system');
      t.equal(after.items.map(({ principal }) => principal), ['guest', 'nobody'], 'requests after the system');
    },
  },
  {
    id: 'authenticators.fails',
    group: GROUP,
    title: 'one that throws abstains, and the SDK gives it up; one that is closed is asked no more',
    services: [120, 121],
    transports: BOTH,
    async run(t) {
      const { connect, control } = await scene(t);
      const throwing = await authenticator(t, control, BEFORE, () => { throw new Error('on purpose'); });
      await connect('client', 'password');
      await throwing.await('error');
      await control.pingServer();
      const denying = await authenticator(t, control, BEFORE, ({ callback }) => callback.deny());
      await denied(t, connect('client', 'password'), 'denied');
      await denying.registration.close();
      await connect('client', 'password');
      t.equal([throwing.of('request').length, denying.of('request').length], [1, 1], 'requests');
    },
  },
  {
    id: 'authenticators.session-closes',
    group: GROUP,
    title: 'the session of an authenticator closes while it is asked: the next one decides',
    services: [120],
    transports: ONE,
    async run(t) {
      const { connect, port } = await scene(t);
      const registrant = await t.control({ port });
      const asked = await authenticator(t, registrant, BEFORE, () => {});
      const connecting = connect('client', 'password');
      await asked.await('request');
      await registrant.closeSession();
      await connecting;
      await connect('client', 'password');
      t.equal(asked.of('request').length, 1, 'requests');
    },
  },
  {
    id: 'authenticators.silence',
    group: GROUP,
    title: 'one that never answers abstains after a while, before the client gives up',
    services: [120],
    transports: ONE,
    async run(t) {
      const { connect, control } = await scene(t);
      await authenticator(t, control, BEFORE, ({ principal, callback }) => principal === 'client' || callback.abstain());
      const started = performance.now();
      await connect('client', 'password');
      t.ok(performance.now() - started > 1_000, 'the client waited');
    },
  },
  {
    id: 'authenticators.several',
    group: GROUP,
    title: 'of several sessions registered under a name one is asked about each connection; a session registers a name once: HANDLER_CONFLICT',
    services: [119],
    transports: ONE,
    async run(t) {
      const { connect, control, port } = await scene(t);
      const other = await t.control({ port });
      const allow = ({ callback }) => callback.allow();
      const records = [await authenticator(t, control, BEFORE, allow), await authenticator(t, other, BEFORE, ({ callback }) => callback.abstain())];
      for (let n = 0; n < 4; n++) await connect('client', 'password');
      t.equal(records[0].items.length + records[1].items.length, 4, 'requests');
      await t.refused(authenticator(t, control, BEFORE, allow), CONFLICT, 'the same name again');
    },
  },
  {
    id: 'authenticators.registration',
    group: GROUP,
    title: 'a name that the server does not have is refused, and so is a session without AUTHENTICATE or REGISTER_HANDLER',
    services: [119],
    transports: BOTH,
    async run(t) {
      const { connect, control, port } = await scene(t);
      const allow = ({ callback }) => callback.allow();
      await t.refused(authenticator(t, control, 'my-handler', allow), INVALID, 'unknown name');
      await t.refused(authenticator(t, await t.admin({ port }), BEFORE, allow), ACCESS_DENIED, 'admin, without AUTHENTICATE');
      await t.refused(authenticator(t, await connect(), BEFORE, allow), ACCESS_DENIED, 'anonymous');
      await t.govern(port, (script) => script.setGlobalPermissions('CLIENT', ['AUTHENTICATE']));
      await t.refused(authenticator(t, await connect(), BEFORE, allow), ACCESS_DENIED, 'without REGISTER_HANDLER');
    },
  },
  {
    id: 'authenticators.permission-withdrawn',
    group: GROUP,
    title: 'one whose session has lost AUTHENTICATE is shown no credentials any more',
    services: [120],
    transports: ONE,
    async run(t) {
      const { connect, control, port } = await scene(t);
      const admin = await t.admin({ port });
      const asked = await authenticator(t, control, BEFORE, ({ callback }) => callback.deny());
      await denied(t, connect('client', 'password'), 'with the permission');
      await admin.clients.changeRoles(control.sessionId, ['AUTHENTICATION_HANDLER'], []);
      await connect('client', 'password');
      t.equal(asked.of('request').length, 1, 'requests');
    },
  },
  {
    id: 'authenticators.reauthentication',
    group: GROUP,
    title: 'it is asked at re-authentication too, with the principal until then, the user properties, and what is proposed',
    services: [120, 203],
    transports: BOTH,
    async run(t) {
      const { connect, control } = await scene(t);
      const session = await connect('client', 'password');
      await control.clients.setSessionProperties(session.sessionId, { kept: 'yes' });
      const asked = await authenticator(t, control, BEFORE, ({ principal, properties, proposed, callback }) => {
        if (principal === 'bad') callback.deny();
        else if (principal === 'plain') callback.allow();
        else callback.allow({ ...properties, ...proposed });
      });
      const user = () => control.clients.getSessionProperties(session.sessionId, ['*U', '$Principal']);
      t.equal(await session.security.reauthenticate('bad', 'x', {}), false, 'denied');
      t.equal(await user(), { $Principal: 'client', kept: 'yes' }, 'as before');
      t.equal(await session.security.reauthenticate('other', 'x', { added: 'too' }), true, 'allowed');
      const { principal, properties, proposed } = asked.items[1];
      t.equal([principal, properties.$Principal, properties.kept, proposed], ['other', 'client', 'yes', { added: 'too' }], 'request');
      t.equal(await session.security.reauthenticate('plain', 'x', {}), true, 'allowed without properties');
      t.equal(await user(), { $Principal: 'plain' }, 'after an allowance without properties');
      await t.rejects(session.security.changePrincipal('bad', 'x'), 'change of principal, denied');
      t.equal(session.security.getPrincipal(), 'plain', 'principal');
    },
  },
  {
    id: 'authenticators.own-session',
    group: GROUP,
    title: 'a session may be its own authenticator when it re-authenticates',
    services: [120, 203],
    transports: ONE,
    async run(t) {
      const { control } = await scene(t);
      await authenticator(t, control, BEFORE, ({ callback }) => callback.allow({ $Roles: '"OPERATOR"' }));
      t.equal(await control.security.reauthenticate('self', 'x', {}), true, 'allowed');
      t.equal((await control.security.getGlobalPermissions()).sort(), ['VIEW_SERVER', 'VIEW_SESSION'], 'permissions');
    },
  },
  {
    id: 'authenticators.expiry',
    group: GROUP,
    title: 'a session that an authenticator lets in until a time is closed then, unless it re-authenticates before',
    services: [120, 203],
    transports: BOTH,
    async run(t) {
      const { connect, control } = await scene(t);
      await authenticator(t, control, BEFORE, ({ principal, callback }) => callback.allow(
        principal === 'short' ? { $ExpiryTime: String(Date.now() + 2000) } : {}));
      const expiring = await connect('short', 'x', { reconnect: false });
      const renewed = await connect('short', 'x', { reconnect: false });
      const events = t.events(expiring);
      t.ok(Number((await expiring.getSessionProperties()).$ExpiryTime) > Date.now() - 2000, '$ExpiryTime');
      t.equal(await renewed.security.reauthenticate('long', 'x', {}), true, 're-authentication');
      t.equal((await renewed.getSessionProperties()).$ExpiryTime, undefined, '$ExpiryTime after re-authentication');
      const listener = t.record('session events');
      await control.clients.addSessionEventListener({
        onSessionEvent: ({ sessionId, state, closeReason }) => listener.push({ type: 'event', session: sessionId.toString(), state, closeReason }),
        onClose() {}, onError() {},
      }, t.diffusion.newSessionEventParametersBuilder().filter("$Principal is 'short'").build());
      await events.await('close');
      const closed = await listener.until((items) => items.find(({ session, state }) =>
        session === expiring.sessionId.toString() && state === t.diffusion.clients.SessionState.CLOSED), 'the event');
      t.equal(closed.closeReason, t.diffusion.ClientCloseReason.EXPIRED, 'close reason');
      await renewed.pingServer();
    },
  },
  {
    id: 'authenticators.revoke',
    group: GROUP,
    title: 'a session whose authentication is revoked is closed at once, and does not reconnect',
    services: [204],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect({ reconnect: t.quick() })];
      const events = t.events(client);
      const closed = t.record('closed sessions');
      await control.clients.addSessionEventListener({
        onSessionEvent: ({ sessionId, closeReason }) => closed.push({ type: 'event', session: sessionId.toString(), closeReason }),
        onClose() {}, onError() {},
      }, t.diffusion.newSessionEventParametersBuilder().filter(`$SessionId is '${client.sessionId}'`).build());
      await control.security.revokeAuthentication(client.sessionId);
      await events.await('close');
      t.equal(events.of('disconnect').length + events.of('reconnect').length, 0, 'attempts to reconnect');
      t.equal((await closed.await('event', { count: 2 })).closeReason, t.diffusion.ClientCloseReason.REVOKED, 'close reason');
      await t.refused(control.security.revokeAuthentication(client.sessionId), NO_SUCH_SESSION, 'a closed session');
    },
  },
  {
    id: 'authenticators.revoke-permission',
    group: GROUP,
    title: 'revocation takes AUTHENTICATE and MODIFY_SESSION',
    services: [204],
    transports: ONE,
    async run(t) {
      const [control, admin, client] = [await t.control(), await t.admin(), await t.connect()];
      for (const [what, session] of Object.entries({ admin, client })) {
        await t.refused(session.security.revokeAuthentication(control.sessionId), ACCESS_DENIED, what);
      }
      t.ok(control.isConnected(), 'the session goes on');
    },
  },
];
