// Subscriptions of other sessions (31 section 7).

import { among } from './addressed.mjs';

const GROUP = 'Control of subscriptions';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;
const INVALID = 106;
const NO_SUCH_SESSION = 107;

// A controller, a client, and a stream of the client below a branch with topics a, b and b/c.
async function scene(t) {
  const [control, client] = [await t.control(), await t.connect()];
  const branch = t.path('branch');
  for (const name of ['a', 'b', 'b/c']) await t.topic(control, 'STRING', {}, `${branch}/${name}`);
  const stream = t.watch(client, `?${branch}//`, t.datatypes.string());
  const topics = (type) => stream.of(type).map(({ topic }) => topic.slice(branch.length + 1)).sort();
  return { control, client, branch, stream, topics };
}

const expressions = (selections) => selections.map(({ selector, selectionType }) => [selector.expression, selectionType]);

export const selections = [
  {
    id: 'selections.subscribe',
    group: GROUP,
    title: 'another session is subscribed by its id, now and to topics that are added later, and unsubscribed',
    services: [10, 11],
    transports: BOTH,
    async run(t) {
      const { control, client, branch, stream, topics } = await scene(t);
      await control.clients.subscribe(client.sessionId, `?${branch}/b//`);
      await stream.await('subscribe', { count: 2 });
      t.equal(topics('subscribe'), ['b', 'b/c'], 'subscriptions');
      await t.topic(control, 'STRING', {}, `${branch}/b/later`);
      t.equal((await stream.await('subscribe', { count: 3 })).topic, `${branch}/b/later`, 'topic added later');
      await control.clients.unsubscribe(client.sessionId.toString(), `${branch}/b/c`);
      const { topic, reason } = await stream.await('unsubscribe');
      t.equal([topic, reason], [`${branch}/b/c`, t.diffusion.topics.UnsubscribeReason.CONTROL.reason], 'unsubscription');
      await control.clients.subscribe(client.sessionId, [`>${branch}/a`, `${branch}/b/c`]);
      await stream.await('subscribe', { count: 5 });
    },
  },
  {
    id: 'selections.by-filter',
    group: GROUP,
    title: 'all sessions of a filter are subscribed and unsubscribed; the answer is how many it selects',
    services: [65, 66],
    transports: BOTH,
    async run(t) {
      const { control, client, branch, stream } = await scene(t);
      const other = await t.connect();
      const others = t.watch(other, `?${branch}//`, t.datatypes.string());
      t.equal(await control.clients.subscribe(among(client, other), `${branch}/a`), 2, 'count');
      await stream.await('subscribe');
      await others.await('subscribe');
      t.equal(await control.clients.unsubscribe(among(other), `${branch}/a`), 1, 'count');
      await others.await('unsubscribe');
      t.equal(await control.clients.subscribe(`${among(client)} and has nothing`, `${branch}/b`), 0, 'count of nobody');
      await client.pingServer();
      t.equal([stream.of('subscribe').length, stream.of('unsubscribe').length], [1, 0], 'events of the first');
    },
  },
  {
    id: 'selections.scopes',
    group: GROUP,
    title: 'selections are made in scopes, removed in one or in all of them, by id and by filter, and can be read',
    services: [10, 11, 198, 200, 201],
    transports: BOTH,
    async run(t) {
      const { control, client, branch, stream } = await scene(t);
      const { clients } = control;
      const read = async () => Object.fromEntries(Object.entries(await clients.getTopicSelections(client.sessionId)).map(([scope, list]) => [scope, expressions(list)]));
      t.equal(await read(), {}, 'no selections');
      await clients.subscribe(client.sessionId, `${branch}/a`, 'one');
      await clients.subscribe(client.sessionId, `${branch}/a`, 'two');
      await clients.subscribe(client.sessionId, `?${branch}/b//`);
      await stream.await('subscribe', { count: 3 });
      t.equal(await read(), { '': [[`?${branch}/b//`, 0]], one: [[`>${branch}/a`, 0]], two: [[`>${branch}/a`, 0]] }, 'selections');
      await clients.unsubscribe(client.sessionId, `${branch}/a`, 'one');
      await clients.unsubscribe(client.sessionId, `${branch}/b/c`);
      t.equal((await stream.await('unsubscribe')).topic, `${branch}/b/c`, 'the scope two still selects a');
      t.equal(await read(), { '': [[`?${branch}/b//`, 0], [`>${branch}/b/c`, 1]], two: [[`>${branch}/a`, 0]] }, 'selections');
      await clients.unsubscribeAllScopes(client.sessionId, `${branch}/a`);
      t.equal((await stream.await('unsubscribe', { count: 2 })).topic, `${branch}/a`, 'in all scopes');
      await clients.unsubscribeAllScopes(among(client), '?.*//');
      t.equal((await stream.await('unsubscribe', { count: 3 })).topic, `${branch}/b`, 'in all scopes, by filter');
      t.equal(await read(), {}, 'selections in the end');
    },
  },
  {
    id: 'selections.permissions-of-the-client',
    group: GROUP,
    title: 'the client need not have SELECT_TOPIC, but gets only what it may read',
    services: [10],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const [control, client] = [await t.control({ port }), await t.connect({ port })];
      for (const path of ['a/open', 'a/secret']) await t.topic(control, 'STRING', {}, path);
      await t.govern(port, (script) => script.setPathPermissions('CLIENT', 'a', ['READ_TOPIC']).setPathPermissions('CLIENT', 'a/secret', [])
        .setPathPermissions('TOPIC_CONTROL', 'a', ['SELECT_TOPIC', 'MODIFY_TOPIC']).setPathPermissions('TOPIC_CONTROL', 'a/secret', ['SELECT_TOPIC']));
      const stream = t.watch(client, '?a//', t.datatypes.string());
      await t.refused(client.select('?a//'), ACCESS_DENIED, 'a selection of its own');
      await control.clients.subscribe(client.sessionId, '?a//');
      t.equal((await stream.await('subscribe')).topic, 'a/open', 'topic');
      await client.pingServer();
      t.equal(stream.of('subscribe').length, 1, 'subscriptions');
    },
  },
  {
    id: 'selections.refused',
    group: GROUP,
    title: 'a selector that is none, a session that is not there, a caller who may not',
    services: [10, 11, 65, 66, 198, 200, 201],
    transports: BOTH,
    async run(t) {
      const [control, client, gone] = [await t.control(), await t.connect(), await t.connect()];
      await gone.closeSession();
      const calls = {
        'subscribe': ({ clients }, session, selector) => clients.subscribe(session, selector),
        'unsubscribe': ({ clients }, session, selector) => clients.unsubscribe(session, selector),
        'unsubscribeAllScopes': ({ clients }, session, selector) => clients.unsubscribeAllScopes(session, selector),
      };
      for (const [what, call] of Object.entries(calls)) {
        await t.refused(call(control, client.sessionId, '?a['), INVALID, `${what}: selector`);
        await t.refused(call(control, 'all', '?a['), INVALID, `${what}: selector, by filter`);
        await t.refused(call(control, gone.sessionId, 'a'), NO_SUCH_SESSION, `${what}: closed session`);
        await t.refused(call(client, control.sessionId, 'a'), ACCESS_DENIED, `${what}: without MODIFY_SESSION`);
        await t.refused(call(client, 'all', 'a'), ACCESS_DENIED, `${what}: without MODIFY_SESSION, by filter`);
        await t.refused(call(control, client.sessionId, '?Diffusion//'), ACCESS_DENIED, `${what}: without SELECT_TOPIC`);
        await t.refused(call(control, 'all', '?Diffusion//'), ACCESS_DENIED, `${what}: without SELECT_TOPIC, by filter`);
      }
      await t.refused(control.clients.getTopicSelections(gone.sessionId), NO_SUCH_SESSION, 'selections of a closed session');
      await t.refused(client.clients.getTopicSelections(client.sessionId), ACCESS_DENIED, 'selections without VIEW_SESSION');
    },
  },
];
