// Topics: adding them, with every outcome of 22 section 2 that a single server has, and removing them.

const GROUP = 'Topics';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const SCHEMA = JSON.stringify({ records: [{ name: 'r', fields: [{ name: 'f', type: 'INTEGER' }] }] });

// Specifications that no server may accept (12 section 12.4).
const INVALID = [
  ['TIME_SERIES', {}, 'no event value type'],
  ['TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'recordv2' }, 'an event value type that does not exist'],
  ['TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string', TIME_SERIES_RETAINED_RANGE: 'the last 10' }, 'retained range'],
  ['TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string', TIME_SERIES_RETAINED_RANGE: 'limit 0' }, 'retained range of nothing'],
  ['TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string', TIME_SERIES_SUBSCRIPTION_RANGE: 'last 5 weeks' }, 'subscription range'],
  ['TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string', CONFLATION: 'conflate' }, 'a time series that conflates'],
  ['TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'string', CONFLATION: 'always' }, 'a time series that always conflates'],
  ['STRING', { CONFLATION: 'sometimes' }, 'CONFLATION'],
  ['STRING', { PRIORITY: 'urgent' }, 'PRIORITY'],
  ['STRING', { COMPRESSION: 'extreme' }, 'COMPRESSION'],
  ['STRING', { DONT_RETAIN_VALUE: 'yes' }, 'DONT_RETAIN_VALUE'],
  ['STRING', { OWNER: 'bob' }, 'OWNER'],
  ['STRING', { OWNER: '$Principal is bob' }, 'OWNER without quotes'],
  ['RECORD_V2', { SCHEMA: '{"records":' }, 'SCHEMA that is not JSON'],
  ['RECORD_V2', { SCHEMA: '{"records":[]}' }, 'SCHEMA without records'],
];

