// Update streams (23 section 5): their life, what they send, and what makes them invalid.

const GROUP = 'Update streams';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const INVALID = 9013;

const results = (t) => t.diffusion.topicUpdate.TopicCreationResult;
const document = (n) => ({ n, text: 'a text of some length that stays the same'.repeat(10) });

// The names of the services that the client asked for, those of update streams only.
const asked = (messages) => messages
  .filter(({ kind, dir, service }) => kind === 'request' && dir === 'C>S' && /STREAM/.test(service))
  .map(({ service }) => service);

export const updatestreams = [
  {
    id: 'updates.stream.set',
    group: GROUP,
    title: 'sets of a stream: EXISTS for the first, nothing for the others; get tells the last',
    services: [126, 129],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const values = t.watch(session, path, json);
      await session.select(path);
      const stream = session.topicUpdate.createUpdateStream(path, json);
      t.equal(await stream.set(document(1)), results(t).EXISTS, 'first result');
      t.equal(await stream.set(document(2)) ?? null, null, 'second result');
      await stream.set(document(3));
      t.equal(values.of('value').map(({ value }) => value), [1, 2, 3].map(document), 'values');
      t.equal(stream.get().get?.() ?? stream.get(), document(3), 'get');
    },
  },
  {
    id: 'updates.stream.validate-first',
    group: GROUP,
    title: 'validate before any value opens the stream and sets nothing; set and validate go on from there',
    services: [125, 127, 128],
    transports: BOTH,
    async run(t) {
      const { session, heard } = await t.overheard();
      const string = t.datatypes.string();
      const path = await t.topic(session, 'STRING');
      const values = t.watch(session, path, string);
      await session.select(path);
      const stream = session.topicUpdate.createUpdateStream(path, string);
      t.equal(await stream.validate(), results(t).EXISTS, 'validate');
      t.equal(values.of('value').length, 0, 'values');
      await stream.validate();
      await stream.set('one');
      await stream.validate();
      t.equal(values.of('value').map(({ value }) => value), ['one'], 'values');
      t.equal(asked(await heard()), ['CREATE_UPDATE_STREAM', 'CHECK_UPDATE_STREAM', 'STREAM_SET_TOPIC_SERVICE', 'CHECK_UPDATE_STREAM'], 'services');
    },
  },
  {
    id: 'updates.stream.creates',
    group: GROUP,
    title: 'with a specification: set or validate creates the topic, CREATED; for the next stream it EXISTS',
    services: [130, 131],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const int64 = t.datatypes.int64();
      const options = { specification: t.spec('INT64') };
      const create = (path) => session.topicUpdate.createUpdateStream(path, int64, options);
      const [bySet, byValidate] = [t.path(), t.path()];
      t.equal(await create(bySet).set(1), results(t).CREATED, 'set');
      t.equal(await create(bySet).set(2), results(t).EXISTS, 'set again');
      const stream = create(byValidate);
      t.equal(await stream.validate(), results(t).CREATED, 'validate');
      const [empty] = (await session.fetchRequest().withValues(int64).fetch(byValidate)).results();
      t.equal(empty.value() ?? null, null, 'value of the topic that validate created');
      await stream.set(3);
      t.equal(await create(byValidate).validate(), results(t).EXISTS, 'validate again');
      const fetched = await session.fetchRequest().withValues(int64).fetch(bySet, byValidate);
      t.equal(fetched.results().map((item) => String(item.value())), ['2', '3'], 'values');
    },
  },
  {
    id: 'updates.stream.delta',
    group: GROUP,
    title: 'streams of JSON, STRING, BINARY and RECORD_V2 send deltas, and subscribers see the right values',
    services: [129],
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const reader = await t.connect();
      const record = (n) => t.datatypes.recordv2().valueBuilder().addRecord('head', 'x'.repeat(200)).addRecord(`${n}`, 'tail').build();
      const bytes = (n) => Uint8Array.from({ length: 300 }, (_, at) => (at === 150 ? n : at & 0xff));
      const makers = { JSON: document, STRING: (n) => `${'ä'.repeat(100)}${n}${'z'.repeat(100)}`, BINARY: bytes, RECORD_V2: record };
      for (const [type, make] of Object.entries(makers)) {
        const datatype = t.datatypeOf(type);
        const path = await t.topic(session, type);
        const values = t.watch(reader, path, datatype);
        const direct = t.watch(session, path, datatype);
        await reader.select(path);
        await session.select(path);
        const stream = session.topicUpdate.createUpdateStream(path, datatype);
        for (let n = 1; n <= 20; n++) await stream.set(make(n));
        await values.await('value', { count: 20 });
        const check = await t.topic(session, type);
        const whole = t.watch(session, check, datatype);
        await session.select(check);
        for (let n = 1; n <= 20; n++) await session.topicUpdate.set(check, datatype, make(n));
        await whole.await('value', { count: 20 });
        const seen = (log) => log.of('value').map(({ value }) => value);
        t.equal(seen(values), seen(whole), `${type} values`);
        t.equal(seen(direct), seen(whole), `${type} values of the publisher itself`);
      }
      const messages = await heard();
      const sent = asked(messages);
      t.equal(sent.filter((service) => service === 'STREAM_APPLY_DELTA_SERVICE').length, 4 * 19, `deltas, of ${t.show(sent)}`);
    },
  },
  {
    id: 'updates.stream.whole-values',
    group: GROUP,
    title: 'streams of INT64 and DOUBLE, and those with suppressDeltas, send whole values',
    services: [128],
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const cases = [['INT64', [1, 2, 2, '9223372036854775807']], ['DOUBLE', [0.5, 0.5, -1]], ['JSON', [1, 2, 3].map(document)]];
      for (const [type, values] of cases) {
        const datatype = t.datatypeOf(type);
        const path = await t.topic(session, type);
        const stream = session.topicUpdate.newUpdateStreamBuilder().suppressDeltas(true).build(path, datatype);
        for (const value of values) await stream.set(value);
        const [fetched] = (await session.fetchRequest().withValues(datatype).fetch(path)).results();
        t.equal(type === 'JSON' ? fetched.value().get() : String(fetched.value()), type === 'JSON' ? values.at(-1) : String(values.at(-1)), `${type}: value`);
      }
      const services = new Set(asked(await heard()));
      t.equal([...services].sort(), ['CREATE_UPDATE_STREAM_AND_SET', 'STREAM_SET_TOPIC_SERVICE'], 'services');
    },
  },
  {
    id: 'updates.stream.builder',
    group: GROUP,
    title: 'the builder: specification, constraint, reset, and streams built one after another',
    services: [131],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const builder = session.topicUpdate.newUpdateStreamBuilder();
      const path = t.path();
      const noTopic = t.constraints.noTopic();
      t.equal(await builder.specification(t.spec('STRING')).constraint(noTopic).build(path, string).set('one'), results(t).CREATED, 'created');
      await t.refused(builder.build(path, string).set('two'), 9012, 'the same builder again');
      t.equal(await builder.reset().build(path, string).set('three'), results(t).EXISTS, 'after reset');
      const [fetched] = (await session.fetchRequest().withValues(string).fetch(path)).results();
      t.equal(fetched.value(), 'three', 'value');
    },
  },
  {
    id: 'updates.stream.collapse',
    group: GROUP,
    title: 'sets made while the stream is being opened: only the last is sent, and all resolve',
    services: [126],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const values = t.watch(session, path, json);
      await session.select(path);
      const stream = session.topicUpdate.createUpdateStream(path, json);
      await Promise.all([1, 2, 3, 4, 5].map((n) => stream.set(document(n))));
      t.equal(values.of('value').map(({ value }) => value.n), [1, 5], 'values');
    },
  },
  {
    id: 'updates.stream.every-value',
    group: GROUP,
    title: 'CONFLATION=off, DONT_RETAIN_VALUE or a time series: of such sets every one is sent',
    services: [126, 128, 129],
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const json = t.datatypes.json();
      const numbers = [1, 2, 3, 4, 5];
      const topics = {
        off: await t.topic(session, 'JSON', { CONFLATION: 'off' }),
        unretained: await t.topic(session, 'JSON', { DONT_RETAIN_VALUE: 'true' }),
        series: await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'json' }),
      };
      for (const [name, path] of Object.entries(topics)) {
        const values = t.watch(session, path, name === 'series' ? t.datatypes.timeseries(json) : json);
        await session.select(path);
        const before = asked(await heard()).length;
        const stream = session.topicUpdate.createUpdateStream(path, json);
        await Promise.all(numbers.map((n) => stream.set(document(n))));
        const got = values.of('value').map(({ value }) => (name === 'series' ? value.value.n : value.n));
        t.equal(got, numbers, `${name}: values`);
        const later = name === 'unretained' ? 'STREAM_SET_TOPIC_SERVICE' : 'STREAM_APPLY_DELTA_SERVICE';
        t.equal(asked(await heard()).slice(before), ['CREATE_UPDATE_STREAM_AND_SET', later, later, later, later], `${name}: services`);
      }
    },
  },
  {
    id: 'updates.stream.pipelined',
    group: GROUP,
    title: 'two hundred sets of an open stream without waiting arrive in order',
    services: [129],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON', { CONFLATION: 'off' });
      const values = t.watch(session, path, json);
      await session.select(path);
      const stream = session.topicUpdate.createUpdateStream(path, json);
      await stream.set(document(0));
      const numbers = Array.from({ length: 200 }, (_, n) => n + 1);
      await Promise.all(numbers.map((n) => stream.set(document(n))));
      t.equal(values.of('value').map(({ value }) => value.n), [0, ...numbers], 'values');
    },
  },
  {
    id: 'updates.stream.equal-values',
    group: GROUP,
    title: 'an equal value through a stream publishes nothing, and the stream goes on',
    services: [129, 128],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      for (const [type, values] of [['JSON', [document(1), document(1), document(2)]], ['INT64', [1, 1, 2]]]) {
        const datatype = t.datatypeOf(type);
        const path = await t.topic(session, type);
        const log = t.watch(session, path, datatype);
        await session.select(path);
        const stream = session.topicUpdate.createUpdateStream(path, datatype);
        for (const value of values) await stream.set(value);
        t.equal(log.of('value').length, 2, `${type}: values published`);
      }
    },
  },
  {
    id: 'updates.stream.invalidated',
    group: GROUP,
    title: 'any other update, the removal of the topic or a newer stream makes a stream invalid: 9013, for good',
    services: [127, 128, 129],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const other = await t.control();
      const json = t.datatypes.json();
      const causes = {
        'set by another session': (path) => other.topicUpdate.set(path, json, document(90)),
        'set by the same session': (path) => session.topicUpdate.set(path, json, document(91)),
        'set with a specification': (path) => other.topicUpdate.set(path, json, document(92), { specification: t.spec('JSON') }),
        'JSON patch': (path) => other.topicUpdate.applyJsonPatch(path, [{ op: 'replace', path: '/n', value: 93 }]),
        removal: (path) => other.topics.remove(path),
        'removal and addition': async (path) => {
          await other.topics.remove(path);
          await other.topics.add(path, t.TopicType.JSON);
        },
        'another stream, set': (path) => other.topicUpdate.createUpdateStream(path, json).set(document(94)),
        'another stream, validate': (path) => session.topicUpdate.createUpdateStream(path, json).validate(),
      };
      for (const [cause, act] of Object.entries(causes)) {
        for (const use of ['set', 'validate']) {
          const path = await t.topic(session, 'JSON');
          const stream = session.topicUpdate.createUpdateStream(path, json);
          await stream.set(document(1));
          await stream.validate();
          await act(path);
          await t.refused(use === 'set' ? stream.set(document(2)) : stream.validate(), INVALID, `${use} after ${cause}`);
          await t.refused(stream.set(document(3)), INVALID, `again, after ${cause}`);
        }
      }
    },
  },
  {
    id: 'updates.stream.after-invalid',
    group: GROUP,
    title: 'after the failure a new stream takes over where the topic is now',
    services: [126, 129],
    transports: ONE,
    async run(t) {
      const [one, two] = [await t.control(), await t.control()];
      const json = t.datatypes.json();
      const path = await t.topic(one, 'JSON');
      const values = t.watch(one, path, json);
      await one.select(path);
      const first = one.topicUpdate.createUpdateStream(path, json);
      await first.set(document(1));
      const second = two.topicUpdate.createUpdateStream(path, json);
      await second.set(document(2));
      await second.set(document(3));
      await t.refused(first.set(document(4)), INVALID, 'the first stream');
      const third = one.topicUpdate.createUpdateStream(path, json);
      await third.set(document(5));
      await third.set(document(6));
      await t.refused(second.set(document(7)), INVALID, 'the second stream');
      await values.until(() => values.of('value').at(-1)?.value.n === 6, 'the last value');
      t.equal(values.of('value').map(({ value }) => value.n), [1, 2, 3, 5, 6], 'values');
    },
  },
  {
    id: 'updates.stream.equal-foreign',
    group: GROUP,
    title: 'an update by another session that changes nothing leaves the stream alone',
    services: [129],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const other = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const stream = session.topicUpdate.createUpdateStream(path, json);
      await stream.set(document(1));
      await other.topicUpdate.set(path, json, document(1));
      await stream.set(document(2));
      const [fetched] = (await other.fetchRequest().withValues(json).fetch(path)).results();
      t.equal(fetched.value().get().n, 2, 'value');
    },
  },
  {
    id: 'updates.stream.failures',
    group: GROUP,
    title: 'opening a stream: no topic 9000, another type 500, no permission ACCESS_DENIED, invalid value 501',
    services: [125, 126],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const reader = await t.connect();
      const { json, string } = t.datatypes;
      const text = await t.topic(session, 'STRING');
      const open = (by, path, datatype, value) => ({
        set: () => by.topicUpdate.createUpdateStream(path, datatype).set(value),
        validate: () => by.topicUpdate.createUpdateStream(path, datatype).validate(),
      });
      for (const use of ['set', 'validate']) {
        await t.refused(open(session, t.path(), json(), {})[use](), 9000, `${use}, no topic`);
        await t.refused(open(session, text, json(), {})[use](), 500, `${use}, another type`);
        await t.refused(open(reader, text, string(), 'x')[use](), t.diffusion.errors.ACCESS_DENIED.id, `${use}, no permission`);
      }
      const strict = await t.topic(session, 'JSON', { VALIDATE_VALUES: 'true' });
      const broken = json().readValue(Uint8Array.of(0xbf));
      await t.refused(open(session, strict, json(), broken).set(), 501, 'an invalid value');
      const stream = session.topicUpdate.createUpdateStream(strict, json());
      await stream.set({ fine: true });
      await t.refused(stream.set(broken), 501, 'an invalid value, later');
      await t.refused(stream.set({ fine: true }), 501, 'the stream after its failure');
    },
  },
  {
    id: 'updates.stream.add-failures',
    group: GROUP,
    title: 'opening an adding stream: mismatch 9004, bad path 9005, bad specification 9006, no permission ACCESS_DENIED',
    services: [130, 131],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const reader = await t.connect();
      const string = t.datatypes.string();
      const path = await t.topic(session, 'STRING');
      for (const use of ['set', 'validate']) {
        const open = (at, properties, by = session) => {
          const stream = by.topicUpdate.createUpdateStream(at, string, { specification: t.spec('STRING', properties) });
          return use === 'set' ? stream.set('x') : stream.validate();
        };
        await t.refused(open(path, { PRIORITY: 'low' }), 9004, `${use}, mismatch`);
        await t.refused(open('a//b', {}), 9005, `${use}, bad path`);
        await t.refused(open(t.path(), { PRIORITY: 'urgent' }), 9006, `${use}, bad specification`);
        await t.refused(open(path, {}, reader), t.diffusion.errors.ACCESS_DENIED.id, `${use}, no permission`);
      }
    },
  },
  {
    id: 'updates.stream.recoverable',
    group: GROUP,
    title: 'a stream built with a retry strategy works like another; an invalid one is not recoverable',
    services: [126],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const stream = session.topicUpdate.newUpdateStreamBuilder().build(path, json, { interval: 10, attempts: 2 });
      for (const n of [1, 2, 3]) await stream.set(document(n));
      t.equal(stream.isRecoverable(), false, 'recoverable without a failure');
      await session.topicUpdate.set(path, json, document(4));
      await t.refused(stream.set(document(5)), INVALID, 'set');
      t.equal(stream.isRecoverable(), false, 'recoverable after 9013');
      await t.rejects(() => stream.recover(), 'recover');
    },
  },
  {
    id: 'updates.stream.session-lost-and-recovered',
    group: GROUP,
    title: 'a stream outlives a reconnection without loss, and not its session',
    services: [129],
    transports: ONE,
    async run(t) {
      const { session, leave, back } = await t.absentee({ principal: 'control', credentials: 'password' });
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const stream = session.topicUpdate.createUpdateStream(path, json);
      await stream.set(document(1));
      await leave();
      await back();
      await stream.set(document(2));
      await stream.validate();
      const reader = await t.control();
      const [fetched] = (await reader.fetchRequest().withValues(json).fetch(path)).results();
      t.equal(fetched.value().get().n, 2, 'value');
      await session.closeSession();
      await t.rejects(() => stream.set(document(3)), 'set after the end of the session');
      await reader.topicUpdate.createUpdateStream(path, json).set(document(4));
    },
  },
  {
    id: 'updates.stream.permission-lost',
    group: GROUP,
    title: 'a stream whose session loses UPDATE_TOPIC is invalid or refused',
    services: [127, 128],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const session = await t.control({ port });
      const path = await t.topic(session, 'INT64');
      const stream = session.topicUpdate.createUpdateStream(path, t.datatypes.int64());
      await stream.set(1);
      await t.govern(port, (script) => script.setPathPermissions('TOPIC_CONTROL', path, ['SELECT_TOPIC', 'READ_TOPIC']));
      const { id } = await t.rejects(stream.set(2), 'set');
      t.ok([INVALID, t.diffusion.errors.ACCESS_DENIED.id].includes(id), `error ${id}`);
    },
  },
];
