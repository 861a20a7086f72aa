// Value streams: which topics reach which streams of a session. Nothing of it travels.

const GROUP = 'Value streams';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const SAMPLES = { JSON: { a: 1 }, STRING: 'text', INT64: 7, DOUBLE: 0.5 };

// One topic of each type of SAMPLES, with its value, below a branch of the scenario's own.
async function plant(t, session) {
  const branch = t.path('types');
  for (const [type, value] of Object.entries(SAMPLES)) {
    await session.topicUpdate.set(`${branch}/${type}`, t.datatypeOf(type), value, { specification: t.spec(type) });
  }
  return branch;
}

const received = (stream, branch) => stream.of('value').map(({ topic, value }) => [topic.slice(branch.length + 1), value]).sort();

export const valuestreams = [
  {
    id: 'streams.readable-as',
    group: GROUP,
    title: 'a JSON stream reads STRING, INT64 and DOUBLE topics too; other streams only their own type; any reads all',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session);
      const watch = (name) => t.watch(session, `?${branch}/`, t.datatypes[name]());
      const streams = { any: watch('any'), json: watch('json'), string: watch('string'), int64: watch('int64'), double: watch('double'), binary: watch('binary') };
      await session.select(`?${branch}/`);
      t.equal(received(streams.json, branch), [['DOUBLE', 0.5], ['INT64', 7], ['JSON', { a: 1 }], ['STRING', 'text']], 'json');
      t.equal(received(streams.string, branch), [['STRING', 'text']], 'string');
      t.equal(received(streams.int64, branch), [['INT64', '7']], 'int64');
      t.equal(received(streams.double, branch), [['DOUBLE', 0.5]], 'double');
      t.equal(streams.binary.items, [], 'binary');
      t.equal(received(streams.any, branch).map(([name]) => name), ['DOUBLE', 'INT64', 'JSON', 'STRING'], 'any');
    },
  },
  {
    id: 'streams.added-later',
    group: GROUP,
    title: 'a stream added to subscribed topics gets a subscription and the newest value of each, and nothing is sent for it',
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const path = await t.topic(session, 'JSON');
      await session.select(path);
      for (const n of [1, 2]) await session.topicUpdate.set(path, t.datatypes.json(), { n });
      const before = (await heard()).length;
      const stream = t.watch(session, path, t.datatypes.json());
      await stream.await('value');
      t.equal(stream.items.map(({ type, value, old }) => [type, value ?? null, old ?? null]),
        [['subscribe', null, null], ['value', { n: 2 }, null]], 'events');
      t.equal((await heard()).length - before, 2, 'messages: the ping and its answer');
    },
  },
  {
    id: 'streams.closed',
    group: GROUP,
    title: 'a closed stream hears nothing more; the subscription and other streams go on',
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'STRING');
      const stays = t.watch(session, path, t.datatypes.string());
      const stream = session.addStream(path, t.datatypes.string());
      const closed = t.listen(stream, 'the stream to close', t.datatypes.string());
      await session.select(path);
      await session.topicUpdate.set(path, t.datatypes.string(), 'one');
      await closed.await('value');
      stream.close();
      await session.topicUpdate.set(path, t.datatypes.string(), 'two');
      await stays.await('value', { count: 2 });
      t.equal(closed.types(), ['subscribe', 'value', 'close'], 'events of the closed stream');
    },
  },
  {
    id: 'streams.session-closed',
    group: GROUP,
    title: 'when the session is closed its streams end, without an unsubscription',
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'STRING');
      const stream = t.watch(session, path, t.datatypes.string());
      await session.select(path);
      await stream.await('subscribe');
      await session.closeSession();
      await stream.until((items) => items.length > 1, 'an end');
      t.equal(stream.of('unsubscribe').length, 0, 'unsubscriptions');
    },
  },
  {
    id: 'streams.fallback',
    group: GROUP,
    title: 'a fallback stream gets the topics of its type that no other stream has',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session);
      const fallback = t.listen(session.addFallbackStream(t.datatypes.string()), 'fallback stream', t.datatypes.string());
      const other = t.watch(session, `${branch}/other`, t.datatypes.string());
      await t.topic(session, 'STRING', {}, `${branch}/other`);
      await session.select(`?${branch}/`);
      t.equal(received(fallback, branch), [['STRING', 'text']], 'values of the fallback stream');
      t.equal(other.types(), ['subscribe'], 'events of the other stream');
      await session.topics.remove(`${branch}/STRING`);
      t.equal((await fallback.await('unsubscribe')).id, t.diffusion.topics.UnsubscribeReason.REMOVED.id, 'reason');
    },
  },
  {
    id: 'streams.fallback-change',
    group: GROUP,
    title: 'a stream for the topic takes it from the fallback stream (STREAM_CHANGE), and gives it back when it closes',
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'STRING');
      const string = t.datatypes.string();
      await session.topicUpdate.set(path, string, 'one');
      const fallback = t.listen(session.addFallbackStream(string), 'fallback stream', string);
      await session.select(path);
      await fallback.await('value');
      const stream = session.addStream(path, string);
      const specific = t.listen(stream, 'stream of the path', string);
      await specific.await('value');
      t.equal((await fallback.await('unsubscribe')).reason, t.diffusion.topics.UnsubscribeReason.STREAM_CHANGE.reason, 'reason');
      await session.topicUpdate.set(path, string, 'two');
      await specific.await('value', { count: 2 });
      stream.close();
      await fallback.await('value', { count: 2 });
      t.equal(fallback.of('value').map(({ value }) => value), ['one', 'two'], 'values of the fallback stream');
    },
  },
];
