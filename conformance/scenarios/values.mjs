// Topics and their values: every type of this release through its whole life.

const GROUP = 'Values';
const BOTH = ['ws', 'polling'];

// name: the data type; values: distinct, in order; wrong: a value of another type.
export const TYPES = [
  { name: 'JSON', values: [{ a: 1 }, { a: 2, b: [true, null, 'x', -1.5] }, ['list'], 'text', 7] },
  { name: 'STRING', values: ['one', 'two', '', 'drei — ünï 🚀', 'one'] },
  { name: 'INT64', values: [0, -1, 2147483648, '9223372036854775807', '-9223372036854775808'] },
  { name: 'DOUBLE', values: [0.5, -1e300, 3, 5e-324, 0.1] },
  { name: 'BINARY', values: [[0], [1, 2, 255], [], new Array(300).fill(7), [9]] },
  { name: 'RECORD_V2', values: [[['a', 'b']], [['a', ''], ['c']], [], [['']], [['x'.repeat(300)], ['', 'y']]] },
];

// How a value is handed to the SDK, and what comes back in comparable form.
export const given = (t, type, value) => {
  if (type.name === 'BINARY') return Uint8Array.from(value);
  if (type.name !== 'RECORD_V2') return value;
  const builder = t.datatypes.recordv2().valueBuilder();
  for (const record of value) builder.addRecord(record);
  return builder.build();
};
export const comparable = (type, value) => {
  if (type.name === 'INT64') return String(value);
  if (type.name === 'BINARY') return value.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return value;
};

const perType = TYPES.flatMap((type) => [
  {
    id: `values.${type.name.toLowerCase().replace('_', '')}.stream`,
    group: GROUP,
    title: `${type.name}: add, subscribe, set; old and new value of each event; remove`,
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const datatype = t.datatypeOf(type.name);
      t.equal(await session.topics.add(path, t.TopicType[type.name]), { added: true, topic: path }, 'add');
      const stream = t.watch(session, path, datatype);
      await session.select(path);
      t.equal((await stream.await('subscribe')).topic, path, 'subscribed topic');
      for (const value of type.values) await session.topicUpdate.set(path, datatype, given(t, type, value));
      await stream.await('value', { count: type.values.length });
      const want = type.values.map((value) => comparable(type, value));
      t.equal(stream.of('value').map((event) => event.value), want, 'new values');
      t.equal(stream.of('value').map((event) => event.old ?? null), [null, ...want.slice(0, -1)], 'old values');
      t.equal((await session.topics.remove(path)).removedCount, 1, 'removed');
      t.equal((await stream.await('unsubscribe')).topic, path, 'unsubscribed topic');
    },
  },
  {
    id: `values.${type.name.toLowerCase().replace('_', '')}.add-and-set`,
    group: GROUP,
    title: `${type.name}: set with a specification creates or updates; value on subscribe; fetch`,
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const reader = await t.connect();
      const path = t.path();
      const datatype = t.datatypeOf(type.name);
      const options = { specification: t.spec(type.name) };
      const created = await session.topicUpdate.set(path, datatype, given(t, type, type.values[0]), options);
      const updated = await session.topicUpdate.set(path, datatype, given(t, type, type.values[1]), options);
      t.ok(t.show(created) !== t.show(updated), `created ${t.show(created)}, then updated ${t.show(updated)}`);
      const stream = t.watch(reader, path, datatype);
      await reader.select(path);
      const first = await stream.await('value');
      t.equal([first.value, first.old ?? null], [comparable(type, type.values[1]), null], 'value on subscribe');
      t.equal(stream.types(), ['subscribe', 'value'], 'stream events');
      const fetched = await reader.fetchRequest().withValues(datatype).fetch(path);
      t.equal(fetched.results().map((result) => result.path()), [path], 'fetched paths');
      const late = t.watch(reader, path, datatype);
      await late.await('value');
      t.equal(late.of('value')[0].value, comparable(type, type.values[1]), 'value for a stream added later');
    },
  },
  {
    id: `values.${type.name.toLowerCase().replace('_', '')}.equal-update`,
    group: GROUP,
    title: `${type.name}: an update that changes nothing publishes nothing`,
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const datatype = t.datatypeOf(type.name);
      await session.topics.add(path, t.TopicType[type.name]);
      const stream = t.watch(session, path, datatype);
      await session.select(path);
      const [a, b] = type.values;
      for (const value of [a, a, a, b]) await session.topicUpdate.set(path, datatype, given(t, type, value));
      await stream.until((items) => t.show(items.at(-1).value) === t.show(comparable(type, b)), 'the last value');
      t.equal(stream.of('value').map((event) => event.value), [a, b].map((value) => comparable(type, value)), 'values');
    },
  },
]);

const nullable = TYPES.filter((type) => ['STRING', 'INT64', 'DOUBLE'].includes(type.name));

