// Range queries of time series (26 section 3): every anchor and span, edits, limits, and failures.

const GROUP = 'Time series';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const START = 1_700_000_000_000;

// A time series with events 0 … 9, of values 'e0' … and 100 ms apart.
async function ten(t, session) {
  const path = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string', TIME_SERIES_RETAINED_RANGE: 'limit 100' });
  for (let n = 0; n < 10; n++) await session.timeseries.append(path, `e${n}`, t.datatypes.string(), START + 100 * n);
  return path;
}

// The documented series: 0 A, 1 B, 2 X and 3 Y, which edit 0.
async function edited(t, session) {
  const string = t.datatypes.string();
  const path = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string' });
  for (const value of ['A', 'B']) await session.timeseries.append(path, value, string);
  for (const value of ['X', 'Y']) await session.timeseries.edit(path, 0, value, string);
  return path;
}

const sequences = (result) => result.events.map((event) => Number(event.sequence));
const run = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const time = (n) => new Date(START + n);

// Ranges over the ten events, and the sequences that they select.
const RANGES = {
  'the whole': [(q) => q, run(0, 9)],
  'fromStart()': [(q) => q.fromStart(), run(0, 9)],
  'from(3)': [(q) => q.from(3), run(3, 9)],
  'from(99)': [(q) => q.from(99), []],
  'from(time of 4)': [(q) => q.from(time(400)), run(4, 9)],
  'from(time between 4 and 5)': [(q) => q.from(time(450)), run(5, 9)],
  'from(time before all)': [(q) => q.from(time(-5_000)), run(0, 9)],
  'from(time after all)': [(q) => q.from(time(5_000)), []],
  'fromLast(1)': [(q) => q.fromLast(1), [9]],
  'fromLast(3)': [(q) => q.fromLast(3), run(7, 9)],
  'fromLast(0)': [(q) => q.fromLast(0), []],
  'fromLast(99)': [(q) => q.fromLast(99), run(0, 9)],
  'fromLastMillis(0)': [(q) => q.fromLastMillis(0), [9]],
  'fromLastMillis(250)': [(q) => q.fromLastMillis(250), run(7, 9)],
  'to(4)': [(q) => q.to(4), run(0, 4)],
  'to(time of 4)': [(q) => q.to(time(400)), run(0, 4)],
  'to(time between 4 and 5)': [(q) => q.to(time(450)), run(0, 4)],
  'toStart()': [(q) => q.toStart(), []],
  'untilLast(0)': [(q) => q.untilLast(0), run(0, 9)],
  'untilLast(3)': [(q) => q.untilLast(3), run(0, 6)],
  'untilLastMillis(300)': [(q) => q.untilLastMillis(300), run(0, 6)],
  'untilLastMillis(350)': [(q) => q.untilLastMillis(350), run(0, 5)],
  'next(4)': [(q) => q.next(4), run(0, 3)],
  'fromStart().next(4)': [(q) => q.fromStart().next(4), run(0, 3)],
  'nextMillis(200)': [(q) => q.nextMillis(200), run(0, 2)],
  'from(3).to(6)': [(q) => q.from(3).to(6), run(3, 6)],
  'from(6).to(3)': [(q) => q.from(6).to(3), run(3, 6)],
  'from(4).to(4)': [(q) => q.from(4).to(4), [4]],
  'from(time).to(time)': [(q) => q.from(time(150)).to(time(420)), run(2, 4)],
  'from(time).to(sequence)': [(q) => q.from(time(150)).to(3), run(2, 3)],
  'from(3).toStart()': [(q) => q.from(3).toStart(), run(0, 3)],
  'from(0).toStart()': [(q) => q.from(0).toStart(), [0]],
  'fromStart().to(0)': [(q) => q.fromStart().to(0), [0]],
  'from(3).next(2)': [(q) => q.from(3).next(2), run(3, 5)],
  'from(3).previous(2)': [(q) => q.from(3).previous(2), run(1, 3)],
  'from(3).nextMillis(250)': [(q) => q.from(3).nextMillis(250), run(3, 5)],
  'from(3).previousMillis(250)': [(q) => q.from(3).previousMillis(250), run(1, 3)],
  'from(time).nextMillis': [(q) => q.from(time(250)).nextMillis(200), run(3, 4)],
  'from(time).previousMillis': [(q) => q.from(time(250)).previousMillis(200), run(1, 2)],
  'from(8).next(50)': [(q) => q.from(8).next(50), run(8, 9)],
  'from(2).previous(50)': [(q) => q.from(2).previous(50), run(0, 2)],
  'fromLast(5).untilLast(2)': [(q) => q.fromLast(5).untilLast(2), run(5, 7)],
  'fromLast(5).to(6)': [(q) => q.fromLast(5).to(6), run(5, 6)],
  'fromLastMillis(500).untilLastMillis(200)': [(q) => q.fromLastMillis(500).untilLastMillis(200), run(4, 7)],
};