export const topics = [
  {
    id: 'values.add-conflicts',
    group: GROUP,
    title: 'add again: exists; with another specification: EXISTS_MISMATCH; a bad path: INVALID_NAME',
    services: [112],
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
    id: 'values.remove-branch',
    group: GROUP,
    title: 'remove by descendant selector counts the topics; removing nothing is no error',
    services: [83],
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
    id: 'topics.add.types',
    group: GROUP,
    title: 'topics of all seven types: added, then there already; subscribers learn the type',
    services: [112, 87],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      for (const type of ['JSON', 'STRING', 'INT64', 'DOUBLE', 'BINARY', 'RECORD_V2', 'TIME_SERIES']) {
        const path = t.path(type);
        const specification = t.spec(type, type === 'TIME_SERIES' ? { TIME_SERIES_EVENT_VALUE_TYPE: 'json' } : {});
        t.equal(await session.topics.add(path, specification), { added: true, topic: path }, `${type} added`);
        t.equal(await session.topics.add(path, specification), { added: false, topic: path }, `${type} added again`);
        const datatype = type === 'TIME_SERIES'
          ? t.datatypes.timeseries(t.datatypes.json())
          : t.datatypeOf(type);
        const stream = t.watch(session, path, datatype);
        await session.select(path);
        t.equal((await stream.await('subscribe')).topicType, type, 'type in the subscription');
        const [fetched] = (await session.fetchRequest().fetch(path)).results();
        t.equal(t.TopicType[fetched.type()], type, 'type in a fetch');
      }
    },
  },
  {
    id: 'topics.add.properties',
    group: GROUP,
    title: 'subscribers see all properties of the specification, those unknown to the server too',
    services: [112, 87],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const properties = { PRIORITY: 'high', PUBLISH_VALUES_ONLY: 'true', CONFLATION: 'off', made_by: 'us', SCHEMA: 'of no meaning here' };
      const path = await t.topic(session, 'JSON', properties);
      const stream = t.watch(session, path, t.datatypes.json());
      await session.select(path);
      t.equal((await stream.await('subscribe')).properties, properties, 'properties');
    },
  },
  {
    id: 'topics.order',
    group: GROUP,
    title: 'when add or remove resolves, the session has had its own subscription, unsubscription and notifications',
    services: [112, 83],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const stream = t.watch(session, path, t.datatypes.string());
      const heard = t.record('notifications');
      const registration = await session.notifications.addListener({
        onTopicNotification: (at, _, type) => heard.push({ type: t.diffusion.TopicNotificationType[type] ?? String(type) }),
        onDescendantNotification() {}, onClose() {}, onError() {},
      });
      await registration.select(path);
      await session.select(path);
      await session.topics.add(path, t.TopicType.STRING);
      t.equal([stream.types(), heard.types()], [['subscribe'], ['ADDED']], 'when add resolves');
      await session.topics.remove(path);
      t.equal([stream.types(), heard.types()], [['subscribe', 'unsubscribe'], ['ADDED', 'REMOVED']], 'when remove resolves');
    },
  },
  {
    id: 'topics.add.equality',
    group: GROUP,
    title: 'a specification with its properties in another order or letter case of values is the same one',
    services: [112],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'JSON', { PRIORITY: 'low', VALIDATE_VALUES: 'true' });
      for (const properties of [{ VALIDATE_VALUES: 'true', PRIORITY: 'low' }, { PRIORITY: 'LOW', VALIDATE_VALUES: 'True' }]) {
        t.equal((await session.topics.add(path, t.spec('JSON', properties))).added, false, t.show(properties));
      }
    },
  },
  {
    id: 'topics.add.exists-mismatch',
    group: GROUP,
    title: 'another type, another value of a property, one more or one less: EXISTS_MISMATCH',
    services: [112],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'JSON', { PRIORITY: 'low' });
      const { EXISTS_MISMATCH } = t.diffusion.topics.TopicAddFailReason;
      for (const other of [
        t.spec('STRING', { PRIORITY: 'low' }), t.spec('JSON', { PRIORITY: 'high' }), t.spec('JSON'),
        t.spec('JSON', { PRIORITY: 'low', CONFLATION: 'off' }),
      ]) {
        await t.refused(session.topics.add(path, other), EXISTS_MISMATCH.id, t.show(other));
      }
    },
  },
  {
    id: 'topics.add.paths',
    group: GROUP,
    title: 'one slash at either end is not part of the path; any character but the slash is; parents need not exist',
    services: [112],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      t.equal(await session.topics.add(`/${branch}/a/`, t.TopicType.STRING), { added: true, topic: `/${branch}/a/` }, 'with slashes');
      t.equal((await session.topics.add(`${branch}/a`, t.TopicType.STRING)).added, false, 'without slashes');
      const names = ['deep/down/below', ' ', '>', '?', '*', 'ünï/水🚀', 'a b\tc', '..', '$x', '#'];
      for (const name of names) {
        t.equal((await session.topics.add(`${branch}/${name}`, t.TopicType.STRING)).added, true, t.show(name));
      }
      const result = await session.fetchRequest().fetch(`?${branch}/`);
      t.equal(result.results().map((item) => item.path()).sort(), ['a', ...names].map((name) => `${branch}/${name}`).sort(), 'paths');
    },
  },
  {
    id: 'topics.add.invalid-name',
    group: GROUP,
    title: 'an empty segment, nothing but slashes, or the reserved branch: INVALID_NAME; an empty path never leaves the client',
    services: [112],
    transports: BOTH,
    async run(t) {
      const session = await t.admin();
      const { INVALID_NAME } = t.diffusion.topics.TopicAddFailReason;
      for (const path of ['/', '//', `${t.path()}//x`, `//${t.path()}`, `${t.path()}//`, 'Diffusion', 'Diffusion/x']) {
        await t.refused(session.topics.add(path, t.TopicType.STRING), INVALID_NAME.id, path);
      }
      await t.rejects(() => session.topics.add('', t.TopicType.STRING), 'the empty path');
      t.equal((await session.topics.add(`DiffusionX/${t.root}`, t.TopicType.STRING)).added, true, 'beside the reserved branch');
    },
  },
  {
    id: 'topics.add.invalid-details',
    group: GROUP,
    title: 'specifications that make no sense: INVALID_DETAILS, and no topic',
    services: [112],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const { INVALID_DETAILS } = t.diffusion.topics.TopicAddFailReason;
      for (const [type, properties, what] of INVALID) {
        const path = t.path();
        await t.refused(session.topics.add(path, t.spec(type, properties)), INVALID_DETAILS.id, what);
        t.equal((await session.fetchRequest().fetch(path)).size(), 0, `${what}: topics`);
      }
      t.equal((await session.topics.add(t.path(), t.spec('RECORD_V2', { SCHEMA }))).added, true, 'a valid schema');
    },
  },
  {
    id: 'topics.add.permissions',
    group: GROUP,
    title: 'without MODIFY_TOPIC: PERMISSIONS_FAILURE',
    services: [112],
    transports: ONE,
    async run(t) {
      const session = await t.connect({ principal: 'client', credentials: 'password' });
      const { PERMISSIONS_FAILURE } = t.diffusion.topics.TopicAddFailReason;
      await t.refused(session.topics.add(t.path(), t.TopicType.STRING), PERMISSIONS_FAILURE.id, 'add');
    },
  },
  {
    id: 'topics.add.outlives-creator',
    group: GROUP,
    title: 'a topic and its value outlive the session that made them',
    services: [112],
    transports: ONE,
    async run(t) {
      const creator = await t.control();
      const path = await t.topic(creator, 'STRING');
      await creator.topicUpdate.set(path, t.datatypes.string(), 'kept');
      await creator.closeSession();
      const reader = await t.connect();
      const result = await reader.fetchRequest().withValues(t.datatypes.string()).fetch(path);
      t.equal(result.results().map((item) => item.value()), ['kept'], 'values');
    },
  },
  {
    id: 'topics.add.concurrent',
    group: GROUP,
    title: 'ten sessions add the same topic: one has added it, for the others it exists',
    services: [112],
    transports: ONE,
    async run(t) {
      const sessions = await Promise.all(Array.from({ length: 10 }, () => t.control()));
      const path = t.path();
      const results = await Promise.all(sessions.map((session) => session.topics.add(path, t.TopicType.JSON)));
      t.equal(results.filter(({ added }) => added).length, 1, 'additions');
    },
  },
  {
    id: 'topics.remove.path',
    group: GROUP,
    title: 'remove by path takes one topic, not what is below it; the second time there is nothing',
    services: [83, 42],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = t.path('a');
      for (const topic of [path, `${path}/b`]) await session.topics.add(topic, t.TopicType.STRING);
      const stream = t.watch(session, `?${path}//`, t.datatypes.string());
      await session.select(`?${path}//`);
      t.equal(await session.topics.remove(path), { removedCount: 1 }, 'removed');
      const { topic, id } = await stream.await('unsubscribe');
      t.equal([topic, id], [path, t.diffusion.topics.UnsubscribeReason.REMOVED.id], 'unsubscription');
      t.equal(await session.topics.remove(path), { removedCount: 0 }, 'removed again');
      t.equal((await session.fetchRequest().fetch(`?${path}//`)).results().map((item) => item.path()), [`${path}/b`], 'left');
    },
  },
  {
    id: 'topics.remove.selectors',
    group: GROUP,
    title: 'remove by pattern, by descendants, by a list of selectors; the count is that of the topics',
    services: [83],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      for (const name of ['a', 'a/x', 'a/y', 'b', 'b/x', 'c', 'd1', 'd2', 'e']) await session.topics.add(`${branch}/${name}`, t.TopicType.STRING);
      const removed = async (...selector) => (await session.topics.remove(...selector)).removedCount;
      t.equal(await removed(`?${branch}/a/`), 2, 'descendants');
      t.equal(await removed(`?${branch}/b//`), 2, 'topic and descendants');
      t.equal(await removed(`*${branch}/d.*`), 2, 'full-path pattern');
      t.equal(await removed(t.diffusion.selectors.parse(`${branch}/none`)), 0, 'a selector object');
      t.equal(await removed(`${branch}/a`, `?${branch}/[ce]`, `${branch}/none`), 3, 'several selectors');
      t.equal((await session.fetchRequest().fetch(`?${branch}/`)).size(), 0, 'topics left');
    },
  },
  {
    id: 'topics.remove.permissions',
    group: GROUP,
    title: 'topics that the session may not modify stay, and the call succeeds',
    services: [83],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const client = await t.connect({ principal: 'client', credentials: 'password' });
      const branch = t.path('branch');
      await t.topic(control, 'STRING', {}, `${branch}/others`);
      await t.topic(control, 'STRING', { OWNER: '$Principal is "client"' }, `${branch}/own`);
      t.equal(await client.topics.remove(`?${branch}/`), { removedCount: 1 }, 'removed');
      t.equal((await client.fetchRequest().fetch(`?${branch}/`)).results().map((item) => item.path()), [`${branch}/others`], 'left');
    },
  },
  {
    id: 'topics.remove.bad-selector',
    group: GROUP,
    title: 'a selector with a broken pattern is refused, and the session goes on',
    services: [83],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      await t.refused(session.topics.remove(`?${t.root}/[`), t.diffusion.errors.INVALID_DATA.id, 'remove');
      t.ok((await session.pingServer()).rtt >= 0, 'ping');
    },
  },
];
