// What waits for a session that is away: conflation, priority and tidying (12 section 12.3). The
// session leaves and returns by order of the scenario, so that the backlog is known exactly.

const GROUP = 'Topic properties';
const ONE = ['ws'];

const QUEUE = 40; // messages that may wait for a session of these servers
const UPDATES = 100;

const json = (t) => t.datatypes.json();
const numbers = (stream) => stream.of('value').map(({ value }) => value.n);

const serve = (t) => t.host.serve({ args: ['--queue-messages', String(QUEUE), '--log-level', 'debug'] });

// A server with short queues, a publisher, and a session subscribed to a topic with the value
// {n: 0}, which is then away.
async function backlogged(t, properties, type = 'JSON') {
  const server = await serve(t);
  const publisher = await t.control({ port: server.port });
  const path = await t.topic(publisher, type, properties);
  const absentee = await t.absentee({ server });
  const stream = t.watch(absentee.session, path, type === 'JSON' ? json(t) : t.datatypes.timeseries(json(t)));
  await publisher.topicUpdate.set(path, json(t), { n: 0 });
  await absentee.session.select(path);
  await stream.await('value');
  await absentee.leave();
  const publish = async (count, from = 1) => {
    for (let n = from; n < from + count; n++) await publisher.topicUpdate.set(path, json(t), { n });
  };
  return { publisher, path, stream, publish, ...absentee };
}