export const rangequeries = [
  {
    id: 'time-series.query.ranges',
    group: GROUP,
    title: 'every anchor and span, forwards and backwards, within the series and beyond it',
    services: [84],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = await ten(t, session);
      for (const [what, [build, want]] of Object.entries(RANGES)) {
        const result = await build(session.timeseries.rangeQuery().as(t.datatypes.string())).selectFrom(path);
        t.equal(sequences(result), want, what);
        t.equal([result.selectedCount, result.isComplete].map(Number), [want.length, 1], `${what}: count`);
      }
    },
  },
  {
    id: 'time-series.query.events',
    group: GROUP,
    title: 'events with value, sequence, timestamp, author and original, of each event value type',
    services: [84],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await ten(t, session);
      const { events: [event], streamStructure } = await session.timeseries.rangeQuery().from(4).to(4).as(t.datatypes.string()).selectFrom(path);
      t.equal([event.value, Number(event.sequence), Number(event.timestamp), event.author, event.isEditEvent], ['e4', 4, START + 400, 'control', false], 'event');
      t.equal(streamStructure.name, 'VALUE_EVENT_STREAM', 'structure');
      const record = t.datatypes.recordv2().valueBuilder().addRecord('a').build();
      for (const [name, value, want] of [['json', { a: 1 }, { a: 1 }], ['int64', 5, '5'], ['double', 0.5, 0.5], ['binary', Uint8Array.of(7), '07'], ['record_v2', record, [['a']]]]) {
        const datatype = t.datatypeOf(name);
        const other = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: name });
        await session.timeseries.append(other, value, datatype);
        const result = await session.timeseries.rangeQuery().as(datatype).selectFrom(other);
        t.equal(result.events.map((item) => t.plain(item.value, name)), [want], name);
      }
      const numbers = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'int64' });
      await session.timeseries.append(numbers, 5, t.datatypes.int64());
      await t.rejects(session.timeseries.rangeQuery().as(t.datatypes.binary()).selectFrom(numbers), 'a type that it does not read as');
    },
  },
  {
    id: 'time-series.query.empty',
    group: GROUP,
    title: 'a time series without events: an empty, complete result for any range',
    services: [84],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string' });
      for (const [what, [build]] of Object.entries(RANGES)) {
        const result = await build(session.timeseries.rangeQuery()).selectFrom(path);
        t.equal([sequences(result), Number(result.selectedCount), result.isComplete], [[], 0, true], what);
      }
    },
  },
  {
    id: 'time-series.query.limit',
    group: GROUP,
    title: 'limit keeps the newest of what was selected and tells how many there were',
    services: [84],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = await ten(t, session);
      for (const [limit, want] of [[3, run(5, 7)], [5, run(3, 7)], [6, run(2, 7)], [99, run(2, 7)], [0, []]]) {
        const result = await session.timeseries.rangeQuery().from(2).to(7).limit(limit).selectFrom(path);
        t.equal([sequences(result), Number(result.selectedCount), result.isComplete], [want, 6, want.length === 6], `limit ${limit}`);
      }
    },
  },
  {
    id: 'time-series.query.truncated',
    group: GROUP,
    title: 'a result that would be too large for a message is cut as by a limit, and is not complete',
    services: [84],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--max-fetch-size', '4000'] });
      const session = await t.control({ port });
      const string = t.datatypes.string();
      const path = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string' });
      for (let n = 0; n < 8; n++) await session.timeseries.append(path, `${n}`.repeat(1_000), string);
      const result = await session.timeseries.rangeQuery().as(string).selectFrom(path);
      t.equal([sequences(result), Number(result.selectedCount), result.isComplete], [[5, 6, 7], 8, false], 'result');
    },
  },
  {
    id: 'time-series.query.values',
    group: GROUP,
    title: 'forValues: the latest edit stands at the place of its original, and counts as it',
    services: [84],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const path = await edited(t, session);
      const query = async (build) => (await build(session.timeseries.rangeQuery().forValues()).as(string).selectFrom(path)).events.map(({ value, sequence }) => `${sequence} ${value}`);
      t.equal(await query((q) => q), ['3 Y', '1 B'], 'all');
      t.equal(await query((q) => q.from(0).to(0)), ['3 Y'], 'by the sequence of the original');
      t.equal(await query((q) => q.from(2)), [], 'from the sequence of an edit');
      t.equal(await query((q) => q.fromLast(1)), ['1 B'], 'the last original');
      t.equal(await query((q) => q.limit(1)), ['3 Y'], 'the highest sequence');
    },
  },
  {
    id: 'time-series.query.edits-permission',
    group: GROUP,
    title: 'edits, and values of another edit range, need QUERY_OBSOLETE_TIME_SERIES_EVENTS: ACCESS_DENIED without it',
    services: [84],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await edited(t, session);
      const { ACCESS_DENIED } = t.diffusion.errors;
      const query = () => session.timeseries.rangeQuery();
      await t.refused(query().forEdits().selectFrom(path), ACCESS_DENIED.id, 'all edits');
      await t.refused(query().forEdits().latestEdits().selectFrom(path), ACCESS_DENIED.id, 'latest edits');
      await t.refused(query().forValues().editRange().from(1).selectFrom(path), ACCESS_DENIED.id, 'an edit range');
    },
  },
  {
    id: 'time-series.query.edits',
    group: GROUP,
    title: 'forEdits: all edits, or the latest of each original; edit ranges; values as they were before an edit',
    services: [84],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const all = Object.keys(t.diffusion.PathPermission).filter((name) => name !== 'UNKNOWN_PATH_PERMISSION');
      await t.govern(port, (script) => script.setDefaultPathPermissions('TOPIC_CONTROL', all));
      const session = await t.control({ port });
      const path = await edited(t, session);
      const query = async (build) => {
        const { events, streamStructure } = await build(session.timeseries.rangeQuery()).as(t.datatypes.string()).selectFrom(path);
        return [streamStructure.name, events.map(({ value, sequence }) => `${sequence} ${value}`).join(', ')];
      };
      const [edits, values] = ['EDIT_EVENT_STREAM', 'VALUE_EVENT_STREAM'];
      t.equal(await query((q) => q.forEdits()), [edits, '0 A, 1 B, 2 X, 3 Y'], 'all edits');
      t.equal(await query((q) => q.forEdits().latestEdits()), [edits, '0 A, 1 B, 3 Y'], 'latest edits');
      t.equal(await query((q) => q.forEdits().from(0).to(0)), [edits, '0 A, 2 X, 3 Y'], 'edits of the original 0');
      t.equal(await query((q) => q.forEdits().allEdits().from(0).to(2)), [edits, '0 A, 1 B, 2 X'], 'an edit range');
      t.equal(await query((q) => q.forEdits().latestEdits().to(2)), [edits, '0 A, 1 B, 2 X'], 'latest edits of an edit range');
      t.equal(await query((q) => q.forEdits().limit(2)), [edits, '2 X, 3 Y'], 'limit');
      t.equal(await query((q) => q.forValues().editRange().to(2)), [values, '2 X, 1 B'], 'values before the last edit');
      t.equal(await query((q) => q.forValues().editRange().to(1)), [values, '0 A, 1 B'], 'values before all edits');
      t.equal(await query((q) => q.forValues().from(1).editRange().from(1)), [values, '1 B'], 'view range and edit range');
    },
  },
  {
    id: 'time-series.query.failures',
    group: GROUP,
    title: 'no topic 9000; a topic that is no time series 9001',
    services: [84],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      await t.refused(session.timeseries.rangeQuery().selectFrom(t.path()), 9000, 'no topic');
      await t.refused(session.timeseries.rangeQuery().selectFrom(await t.topic(session, 'STRING')), 9001, 'a STRING topic');
      await t.refused((await t.connect()).timeseries.rangeQuery().selectFrom('Diffusion/x'), t.diffusion.errors.ACCESS_DENIED.id, 'no permission');
    },
  },
  {
    id: 'time-series.query.merge',
    group: GROUP,
    title: 'results of two queries merge into one',
    services: [84],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await ten(t, session);
      const query = (from, to) => session.timeseries.rangeQuery().from(from).to(to).selectFrom(path);
      t.equal(sequences((await query(0, 4)).merge(await query(3, 6))), run(0, 6), 'sequences');
    },
  },
];
