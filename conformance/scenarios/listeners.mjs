// Listeners to sessions of both generations, and queries of sessions (31 sections 3 to 5).

import { among } from './addressed.mjs';
import { NO_FILTERS } from './control.mjs';

const EVENTS = 'Session events';
const QUERIES = 'Session queries';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;

// Adds a session event listener, and returns a record of events: {type: 'event', session, kind, state, properties, changed, reason}.
async function listen(t, session, build = (parameters) => parameters) {
  const record = t.record('session events');
  const { SessionEventStreamEventType: kinds, SessionState: states } = t.diffusion.clients;
  record.registration = await session.clients.addSessionEventListener({
    onSessionEvent: (event) => record.push({
      type: 'event', session: event.sessionId.toString(), kind: kinds[event.type], state: states[event.state],
      properties: event.properties, changed: event.changedProperties, reason: event.closeReason, opens: event.isOpenEvent(),
    }),
    onClose: () => record.push({ type: 'close' }),
    onError: (error) => record.push({ type: 'error', id: error?.id }),
  }, build(t.diffusion.newSessionEventParametersBuilder()).build());
  return record;
}

// The events of one session, once there are so many.
const eventsOf = (record, { sessionId }, count) => record.until(
  (items) => {
    const own = items.filter(({ session }) => session === sessionId.toString());
    return own.length >= count && own;
  }, `${count} events of a session`);

// Sets a session properties listener, and returns a record of events: {type, session, properties, previous, event, reason}.
async function listenToProperties(t, session, keys) {
  const record = t.record('session properties events');
  await session.clients.setSessionPropertiesListener(keys, {
    onActive: (deregister) => Object.assign(record, { deregister }).push({ type: 'active' }),
    onSessionOpen: (id, properties) => record.push({ type: 'open', session: id.toString(), properties }),
    onSessionEvent: (id, event, properties, previous) => record.push({ type: 'update', session: id.toString(), event, properties, previous }),
    onSessionClose: (id, properties, reason) => record.push({ type: 'closed', session: id.toString(), properties, reason }),
    onClose: () => record.push({ type: 'close' }),
    onError: (error) => record.push({ type: 'error', id: error?.id }),
  });
  return record;
}

