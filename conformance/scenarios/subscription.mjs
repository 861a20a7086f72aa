// Subscription: selectors of every form, selection scopes, and why subscriptions end.

const GROUP = 'Subscription';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const TREE = ['a', 'a/b', 'a/b/c', 'a/bc', 'a/c', 'ab', 'aa', 'A', 'b', 'b/a', 'x1', 'x12', 'a.b', 'ü', 'deep/er/still'];

// Selectors, with what they select of TREE; % stands for the branch that holds it (13 sections 13.2 and 13.6).
const SELECTIONS = [
  ['%/a', 'a'],
  ['>%/a/b', 'a/b'],
  ['>/%/a/b/', 'a/b'],
  ['>%/.*', ''],
  ['>%/a//', ''],
  ['?%/a', 'a'],
  ['?%/a/', 'a/b a/b/c a/bc a/c'],
  ['?%/a//', 'a a/b a/b/c a/bc a/c'],
  ['?%/a/b//', 'a/b a/b/c'],
  ['?%/.', 'a b A ü'],
  ['?%/a/.*', 'a/b a/bc a/c'],
  ['?%/a/.*/', 'a/b/c'],
  ['?%/.*/[ab]', 'a/b b/a'],
  ['?%/(a|b)/.*', 'a/b a/bc a/c b/a'],
  ['?%/x\\d', 'x1'],
  ['?%/x\\d+', 'x1 x12'],
  ['?%/a\\.b', 'a.b'],
  ['?%/deep/', 'deep/er/still'],
  ['?%/a?', 'a'],
  ['*%/a', 'a'],
  ['*%/a.*', 'a a/b a/b/c a/bc a/c ab aa a.b'],
  ['*%/[^/]+/[^/]+', 'a/b a/bc a/c b/a'],
  ['*%/(a|b)//', 'a a/b a/b/c a/bc a/c b b/a'],
  ['*%/a(/b)?', 'a a/b'],
  ['#>%/a////>%/b', 'a b'],
  ['#?%/a//////?%/x.*', 'a a/b a/b/c a/bc a/c x1 x12'],
  ['#', ''],
  // Where whole matches, as in Java, select more than the first alternative of a backtracking match.
  ['?%/a|ab', 'a ab'],
  ['*%/(a|a/b)', 'a a/b'],
  // What the JavaScript SDK cannot evaluate by itself still travels.
  ['?%/\\Qa.b\\E', 'a.b'],
  ['?%/(?i)a', 'a A'],
  ['?%/\\p{Lower}+', 'a aa ab b'],
  ['?%/a{1,2}', 'a aa'],
];

// Of look-around and the like, which an engine may support or refuse by name, but not get wrong.
const OPTIONAL = [
  ['?%/(?!a).*', 'A b x1 x12 ü'],
  ['?%/a(?=b)b', 'ab'],
  ['?%/(a)\\1', 'aa'],
  ['?%/a++', 'a aa'],
  ['?%/(?>a)', 'a'],
  ['?%/[a-z&&[^b]]', 'a'],
];

async function plant(t, session) {
  const branch = t.path('tree');
  for (const name of TREE) await session.topics.add(`${branch}/${name}`, t.TopicType.STRING);
  return branch;
}

// Selects with a fresh subscription, and returns the names of what was subscribed.
async function selected(t, session, branch, selector) {
  const stream = t.watch(session, `?${branch}/`, t.datatypes.string());
  await session.select(selector.replaceAll('%', branch));
  await session.pingServer();
  const names = stream.of('subscribe').map((event) => event.topic.slice(branch.length + 1)).sort().join(' ');
  await session.unsubscribe(`?${branch}/`);
  await stream.await('unsubscribe', { count: stream.of('subscribe').length });
  return names;
}

const sorted = (names) => names.split(' ').sort().join(' ');