export const values = [
  ...perType,
  {
    id: 'values.null',
    group: GROUP,
    title: 'null clears STRING, INT64 and DOUBLE topics; later subscribers get no value',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const reader = await t.connect();
      for (const type of nullable) {
        const path = t.path();
        const datatype = t.datatypeOf(type.name);
        await session.topics.add(path, t.TopicType[type.name]);
        const stream = t.watch(session, path, datatype);
        await session.select(path);
        await session.topicUpdate.set(path, datatype, type.values[0]);
        await session.topicUpdate.set(path, datatype, null);
        await session.topicUpdate.set(path, datatype, type.values[1]);
        await stream.await('value', { count: 3 });
        t.equal(stream.of('value').map((event) => event.value ?? null),
          [comparable(type, type.values[0]), null, comparable(type, type.values[1])], `${type.name} values`);
        await session.topicUpdate.set(path, datatype, null);
        const later = t.watch(reader, path, datatype);
        await reader.select(path);
        await later.await('subscribe');
        await session.topicUpdate.set(path, datatype, type.values[2]);
        await later.await('value');
        t.equal(later.of('value').map((event) => event.value), [comparable(type, type.values[2])], `${type.name}, subscribed later`);
      }
    },
  },
  {
    id: 'values.json-null',
    group: GROUP,
    title: 'JSON null is a value',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const datatype = t.datatypes.json();
      await session.topics.add(path, t.TopicType.JSON);
      const stream = t.watch(session, path, datatype);
      await session.select(path);
      await session.topicUpdate.set(path, datatype, { a: 1 });
      await session.topicUpdate.set(path, datatype, datatype.fromJsonString('null'));
      await stream.await('value', { count: 2 });
      t.equal(stream.of('value').map((event) => event.value), [{ a: 1 }, null], 'values');
    },
  },
  {
    id: 'values.deltas',
    group: GROUP,
    title: 'small changes of a large JSON document travel as deltas and arrive right',
    transports: ['ws'],
    async run(t) {
      const endpoint = await t.host.endpoint({ to: await t.port() });
      const publisher = await t.control();
      const reader = await t.connect({ port: endpoint.port });
      const path = t.path();
      const datatype = t.datatypes.json();
      await publisher.topics.add(path, t.TopicType.JSON);
      const stream = t.watch(reader, path, datatype);
      await reader.select(path);
      await stream.await('subscribe');
      // Incompressible, so that only deltas can make the traffic small.
      const text = () => Array.from({ length: 40 }, () => Math.random().toString(36).slice(2)).join('');
      const document = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`key${n}`, { n, text: text() }]));
      const size = JSON.stringify(document).length;
      const sent = [];
      const rounds = 200;
      for (let n = 0; n < rounds; n++) {
        document[`key${(n * 7) % 100}`].n = n * 1000;
        if (n % 50 === 10) document[`extra${n}`] = [n];
        if (n % 50 === 40) delete document[`extra${n - 30}`];
        sent.push(JSON.stringify(document));
        await publisher.topicUpdate.set(path, datatype, document);
      }
      await stream.await('value', { count: rounds });
      const got = stream.of('value').map((event) => JSON.stringify(event.value));
      for (let n = 0; n < rounds; n++) t.ok(got[n] === sent[n], `value ${n} differs`);
      const { bytesDown } = await t.host.traffic(endpoint.id);
      t.ok(bytesDown < 3 * size, `${bytesDown} bytes came down for ${rounds} updates of ${size} bytes each`);
    },
  },
  {
    id: 'values.deltas-binary-string',
    group: GROUP,
    title: 'changes inside long BINARY and STRING values arrive right',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const bytes = Uint8Array.from({ length: 5_000 }, (_, n) => (n * 31) & 0xff);
      const cases = [
        { type: TYPES[4], next: (n) => { bytes[(n * 997) % bytes.length] ^= 0xff; return Array.from(n % 3 ? bytes : bytes.slice(n)); } },
        { type: TYPES[1], next: (n) => `${'ab'.repeat(1_000)}${n}${'ÿ🚀'.repeat(500)}${n * n}` },
      ];
      for (const { type, next } of cases) {
        const path = t.path();
        await session.topics.add(path, t.TopicType[type.name]);
        const stream = t.watch(session, path, t.datatypeOf(type.name));
        await session.select(path);
        const sent = [];
        for (let n = 0; n < 40; n++) {
          const value = next(n);
          sent.push(comparable(type, value));
          await session.topicUpdate.set(path, t.datatypeOf(type.name), given(t, type, value));
        }
        await stream.await('value', { count: sent.length });
        const got = stream.of('value').map((event) => event.value);
        for (const [n, value] of sent.entries()) t.ok(got[n] === value, `${type.name} value ${n} differs`);
      }
    },
  },
  {
    id: 'values.large',
    group: GROUP,
    title: 'a value of one megabyte goes up and down',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const datatype = t.datatypes.string();
      await session.topics.add(path, t.TopicType.STRING);
      const stream = t.watch(session, path, datatype);
      await session.select(path);
      let value = '';
      while (value.length < 1 << 20) value += Math.random().toString(36);
      await session.topicUpdate.set(path, datatype, value);
      t.ok((await stream.await('value')).value === value, 'the value came back');
    },
  },
  {
    id: 'values.select-branch',
    group: GROUP,
    title: 'select and unsubscribe by path and by descendant selector; topics added later join',
    services: [3, 4],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      const datatype = t.datatypes.string();
      const add = (path) => session.topics.add(path, t.TopicType.STRING);
      await add(`${branch}/a`);
      await add(`${branch}/a/deep`);
      await add(t.path('elsewhere'));
      const stream = t.watch(session, `?${branch}//`, datatype);
      await session.select(`?${branch}//`);
      await stream.await('subscribe', { count: 2 });
      await add(`${branch}/later`);
      await stream.await('subscribe', { count: 3 });
      await session.topicUpdate.set(`${branch}/later`, datatype, 'hello');
      t.equal((await stream.await('value')).topic, `${branch}/later`, 'topic of the value');
      await session.unsubscribe(`${branch}/a`);
      t.equal((await stream.await('unsubscribe')).topic, `${branch}/a`, 'unsubscribed');
      await session.unsubscribe(`?${branch}//`);
      await stream.await('unsubscribe', { count: 3 });
      t.equal(stream.of('subscribe').map((event) => event.topic).sort(),
        [`${branch}/a`, `${branch}/a/deep`, `${branch}/later`], 'subscriptions');
      await session.topicUpdate.set(`${branch}/later`, datatype, 'unheard');
      await session.select(`${branch}/later`);
      await stream.await('value', { count: 2 });
      t.equal(stream.of('value').map((event) => event.value), ['hello', 'unheard'], 'values');
    },
  },
  {
    id: 'values.subscribe-before-add',
    group: GROUP,
    title: 'subscribe first, add later: subscription on add, value on set',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const stream = t.watch(session, path, t.datatypes.int64());
      await session.select(path);
      t.equal(stream.items, [], 'nothing yet');
      await session.topics.add(path, t.TopicType.INT64);
      await stream.await('subscribe');
      await session.topicUpdate.set(path, t.datatypes.int64(), 42);
      t.equal((await stream.await('value')).value, '42', 'value');
    },
  },
  {
    id: 'values.overlapping-selections',
    group: GROUP,
    title: 'overlapping selectors subscribe once; another scope keeps the subscription',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      const path = `${branch}/x`;
      await session.topics.add(path, t.TopicType.STRING);
      const stream = t.watch(session, path, t.datatypes.string());
      await session.select(path);
      await session.select(`?${branch}//`);
      await session.selectWithScope(path, 'second');
      await session.topicUpdate.set(path, t.datatypes.string(), 'v1');
      await stream.await('value');
      await session.unsubscribe(path);
      await session.topicUpdate.set(path, t.datatypes.string(), 'v2');
      await stream.await('value', { count: 2 });
      t.equal(stream.types(), ['subscribe', 'value', 'value'], 'events while the second scope selects');
      await session.unsubscribeWithScope(path, 'second');
      await stream.await('unsubscribe');
    },
  },
  {
    id: 'values.remove-and-recreate',
    group: GROUP,
    title: 'removed and created again with another type: unsubscribe, then a subscription with the new specification',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const texts = t.watch(session, path, t.datatypes.string());
      const counts = t.watch(session, path, t.datatypes.int64());
      await session.select(path);
      const withType = (type) => ({ specification: new t.TopicSpecification(type) });
      await session.topicUpdate.set(path, t.datatypes.string(), 'text', withType(t.TopicType.STRING));
      await texts.await('value');
      await session.topics.remove(path);
      await texts.await('unsubscribe');
      await session.topicUpdate.set(path, t.datatypes.int64(), 5, withType(t.TopicType.INT64));
      await counts.await('value');
      t.equal(texts.types(), ['subscribe', 'value', 'unsubscribe'], 'events of the text stream');
      t.equal(counts.of('value').map((event) => event.value), ['5'], 'counts');
    },
  },
  {
    id: 'values.two-subscribers',
    group: GROUP,
    title: 'two sessions that subscribe at different times each follow their own delta stream',
    transports: BOTH,
    async run(t) {
      const publisher = await t.control();
      const path = t.path();
      const datatype = t.datatypes.json();
      await publisher.topics.add(path, t.TopicType.JSON);
      const document = { n: 0, filler: 'x'.repeat(2_000) };
      const streams = [];
      for (let n = 1; n <= 30; n++) {
        if (n % 10 === 5) {
          const reader = await t.connect();
          streams.push(t.watch(reader, path, datatype));
          await reader.select(path);
        }
        document.n = n;
        await publisher.topicUpdate.set(path, datatype, document);
      }
      for (const [index, stream] of streams.entries()) {
        await stream.until((items) => items.at(-1)?.value?.n === 30, 'the last value');
        const got = stream.of('value').map((event) => event.value.n);
        const first = 4 + index * 10;
        t.equal(got, Array.from({ length: 31 - first }, (_, n) => first + n), `values of subscriber ${index}`);
      }
    },
  },
];