export const listeners = [
  {
    id: 'session-events.life',
    group: EVENTS,
    title: 'a session opens, changes, loses its connection, returns and closes: each is told, with the properties that were asked for',
    services: [82, 189],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const away = await t.absentee();
      const { session } = away;
      const events = await listen(t, control, (p) => p.filter(among(session)).properties('$Principal', 'job'));
      t.equal(await eventsOf(events, session, 1), [{
        type: 'event', session: session.sessionId.toString(), kind: 'STATE', state: 'ACTIVE', properties: { $Principal: '' }, changed: {}, opens: true,
      }], 'a session that is open already');
      await control.clients.setSessionProperties(session.sessionId, { job: 'tester' });
      const [, added] = await eventsOf(events, session, 2);
      t.equal([added.kind, added.state, added.properties], ['PROPERTIES', 'ACTIVE', { $Principal: '', job: 'tester' }], 'a property added');
      t.equal([added.changed, added.opens], [{ job: null }, false], 'what changed');
      await control.clients.setSessionProperties(session.sessionId, { other: 'not asked for' });
      await control.clients.setSessionProperties(session.sessionId, { job: 'boss' });
      const [, , changed] = await eventsOf(events, session, 3);
      t.equal([changed.properties.job, changed.changed], ['boss', { job: 'tester' }], 'a property changed');
      await control.clients.setSessionProperties(session.sessionId, { job: null });
      const [, , , removed] = await eventsOf(events, session, 4);
      t.equal([removed.properties, removed.changed], [{ $Principal: '' }, { job: 'boss' }], 'a property removed');
      await away.leave();
      t.equal((await eventsOf(events, session, 5))[4].state, 'DISCONNECTED', 'connection lost');
      await away.back();
      t.equal((await eventsOf(events, session, 6))[5].state, 'RECONNECTED', 'reconnected');
      await session.closeSession();
      const last = (await eventsOf(events, session, 7))[6];
      t.equal([last.kind, last.state, last.properties], ['STATE', 'CLOSED', {}], 'closed');
      t.equal(last.reason, t.diffusion.ClientCloseReason.CLOSED_BY_CLIENT, 'reason');
    },
  },
  {
    id: 'session-events.all-sessions',
    group: EVENTS,
    title: 'without parameters: every session, its own too, those that are there and those that come; no properties',
    services: [82, 189],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const before = await t.connect();
      const events = await listen(t, control);
      for (const session of [control, before]) t.equal((await eventsOf(events, session, 1))[0].properties, {}, 'properties');
      const after = await t.connect();
      t.equal((await eventsOf(events, after, 1))[0].opens, true, 'one that comes later');
      await control.clients.setSessionProperties(after.sessionId, { job: 'tester' });
      await control.clients.close(after.sessionId);
      const [, last] = await eventsOf(events, after, 2);
      t.equal([last.state, last.reason], ['CLOSED', t.diffusion.ClientCloseReason.CLOSED_BY_CONTROLLER], 'the event after the opening');
    },
  },
  {
    id: 'session-events.started-after',
    group: EVENTS,
    title: 'after a time: only sessions that start later',
    services: [189],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const before = await t.connect();
      const { $StartTime } = await control.clients.getSessionProperties(before.sessionId, ['$StartTime']);
      const events = await listen(t, control, (p) => p.after(Number($StartTime)));
      while (Date.now() <= Number($StartTime)) await t.after(1);
      const after = await t.connect();
      await eventsOf(events, after, 1);
      await before.closeSession();
      await after.closeSession();
      await eventsOf(events, after, 2);
      t.equal(events.items.filter(({ session }) => session === before.sessionId.toString()), [], 'events of one that started before');
    },
  },
  {
    id: 'session-events.filter',
    group: EVENTS,
    title: 'a session whose properties begin to satisfy the filter opens to the listener; roles that change are told as $Roles',
    services: [82, 189],
    transports: ONE,
    async run(t) {
      const [admin, client] = [await t.admin(), await t.connect()];
      const team = t.path('team');
      const events = await listen(t, admin, (p) => p.filter(`team is '${team}'`).properties(['*U', '$Roles']));
      await admin.clients.setSessionProperties(client.sessionId, { team: 'another' });
      await admin.clients.setSessionProperties(client.sessionId, { team });
      const [opened] = await eventsOf(events, client, 1);
      t.equal([opened.opens, opened.properties], [true, { team, $Roles: '"CLIENT"' }], 'opened');
      await admin.clients.changeRoles(client.sessionId, ['CLIENT'], ['OPERATOR']);
      const [, changed] = await eventsOf(events, client, 2);
      t.equal([changed.properties.$Roles, changed.changed], ['"OPERATOR"', { $Roles: '"CLIENT"' }], 'roles');
    },
  },
  {
    id: 'session-events.principal',
    group: EVENTS,
    title: 'a change of principal is an event of properties',
    services: [82],
    transports: ONE,
    async run(t) {
      const [admin, client] = [await t.admin(), await t.connect()];
      const events = await listen(t, admin, (p) => p.filter(among(client)).properties('$Principal', '$Roles'));
      await eventsOf(events, client, 1);
      await client.security.changePrincipal('operator', 'password');
      const [, changed] = await eventsOf(events, client, 2);
      t.equal([changed.kind, changed.properties, changed.changed], [
        'PROPERTIES', { $Principal: 'operator', $Roles: '"OPERATOR"' }, { $Principal: '', $Roles: '"CLIENT"' },
      ], 'event');
    },
  },
  {
    id: 'session-events.close-listener',
    group: EVENTS,
    title: 'a listener that is closed is told nothing more; others of its session go on',
    services: [190],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const [first, second] = [await listen(t, control, (p) => p.filter(among(client))), await listen(t, control, (p) => p.filter(among(client)))];
      for (const record of [first, second]) await eventsOf(record, client, 1);
      await first.registration.close();
      await first.await('close');
      await client.closeSession();
      await eventsOf(second, client, 2);
      t.equal(first.of('event').length, 1, 'events of the closed listener');
    },
  },
  {
    id: 'session-events.refused',
    group: EVENTS,
    title: 'a filter that is none, a caller without VIEW_SESSION or REGISTER_HANDLER',
    services: [81, 189],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const operator = await t.connect({ principal: 'operator', credentials: 'password' });
      for (const filter of NO_FILTERS.filter(Boolean)) {
        const error = await t.rejects(listen(t, control, (p) => p.filter(filter)), `filter ${filter}`);
        t.equal(error?.message, 'Session filter is invalid', 'the SDK says');
      }
      for (const [what, session] of Object.entries({ client, operator })) {
        await t.refused(listen(t, session), ACCESS_DENIED, what);
        await t.refused(listenToProperties(t, session, ['*F']), ACCESS_DENIED, `${what}, older listener`);
      }
    },
  },
  {
    id: 'session-events.permission-withdrawn',
    group: EVENTS,
    title: 'a listener whose session may listen no longer is told so, and of no further session',
    services: [82],
    transports: ONE,
    async run(t) {
      const [admin, control, client] = [await t.admin(), await t.control(), await t.connect()];
      const events = await listen(t, control, (p) => p.filter(among(client)).properties('job'));
      await eventsOf(events, client, 1);
      await admin.clients.changeRoles(control.sessionId, ['CLIENT_CONTROL'], []);
      await admin.clients.setSessionProperties(client.sessionId, { job: 'secret' });
      t.equal((await events.await('error')).id, ACCESS_DENIED, 'error');
      t.equal(events.of('event').length, 1, 'events');
    },
  },
  {
    id: 'session-events.older-listener',
    group: EVENTS,
    title: 'the older listener: opened, properties before and after, connection, and at the close the properties and the reason; then deregistration',
    services: [81, 82],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const away = await t.absentee();
      const { session } = away;
      const events = await listenToProperties(t, control, ['job', '$Principal']);
      t.equal(events.types()[0], 'active', 'first event');
      t.equal((await eventsOf(events, session, 1))[0].properties, { $Principal: '' }, 'opened');
      const { UPDATED, DISCONNECTED, RECONNECTED } = t.diffusion.SessionEventType;
      await control.clients.setSessionProperties(session.sessionId, { job: 'tester' });
      const [, updated] = await eventsOf(events, session, 2);
      t.equal([updated.event, updated.properties, updated.previous], [UPDATED, { $Principal: '', job: 'tester' }, { job: null }], 'updated');
      await away.leave();
      await away.back();
      const [, , lost, returned] = await eventsOf(events, session, 4);
      t.equal([lost.event, returned.event], [DISCONNECTED, RECONNECTED], 'connection');
      await control.clients.close(session.sessionId);
      const closed = (await eventsOf(events, session, 5))[4];
      t.equal([closed.type, closed.properties, closed.reason], [
        'closed', { $Principal: '', job: 'tester' }, t.diffusion.ClientCloseReason.CLOSED_BY_CONTROLLER,
      ], 'closed');
      await events.deregister();
      await events.await('close');
      const later = await t.connect();
      await control.pingServer();
      t.equal(events.items.filter((item) => item.session === later.sessionId.toString()), [], 'events after deregistration');
    },
  },
  {
    id: 'session-events.older-listener-without-properties',
    group: EVENTS,
    title: 'the older listener without properties is told of openings and closes only',
    services: [81, 82],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const events = await listenToProperties(t, control, []);
      const session = await t.connect();
      await eventsOf(events, session, 1);
      await control.clients.setSessionProperties(session.sessionId, { job: 'tester' });
      await session.closeSession();
      const [opened, closed] = await eventsOf(events, session, 2);
      t.equal([opened.type, opened.properties, closed.type, closed.properties], ['open', {}, 'closed', {}], 'events');
      t.equal(closed.reason, t.diffusion.ClientCloseReason.CLOSED_BY_CLIENT, 'reason');
    },
  },
  {
    id: 'session-events.message-loss',
    group: EVENTS,
    title: 'a reconnection with loss of messages ends the listeners of a session',
    services: [189],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--recovery-messages', '2'] });
      const proxy = await t.lossy(port);
      const session = await t.control({ port: proxy.port, reconnect: t.patient() });
      const other = await t.control({ port });
      const connection = t.events(session);
      const events = await listen(t, session, (p) => p.properties('n'));
      await eventsOf(events, other, 1);
      await proxy.lose(3, async () => {
        for (let n = 0; n < 10; n++) await other.clients.setSessionProperties(other.sessionId, { n: String(n) });
      });
      await connection.await('reconnect');
      const anew = await listen(t, session, (p) => p.filter(among(other)));
      await eventsOf(anew, other, 1);
      const told = events.of('event').length;
      await other.clients.setSessionProperties(other.sessionId, { n: 'last' });
      await session.pingServer();
      t.equal(events.of('event').length, told, 'events of the old listener');
    },
  },
  {
    id: 'session-queries.select',
    group: QUERIES,
    title: 'sessions of a filter in the order of their start, from one end or the other, with the properties that were asked for',
    services: [168],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const sessions = [];
      for (let n = 0; n < 4; n++) sessions.push(await t.connect());
      const ids = sessions.map(({ sessionId }) => sessionId.toString());
      const query = () => control.clients.fetchRequest().filter(among(...sessions)).withProperties(['$SessionId']);
      const fetched = async (request) => (await request.fetch()).results().map(({ $SessionId }) => $SessionId);
      t.equal(await fetched(query()), ids, 'all');
      const first = await query().first(2).fetch();
      t.equal([first.results().map(({ $SessionId }) => $SessionId), first.size(), first.hasMore()], [ids.slice(0, 2), 2, true], 'the first');
      t.equal(await fetched(query().last(3)), ids.slice(1), 'the last');
      t.equal(await fetched(query().first(0)), [], 'none');
      await control.clients.setSessionProperties(sessions[0].sessionId, { job: 'tester' });
      const [one] = (await control.clients.fetchRequest().filter(among(sessions[0])).withProperties(['*U', '$Principal', 'none']).fetch()).results();
      t.equal(one, { job: 'tester', $Principal: '' }, 'properties');
      const [fixed] = (await control.clients.fetchRequest().filter(among(sessions[0])).withProperties(['*F']).fetch()).results();
      t.equal([fixed.$SessionId, fixed.$Roles, Math.abs(Number(fixed.$StartTime) - Date.now()) < 60_000], [ids[0], '"CLIENT"', true], 'fixed properties');
    },
  },
  {
    id: 'session-queries.defaults',
    group: QUERIES,
    title: 'without a filter all sessions, with their start times alone; ranges of start times include their ends',
    services: [168],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const client = await t.connect();
      const all = await control.clients.fetchRequest().fetch();
      t.ok(all.size() >= 2 && !all.hasMore() && all.results().every((one) => Object.keys(one).join() === '$StartTime'), 'start times');
      const start = Number((await control.clients.getSessionProperties(client.sessionId, ['$StartTime'])).$StartTime);
      const within = async (change) => (await change(control.clients.fetchRequest().filter(among(client))).fetch()).size();
      t.equal(await within((request) => request.from(start).to(start)), 1, 'exactly');
      t.equal(await within((request) => request.from(start + 1)), 0, 'later');
      t.equal(await within((request) => request.to(start - 1)), 0, 'earlier');
    },
  },
  {
    id: 'session-queries.size',
    group: QUERIES,
    title: 'an answer keeps within the size that is allowed, and says that there is more',
    services: [168],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const sessions = [];
      for (let n = 0; n < 4; n++) sessions.push(await t.connect());
      await control.clients.setSessionPropertiesByFilter(among(...sessions), { long: 'x'.repeat(1000) });
      const result = await control.clients.fetchRequest().filter(among(...sessions)).withProperties(['long']).maximumResultSize(2500).fetch();
      t.equal([result.size(), result.hasMore()], [2, true], 'sessions and more');
    },
  },
  {
    id: 'session-queries.refused',
    group: QUERIES,
    title: 'a filter that is none is reported; without VIEW_SESSION: ACCESS_DENIED',
    services: [168],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      for (const filter of NO_FILTERS) await t.reported(control.clients.fetchRequest().filter(filter).fetch(), `filter ${filter}`);
      await t.refused(client.clients.fetchRequest().fetch(), ACCESS_DENIED, 'without permission');
    },
  },
];
