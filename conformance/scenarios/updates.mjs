// Updating topics by set, with and without a specification (23 section 2), and every failure of it.

const GROUP = 'Topic updates';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const code = { INCOMPATIBLE: 500, FAILED: 501, NO_TOPIC: 9000, MISMATCH: 9004, INVALID_PATH: 9005, INVALID_SPECIFICATION: 9006, CONSTRAINT: 9012 };

const results = (t) => t.diffusion.topicUpdate.TopicCreationResult;

export const updates = [
  {
    id: 'values.update-conflicts',
    group: GROUP,
    title: 'set without a topic, of another type, or with another specification is refused',
    services: [118, 122],
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
    id: 'updates.set',
    group: GROUP,
    title: 'set updates a topic of each type; without a specification it resolves with nothing',
    services: [118],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const record = t.datatypes.recordv2().valueBuilder().addRecord('a', 'b').build();
      const samples = {
        JSON: [{ a: [1] }, { a: [1] }], STRING: ['s', 's'], INT64: ['-9223372036854775808', '-9223372036854775808'],
        DOUBLE: [0.25, 0.25], BINARY: [Uint8Array.of(1, 255), '01ff'], RECORD_V2: [record, [['a', 'b']]],
      };
      for (const [type, [value, want]] of Object.entries(samples)) {
        const datatype = t.datatypeOf(type);
        const path = await t.topic(session, type);
        const stream = t.watch(session, path, datatype);
        await session.select(path);
        t.equal(await session.topicUpdate.set(path, datatype, value) ?? null, null, `${type}: result`);
        t.equal(stream.of('value').map((event) => event.value), [want], `${type}: the session's own update is there when set resolves`);
      }
    },
  },
  {
    id: 'updates.add-and-set',
    group: GROUP,
    title: 'set with a specification: CREATED, then EXISTS; the subscription comes with the value',
    services: [122],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const stream = t.watch(session, path, t.datatypes.json());
      await session.select(path);
      const options = { specification: t.spec('JSON', { PRIORITY: 'high' }) };
      t.equal(await session.topicUpdate.set(path, t.datatypes.json(), { n: 1 }, options), results(t).CREATED, 'first');
      t.equal(await session.topicUpdate.set(path, t.datatypes.json(), { n: 2 }, options), results(t).EXISTS, 'second');
      await stream.await('value', { count: 2 });
      t.equal(stream.types(), ['subscribe', 'value', 'value'], 'events');
    },
  },
  {
    id: 'updates.set-failures',
    group: GROUP,
    title: 'set: no topic 9000, a value of another type 500, no permission ACCESS_DENIED; the value stays',
    services: [118],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const { json, string, int64, double, binary, recordv2 } = t.datatypes;
      await t.refused(session.topicUpdate.set(t.path(), json(), {}), code.NO_TOPIC, 'no topic');
      await t.refused(session.topicUpdate.set('a//b', json(), {}), code.NO_TOPIC, 'an impossible path');
      const path = await t.topic(session, 'STRING');
      await session.topicUpdate.set(path, string(), 'kept');
      const record = recordv2().valueBuilder().addRecord('kept').build();
      for (const [datatype, value] of [[json(), 'kept'], [int64(), 1], [double(), 1], [binary(), Uint8Array.of(1)], [recordv2(), record]]) {
        await t.refused(session.topicUpdate.set(path, datatype, value), code.INCOMPATIBLE, `${datatype.name()} to a STRING topic`);
      }
      const reader = await t.connect();
      await t.refused(reader.topicUpdate.set(path, string(), 'changed'), t.diffusion.errors.ACCESS_DENIED.id, 'no permission');
      const [fetched] = (await reader.fetchRequest().withValues(string()).fetch(path)).results();
      t.equal(fetched.value(), 'kept', 'value');
    },
  },
  {
    id: 'updates.add-and-set-failures',
    group: GROUP,
    title: 'set with a specification: mismatch 9004, bad path 9005, bad specification 9006, no permission ACCESS_DENIED',
    services: [122],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const set = (path, type, properties, by = session) => by.topicUpdate.set(path, string, 'v', { specification: t.spec(type, properties) });
      const path = await t.topic(session, 'STRING');
      const number = await t.topic(session, 'INT64');
      await t.refused(set(path, 'STRING', { PRIORITY: 'low' }), code.MISMATCH, 'other properties');
      await t.refused(set(number, 'STRING'), code.MISMATCH, 'another type');
      await t.refused(set('a//b', 'STRING'), code.INVALID_PATH, 'bad path');
      const bad = t.path();
      await t.refused(set(bad, 'STRING', { PRIORITY: 'urgent' }), code.INVALID_SPECIFICATION, 'bad specification');
      const reader = await t.connect();
      await t.refused(set(path, 'STRING', {}, reader), t.diffusion.errors.ACCESS_DENIED.id, 'no permission');
      await t.rejects(() => set(path, 'JSON'), 'a specification of another type than the value');
      t.equal((await session.fetchRequest().fetch(bad)).size(), 0, 'topics created in vain');
    },
  },
  {
    id: 'updates.add-and-set-atomic',
    group: GROUP,
    title: 'when the set fails the topic that it would have created is not there, and nobody was told of it',
    services: [122],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const stream = t.watch(session, path, t.datatypes.json());
      await session.select(path);
      const options = { specification: t.spec('JSON'), constraint: t.constraints.value({ never: true }) };
      await t.refused(session.topicUpdate.set(path, t.datatypes.json(), {}, options), code.CONSTRAINT, 'set');
      t.equal([stream.items.length, (await session.fetchRequest().fetch(path)).size()], [0, 0], 'events and topics');
    },
  },
  {
    id: 'updates.paths',
    group: GROUP,
    title: 'set finds a topic whether or not the path has a slash at either end',
    services: [118, 122],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'STRING');
      const string = t.datatypes.string();
      await session.topicUpdate.set(`/${path}/`, string, 'one');
      t.equal(await session.topicUpdate.set(`/${path}`, string, 'two', { specification: t.spec('STRING') }), results(t).EXISTS, 'with a specification');
      const [fetched] = (await session.fetchRequest().withValues(string).fetch(path)).results();
      t.equal(fetched.value(), 'two', 'value');
    },
  },
  {
    id: 'updates.null',
    group: GROUP,
    title: 'null takes the value away; to a topic without a value it publishes nothing',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const path = await t.topic(session, 'STRING');
      const stream = t.watch(session, path, string);
      await session.select(path);
      await session.topicUpdate.set(path, string, null);
      await session.topicUpdate.set(path, string, 'v');
      await session.topicUpdate.set(path, string, null);
      await session.topicUpdate.set(path, string, null);
      await session.topicUpdate.set(path, string, 'w', { constraint: t.constraints.noValue() });
      await stream.await('value', { count: 3 });
      t.equal(stream.of('value').map(({ value }) => value ?? null), ['v', null, 'w'], 'values');
      await t.rejects(() => session.topicUpdate.set(path, t.datatypes.binary(), null), 'null to BINARY');
    },
  },
  {
    id: 'updates.empty-values',
    group: GROUP,
    title: 'no bytes at all are a value of BINARY and RECORD_V2, by each call that sets one',
    services: [118, 122, 126, 131],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const none = { BINARY: new Uint8Array(0), RECORD_V2: t.datatypes.recordv2().valueBuilder().build() };
      for (const [type, value] of Object.entries(none)) {
        const datatype = t.datatypeOf(type);
        const specification = t.spec(type);
        const calls = [
          async (path) => session.topicUpdate.set(await t.topic(session, type, {}, path), datatype, value),
          (path) => session.topicUpdate.set(path, datatype, value, { specification }),
          async (path) => session.topicUpdate.createUpdateStream(await t.topic(session, type, {}, path), datatype).set(value),
          (path) => session.topicUpdate.createUpdateStream(path, datatype, { specification }).set(value),
        ];
        for (const [n, call] of calls.entries()) {
          const path = t.path();
          const stream = t.watch(session, path, datatype);
          await session.select(path);
          await call(path);
          t.equal(stream.of('value').map((event) => event.value), [type === 'BINARY' ? '' : []], `${type}, call ${n}: values`);
          const constraint = t.constraints.noValue();
          await t.refused(session.topicUpdate.set(path, datatype, value, { constraint }), code.CONSTRAINT, `${type}, call ${n}: noValue`);
        }
      }
    },
  },
  {
    id: 'updates.pipelined',
    group: GROUP,
    title: 'two hundred sets without waiting: each is answered, all are published in order',
    services: [118],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'INT64', { CONFLATION: 'off' });
      const stream = t.watch(session, path, t.datatypes.int64());
      await session.select(path);
      const numbers = Array.from({ length: 200 }, (_, n) => n);
      await Promise.all(numbers.map((n) => session.topicUpdate.set(path, t.datatypes.int64(), n)));
      await stream.await('value', { count: numbers.length });
      t.equal(stream.of('value').map(({ value }) => Number(value)), numbers, 'values');
    },
  },
  {
    id: 'updates.concurrent',
    group: GROUP,
    title: 'two publishers of one topic: both subscribers see one order, and the same last value',
    services: [118],
    transports: ONE,
    async run(t) {
      const publishers = [await t.control(), await t.control()];
      const path = await t.topic(publishers[0], 'JSON', { CONFLATION: 'off' });
      const streams = [];
      for (const reader of [await t.connect(), await t.connect()]) {
        streams.push(t.watch(reader, path, t.datatypes.json()));
        await reader.select(path);
      }
      await Promise.all(publishers.flatMap((publisher, by) =>
        Array.from({ length: 50 }, (_, n) => publisher.topicUpdate.set(path, t.datatypes.json(), { by, n, text: 'some text to make a delta of' }))));
      for (const stream of streams) await stream.await('value', { count: 100 });
      const [one, two] = streams.map((stream) => stream.of('value').map(({ value }) => value));
      t.equal(one, two, 'values of the two subscribers');
      for (const by of [0, 1]) t.equal(one.filter((value) => value.by === by).map(({ n }) => n), Array.from({ length: 50 }, (_, n) => n), `values of publisher ${by}`);
    },
  },
];
