// Topics and their values: every type of this release through its whole life.

const GROUP = 'Values';
const BOTH = ['ws', 'polling'];

// name: the data type; values: distinct, in order; wrong: a value of another type.
const TYPES = [
  { name: 'JSON', values: [{ a: 1 }, { a: 2, b: [true, null, 'x', -1.5] }, ['list'], 'text', 7] },
  { name: 'STRING', values: ['one', 'two', '', 'drei — ünï 🚀', 'one'] },
  { name: 'INT64', values: [0, -1, 2147483648, '9223372036854775807', '-9223372036854775808'] },
  { name: 'DOUBLE', values: [0.5, -1e300, 3, 5e-324, 0.1] },
  { name: 'BINARY', values: [[0], [1, 2, 255], [], new Array(300).fill(7), [9]] },
];

// How a value is handed to the SDK, and what comes back in comparable form.
const given = (type, value) => (type.name === 'BINARY' ? Uint8Array.from(value) : value);
const comparable = (type, value) => {
  if (type.name === 'INT64') return String(value);
  if (type.name === 'BINARY') return value.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return value;
};

const datatypeOf = (t, type) => t.datatypes[type.name.toLowerCase()]();

const specificationOf = (t, type) => new t.TopicSpecification(t.TopicType[type.name]);