export const backlog = [
  {
    id: 'properties.conflation.conflate',
    group: GROUP,
    title: 'CONFLATION=conflate: every update waits while the queue has room; over its limit they merge into the newest',
    transports: ONE,
    async run(t) {
      const { stream, publish, back } = await backlogged(t, { CONFLATION: 'conflate' });
      await publish(QUEUE / 2);
      await back();
      await stream.until(() => numbers(stream).at(-1) === QUEUE / 2, 'the last value');
      t.equal(numbers(stream), Array.from({ length: 1 + QUEUE / 2 }, (_, n) => n), 'values below the limit');
      const over = await backlogged(t, { CONFLATION: 'conflate' });
      await over.publish(UPDATES);
      await over.back();
      await over.stream.until(() => numbers(over.stream).at(-1) === UPDATES, 'the last value');
      const got = numbers(over.stream);
      t.ok(got.length <= QUEUE + 1, `${got.length} values of ${UPDATES}`);
      t.equal(got, [...got].sort((a, b) => a - b), 'order');
    },
  },
  {
    id: 'properties.conflation.default',
    group: GROUP,
    title: 'without CONFLATION a topic conflates when the queue is over its limit',
    transports: ONE,
    async run(t) {
      const { stream, publish, back } = await backlogged(t, {});
      await publish(UPDATES);
      await back();
      await stream.until(() => numbers(stream).at(-1) === UPDATES, 'the last value');
      t.ok(numbers(stream).length <= QUEUE + 1, `${numbers(stream).length} values of ${UPDATES}`);
    },
  },
  {
    id: 'properties.conflation.always',
    group: GROUP,
    title: 'CONFLATION=always: at most one update waits, the newest',
    transports: ONE,
    async run(t) {
      const { stream, publish, back } = await backlogged(t, { CONFLATION: 'always' });
      await publish(QUEUE / 2);
      await back();
      await stream.until(() => numbers(stream).at(-1) === QUEUE / 2, 'the last value');
      t.equal(numbers(stream), [0, QUEUE / 2], 'values');
    },
  },
  {
    id: 'properties.conflation.off',
    group: GROUP,
    title: 'CONFLATION=off: nothing merges; a session whose queue is over its limit is closed',
    transports: ONE,
    async run(t) {
      const kept = await backlogged(t, { CONFLATION: 'off' });
      await kept.publish(QUEUE / 2);
      await kept.back();
      await kept.stream.until(() => numbers(kept.stream).at(-1) === QUEUE / 2, 'the last value');
      t.equal(numbers(kept.stream).length, 1 + QUEUE / 2, 'values below the limit');
      const { publish, start, events } = await backlogged(t, { CONFLATION: 'off' });
      await publish(UPDATES);
      start();
      await events.await('close');
    },
  },
  {
    id: 'properties.conflation.unsubscribe',
    group: GROUP,
    title: 'CONFLATION=unsubscribe: a backlog ends the subscription with BACK_PRESSURE; selecting again brings it back',
    services: [42, 3],
    transports: ONE,
    async run(t) {
      const { session, path, stream, publish, back } = await backlogged(t, { CONFLATION: 'unsubscribe' });
      await publish(UPDATES);
      await back();
      t.equal((await stream.await('unsubscribe')).id, t.diffusion.topics.UnsubscribeReason.BACK_PRESSURE.id, 'reason');
      await publish(1, UPDATES + 1);
      await session.pingServer();
      t.equal(stream.of('subscribe').length, 1, 'subscriptions until it selects again');
      await session.select(path);
      await stream.await('subscribe', { count: 2 });
      await stream.until(() => numbers(stream).at(-1) === UPDATES + 1, 'the newest value');
    },
  },
  {
    id: 'properties.conflation.time-series',
    group: GROUP,
    title: 'events of a time series never merge; with CONFLATION=unsubscribe a backlog ends the subscription',
    transports: ONE,
    async run(t) {
      const series = { TIME_SERIES_EVENT_VALUE_TYPE: 'json', TIME_SERIES_RETAINED_RANGE: 'limit 3' };
      const kept = await backlogged(t, series, 'TIME_SERIES');
      await kept.publish(QUEUE / 2);
      await kept.back();
      await kept.stream.await('value', { count: 1 + QUEUE / 2 });
      t.equal(kept.stream.of('value').map(({ value }) => value.value.n), Array.from({ length: 1 + QUEUE / 2 }, (_, n) => n), 'events');
      const ended = await backlogged(t, { ...series, CONFLATION: 'unsubscribe' }, 'TIME_SERIES');
      await ended.publish(UPDATES);
      await ended.back();
      t.equal((await ended.stream.await('unsubscribe')).id, t.diffusion.topics.UnsubscribeReason.BACK_PRESSURE.id, 'reason');
    },
  },
  {
    id: 'properties.priority',
    group: GROUP,
    title: 'PRIORITY: of what waits, topics of high priority come first and those of low last, each in its own order',
    transports: ONE,
    async run(t) {
      const server = await serve(t);
      const publisher = await t.control({ port: server.port });
      const branch = t.path('branch');
      for (const priority of ['low', 'default', 'high']) await t.topic(publisher, 'JSON', { PRIORITY: priority }, `${branch}/${priority}`);
      const { session, leave, back } = await t.absentee({ server });
      const stream = t.watch(session, `?${branch}/`, json(t));
      await session.select(`?${branch}/`);
      await leave();
      for (const n of [1, 2]) {
        for (const priority of ['low', 'default', 'high']) await publisher.topicUpdate.set(`${branch}/${priority}`, json(t), { n });
      }
      await back();
      await stream.await('value', { count: 6 });
      t.equal(stream.of('value').map(({ topic, value }) => `${topic.slice(branch.length + 1)} ${value.n}`),
        ['high 1', 'high 2', 'default 1', 'default 2', 'low 1', 'low 2'], 'order of arrival');
    },
  },
  {
    id: 'properties.tidy-on-unsubscribe',
    group: GROUP,
    title: 'TIDY_ON_UNSUBSCRIBE: waiting updates go with the subscription; without it they come before its end',
    transports: ONE,
    async run(t) {
      for (const [tidy, values] of [['true', [0]], ['false', [0, 1, 2, 3]]]) {
        const { publisher, path, stream, publish, back } = await backlogged(t, { TIDY_ON_UNSUBSCRIBE: tidy });
        await publish(3);
        await publisher.topics.remove(path);
        await back();
        await stream.await('unsubscribe');
        t.equal(numbers(stream), values, `values with ${tidy}`);
        t.equal(stream.items.at(-1).type, 'unsubscribe', `last event with ${tidy}`);
      }
    },
  },
];
