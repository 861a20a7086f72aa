// Fetch (24): ranges, limits, paging, deep branches, types, values, properties, sizes.

const GROUP = 'Fetch';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

// The documented tree, in path order.
const TREE = ['a', 'a/b', 'a/c', 'a/c/x', 'a/c/y', 'a/d', 'a/e', 'b', 'b/a/x', 'b/b/x', 'c'];

async function plant(t, session, names) {
  const branch = t.path('tree');
  await Promise.all([...names].reverse().map((name) => session.topics.add(`${branch}/${name}`, t.TopicType.STRING)));
  return branch;
}

const names = (result, branch) => result.results().map((item) => item.path().slice(branch.length + 1));

export const fetch = [
  {
    id: 'values.fetch',
    group: GROUP,
    title: 'fetch by path and by branch, with and without values, in path order, with ranges and limits',
    services: [117],
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
    id: 'fetch.order',
    group: GROUP,
    title: 'results come in path order: segment by segment, a topic before what is below it',
    services: [117],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const ordered = ['a', 'a/b', 'a/b/c', 'a/é', 'a!', 'a-x', 'a.b', 'a0', 'aa', 'b', 'b ', 'é'];
      const branch = await plant(t, session, ordered);
      t.equal(names(await session.fetchRequest().fetch(`?${branch}/`), branch), ordered, 'paths');
    },
  },
  {
    id: 'fetch.selectors',
    group: GROUP,
    title: 'fetch by path, pattern, set and list of selectors; without values, type and path only',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session, TREE);
      const fetched = async (...selectors) => names(await session.fetchRequest().fetch(...selectors), branch);
      t.equal(await fetched(`${branch}/a`), ['a'], 'path');
      t.equal(await fetched(`?${branch}/a/`), ['a/b', 'a/c', 'a/c/x', 'a/c/y', 'a/d', 'a/e'], 'descendants');
      t.equal(await fetched(`?${branch}/.*/[ac]`), ['a/c'], 'pattern');
      t.equal(await fetched(`*${branch}/.*/x`), ['a/c/x', 'b/a/x', 'b/b/x'], 'full-path pattern');
      t.equal(await fetched(`#>${branch}/c////?${branch}/b//`), ['b', 'b/a/x', 'b/b/x', 'c'], 'set');
      t.equal(await fetched([`${branch}/c`, `${branch}/a`]), ['a', 'c'], 'list');
      t.equal(await fetched(`${branch}/none`), [], 'nothing');
      const result = await session.fetchRequest().fetch(`${branch}/a`);
      t.equal([result.size(), result.isEmpty(), result.hasMore(), t.TopicType[result.results()[0].type()]], [1, false, false, 'STRING'], 'result');
    },
  },
  {
    id: 'fetch.ranges',
    group: GROUP,
    title: 'from, after, to and before, each alone and together; limits need not be topics; the last of two counts',
    services: [117],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session, TREE);
      const at = (name) => `${branch}/${name}`;
      const fetched = async (build) => names(await build(session.fetchRequest()).fetch(`?${branch}/`), branch);
      const slice = (first, last) => TREE.slice(TREE.indexOf(first), TREE.indexOf(last) + 1);
      t.equal(await fetched((request) => request.from(at('a/c/y')).to(at('b/a/x'))), ['a/c/y', 'a/d', 'a/e', 'b', 'b/a/x'], 'the documented range');
      t.equal(await fetched((request) => request.from(at('b'))), slice('b', 'c'), 'from');
      t.equal(await fetched((request) => request.after(at('b'))), slice('b/a/x', 'c'), 'after');
      t.equal(await fetched((request) => request.after(at('a'))), slice('a/b', 'c'), 'after excludes the topic only');
      t.equal(await fetched((request) => request.to(at('a/c'))), slice('a', 'a/c'), 'to');
      t.equal(await fetched((request) => request.before(at('a/c'))), slice('a', 'a/b'), 'before');
      t.equal(await fetched((request) => request.after(at('a/b')).before(at('a/e'))), slice('a/c', 'a/d'), 'after and before');
      t.equal(await fetched((request) => request.from(at('a/c/none')).to(at('b/a'))), slice('a/c/x', 'b'), 'limits that are no topics');
      t.equal(await fetched((request) => request.from(`/${at('b')}/`)), slice('b', 'c'), 'a limit with slashes');
      t.equal(await fetched((request) => request.from(at('a')).after(at('b/b/x'))), ['c'], 'after instead of from');
      t.equal(await fetched((request) => request.from(at('b')).to(at('a'))), [], 'a range backwards');
    },
  },
  {
    id: 'fetch.limits',
    group: GROUP,
    title: 'first and last keep the path order and tell whether there is more; a limit of 0 only asks that',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session, TREE);
      const fetched = async (build, selector = `?${branch}/`) => {
        const result = await build(session.fetchRequest()).fetch(selector);
        return [names(result, branch), result.hasMore()];
      };
      t.equal(await fetched((request) => request.first(3)), [TREE.slice(0, 3), true], 'first 3');
      t.equal(await fetched((request) => request.first(TREE.length)), [TREE, false], 'first of exactly as many');
      t.equal(await fetched((request) => request.last(3)), [TREE.slice(-3), true], 'last 3');
      t.equal(await fetched((request) => request.last(TREE.length)), [TREE, false], 'last of exactly as many');
      t.equal(await fetched((request) => request.first(0)), [[], true], 'first 0');
      t.equal(await fetched((request) => request.first(0), `?${branch}/none/`), [[], false], 'first 0 of nothing');
      t.equal(await fetched((request) => request.first(2).last(1)), [TREE.slice(-1), true], 'last instead of first');
    },
  },
  {
    id: 'fetch.paging',
    group: GROUP,
    title: 'paging forwards and backwards meets every topic once',
    services: [117],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const all = Array.from({ length: 23 }, (_, n) => `${n % 3 ? 'x/' : ''}t${String(n).padStart(2, '0')}`)
        .sort((a, b) => (a.replaceAll('/', '\0') < b.replaceAll('/', '\0') ? -1 : 1));
      const branch = await plant(t, session, all);
      const forwards = [];
      const sizes = [];
      for (let result, request = session.fetchRequest().first(5); !result || result.hasMore(); request = session.fetchRequest().first(5).after(`${branch}/${forwards.at(-1)}`)) {
        result = await request.fetch(`?${branch}/`);
        forwards.push(...names(result, branch));
        sizes.push(result.size());
      }
      t.equal([forwards, sizes], [all, [5, 5, 5, 5, 3]], 'forwards');
      const backwards = [];
      for (let result, request = session.fetchRequest().last(6); !result || result.hasMore(); request = session.fetchRequest().last(6).before(`${branch}/${backwards[0]}`)) {
        result = await request.fetch(`?${branch}/`);
        backwards.unshift(...names(result, branch));
      }
      t.equal(backwards, all, 'backwards');
    },
  },
  {
    id: 'fetch.deep-branches',
    group: GROUP,
    title: 'limitDeepBranches(depth, limit): so many results of each branch, the first; has more does not count them',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session, ['x/0', 'x/x/1', 'x/x/x/2', 'y/y/y/4', 'y/y/y/y/3', 'z/5', 'z/z/6']);
      const above = branch.split('/').length;
      const fetched = async (depth, limit) => {
        const result = await session.fetchRequest().limitDeepBranches(above + depth, limit).fetch(`?${branch}/`);
        t.equal(result.hasMore(), false, `(${depth}, ${limit}): has more`);
        return names(result, branch);
      };
      t.equal(await fetched(3, 0), ['x/0', 'z/5'], '(3, 0)');
      t.equal(await fetched(1, 1), ['x/0', 'y/y/y/4', 'z/5'], '(1, 1)');
      t.equal(await fetched(1, 2), ['x/0', 'x/x/1', 'y/y/y/4', 'y/y/y/y/3', 'z/5', 'z/z/6'], '(1, 2)');
      t.equal(await fetched(2, 1), ['x/0', 'x/x/1', 'y/y/y/4', 'z/5', 'z/z/6'], '(2, 1)');
      t.equal(await fetched(9, 0), ['x/0', 'x/x/1', 'x/x/x/2', 'y/y/y/4', 'y/y/y/y/3', 'z/5', 'z/z/6'], '(9, 0)');
      const page = await session.fetchRequest().limitDeepBranches(above + 1, 1).first(2).fetch(`?${branch}/`);
      t.equal([names(page, branch), page.hasMore()], [['x/0', 'y/y/y/4'], true], 'with first(2)');
      const last = await session.fetchRequest().limitDeepBranches(above + 1, 1).last(2).fetch(`?${branch}/`);
      t.equal([names(last, branch), last.hasMore()], [['y/y/y/4', 'z/5'], true], 'with last(2)');
    },
  },
  {
    id: 'fetch.types',
    group: GROUP,
    title: 'topicTypes, and the types that withValues of a data type implies',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = t.path('types');
      const all = ['BINARY', 'DOUBLE', 'INT64', 'JSON', 'RECORD_V2', 'STRING', 'TIME_SERIES'];
      for (const type of all) await t.topic(session, type, type === 'TIME_SERIES' ? { TIME_SERIES_EVENT_VALUE_TYPE: 'json' } : {}, `${branch}/${type}`);
      const fetched = async (build) => names(await build(session.fetchRequest()).fetch(`?${branch}/`), branch);
      t.equal(await fetched((request) => request), all, 'no type');
      for (const type of all) t.equal(await fetched((request) => request.topicTypes([t.TopicType[type]])), [type], type);
      t.equal(await fetched((request) => request.topicTypes([t.TopicType.JSON, t.TopicType.BINARY])), ['BINARY', 'JSON'], 'two types');
      const { json, string, int64, double, binary, recordv2, any } = t.datatypes;
      const implied = [[json(), ['DOUBLE', 'INT64', 'JSON', 'STRING']], [string(), ['STRING']], [int64(), ['INT64']], [double(), ['DOUBLE']], [binary(), ['BINARY']], [recordv2(), ['RECORD_V2']]];
      for (const [datatype, types] of implied) t.equal(await fetched((request) => request.withValues(datatype)), types, datatype.name());
      t.equal(await fetched((request) => request.withValues(any())), all, 'any');
    },
  },
  {
    id: 'fetch.values',
    group: GROUP,
    title: 'values of each type; none where the topic has none, where null was set, or where none were asked for',
    services: [117],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('values');
      const record = t.datatypes.recordv2().valueBuilder().addRecord('a', '').addRecord('b').build();
      const samples = {
        BINARY: [Uint8Array.of(1, 255), '01ff'], DOUBLE: [-0.5, -0.5], INT64: ['9223372036854775807', '9223372036854775807'],
        JSON: [{ a: [null] }, { a: [null] }], RECORD_V2: [record, [['a', ''], ['b']]], STRING: ['ünï', 'ünï'],
      };
      for (const [type, [value, want]] of Object.entries(samples)) {
        const datatype = t.datatypeOf(type);
        await session.topicUpdate.set(`${branch}/${type}`, datatype, value, { specification: t.spec(type) });
        await t.topic(session, type, {}, `${branch}/${type}-empty`);
        const result = await session.fetchRequest().withValues(datatype).topicTypes([t.TopicType[type]]).fetch(`?${branch}/`);
        t.equal(result.results().map((item) => t.plain(item.value(), datatype.name()) ?? null), [want, null], type);
        const bare = await session.fetchRequest().fetch(`${branch}/${type}`);
        t.equal(bare.results()[0].value() ?? null, null, `${type}, without values`);
      }
      await session.topicUpdate.set(`${branch}/STRING`, t.datatypes.string(), null);
      const cleared = await session.fetchRequest().withValues(t.datatypes.string()).fetch(`${branch}/STRING`);
      t.equal(cleared.results()[0].value() ?? null, null, 'after null');
      const mixed = await session.fetchRequest().withValues(t.datatypes.json()).fetch(`?${branch}/(DOUBLE|INT64|JSON)`);
      t.equal(mixed.results().map((item) => item.value().get?.() ?? item.value()).length, 3, 'read as JSON');
    },
  },
  {
    id: 'fetch.time-series',
    group: GROUP,
    title: 'the value of a time series is its newest event, edits among them',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const path = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string' });
      const newest = async () => {
        const [item] = (await session.fetchRequest().withValues(t.datatypes.any()).fetch(path)).results();
        const event = item.value();
        return event && [Number(event.sequence), event.author, event.isEditEvent, Number(event.originalEvent.sequence)];
      };
      t.equal(await newest() ?? null, null, 'without events');
      for (const value of ['A', 'B']) await session.timeseries.append(path, value, string);
      t.equal(await newest(), [1, 'control', false, 1], 'after two events');
      await session.timeseries.edit(path, 0, 'X', string);
      t.equal(await newest(), [2, 'control', true, 0], 'after an edit');
    },
  },
  {
    id: 'fetch.unpublished',
    group: GROUP,
    title: 'withUnpublishedDelayedTopics changes nothing where no view delays topics',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session, TREE);
      t.equal(names(await session.fetchRequest().withUnpublishedDelayedTopics().fetch(`?${branch}/`), branch), TREE, 'paths');
    },
  },
  {
    id: 'fetch.properties',
    group: GROUP,
    title: 'withProperties tells the properties of each topic; without, only the type',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      const sets = [{}, { PRIORITY: 'high', CONFLATION: 'off' }, {}, { PRIORITY: 'high', CONFLATION: 'off' }, { OWNER: '$Principal is "x"' }];
      for (const [n, properties] of sets.entries()) await t.topic(session, 'STRING', properties, `${branch}/${n}`);
      const fetched = async (request) => (await request.fetch(`?${branch}/`)).results().map((item) => item.specification());
      t.equal((await fetched(session.fetchRequest().withProperties())).map(({ properties }) => properties), sets, 'properties');
      t.equal((await fetched(session.fetchRequest())).map(({ type, properties }) => [t.TopicType[type], properties]), sets.map(() => ['STRING', {}]), 'without');
    },
  },
  {
    id: 'fetch.sizes',
    group: GROUP,
    title: 'withSizes: bytes of the value; of a time series those of the last event, the number and the sum of all',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = t.path('sizes');
      const set = (name, type, datatype, value) => session.topicUpdate.set(`${branch}/${name}`, datatype, value, { specification: t.spec(type) });
      await set('binary', 'BINARY', t.datatypes.binary(), new Uint8Array(300));
      await set('int64', 'INT64', t.datatypes.int64(), 42);
      await set('json', 'JSON', t.datatypes.json(), { price: 1 });
      await set('string', 'STRING', t.datatypes.string(), 'hello');
      await t.topic(session, 'STRING', {}, `${branch}/valueless`);
      const [binary, int64, json, string, valueless] = (await session.fetchRequest().withSizes().fetch(`?${branch}/`)).results();
      t.equal([binary, int64, json, string, valueless].map((item) => item.valueSize()), [300, 2, 9, 6, 0], 'sizes');
      const series = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string', TIME_SERIES_RETAINED_RANGE: 'limit 3' });
      for (const text of ['dropped', 'a', 'ab', 'abc']) await session.timeseries.append(series, text, t.datatypes.string());
      const [item] = (await session.fetchRequest().withSizes().fetch(series)).results();
      t.equal(item.valueCount(), 3, 'events');
      const [last, total] = [item.valueSize(), Number(item.valueTotalSize())];
      t.ok(last >= 4 && total >= last + 2 + 3 && total <= 3 * last, `last ${last}, total ${total}`);
      const [plain] = (await session.fetchRequest().fetch(series)).results();
      t.equal(Number(plain.valueSize() ?? 0), 0, 'size when none was asked for');
    },
  },
  {
    id: 'fetch.maximum-result-size',
    group: GROUP,
    title: 'maximumResultSize cuts the result and tells that there is more: from the front, or for last from the back',
    services: [117],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      const string = t.datatypes.string();
      for (let n = 0; n < 10; n++) {
        await session.topicUpdate.set(`${branch}/${n}`, string, `${n}`.repeat(1_000), { specification: t.spec('STRING') });
      }
      const fetched = async (build) => {
        const result = await build(session.fetchRequest().withValues(string).maximumResultSize(5_000)).fetch(`?${branch}/`);
        return [names(result, branch).join(''), result.hasMore()];
      };
      t.equal(await fetched((request) => request), ['0123', true], 'from the front');
      t.equal(await fetched((request) => request.last(8)), ['6789', true], 'from the back');
      t.equal(await fetched((request) => request.first(3)), ['012', true], 'a limit that is met first');
      t.equal(await fetched((request) => request.from(`${branch}/7`)), ['789', false], 'what fits');
      const tiny = await session.fetchRequest().withValues(string).maximumResultSize(500).fetch(`?${branch}/`);
      t.equal([tiny.size(), tiny.hasMore()], [0, true], 'where not even one fits');
    },
  },
  {
    id: 'fetch.server-limit',
    group: GROUP,
    title: 'the limit of the server cuts results like maximumResultSize, and paging gets all',
    services: [117],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--max-fetch-size', '4000'] });
      const session = await t.control({ port });
      const string = t.datatypes.string();
      const branch = t.path('branch');
      for (let n = 0; n < 8; n++) await session.topicUpdate.set(`${branch}/${n}`, string, `${n}`.repeat(1_000), { specification: t.spec('STRING') });
      const pages = [];
      for (let result, request = session.fetchRequest(); !result || result.hasMore(); request = session.fetchRequest().after(`${branch}/${pages.at(-1).at(-1)}`)) {
        result = await request.withValues(string).fetch(`?${branch}/`);
        pages.push(names(result, branch));
      }
      t.equal(pages.map((page) => page.join('')), ['012', '345', '67'], 'pages');
    },
  },
  {
    id: 'fetch.failures',
    group: GROUP,
    title: 'without SELECT_TOPIC: ACCESS_DENIED; a broken pattern: INVALID_DATA; topics that may not be read are left out',
    services: [117],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      const { ACCESS_DENIED, INVALID_DATA } = t.diffusion.errors;
      await t.refused(session.fetchRequest().fetch('?Diffusion//'), ACCESS_DENIED.id, 'no permission');
      await t.refused(session.fetchRequest().fetch(`?${t.root}/[`), INVALID_DATA.id, 'broken pattern');
      t.equal((await session.fetchRequest().fetch(`?${t.root}//`)).size(), 0, 'and it goes on');
    },
  },
];
