// Control of other sessions: properties, roles, conflation and their end, of one session or of all of a
// filter (31 sections 1, 2, 6 and 8).

import { among } from './addressed.mjs';

const GROUP = 'Control of sessions';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;
const INVALID = 106;
const NO_SUCH_SESSION = 107;

// Filters that are none.
export const NO_FILTERS = ['$Principal', '$Principal is bob', 'all and', '$Principal is "bob', '', '$Roles matches "["', 'hasRoles'];

const keys = (t) => t.diffusion.clients.PropertyKeys;

// A session that is closed by now.
async function closed(t) {
  const session = await t.connect();
  await session.closeSession();
  return session.sessionId;
}

const properties = (by, { sessionId }, wanted = ['*U']) => by.clients.getSessionProperties(sessionId, wanted);

export const control = [
  {
    id: 'control.get-properties',
    group: GROUP,
    title: 'the properties of another session: by name, all fixed, all of the user; those that it does not have are left out',
    services: [67],
    transports: BOTH,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect({ principal: 'client', credentials: 'password' })];
      await session.clients.setSessionProperties(client.sessionId, { job: 'tester' });
      const fixed = await properties(session, client, keys(t).ALL_FIXED_PROPERTIES);
      t.equal([fixed.$SessionId, fixed.$Principal, fixed.$Roles], [client.sessionId.toString(), 'client', '"CLIENT"'], 'fixed properties');
      t.equal([fixed.$ClientIP, fixed.$ClientType, fixed.$Latitude, fixed.$Country], ['127.0.0.1', 'JAVASCRIPT_BROWSER', 'NaN', ''], 'fixed properties');
      t.equal(fixed.$Transport, t.transport === 'ws' ? 'WEBSOCKET' : 'HTTP_LONG_POLL', '$Transport');
      t.ok(/^(NODE|BROWSER)_/.test(fixed.$Environment), `$Environment ${fixed.$Environment}`);
      t.ok(Math.abs(Number(fixed.$StartTime) - Date.now()) < 60_000, '$StartTime');
      t.equal([fixed.job, fixed.$ExpiryTime, fixed.$MQTTClientId], [undefined, undefined, undefined], 'what is not there');
      t.equal(await properties(session, client, keys(t).ALL_USER_PROPERTIES), { job: 'tester' }, 'user properties');
      t.equal(await properties(session, client, ['job', '$Principal', 'none', '$None']), { job: 'tester', $Principal: 'client' }, 'by name');
      t.equal(await properties(session, client, []), {}, 'no keys');
      t.equal(await session.clients.getSessionProperties(client.sessionId.toString(), ['job']), { job: 'tester' }, 'by the text of the id');
    },
  },
  {
    id: 'control.get-properties-refused',
    group: GROUP,
    title: 'the properties of a session that is not there; a caller without VIEW_SESSION',
    services: [67],
    transports: BOTH,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect()];
      for (const id of [await closed(t), '0123456789abcdef-0000000000000001']) {
        const error = await t.rejects(session.clients.getSessionProperties(id, ['*F']), 'a session that is not there');
        t.equal(error?.message, 'Invalid session ID', 'the SDK says');
      }
      await t.refused(properties(client, session), ACCESS_DENIED, 'without permission');
      await t.refused(properties(client, client), ACCESS_DENIED, 'its own, by this call');
    },
  },
  {
    id: 'control.own-properties',
    group: GROUP,
    title: 'a session without permission reads its own fixed properties, without its roles',
    services: [202],
    transports: BOTH,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect()];
      await session.clients.setSessionProperties(client.sessionId, { job: 'tester', $Country: 'de' });
      const own = await client.getSessionProperties();
      t.equal([own.$SessionId, own.$Principal, own.$Country, own.$Roles, own.job], [client.sessionId.toString(), '', 'DE', undefined, undefined], 'properties');
    },
  },
  {
    id: 'control.set-properties',
    group: GROUP,
    title: 'properties are added, changed and removed; the answer has the values before of what changed',
    services: [105],
    transports: BOTH,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect()];
      const set = (changes) => session.clients.setSessionProperties(client.sessionId, changes);
      t.equal(await set({ job: 'tester', 'with-ünï.x': '' }), { job: null, 'with-ünï.x': null }, 'added');
      t.equal(await set({ job: 'boss', 'with-ünï.x': '', Job: 'upper' }), { job: 'tester', Job: null }, 'changed, the same, added');
      t.equal(await set(new Map([['job', null], ['none', null], ['Job', 'upper']])), { job: 'boss' }, 'removed');
      t.equal(await set({ job: null }), {}, 'nothing to change');
      t.equal(await properties(session, client), { 'with-ünï.x': '', Job: 'upper' }, 'properties');
    },
  },
  {
    id: 'control.set-fixed-properties',
    group: GROUP,
    title: 'of the fixed properties only those of the place are set, in their form; others are ignored',
    services: [105],
    transports: ONE,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect()];
      const set = (changes) => session.clients.setSessionProperties(client.sessionId, changes);
      const before = await set({ $Country: 'gb', $Language: 'EN', $Latitude: '51.51', $Longitude: 'west', $Principal: 'admin', $Roles: '"ADMINISTRATOR"', $Mine: 'x' });
      t.equal(before, { $Country: '', $Language: '', $Latitude: 'NaN' }, 'values before');
      const { $Country, $Language, $Latitude, $Longitude, $Principal, $Roles, $Mine } = await properties(session, client, ['*F', '*U', '$Mine']);
      t.equal([$Country, $Language, Number($Latitude), $Longitude], ['GB', 'en', 51.51, 'NaN'], 'place');
      t.equal([$Principal, $Roles, $Mine], ['', '"CLIENT"', undefined], 'what was ignored');
      t.equal(await set({ $Country: null, $SessionId: null }), {}, 'removal of fixed properties');
    },
  },
  {
    id: 'control.set-properties-refused',
    group: GROUP,
    title: 'a session that is not there, a key that is none, a caller without VIEW_SESSION and MODIFY_SESSION',
    services: [105, 106],
    transports: BOTH,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect()];
      const operator = await t.connect({ principal: 'operator', credentials: 'password' });
      await t.refused(session.clients.setSessionProperties(await closed(t), { a: 'b' }), NO_SUCH_SESSION, 'closed session');
      for (const key of ['', 'a b', '"a"', '(a)', "a'", 'a\tb', 'a\nb']) {
        await t.refused(session.clients.setSessionProperties(client.sessionId, { [key]: 'x', fine: 'x' }), INVALID, `key ${key}`);
      }
      t.equal(await properties(session, client), {}, 'properties');
      for (const [what, by] of Object.entries({ client, operator })) {
        await t.refused(by.clients.setSessionProperties(client.sessionId, { a: 'b' }), ACCESS_DENIED, `${what}, by id`);
        await t.refused(by.clients.setSessionPropertiesByFilter('all', { a: 'b' }), ACCESS_DENIED, `${what}, by filter`);
      }
    },
  },
  {
    id: 'control.set-properties-by-filter',
    group: GROUP,
    title: 'properties of all sessions of a filter; the answer is how many it selects',
    services: [106],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const [first, second, bystander] = [await t.connect(), await t.connect(), await t.connect()];
      const set = (filter, changes) => session.clients.setSessionPropertiesByFilter(filter, changes);
      const team = t.path('team');
      t.equal(await set(among(first, second), { team, temporary: 'x' }), 2, 'count');
      t.equal(await set(`team is '${team}'`, { temporary: null, job: 'tester' }), 2, 'count by the new property');
      t.equal(await set(`team is '${team}' and not has job`, { job: 'none' }), 0, 'count of nobody');
      for (const one of [first, second]) t.equal(await properties(session, one), { team, job: 'tester' }, 'properties');
      t.equal(await properties(session, bystander), {}, 'properties of another session');
    },
  },
  {
    id: 'control.filters',
    group: GROUP,
    title: 'the filter language: operators, precedence, brackets, regular expressions, lists, roles, escapes',
    services: [106],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const [gold, free, plain] = [await t.connect(), await t.connect({ principal: 'client', credentials: 'password' }), await t.connect({ principal: 'operator', credentials: 'password' })];
      const mine = t.path('team');
      await session.clients.setSessionPropertiesByFilter(among(gold, free, plain), { mine });
      await session.clients.setSessionProperties(gold.sessionId, { Tier: 'gold', note: `it's "quoted" \\`, all: 'x', $Country: 'gb' });
      await session.clients.setSessionProperties(free.sessionId, { Tier: 'free', $Country: 'us' });
      const selected = (filter) => session.clients.setSessionPropertiesByFilter(`mine is '${mine}' and (${filter})`, { touched: null });
      const expected = [
        ['all', 3], ['ALL', 3], [`Tier is 'gold'`, 1], [`Tier EQ "gold"`, 1], [`tier is 'gold'`, 0], [`Tier is 'GOLD'`, 0], [`Tier ne 'gold'`, 2],
        [`has Tier`, 2], [`not has Tier`, 1], [`NOT (Tier is 'gold' OR Tier is 'free')`, 1], [`not Tier is 'gold' and has Tier`, 1],
        [`Tier is 'gold' or Tier is 'free' and $Country is 'DE'`, 1], [`(Tier is 'gold' or Tier is 'free') and $Country is 'US'`, 1],
        [`$Principal is ''`, 1], [`$Principal matches 'client|operator'`, 2], [`$Principal matches 'lien'`, 0], [`$ClientIP matches "127\\\\.0\\\\..*"`, 3],
        [`$Country in ['GB', 'US']`, 2], [`$Country in ["GB" "FR"]`, 1], [`hasRoles "CLIENT"`, 2], [`hasroles ["OPERATOR"]`, 1], [`hasRoles ["CLIENT" "OPERATOR"]`, 0],
        [`$Roles eq '"CLIENT"'`, 2], [`note is '${t.diffusion.escape(`it's "quoted" \\`)}'`, 1], [`all is 'x'`, 1], [`(((Tier is'gold')))`, 1],
      ];
      for (const [filter, count] of expected) t.equal(await selected(filter), count, `sessions of ${filter}`);
    },
  },
  {
    id: 'control.no-filter',
    group: GROUP,
    title: 'a filter that is none is reported with the place of the error, by every call that takes one',
    services: [65, 66, 106, 124, 162, 163],
    transports: BOTH,
    async run(t) {
      const { clients } = await t.control();
      const calls = {
        'setSessionPropertiesByFilter': (filter) => clients.setSessionPropertiesByFilter(filter, { a: 'b' }),
        'close': (filter) => clients.close(filter),
        'setConflated': (filter) => clients.setConflated(filter, true),
        'changeRoles': (filter) => clients.changeRoles(filter, [], ['A']),
        'subscribe': (filter) => clients.subscribe(filter, 'a'),
        'unsubscribe': (filter) => clients.unsubscribe(filter, 'a'),
      };
      for (const [call, run] of Object.entries(calls)) {
        for (const filter of NO_FILTERS) await t.reported(run(filter), `${call} of ${filter}`);
      }
    },
  },
  {
    id: 'control.close',
    group: GROUP,
    title: 'a session is closed by its id, and does not reconnect; one that is not there: NO_SUCH_SESSION',
    services: [14],
    transports: BOTH,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect({ reconnect: t.quick() })];
      const events = t.events(client);
      t.equal(await session.clients.close(client.sessionId), 1, 'count');
      t.equal((await events.await('close')).id, t.diffusion.clients.CloseReason.CLOSED_BY_SERVER.id, 'close reason');
      t.equal(events.of('disconnect').length, 0, 'attempts to reconnect');
      await t.refused(session.clients.close(client.sessionId), NO_SUCH_SESSION, 'closed already');
      await t.refused(session.clients.close('0123456789abcdef-0000000000000001'), NO_SUCH_SESSION, 'never there');
    },
  },
  {
    id: 'control.close-away',
    group: GROUP,
    title: 'a session that is away is closed too, and is refused when it comes back',
    services: [14],
    transports: ONE,
    async run(t) {
      const [session, away] = [await t.control(), await t.absentee()];
      await away.leave();
      t.equal(await session.clients.close(away.session.sessionId), 1, 'count');
      away.start();
      await away.events.await('close');
    },
  },
  {
    id: 'control.close-by-filter',
    group: GROUP,
    title: 'all sessions of a filter are closed, the caller last if it is among them, and their count is answered',
    services: [162],
    transports: BOTH,
    async run(t) {
      const [session, first, second, bystander] = [await t.control(), await t.connect(), await t.connect(), await t.connect()];
      const records = [session, first, second].map((one) => t.events(one));
      t.equal(await session.clients.close(`${among(bystander)} and $Principal is 'nobody'`), 0, 'count of nobody');
      t.equal(await session.clients.close(among(session, first, second)), 3, 'count');
      for (const record of records) t.equal((await record.await('close')).id, t.diffusion.clients.CloseReason.CLOSED_BY_SERVER.id, 'close reason');
      await bystander.pingServer();
    },
  },
  {
    id: 'control.close-permission',
    group: GROUP,
    title: 'to close sessions takes MODIFY_SESSION, and VIEW_SESSION for those of a filter',
    services: [14, 162],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const [client, operator] = [await t.connect({ port }), await t.connect({ port, principal: 'operator', credentials: 'password' })];
      await t.govern(port, (script) => script.setGlobalPermissions('CLIENT', ['MODIFY_SESSION']).setRoleIncludes('OPERATOR', []));
      await t.refused(operator.clients.close(client.sessionId), ACCESS_DENIED, 'by id, without MODIFY_SESSION');
      await t.refused(operator.clients.close('all'), ACCESS_DENIED, 'by filter, without MODIFY_SESSION');
      await t.refused(client.clients.close('all'), ACCESS_DENIED, 'by filter, without VIEW_SESSION');
      t.equal(await client.clients.close(operator.sessionId), 1, 'by id, without VIEW_SESSION');
    },
  },
  {
    id: 'control.roles',
    group: GROUP,
    title: 'roles are added and removed: the session may at once what they allow, and its subscriptions follow',
    services: [123],
    transports: BOTH,
    async run(t) {
      const [admin, client] = [await t.admin(), await t.connect()];
      const change = (remove, add) => admin.clients.changeRoles(client.sessionId, remove, add);
      const path = await t.topic(admin, 'STRING');
      const stream = t.watch(client, path, t.datatypes.string());
      await client.select(path);
      await stream.await('subscribe');
      await t.refused(client.lock(t.path('lock')), ACCESS_DENIED, 'as a client');
      t.equal(await change([], ['TOPIC_CONTROL']), 1, 'count');
      await client.lock(t.path('lock'));
      const roles = async () => [...t.diffusion.stringToRoles((await properties(admin, client, ['$Roles'])).$Roles)].sort();
      t.equal(await roles(), ['CLIENT', 'TOPIC_CONTROL'], 'roles');
      await change(['TOPIC_CONTROL', 'CLIENT', 'NONE'], ['A "quoted" one', 'MADE UP', 'MADE UP']);
      t.equal((await stream.await('unsubscribe')).topic, path, 'topic lost');
      t.equal(await roles(), ['A "quoted" one', 'MADE UP'], 'roles');
      await change(new Set(['MADE UP']), new Set(['CLIENT']));
      await stream.await('subscribe', { count: 2 });
    },
  },
  {
    id: 'control.roles-by-filter',
    group: GROUP,
    title: 'roles of all sessions of a filter',
    services: [124],
    transports: BOTH,
    async run(t) {
      const [admin, first, second] = [await t.admin(), await t.connect(), await t.connect()];
      t.equal(await admin.clients.changeRoles(among(first, second), ['CLIENT'], ['OPERATOR']), 2, 'count');
      t.equal(await admin.clients.changeRoles(`${among(first, second)} and hasRoles "CLIENT"`, [], ['CREW']), 0, 'count of nobody');
      for (const one of [first, second]) t.equal((await properties(admin, one, ['$Roles'])).$Roles, '"OPERATOR"', 'roles');
    },
  },
  {
    id: 'control.roles-refused',
    group: GROUP,
    title: 'a role both removed and added, a session that is not there, a caller without MODIFY_SESSION',
    services: [123, 124],
    transports: ONE,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect()];
      const operator = await t.connect({ principal: 'operator', credentials: 'password' });
      await t.refused(session.clients.changeRoles(client.sessionId, ['A', 'B'], ['B']), INVALID, 'in both lists');
      await t.refused(session.clients.changeRoles(among(client), ['B'], ['B']), INVALID, 'in both lists, by filter');
      await t.refused(session.clients.changeRoles(await closed(t), [], ['A']), NO_SUCH_SESSION, 'closed session');
      for (const [what, by] of Object.entries({ client, operator })) {
        await t.refused(by.clients.changeRoles(client.sessionId, [], ['ADMINISTRATOR']), ACCESS_DENIED, `${what}, by id`);
        await t.refused(by.clients.changeRoles('all', [], ['ADMINISTRATOR']), ACCESS_DENIED, `${what}, by filter`);
      }
      t.equal((await properties(session, client, ['$Roles'])).$Roles, '"CLIENT"', 'roles');
    },
  },
  {
    id: 'control.conflation',
    group: GROUP,
    title: 'with conflation a session that is away gets the newest value when it is back; without it, all of them',
    services: [15, 163],
    transports: ONE,
    async run(t) {
      const server = await t.host.serve({ args: ['--log-level', 'debug'] });
      const control = await t.control({ port: server.port });
      const path = await t.topic(control, 'INT64', { CONFLATION: 'always' });
      const away = await t.absentee({ server });
      const stream = t.watch(away.session, path, t.datatypes.int64());
      await away.session.select(path);
      await stream.await('subscribe');
      let last = 0;
      // How many of ten values arrive that are set while the session is away.
      const arrive = async () => {
        const before = stream.of('value').length;
        await away.leave();
        for (let n = 0; n < 10; n++) await control.topicUpdate.set(path, t.datatypes.int64(), ++last);
        await away.back();
        await stream.until(() => stream.of('value').at(-1)?.value === String(last), 'the last value');
        return stream.of('value').length - before;
      };
      t.equal(await arrive(), 1, 'at first');
      t.equal(await control.clients.setConflated(away.session.sessionId, false), 1, 'count');
      t.equal(await arrive(), 10, 'without conflation');
      t.equal(await control.clients.setConflated(among(away.session), true), 1, 'count by filter');
      t.equal(await arrive(), 1, 'with conflation');
      t.equal(await control.clients.setConflated(among(away.session), false), 1, 'count by filter');
      t.equal(await arrive(), 10, 'without, by filter');
    },
  },
  {
    id: 'control.conflation-refused',
    group: GROUP,
    title: 'conflation of a session that is not there, and by a caller without MODIFY_SESSION',
    services: [15, 163],
    transports: BOTH,
    async run(t) {
      const [session, client] = [await t.control(), await t.connect()];
      t.equal(await session.clients.setConflated(client.sessionId, true), 1, 'count');
      await t.refused(session.clients.setConflated(await closed(t), true), NO_SUCH_SESSION, 'closed session');
      await t.refused(client.clients.setConflated(client.sessionId, true), ACCESS_DENIED, 'by id');
      await t.refused(client.clients.setConflated('all', true), ACCESS_DENIED, 'by filter');
    },
  },
];
