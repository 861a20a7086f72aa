// Topic notifications (25): what a listener hears about the topics that it has selected, and about
// the first topics below what it has selected.

const GROUP = 'Topic notifications';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

// A listener of a session: its registration, and a record of {type, path, kind, topicType, properties},
// with paths below the branch.
async function listener(t, session, branch) {
  const heard = t.record('notifications');
  const { TopicNotificationType } = t.diffusion;
  const below = (path) => path.slice(branch.length + 1);
  const registration = await session.notifications.addListener({
    onTopicNotification: (path, { type, properties }, kind) => heard.push({
      type: 'topic', path: below(path), kind: TopicNotificationType[kind] ?? String(kind), topicType: t.TopicType[type], properties,
    }),
    onDescendantNotification: (path, kind) => heard.push({ type: 'descendant', path: below(path), kind: TopicNotificationType[kind] ?? String(kind) }),
    onClose: () => heard.push({ type: 'close' }),
    onError: (error) => heard.push({ type: 'error', error: error?.id ?? String(error) }),
  });
  // What was heard since the last call, one line each.
  let seen = 0;
  const news = async () => {
    await session.pingServer();
    const fresh = heard.items.slice(seen).map(({ type, path, kind, error }) => [type === 'descendant' ? 'below' : type, kind, path, error].filter((word) => word !== undefined).join(' '));
    seen = heard.items.length;
    return fresh;
  };
  return { registration, heard, news };
}

