// Time series (26): appending and editing events, what the topic keeps, and what subscribers see.

const GROUP = 'Time series';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const NO_TOPIC = 9000;
const NOT_A_TIME_SERIES = 9001;
const NO_SUCH_EVENT = 9002;

const series = (t, session, type, properties = {}) => t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: type, ...properties });

const events = async (t, session, path, datatype) => (await session.timeseries.rangeQuery().as(datatype).selectFrom(path)).events;

export const timeseries = [
  {
    id: 'time-series.append',
    group: GROUP,
    title: 'append: sequence from 0, time of the server, author; for every event value type',
    services: [99],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const record = t.datatypes.recordv2().valueBuilder().addRecord('a', 'b').build();
      const samples = { json: { a: [1] }, string: 'text', int64: '9223372036854775807', double: 0.1, binary: Uint8Array.of(0, 255), record_v2: record };
      for (const [name, value] of Object.entries(samples)) {
        const datatype = t.datatypeOf(name);
        const path = await series(t, session, name);
        for (const sequence of [0, 1]) {
          const metadata = await session.timeseries.append(path, value, datatype);
          t.equal([Number(metadata.sequence), metadata.author], [sequence, 'control'], `${name}: metadata`);
          t.ok(Math.abs(Number(metadata.timestamp) - Date.now()) < 60_000, `${name}: timestamp ${metadata.timestamp}`);
        }
        const [first] = await events(t, session, path, datatype);
        t.equal(t.plain(first.value, name), t.plain(name === 'binary' || name === 'json' ? datatype.readValue(datatype.writeValue(value)) : value, name), `${name}: value`);
      }
    },
  },
  {
    id: 'time-series.append-default-types',
    group: GROUP,
    title: 'append without a data type takes it from the value: text, number, object',
    services: [99],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      for (const [type, value] of [['string', 'x'], ['double', 5], ['json', { a: 1 }]]) {
        const path = await series(t, session, type);
        t.equal(Number((await session.timeseries.append(path, value)).sequence), 0, type);
      }
    },
  },
  {
    id: 'time-series.append-at',
    group: GROUP,
    title: 'append with a timestamp: not before that of the newest event, else INVALID_DATA',
    services: [166],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const path = await series(t, session, 'string');
      const append = (value, timestamp) => session.timeseries.append(path, value, string, timestamp);
      for (const [n, timestamp] of [1_700_000_000_000, 1_700_000_000_000, 1_700_000_000_500].entries()) {
        const metadata = await append(`event ${n}`, timestamp);
        t.equal([Number(metadata.sequence), Number(metadata.timestamp)], [n, timestamp], 'metadata');
      }
      await t.refused(append('too late', 1_700_000_000_499), t.diffusion.errors.INVALID_DATA.id, 'an earlier timestamp');
      t.equal((await events(t, session, path, string)).map((event) => [Number(event.timestamp), event.value]),
        [[1_700_000_000_000, 'event 0'], [1_700_000_000_000, 'event 1'], [1_700_000_000_500, 'event 2']], 'events');
      t.equal(Number((await session.timeseries.append(path, 'now', string)).sequence), 3, 'next sequence');
    },
  },
  {
    id: 'time-series.append-failures',
    group: GROUP,
    title: 'append: no topic 9000, no time series 9001, another type INCOMPATIBLE_DATATYPE, no permission ACCESS_DENIED; null never leaves the client',
    services: [99, 166],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const { string, json, int64 } = t.datatypes;
      const { ACCESS_DENIED, INCOMPATIBLE_DATATYPE } = t.diffusion.errors;
      const plain = await t.topic(session, 'STRING');
      const path = await series(t, session, 'string');
      for (const at of [[], [1_700_000_000_000]]) {
        await t.refused(session.timeseries.append(t.path(), 'x', string(), ...at), NO_TOPIC, 'no topic');
        await t.refused(session.timeseries.append(plain, 'x', string(), ...at), NOT_A_TIME_SERIES, 'a STRING topic');
        await t.refused(session.timeseries.append(path, { a: 1 }, json(), ...at), INCOMPATIBLE_DATATYPE.id, 'JSON');
        await t.refused(session.timeseries.append(path, 1, int64(), ...at), INCOMPATIBLE_DATATYPE.id, 'INT64');
        await t.refused((await t.connect()).timeseries.append(path, 'x', string(), ...at), ACCESS_DENIED.id, 'no permission');
        await t.rejects(() => session.timeseries.append(path, null, string(), ...at), 'null');
      }
      t.equal((await events(t, session, path, string())).length, 0, 'events');
    },
  },
  {
    id: 'time-series.validate-values',
    group: GROUP,
    title: 'VALIDATE_VALUES holds for events too',
    services: [99],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await series(t, session, 'json', { VALIDATE_VALUES: 'true' });
      const broken = json.readValue(Uint8Array.of(0xbf, 0x61));
      await session.timeseries.append(path, { a: 1 }, json);
      const refusals = [
        await t.rejects(session.timeseries.append(path, broken, json), 'append'),
        await t.rejects(session.timeseries.edit(path, 0, broken, json), 'edit'),
      ];
      for (const { id } of refusals) t.ok(id === t.diffusion.errors.INVALID_DATA.id || id === 501, `error ${id}`);
      t.equal((await events(t, session, path, json)).length, 1, 'events');
    },
  },
  {
    id: 'time-series.edit',
    group: GROUP,
    title: 'edit: a new event that replaces an original, which stays as it was',
    services: [100],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const admin = await t.admin();
      const string = t.datatypes.string();
      const path = await series(t, session, 'string');
      for (const value of ['A', 'B']) await session.timeseries.append(path, value, string);
      const metadata = await admin.timeseries.edit(path, 0, 'X', string);
      t.equal([Number(metadata.sequence), metadata.author], [2, 'admin'], 'metadata');
      t.equal(Number((await session.timeseries.edit(path, 0, 'Y', string)).sequence), 3, 'second edit');
      const values = await events(t, session, path, string);
      t.equal(values.map((event) => [event.value, Number(event.sequence), event.isEditEvent, Number(event.originalEvent.sequence)]),
        [['Y', 3, true, 0], ['B', 1, false, 1]], 'events');
    },
  },
  {
    id: 'time-series.edit-failures',
    group: GROUP,
    title: 'edit: no event, an edit, or one no longer kept 9002; no topic 9000; no time series 9001; another type; no permission',
    services: [100],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const { string, json } = t.datatypes;
      const { ACCESS_DENIED, INCOMPATIBLE_DATATYPE } = t.diffusion.errors;
      const path = await series(t, session, 'string', { TIME_SERIES_RETAINED_RANGE: 'limit 3' });
      for (const value of ['A', 'B', 'C']) await session.timeseries.append(path, value, string());
      await session.timeseries.edit(path, 2, 'Z', string()); // sequence 3: event 0 is gone
      const edit = (at, sequence, value, datatype, by = session) => by.timeseries.edit(at, sequence, value, datatype);
      await t.refused(edit(path, 0, 'x', string()), NO_SUCH_EVENT, 'no longer kept');
      await t.refused(edit(path, 3, 'x', string()), NO_SUCH_EVENT, 'an edit');
      await t.refused(edit(path, 99, 'x', string()), NO_SUCH_EVENT, 'no such event');
      await t.refused(edit(t.path(), 0, 'x', string()), NO_TOPIC, 'no topic');
      await t.refused(edit(await t.topic(session, 'STRING'), 0, 'x', string()), NOT_A_TIME_SERIES, 'a STRING topic');
      await t.refused(edit(path, 1, {}, json()), INCOMPATIBLE_DATATYPE.id, 'another type');
      await t.refused(edit(path, 1, 'x', string(), await t.connect()), ACCESS_DENIED.id, 'no permission');
      await t.rejects(() => edit(path, 1, null, string()), 'null');
    },
  },
  {
    id: 'time-series.edit-permissions',
    group: GROUP,
    title: 'UPDATE_TOPIC alone, as an owner has it, appends but does not edit',
    services: [100],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const owner = await t.connect({ principal: 'client', credentials: 'password' });
      const string = t.datatypes.string();
      const path = await series(t, control, 'string', { OWNER: '$Principal is "client"' });
      t.equal((await owner.timeseries.append(path, 'mine', string)).author, 'client', 'author');
      await t.refused(owner.timeseries.edit(path, 0, 'changed', string), t.diffusion.errors.ACCESS_DENIED.id, 'edit');
    },
  },
  {
    id: 'time-series.edit-own',
    group: GROUP,
    title: 'EDIT_OWN_TIME_SERIES_EVENTS: own events may be edited, those of others not',
    services: [100],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const string = t.datatypes.string();
      const control = await t.control({ port });
      const client = await t.connect({ port, principal: 'client', credentials: 'password' });
      const path = await series(t, control, 'string');
      await t.govern(port, (script) => script.setPathPermissions('CLIENT', path, ['UPDATE_TOPIC', 'READ_TOPIC', 'EDIT_OWN_TIME_SERIES_EVENTS']));
      await control.timeseries.append(path, 'theirs', string);
      await client.timeseries.append(path, 'own', string);
      t.equal(Number((await client.timeseries.edit(path, 1, 'edited', string)).sequence), 2, 'sequence');
      await t.refused(client.timeseries.edit(path, 0, 'edited', string), t.diffusion.errors.ACCESS_DENIED.id, 'event of another');
    },
  },
  {
    id: 'time-series.live',
    group: GROUP,
    title: 'subscribers get each event, originals and edits, with its metadata and the event before as the old value',
    services: [99, 100],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const reader = await t.connect();
      for (const [name, make] of Object.entries({ json: (n) => ({ n, text: 'stays the same'.repeat(20) }), int64: (n) => n })) {
        const datatype = t.datatypes[name]();
        const path = await series(t, session, name);
        const stream = t.watch(reader, path, t.datatypes.timeseries(datatype));
        await reader.select(path);
        for (const n of [0, 1, 2]) await session.timeseries.append(path, make(n), datatype);
        await session.timeseries.edit(path, 1, make(10), datatype);
        await session.timeseries.append(path, make(2), datatype);
        await stream.await('value', { count: 5 });
        const want = [[0, 0], [1, 1], [2, 2], [3, 10, 1], [4, 2]].map(([sequence, n, edits]) =>
          ({ value: make(n), sequence, author: 'control', ...(edits !== undefined && { edits }) }));
        t.equal(stream.of('value').map(({ value }) => value), want, `${name}: events`);
        t.equal(stream.of('value').map(({ old }) => old ?? null), [null, ...want.slice(0, -1)], `${name}: events before`);
      }
    },
  },
  {
    id: 'time-series.value-streams',
    group: GROUP,
    title: 'streams of the event value type, and JSON streams of what reads as JSON, get the values alone',
    services: [99],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await series(t, session, 'int64');
      const { timeseries: events, int64, json, string } = t.datatypes;
      const watch = (datatype) => t.watch(session, path, datatype);
      const streams = { events: watch(events(int64())), values: watch(int64()), json: watch(json()), other: watch(string()), otherEvents: watch(events(string())) };
      await session.select(path);
      for (const n of [7, 8]) await session.timeseries.append(path, n, int64());
      await streams.events.await('value', { count: 2 });
      t.equal(streams.values.of('value').map(({ value }) => value), ['7', '8'], 'values of the int64 stream');
      t.equal(streams.json.of('value').map(({ value }) => Number(value)), [7, 8], 'values of the JSON stream');
      t.equal([streams.other.items, streams.otherEvents.items], [[], []], 'streams of another type');
    },
  },
  {
    id: 'time-series.subscription-range',
    group: GROUP,
    title: 'on subscription: the newest event, or those of TIME_SERIES_SUBSCRIPTION_RANGE, oldest first; none with PUBLISH_VALUES_ONLY alone',
    services: [87],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const reader = await t.connect();
      const string = t.datatypes.string();
      const cases = [
        [{}, ['D']],
        [{ TIME_SERIES_SUBSCRIPTION_RANGE: 'limit 2' }, ['C', 'D']],
        [{ TIME_SERIES_SUBSCRIPTION_RANGE: 'limit 100' }, ['A', 'B', 'C', 'D']],
        [{ TIME_SERIES_SUBSCRIPTION_RANGE: 'last 1s' }, ['C', 'D']],
        [{ TIME_SERIES_SUBSCRIPTION_RANGE: 'LAST 1H LIMIT 3' }, ['B', 'C', 'D']],
        [{ TIME_SERIES_SUBSCRIPTION_RANGE: 'limit 100', TIME_SERIES_RETAINED_RANGE: 'limit 2' }, ['C', 'D']],
        [{ TIME_SERIES_SUBSCRIPTION_RANGE: 'limit 0' }, ['D']],
        [{ PUBLISH_VALUES_ONLY: 'true' }, []],
        [{ PUBLISH_VALUES_ONLY: 'true', TIME_SERIES_SUBSCRIPTION_RANGE: 'limit 3' }, ['B', 'C', 'D']],
        [{ PUBLISH_VALUES_ONLY: 'true', TIME_SERIES_SUBSCRIPTION_RANGE: 'limit 0' }, []],
      ];
      for (const [properties, want] of cases) {
        const path = await series(t, session, 'string', properties);
        for (const [n, value] of ['A', 'B', 'C', 'D'].entries()) await session.timeseries.append(path, value, string, 1_700_000_000_000 + 600 * n);
        const stream = t.watch(reader, path, t.datatypes.timeseries(string));
        await reader.select(path);
        await reader.pingServer();
        t.equal(stream.of('value').map(({ value }) => value.value), want, t.show(properties));
        await session.timeseries.append(path, 'E', string);
        await stream.await('value', { count: want.length + 1 });
        t.equal(stream.of('value').at(-1).value.value, 'E', `${t.show(properties)}, live`);
      }
    },
  },
  {
    id: 'time-series.subscription-edits',
    group: GROUP,
    title: 'on subscription: originals of the range and the latest edit of each, in the order of the series',
    services: [87],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const path = await series(t, session, 'string', { TIME_SERIES_SUBSCRIPTION_RANGE: 'limit 10' });
      for (const value of ['A', 'B']) await session.timeseries.append(path, value, string);
      for (const value of ['X', 'Y']) await session.timeseries.edit(path, 0, value, string);
      const stream = t.watch(session, path, t.datatypes.timeseries(string));
      await session.select(path);
      t.equal(stream.of('value').map(({ value }) => [value.sequence, value.value, value.edits ?? null]), [[0, 'A', null], [1, 'B', null], [3, 'Y', 0]], 'events');
    },
  },
  {
    id: 'time-series.retained-range',
    group: GROUP,
    title: 'TIME_SERIES_RETAINED_RANGE: by number, by age against the newest event, or both; ten without it',
    services: [84, 99],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const int64 = t.datatypes.int64();
      const cases = [[{}, 10], [{ TIME_SERIES_RETAINED_RANGE: 'limit 4' }, 4], [{ TIME_SERIES_RETAINED_RANGE: 'last 500ms' }, 6], [{ TIME_SERIES_RETAINED_RANGE: 'last 500ms limit 2' }, 2], [{ TIME_SERIES_RETAINED_RANGE: 'limit 50 last 1s' }, 11]];
      for (const [properties, kept] of cases) {
        const path = await series(t, session, 'int64', properties);
        for (let n = 0; n < 20; n++) await session.timeseries.append(path, n, int64, 1_700_000_000_000 + 100 * n);
        t.equal((await events(t, session, path, int64)).map((event) => Number(event.sequence)), Array.from({ length: kept }, (_, n) => 20 - kept + n), t.show(properties));
      }
    },
  },
  {
    id: 'time-series.set',
    group: GROUP,
    title: 'topicUpdate.set and update streams append events; equal values too; fetch returns the newest',
    services: [118, 122, 126, 129],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = t.path();
      const specification = t.spec('TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'json' });
      const { CREATED, EXISTS } = t.diffusion.topicUpdate.TopicCreationResult;
      t.equal(await session.topicUpdate.set(path, json, { n: 1 }, { specification }), CREATED, 'with a specification');
      t.equal(await session.topicUpdate.set(path, json, { n: 1 }, { specification }), EXISTS, 'again');
      await session.topicUpdate.set(path, json, { n: 2 });
      const stream = session.topicUpdate.createUpdateStream(path, json);
      for (const n of [3, 4, 4]) await stream.set({ n });
      t.equal((await events(t, session, path, json)).map((event) => event.value.get().n), [1, 1, 2, 3, 4, 4], 'events');
      await t.refused(session.topicUpdate.set(path, t.datatypes.string(), 'x'), 500, 'another type');
    },
  },
  {
    id: 'time-series.sequence-goes-on',
    group: GROUP,
    title: 'sequences are never used again, also when no event of them is kept',
    services: [99],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await series(t, session, 'string', { TIME_SERIES_RETAINED_RANGE: 'limit 1' });
      for (let n = 0; n < 5; n++) t.equal(Number((await session.timeseries.append(path, 'x', t.datatypes.string())).sequence), n, 'sequence');
      t.equal((await events(t, session, path, t.datatypes.string())).map((event) => Number(event.sequence)), [4], 'events');
    },
  },
  {
    id: 'time-series.concurrent',
    group: GROUP,
    title: 'five sessions append at once: every sequence once, and subscribers see them in order',
    services: [99],
    transports: ONE,
    async run(t) {
      const sessions = await Promise.all(Array.from({ length: 5 }, () => t.control()));
      const int64 = t.datatypes.int64();
      const path = await series(t, sessions[0], 'int64', { TIME_SERIES_RETAINED_RANGE: 'limit 1000' });
      const stream = t.watch(sessions[0], path, t.datatypes.timeseries(int64));
      await sessions[0].select(path);
      const metadata = (await Promise.all(sessions.flatMap((session) => Array.from({ length: 40 }, (_, n) => session.timeseries.append(path, n, int64)))));
      const all = Array.from({ length: 200 }, (_, n) => n);
      t.equal(metadata.map(({ sequence }) => Number(sequence)).sort((a, b) => a - b), all, 'sequences');
      await stream.await('value', { count: 200 });
      t.equal(stream.of('value').map(({ value }) => value.sequence), all, 'order of arrival');
    },
  },
];