export const subscription = [
  {
    id: 'subscription.selectors',
    group: GROUP,
    title: 'path, split-path, full-path and set selectors with each qualifier select what they say',
    services: [3, 4, 87],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session);
      for (const [selector, names] of SELECTIONS) {
        t.equal(await selected(t, session, branch, selector), sorted(names), selector);
      }
    },
  },
  {
    id: 'subscription.selectors-optional',
    group: GROUP,
    title: 'look-around, back references and class intersections select rightly, or are refused by name',
    services: [3],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = await plant(t, session);
      for (const [selector, names] of OPTIONAL) {
        const outcome = await selected(t, session, branch, selector).catch((error) => error);
        if (typeof outcome === 'string') t.equal(outcome, sorted(names), selector);
        else t.equal([outcome.id, outcome.reason?.length > 0], [t.diffusion.errors.INVALID_DATA.id, true], `${selector}: refusal`);
      }
    },
  },
  {
    id: 'subscription.later-topics',
    group: GROUP,
    title: 'a selection stands: of topics added later those that it selects are subscribed',
    services: [3, 87],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = t.path('tree');
      const stream = t.watch(session, `?${branch}/`, t.datatypes.string());
      await session.select(`?${branch}/a/.*`, `*${branch}/x\\d+`);
      for (const name of TREE) await session.topics.add(`${branch}/${name}`, t.TopicType.STRING);
      await session.pingServer();
      t.equal(stream.of('subscribe').map((event) => event.topic.slice(branch.length + 1)), ['a/b', 'a/bc', 'a/c', 'x1', 'x12'], 'subscribed');
    },
  },
  {
    id: 'subscription.bad-selectors',
    group: GROUP,
    title: 'a broken pattern is refused and changes nothing; reserved first characters never leave the client',
    services: [3, 4, 199],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'STRING');
      const stream = t.watch(session, path, t.datatypes.string());
      const { INVALID_DATA } = t.diffusion.errors;
      for (const pattern of ['?[', '*(', '*[b-a]', '?(?<n', '#>a////?[']) {
        await t.refused(session.select(path, pattern), INVALID_DATA.id, `select ${pattern}`);
        await t.refused(session.unsubscribe(pattern), INVALID_DATA.id, `unsubscribe ${pattern}`);
        await t.refused(session.unsubscribeAllScopes(pattern), INVALID_DATA.id, `unsubscribe all scopes ${pattern}`);
      }
      for (const reserved of ['$a', '%a', '&a', '<a', '', '>', '?', '*']) {
        await t.rejects(() => session.select(reserved), `select ${reserved}`);
      }
      t.equal(stream.items, [], 'stream events');
      await session.select(path);
      await stream.await('subscribe');
    },
  },
  {
    id: 'subscription.nothing-selected',
    group: GROUP,
    title: 'selecting and unsubscribing what does not exist succeeds',
    services: [3, 4, 199],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      await session.select(`?${t.path()}//`);
      await session.unsubscribe(t.path());
      await session.unsubscribeWithScope(t.path(), 'never used');
      await session.unsubscribeAllScopes(`?${t.path()}//`);
    },
  },
  {
    id: 'subscription.permissions',
    group: GROUP,
    title: 'without SELECT_TOPIC for the prefix of the selector: ACCESS_DENIED; unsubscribing needs no permission',
    services: [3, 4],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      const { ACCESS_DENIED } = t.diffusion.errors;
      await t.refused(session.select('Diffusion/x'), ACCESS_DENIED.id, 'path');
      await t.refused(session.select('?Diffusion//'), ACCESS_DENIED.id, 'branch');
      await session.unsubscribe('?Diffusion//');
      const operator = await t.connect({ principal: 'operator', credentials: 'password' });
      await operator.select('?Diffusion//');
    },
  },
  {
    id: 'subscription.initial-values',
    group: GROUP,
    title: 'once select resolves, subscriptions and values of the topics that exist have arrived',
    services: [3, 87],
    transports: ONE,
    async run(t) {
      const writer = await t.control();
      const { session, heard } = await t.overheard();
      const branch = t.path('branch');
      for (let n = 0; n < 20; n++) {
        await t.topic(writer, 'INT64', {}, `${branch}/${n}`);
        if (n % 4 !== 0) await writer.topicUpdate.set(`${branch}/${n}`, t.datatypes.int64(), n);
      }
      const stream = t.watch(session, `?${branch}/`, t.datatypes.int64());
      await session.select(`?${branch}/`);
      t.equal([stream.of('subscribe').length, stream.of('value').length], [20, 15], 'subscriptions and values');
      const messages = await heard();
      const answer = messages.findIndex(({ kind, service }) => kind === 'response' && service === 'SUBSCRIBE');
      t.ok(!messages.slice(answer).some(({ kind }) => kind === 'value'), 'a value after the answer');
      for (const [n, { kind, topic }] of messages.entries()) {
        if (kind !== 'value') continue;
        const before = messages.slice(0, n).some((message) => message.service === 'NOTIFY_SUBSCRIPTION' && message.fields.topic === topic);
        t.ok(before, `the value of topic ${topic} has its notification before it`);
      }
    },
  },
  {
    id: 'subscription.again',
    group: GROUP,
    title: 'selecting what is subscribed sends nothing; after an unsubscription the value comes again',
    services: [3, 4, 42],
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const path = await t.topic(session, 'STRING');
      await session.topicUpdate.set(path, t.datatypes.string(), 'v');
      const stream = t.watch(session, path, t.datatypes.string());
      await session.select(path);
      await session.select(`?${path}//`);
      await session.selectWithScope(path, 'other');
      const sent = (await heard()).filter(({ kind, service }) => kind === 'value' || service === 'NOTIFY_SUBSCRIPTION');
      t.equal(sent.length, 2, 'one notification, one value');
      await session.unsubscribeAllScopes(path);
      await session.select(path);
      await stream.await('value', { count: 2 });
      t.equal(stream.types(), ['subscribe', 'value', 'unsubscribe', 'subscribe', 'value'], 'events');
    },
  },
  {
    id: 'subscription.later-entries-win',
    group: GROUP,
    title: 'of the selections of a scope the last that matches a path decides, for topics added later too',
    services: [3, 4],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      const stream = t.watch(session, `?${branch}/`, t.datatypes.string());
      await session.select(`?${branch}/`);
      await session.unsubscribe(`?${branch}/no.*`);
      await session.select(`${branch}/now`);
      for (const name of ['yes', 'no', 'not', 'now']) await session.topics.add(`${branch}/${name}`, t.TopicType.STRING);
      await session.pingServer();
      t.equal(stream.of('subscribe').map((event) => event.topic.slice(branch.length + 1)), ['yes', 'now'], 'subscribed');
    },
  },
  {
    id: 'subscription.scopes',
    group: GROUP,
    title: 'scopes are independent and case-sensitive: a topic stays while one of them selects it',
    services: [3, 4],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      for (const name of ['a', 'b']) await session.topics.add(`${branch}/${name}`, t.TopicType.STRING);
      const stream = t.watch(session, `?${branch}/`, t.datatypes.string());
      await session.selectWithScope(`?${branch}/`, 'widget');
      await session.selectWithScope(`${branch}/a`, 'Widget');
      await session.select(`${branch}/a`);
      await session.unsubscribeWithScope('?.*//', 'widget');
      t.equal((await stream.await('unsubscribe')).topic, `${branch}/b`, 'only in the scope that ended');
      await session.unsubscribe(`${branch}/a`);
      await session.pingServer();
      t.equal(stream.of('unsubscribe').length, 1, 'unsubscriptions while Widget selects it');
      await session.unsubscribeWithScope(`${branch}/a`, 'Widget');
      await stream.await('unsubscribe', { count: 2 });
      await session.topics.remove(`${branch}/b`);
      await session.topics.add(`${branch}/b`, t.TopicType.STRING);
      await session.pingServer();
      t.equal(stream.of('subscribe').length, 2, 'the emptied scope selects no more');
      await t.rejects(() => session.selectWithScope(branch, '$mine'), 'a scope that starts with $');
    },
  },
  {
    id: 'subscription.all-scopes',
    group: GROUP,
    title: 'unsubscribeAllScopes ends what it matches in every scope, and leaves the rest',
    services: [199, 42],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const branch = t.path('branch');
      for (const name of ['a', 'b', 'c']) await session.topics.add(`${branch}/${name}`, t.TopicType.STRING);
      const stream = t.watch(session, `?${branch}/`, t.datatypes.string());
      await session.select(`?${branch}/`);
      for (const scope of ['one', 'two']) await session.selectWithScope([`${branch}/a`, `${branch}/b`], scope);
      await session.unsubscribeAllScopes([`${branch}/a`, `${branch}/c`]);
      await stream.await('unsubscribe', { count: 2 });
      await session.pingServer();
      t.equal(stream.of('unsubscribe').map((event) => [event.topic.slice(-1), event.id]).sort(),
        [['a', t.diffusion.topics.UnsubscribeReason.REQUESTED.id], ['c', t.diffusion.topics.UnsubscribeReason.REQUESTED.id]], 'unsubscribed');
      await session.topics.remove(`${branch}/a`);
      await session.topics.add(`${branch}/a`, t.TopicType.STRING);
      await session.pingServer();
      t.equal(stream.of('subscribe').length, 3, 'a topic made again is selected by no scope');
    },
  },
  {
    id: 'subscription.reasons',
    group: GROUP,
    title: 'unsubscriptions tell why: REQUESTED, REMOVED',
    services: [42],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const { REQUESTED, REMOVED } = t.diffusion.topics.UnsubscribeReason;
      const path = await t.topic(session, 'JSON');
      const stream = t.watch(session, path, t.datatypes.json());
      await session.select(path);
      await session.unsubscribe(path);
      t.equal((await stream.await('unsubscribe')).id, REQUESTED.id, 'after unsubscribe');
      await session.select(path);
      await session.topics.remove(path);
      t.equal((await stream.await('unsubscribe', { count: 2 })).id, REMOVED.id, 'after the removal');
      await session.topics.add(path, t.TopicType.JSON);
      await stream.await('subscribe', { count: 3 });
    },
  },
  {
    id: 'subscription.reason-authorization',
    group: GROUP,
    title: 'losing READ_TOPIC ends a subscription with AUTHORIZATION at once; gaining it brings it back',
    services: [42, 87],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const path = await t.topic(await t.control({ port }), 'STRING');
      const session = await t.connect({ port });
      const stream = t.watch(session, path, t.datatypes.string());
      await session.select(path);
      await t.govern(port, (script) => script.setPathPermissions('CLIENT', path, ['SELECT_TOPIC']));
      t.equal((await stream.await('unsubscribe')).id, t.diffusion.topics.UnsubscribeReason.AUTHORIZATION.id, 'reason');
      await t.govern(port, (script) => script.removePathPermissions('CLIENT', path));
      await stream.await('subscribe', { count: 2 });
    },
  },
];