export const notifications = [
  {
    id: 'notifications.topics',
    group: GROUP,
    title: 'selected topics: SELECTED those there, ADDED and REMOVED as they come and go, with their specification; DESELECTED',
    services: [92, 94, 95],
    transports: BOTH,
    async run(t) {
      const session = await t.connect();
      const control = await t.control();
      const branch = t.path('branch');
      await t.topic(control, 'JSON', { PRIORITY: 'high' }, `${branch}/a`);
      await t.topic(control, 'INT64', {}, `${branch}/a/b`);
      const { registration, heard, news } = await listener(t, session, branch);
      await registration.select(`?${branch}/`);
      t.equal(await news(), ['topic SELECTED a', 'topic SELECTED a/b'], 'select');
      t.equal(heard.items.map(({ topicType, properties }) => [topicType, properties]), [['JSON', { PRIORITY: 'high' }], ['INT64', {}]], 'specifications');
      await t.topic(control, 'BINARY', {}, `${branch}/c`);
      await control.topicUpdate.set(`${branch}/c`, t.datatypes.binary(), Uint8Array.of(1));
      await control.topics.remove(`${branch}/a`);
      await control.topics.add(`${branch}/a`, t.TopicType.STRING);
      t.equal(await news(), ['topic ADDED c', 'topic REMOVED a', 'topic ADDED a'], 'changes');
      t.equal(heard.items.slice(-2).map(({ topicType, properties }) => [topicType, properties]), [['JSON', { PRIORITY: 'high' }], ['STRING', {}]], 'specifications');
      await registration.deselect(`?${branch}/a//`);
      t.equal((await news()).sort(), ['topic DESELECTED a', 'topic DESELECTED a/b'], 'deselect');
      await control.topics.remove(`?${branch}//`);
      t.equal(await news(), ['topic REMOVED c'], 'removal of all');
    },
  },
  {
    id: 'notifications.descendants',
    group: GROUP,
    title: 'below a selected path the first topic of each branch is an immediate descendant',
    services: [93],
    transports: BOTH,
    async run(t) {
      const session = await t.connect();
      const control = await t.control();
      const branch = t.path('branch');
      const add = (name) => t.topic(control, 'STRING', {}, `${branch}/${name}`);
      for (const name of ['a/b', 'a/c', 'a/c/d', 'a/e/f/g']) await add(name);
      const { registration, news } = await listener(t, session, branch);
      await registration.select(`${branch}/a`);
      t.equal((await news()).sort(), ['below SELECTED a/b', 'below SELECTED a/c', 'below SELECTED a/e/f/g'], 'select');
      await add('a/c/d/e');
      t.equal(await news(), [], 'added below another topic');
      await add('a/x/y');
      t.equal(await news(), ['below ADDED a/x/y'], 'added');
      await control.topics.remove(`${branch}/a/c`);
      t.equal(await news(), ['below REMOVED a/c', 'below ADDED a/c/d'], 'removed above another');
      await control.topics.remove(`${branch}/a/x/y`);
      t.equal(await news(), ['below REMOVED a/x/y'], 'removed');
      await add('a');
      t.equal(await news(), ['topic ADDED a'], 'the selected topic itself');
      await control.topics.remove(`${branch}/a`);
      t.equal(await news(), ['topic REMOVED a'], 'the selected topic itself, removed');
      await registration.deselect(`${branch}/a`);
      t.equal((await news()).sort(), ['below DESELECTED a/b', 'below DESELECTED a/c/d', 'below DESELECTED a/e/f/g'], 'deselect');
    },
  },
  {
    id: 'notifications.hidden-descendants',
    group: GROUP,
    title: 'what is selected itself is no descendant; a descendant that is selected later is SELECTED as a topic',
    services: [92, 93],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      const control = await t.control();
      const branch = t.path('branch');
      const add = (name) => t.topic(control, 'STRING', {}, `${branch}/${name}`);
      const { registration, news } = await listener(t, session, branch);
      await registration.select(`?${branch}/path/`, `>${branch}/descendant`);
      for (const name of ['path/json', 'path/json/child', 'descendant/child']) await add(name);
      t.equal(await news(), ['topic ADDED path/json', 'topic ADDED path/json/child', 'below ADDED descendant/child'], 'added');
      await registration.select(`${branch}/descendant/child`);
      t.equal(await news(), ['topic SELECTED descendant/child'], 'selected directly');
    },
  },
  {
    id: 'notifications.select-again',
    group: GROUP,
    title: 'selecting again what is selected tells nothing again; several selectors at once; overlaps',
    services: [94, 95],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      const control = await t.control();
      const branch = t.path('branch');
      for (const name of ['a', 'b', 'c']) await t.topic(control, 'STRING', {}, `${branch}/${name}`);
      const { registration, news } = await listener(t, session, branch);
      await registration.select([`${branch}/a`, `${branch}/b`]);
      t.equal(await news(), ['topic SELECTED a', 'topic SELECTED b'], 'a list');
      await registration.select(`${branch}/a`);
      t.equal(await news(), [], 'again');
      await registration.select(`?${branch}/.*`);
      t.equal(await news(), ['topic SELECTED c'], 'a selector that adds one');
      await registration.deselect(`${branch}/b`);
      t.equal(await news(), ['topic DESELECTED b'], 'one of them deselected');
      await registration.deselect(`${branch}/none`);
      t.equal(await news(), [], 'what was not selected');
    },
  },
  {
    id: 'notifications.order',
    group: GROUP,
    title: 'SELECTED and DESELECTED events have arrived when select and deselect resolve',
    services: [94, 95],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      const control = await t.control();
      const branch = t.path('branch');
      for (const name of ['a', 'b']) await t.topic(control, 'STRING', {}, `${branch}/${name}`);
      const { registration, heard } = await listener(t, session, branch);
      await registration.select(`?${branch}/`);
      t.equal(heard.items.length, 2, 'events at the answer to select');
      await registration.deselect(`?${branch}/`);
      t.equal(heard.items.length, 4, 'events at the answer to deselect');
    },
  },
  {
    id: 'notifications.two-listeners',
    group: GROUP,
    title: 'two listeners of a session are independent; closing one leaves the other',
    services: [91],
    transports: BOTH,
    async run(t) {
      const session = await t.connect();
      const control = await t.control();
      const branch = t.path('branch');
      const one = await listener(t, session, branch);
      const two = await listener(t, session, branch);
      await one.registration.select(`${branch}/a`);
      await two.registration.select(`?${branch}/`);
      await t.topic(control, 'STRING', {}, `${branch}/a`);
      t.equal([await one.news(), await two.news()], [['topic ADDED a'], ['topic ADDED a']], 'both');
      one.registration.close();
      await one.heard.await('close');
      await one.news();
      await control.topics.remove(`${branch}/a`);
      t.equal([await two.news(), await one.news()], [['topic REMOVED a'], []], 'after one closed, without a DESELECTED');
    },
  },
  {
    id: 'notifications.without-selection',
    group: GROUP,
    title: 'a listener that never selected anything closes properly',
    services: [91, 95],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      const { registration, heard, news } = await listener(t, session, t.path());
      await registration.deselect(`?${t.path()}//`);
      t.equal(await news(), [], 'events');
      registration.close();
      await heard.await('close');
      t.equal(heard.types(), ['close'], 'events');
    },
  },
  {
    id: 'notifications.failures',
    group: GROUP,
    title: 'without SELECT_TOPIC: ACCESS_DENIED; a broken pattern: INVALID_DATA; the listener ends with onError',
    services: [94, 95],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      const { ACCESS_DENIED, INVALID_DATA } = t.diffusion.errors;
      const denied = await listener(t, session, t.root);
      await t.refused(denied.registration.select('?Diffusion//'), ACCESS_DENIED.id, 'select');
      t.equal((await denied.heard.await('error')).error, ACCESS_DENIED.id, 'onError');
      const broken = await listener(t, session, t.root);
      await t.refused(broken.registration.select('?['), INVALID_DATA.id, 'broken pattern');
      const broken2 = await listener(t, session, t.root);
      await t.refused(broken2.registration.deselect('?['), INVALID_DATA.id, 'broken pattern to deselect');
      t.ok((await session.pingServer()).rtt >= 0, 'ping');
    },
  },
  {
    id: 'notifications.reconnection',
    group: GROUP,
    title: 'a listener hears what happened during an outage, in order',
    services: [92],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const branch = t.path('branch');
      const { session, leave, back } = await t.absentee();
      const { registration, news } = await listener(t, session, branch);
      await registration.select(`?${branch}/`);
      await leave();
      for (const name of ['a', 'b']) await t.topic(control, 'STRING', {}, `${branch}/${name}`);
      await control.topics.remove(`${branch}/a`);
      await back();
      t.equal(await news(), ['topic ADDED a', 'topic ADDED b', 'topic REMOVED a'], 'events');
    },
  },
];