const perType = TYPES.flatMap((type) => [
  {
    id: `values.${type.name.toLowerCase()}.stream`,
    group: GROUP,
    title: `${type.name}: add, subscribe, set; old and new value of each event; remove`,
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const datatype = datatypeOf(t, type);
      t.equal(await session.topics.add(path, t.TopicType[type.name]), { added: true, topic: path }, 'add');
      const stream = t.watch(session, path, datatype);
      await session.select(path);
      t.equal((await stream.await('subscribe')).topic, path, 'subscribed topic');
      for (const value of type.values) await session.topicUpdate.set(path, datatype, given(type, value));
      await stream.await('value', { count: type.values.length });
      const want = type.values.map((value) => comparable(type, value));
      t.equal(stream.of('value').map((event) => event.value), want, 'new values');
      t.equal(stream.of('value').map((event) => event.old ?? null), [null, ...want.slice(0, -1)], 'old values');
      t.equal((await session.topics.remove(path)).removedCount, 1, 'removed');
      t.equal((await stream.await('unsubscribe')).topic, path, 'unsubscribed topic');
    },
  },
  {
    id: `values.${type.name.toLowerCase()}.add-and-set`,
    group: GROUP,
    title: `${type.name}: set with a specification creates or updates; value on subscribe; fetch`,
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const reader = await t.connect();
      const path = t.path();
      const datatype = datatypeOf(t, type);
      const options = { specification: specificationOf(t, type) };
      const created = await session.topicUpdate.set(path, datatype, given(type, type.values[0]), options);
      const updated = await session.topicUpdate.set(path, datatype, given(type, type.values[1]), options);
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
    id: `values.${type.name.toLowerCase()}.equal-update`,
    group: GROUP,
    title: `${type.name}: an update that changes nothing publishes nothing`,
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const datatype = datatypeOf(t, type);
      await session.topics.add(path, t.TopicType[type.name]);
      const stream = t.watch(session, path, datatype);
      await session.select(path);
      const [a, b] = type.values;
      for (const value of [a, a, a, b]) await session.topicUpdate.set(path, datatype, given(type, value));
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
        const datatype = datatypeOf(t, type);
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
        const stream = t.watch(session, path, datatypeOf(t, type));
        await session.select(path);
        const sent = [];
        for (let n = 0; n < 40; n++) {
          const value = next(n);
          sent.push(comparable(type, value));
          await session.topicUpdate.set(path, datatypeOf(t, type), given(type, value));
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
    id: 'values.remove-branch',
    group: GROUP,
    title: 'remove by descendant selector counts the topics; removing nothing is no error',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      for (const name of ['a', 'b', 'b/c']) await session.topics.add(`${branch}/${name}`, t.TopicType.STRING);
      t.equal((await session.topics.remove(`?${branch}//`)).removedCount, 3, 'removed');
      t.equal((await session.topics.remove(`?${branch}//`)).removedCount, 0, 'removed again');
    },
  },
  {
    id: 'values.add-conflicts',
    group: GROUP,
    title: 'add again: exists; with another specification: EXISTS_MISMATCH; a bad path: INVALID_NAME',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const { TopicAddFailReason } = t.diffusion.topics;
      t.equal((await session.topics.add(path, t.TopicType.STRING)).added, true, 'added');
      t.equal((await session.topics.add(path, t.TopicType.STRING)).added, false, 'added again');
      const mismatch = await t.rejects(session.topics.add(path, t.TopicType.INT64), 'another type');
      t.equal(mismatch?.id, TopicAddFailReason.EXISTS_MISMATCH.id, 'another type: reason');
      const properties = new t.TopicSpecification(t.TopicType.STRING, { DONT_RETAIN_VALUE: 'true' });
      const other = await t.rejects(session.topics.add(path, properties), 'other properties');
      t.equal(other?.id, TopicAddFailReason.EXISTS_MISMATCH.id, 'other properties: reason');
      const bad = await t.rejects(session.topics.add('a//b', t.TopicType.STRING), 'bad path');
      t.equal(bad?.id, TopicAddFailReason.INVALID_NAME.id, 'bad path: reason');
    },
  },
  {
    id: 'values.update-conflicts',
    group: GROUP,
    title: 'set without a topic, of another type, or with another specification is refused',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const json = t.datatypes.json();
      await t.rejects(session.topicUpdate.set(path, json, { a: 1 }), 'no topic');
      await session.topics.add(path, t.TopicType.STRING);
      await t.rejects(session.topicUpdate.set(path, json, { a: 1 }), 'another type');
      await t.rejects(session.topicUpdate.set(path, json, { a: 1 },
        { specification: new t.TopicSpecification(t.TopicType.JSON) }), 'another specification');
      await session.topicUpdate.set(path, t.datatypes.string(), 'fine');
    },
  },
  {
    id: 'values.permissions',
    group: GROUP,
    title: 'an anonymous session reads, and may neither add, update nor remove',
    transports: BOTH,
    async run(t) {
      const owner = await t.control();
      const anonymous = await t.connect();
      const path = t.path();
      const { TopicAddFailReason } = t.diffusion.topics;
      const refused = await t.rejects(anonymous.topics.add(path, t.TopicType.STRING), 'add');
      t.equal(refused?.id, TopicAddFailReason.PERMISSIONS_FAILURE.id, 'add: reason');
      await owner.topicUpdate.set(path, t.datatypes.string(), 'kept', { specification: new t.TopicSpecification(t.TopicType.STRING) });
      await t.rejects(anonymous.topicUpdate.set(path, t.datatypes.string(), 'changed'), 'set');
      t.equal((await anonymous.topics.remove(path)).removedCount, 0, 'removed');
      const fetched = await anonymous.fetchRequest().withValues(t.datatypes.string()).fetch(path);
      t.equal(fetched.results().map((result) => result.value()), ['kept'], 'value');
    },
  },
  {
    id: 'values.fetch',
    group: GROUP,
    title: 'fetch by path and by branch, with and without values, in path order, with ranges and limits',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      const string = t.datatypes.string();
      for (const name of ['c', 'a/x', 'a', 'b']) {
        await session.topicUpdate.set(`${branch}/${name}`, string, `value of ${name}`,
          { specification: new t.TopicSpecification(t.TopicType.STRING) });
      }
      await session.topics.add(`${branch}/empty`, t.TopicType.STRING);
      const names = (result) => result.results().map((item) => item.path().slice(branch.length + 1));
      const all = await session.fetchRequest().fetch(`?${branch}//`);
      t.equal(names(all), ['a', 'a/x', 'b', 'c', 'empty'], 'paths');
      t.equal(all.hasMore(), false, 'has more');
      const withValues = await session.fetchRequest().withValues(string).fetch(`?${branch}//`);
      t.equal(withValues.results().map((item) => item.value() ?? null),
        ['value of a', 'value of a/x', 'value of b', 'value of c', null], 'values');
      const page = await session.fetchRequest().first(2).fetch(`?${branch}//`);
      t.equal([names(page), page.hasMore()], [['a', 'a/x'], true], 'first two');
      const next = await session.fetchRequest().after(`${branch}/a/x`).first(2).fetch(`?${branch}//`);
      t.equal(names(next), ['b', 'c'], 'next two');
      const last = await session.fetchRequest().last(1).fetch(`?${branch}//`);
      t.equal(names(last), ['empty'], 'last one');
      const range = await session.fetchRequest().from(`${branch}/a/x`).to(`${branch}/b`).fetch(`?${branch}//`);
      t.equal(names(range), ['a/x', 'b'], 'range');
      t.equal(names(await session.fetchRequest().fetch(`${branch}/b`)), ['b'], 'by path');
      t.equal(names(await session.fetchRequest().fetch(`${branch}/nothing`)), [], 'no topic');
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
