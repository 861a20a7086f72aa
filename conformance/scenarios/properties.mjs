// Topic properties: what each of them does (12 section 12.3).

const GROUP = 'Topic properties';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const SCHEMA = JSON.stringify({
  records: [{ name: 'trade', max: -1, fields: [{ name: 'symbol', type: 'STRING' }, { name: 'amount', type: 'INTEGER' }] }],
});

// A JSON value of any bytes: the SDK does not look inside.
const rawJSON = (t, ...bytes) => t.datatypes.json().readValue(Uint8Array.from(bytes));

const records = (t, ...rows) => {
  const builder = t.datatypes.recordv2().valueBuilder();
  for (const row of rows) builder.addRecord(row);
  return builder.build();
};

// The kinds of the topic messages that a session got for a path: value or delta.
const kinds = (messages, path) => messages.filter((message) => message.path === path).map(({ kind }) => kind);

const document = (n) => ({ n, text: 'a text of some length that stays the same'.repeat(10) });

export const properties = [
  {
    id: 'properties.accepted',
    group: GROUP,
    title: 'every property with every value that it may have is accepted and does not get into the way of values',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const booleans = ['PUBLISH_VALUES_ONLY', 'DONT_RETAIN_VALUE', 'VALIDATE_VALUES', 'TIDY_ON_UNSUBSCRIBE', 'PERSISTENT'];
      const cases = [
        ...booleans.flatMap((key) => ['true', 'false'].map((value) => [key, value])),
        ...['off', 'conflate', 'unsubscribe', 'always'].map((value) => ['CONFLATION', value]),
        ...['off', 'low', 'medium', 'high', 'true', 'false'].map((value) => ['COMPRESSION', value]),
        ...['low', 'default', 'high'].map((value) => ['PRIORITY', value]),
        ['OWNER', '$Principal is "bob"'], ['OWNER', "$Principal is 'o\\'neil'"],
        ['REMOVAL', 'when time after 4102444800000'],
      ];
      const branch = t.path('branch');
      const stream = t.watch(session, `?${branch}/`, t.datatypes.json());
      await session.select(`?${branch}/`);
      for (const [n, [key, value]] of cases.entries()) {
        const created = await session.topicUpdate.set(`${branch}/${n}`, t.datatypes.json(), document(n), { specification: t.spec('JSON', { [key]: value }) });
        t.equal(created, t.diffusion.topicUpdate.TopicCreationResult.CREATED, `${key}=${value}`);
        await session.topicUpdate.set(`${branch}/${n}`, t.datatypes.json(), document(-n - 1));
      }
      for (const [n] of cases.entries()) {
        await stream.until((items) => items.filter(({ type, topic }) => type === 'value' && topic === `${branch}/${n}`).length === 2, `both values of ${cases[n].join('=')}`);
      }
      t.equal(stream.of('value').map(({ value }) => value.n), cases.flatMap((_, n) => [n, -n - 1]), 'values');
    },
  },
  {
    id: 'properties.validate-values',
    group: GROUP,
    title: 'VALIDATE_VALUES: bytes that are no JSON are refused and the value stays; without it they are taken',
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON', { VALIDATE_VALUES: 'true' });
      await session.topicUpdate.set(path, json, { a: 1 });
      const broken = { truncated: [0xbf, 0x61, 0x61], trailing: [0x01, 0x02], 'a lone break': [0xff], 'bad UTF-8': [0x61, 0xff] };
      for (const [what, bytes] of Object.entries(broken)) {
        await t.refused(session.topicUpdate.set(path, json, rawJSON(t, ...bytes)), 501, what);
        const specification = t.spec('JSON', { VALIDATE_VALUES: 'true' });
        const fresh = t.path();
        await t.refused(session.topicUpdate.set(fresh, json, rawJSON(t, ...bytes), { specification }), 501, `${what}, with a specification`);
        t.equal((await session.fetchRequest().fetch(fresh)).size(), 0, 'topics created in vain');
      }
      const [left] = (await session.fetchRequest().withValues(json).fetch(path)).results();
      t.equal(left.value().get(), { a: 1 }, 'value');
      const lax = await t.topic(session, 'JSON');
      await session.topicUpdate.set(lax, json, rawJSON(t, 0x01, 0x02));
    },
  },
  {
    id: 'properties.schema',
    group: GROUP,
    title: 'SCHEMA with VALIDATE_VALUES: records that do not conform are refused; without VALIDATE_VALUES all are taken',
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const recordv2 = t.datatypes.recordv2();
      const path = await t.topic(session, 'RECORD_V2', { SCHEMA, VALIDATE_VALUES: 'true' });
      const stream = t.watch(session, path, recordv2);
      await session.select(path);
      await session.topicUpdate.set(path, recordv2, records(t, ['ADV', '5']));
      for (const rows of [[['ADV', 'five']], [['ADV']], [['ADV', '5', 'more']], [['ADV', '']]]) {
        await t.refused(session.topicUpdate.set(path, recordv2, records(t, ...rows)), 501, t.show(rows));
      }
      await session.topicUpdate.set(path, recordv2, records(t, ['ADV', '-6'], ['ECT', '+7']));
      await stream.await('value', { count: 2 });
      t.equal(stream.of('value').map(({ value }) => value), [[['ADV', '5']], [['ADV', '-6'], ['ECT', '+7']]], 'values');
      const lax = await t.topic(session, 'RECORD_V2', { SCHEMA });
      await session.topicUpdate.set(lax, recordv2, records(t, ['ADV', 'five']));
    },
  },
  {
    id: 'properties.schema-of-the-sdk',
    group: GROUP,
    title: 'a schema made by the builder of the SDK is accepted, and its model reads the value',
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const recordv2 = t.datatypes.recordv2();
      const schema = recordv2.schemaBuilder().record('head').string('title').record('line', 1, -1).string('name').decimal('price', 2).integer('count').build();
      const text = schema.asJSON();
      const path = await t.topic(session, 'RECORD_V2', { VALIDATE_VALUES: 'true', SCHEMA: typeof text === 'string' ? text : JSON.stringify(text) });
      const value = records(t, ['order 7'], ['pen', '1.25', '3'], ['ink', '9.50', '1']);
      await session.topicUpdate.set(path, recordv2, value);
      const [fetched] = (await session.fetchRequest().withValues(recordv2).fetch(path)).results();
      const model = fetched.value().asModel(schema);
      t.equal([model.get('line', 1, 'price', 0), model.recordCount('line')], ['9.50', 2], 'read through the model');
      await t.refused(session.topicUpdate.set(path, recordv2, records(t, ['order 8'], ['pen', 'cheap', '3'])), 501, 'another value');
    },
  },
  {
    id: 'properties.publish-values-only',
    group: GROUP,
    title: 'PUBLISH_VALUES_ONLY: whole values come down, where other topics send deltas; an equal value sends nothing',
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const deltas = await t.topic(session, 'JSON');
      const values = await t.topic(session, 'JSON', { PUBLISH_VALUES_ONLY: 'true' });
      await session.select(deltas, values);
      for (const n of [1, 2, 2, 3]) {
        for (const path of [deltas, values]) await session.topicUpdate.set(path, t.datatypes.json(), document(n));
      }
      const messages = await heard();
      t.equal(kinds(messages, deltas), ['value', 'delta', 'delta'], 'of the other topic');
      t.equal(kinds(messages, values), ['value', 'value', 'value'], 'of the topic');
    },
  },
  {
    id: 'properties.dont-retain-value',
    group: GROUP,
    title: 'DONT_RETAIN_VALUE: values pass to subscribers, equal ones too, and are gone: none on subscribe, in a fetch, for constraints',
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON', { DONT_RETAIN_VALUE: 'true' });
      const stream = t.watch(session, path, json);
      await session.select(path);
      for (const n of [1, 2, 2]) await session.topicUpdate.set(path, json, document(n));
      await stream.await('value', { count: 3 });
      t.equal(kinds(await heard(), path), ['value', 'value', 'value'], 'messages');
      const late = await t.connect();
      const lateStream = t.watch(late, path, json);
      await late.select(path);
      await late.pingServer();
      t.equal(lateStream.types(), ['subscribe'], 'events of a later subscriber');
      const [fetched] = (await late.fetchRequest().withValues(json).withSizes().fetch(path)).results();
      t.equal([fetched.value() ?? null, fetched.valueSize()], [null, 0], 'value and size in a fetch');
      await session.topicUpdate.set(path, json, document(3), { constraint: t.constraints.noValue() });
      await t.refused(session.topicUpdate.set(path, json, document(4), { constraint: t.constraints.value(document(3)) }), 9012, 'value constraint');
      t.equal((await session.topicUpdate.applyJsonPatch(path, [{ op: 'add', path: '/x', value: 1 }])).failedOperation, 0, 'operation of a patch that fails');
    },
  },
  {
    id: 'properties.dont-retain-value-types',
    group: GROUP,
    title: 'DONT_RETAIN_VALUE with every type',
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const samples = { STRING: 'x', INT64: 5, DOUBLE: 1.5, BINARY: Uint8Array.of(1, 2), RECORD_V2: records(t, ['a', 'b']) };
      for (const [type, value] of Object.entries(samples)) {
        const datatype = t.datatypeOf(type);
        const path = await t.topic(session, type, { DONT_RETAIN_VALUE: 'true' });
        const stream = t.watch(session, path, datatype);
        await session.select(path);
        for (let n = 0; n < 2; n++) await session.topicUpdate.set(path, datatype, value);
        await stream.await('value', { count: 2 });
        const [fetched] = (await session.fetchRequest().withValues(datatype).fetch(path)).results();
        t.equal(fetched.value() ?? null, null, `${type} in a fetch`);
      }
    },
  },
  {
    id: 'properties.compression',
    group: GROUP,
    title: 'large values come right at every level of COMPRESSION',
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      for (const level of ['off', 'low', 'medium', 'high']) {
        const path = await t.topic(session, 'JSON', { COMPRESSION: level });
        const stream = t.watch(session, path, json);
        await session.select(path);
        const large = (n) => ({ n, rows: Array.from({ length: 500 }, (_, row) => ({ row, name: `row ${row}`, n })) });
        for (const n of [1, 2, 3]) await session.topicUpdate.set(path, json, large(n));
        await stream.await('value', { count: 3 });
        t.equal(stream.of('value').map(({ value }) => t.show(value) === t.show(large(value.n)) && value.n), [1, 2, 3], level);
      }
    },
  },
  {
    id: 'properties.owner',
    group: GROUP,
    title: 'OWNER: that principal may update and remove the topic without a role that allows it; nobody else may',
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const owner = await t.connect({ principal: 'client', credentials: 'password' });
      const anonymous = await t.connect();
      const string = t.datatypes.string();
      for (const policy of ['$Principal is "client"', "$Principal is 'client'"]) {
        const path = await t.topic(control, 'STRING', { OWNER: policy });
        await owner.topicUpdate.set(path, string, 'by the owner');
        await owner.topicUpdate.createUpdateStream(path, string).set('by its stream');
        await t.refused(anonymous.topicUpdate.set(path, string, 'by another'), t.diffusion.errors.ACCESS_DENIED.id, 'set by another');
        t.equal((await anonymous.topics.remove(path)).removedCount, 0, 'removed by another');
        t.equal((await owner.topics.remove(path)).removedCount, 1, 'removed by the owner');
      }
      const foreign = await t.topic(control, 'STRING', { OWNER: '$Principal is "bob"' });
      await t.refused(owner.topicUpdate.set(foreign, string, 'x'), t.diffusion.errors.ACCESS_DENIED.id, 'a topic of bob');
    },
  },
];
