// Missing-topic handlers (22 section 4).

const GROUP = 'Missing-topic handlers';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

// Registers a handler, and returns a record of what it is told: {type, path, selector, sessionID, properties, servers}.
async function handler(t, session, path, act = () => {}) {
  const told = t.record(`handler of ${path}`);
  let deregister;
  await session.topics.addMissingTopicHandler(path, {
    onMissingTopic: ({ path: at, selector, sessionID, sessionProperties, serverNames }) => {
      told.push({
        type: 'missing', path: at, selector: selector.expression ?? String(selector), session: sessionID.toString(), properties: sessionProperties, servers: serverNames,
      });
      act();
    },
    onRegister: (at, end) => {
      deregister = end;
      told.push({ type: 'register', path: at });
    },
    onClose: (at) => told.push({ type: 'close', path: at }),
    onError: (at, error) => told.push({ type: 'error', path: at, error: error?.id }),
  });
  return { told, deregister: () => deregister() };
}

export const missing = [
  {
    id: 'missing.notified',
    group: GROUP,
    title: 'a selection that matches nothing: selector, session and its properties; the topic that the handler adds is subscribed',
    services: [20, 50],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const client = await t.connect({ principal: 'client', credentials: 'password' });
      const path = t.path('branch');
      const { told } = await handler(t, control, path);
      t.equal(told.types(), ['register'], 'events');
      const stream = t.watch(client, `${path}/wanted`, t.datatypes.string());
      await client.select(`${path}/wanted`);
      const event = await told.await('missing');
      t.equal([event.path, event.selector, event.session], [`${path}/wanted`, `>${path}/wanted`, client.sessionId.toString()], 'event');
      t.equal([event.properties.$Principal, event.properties.$ClientIP, event.properties.$SessionId], ['client', '127.0.0.1', client.sessionId.toString()], 'properties');
      t.ok(event.servers.length >= 1, 'server names');
      await control.topics.add(`${path}/wanted`, t.TopicType.STRING);
      await stream.await('subscribe');
    },
  },
  {
    id: 'missing.selectors',
    group: GROUP,
    title: 'the selector comes as it was given; the handler is found by its prefix, in whole segments',
    services: [50],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const client = await t.connect();
      const path = t.path('branch');
      const { told } = await handler(t, control, path);
      const within = [`>${path}`, `?${path}//`, `?${path}/a/.*`, `*${path}/a.*`, `#>${path}/a////?${path}/b/`, `?${path}/[x]/y//`];
      for (const [n, selector] of within.entries()) {
        await client.select(selector);
        t.equal((await told.await('missing', { count: n + 1 })).selector, selector, 'selector');
      }
      for (const selector of [`>${path}x`, `?${path.slice(0, -1)}.*`, `#>${path}/a////>${t.path('elsewhere')}`, `*${path}.*`]) await client.select(selector);
      await client.select(`${path}/last`);
      await told.until(() => told.of('missing').at(-1).selector === `>${path}/last`, 'the last selector');
      t.equal(told.of('missing').length, within.length + 1, 'events');
    },
  },
  {
    id: 'missing.longest-prefix',
    group: GROUP,
    title: 'of several handlers that with the longest path is told, and no other',
    services: [20, 50],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const other = await t.control();
      const client = await t.connect();
      const path = t.path('branch');
      const short = await handler(t, control, path);
      const long = await handler(t, other, `${path}/a/b`);
      await client.select(`${path}/a/b/c`);
      await long.told.await('missing');
      await client.select(`${path}/a/bc`);
      await short.told.await('missing');
      await client.select(`?${path}/a/b`);
      await long.told.await('missing', { count: 2 });
      t.equal([short.told.of('missing').length, long.told.of('missing').length], [1, 2], 'events');
    },
  },
  {
    id: 'missing.not-missing',
    group: GROUP,
    title: 'nothing is told when the selector matches a topic, at unsubscription, or at a fetch',
    services: [50],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const path = t.path('branch');
      const { told } = await handler(t, control, path);
      await t.topic(control, 'STRING', {}, `${path}/there`);
      const client = await t.connect();
      await client.select(`?${path}//`);
      await client.select(`#>${path}/there////>${path}/none`);
      await client.unsubscribe(`${path}/none`);
      await client.fetchRequest().fetch(`${path}/none`);
      await client.select(`${path}/none`);
      await told.await('missing');
      t.equal(told.of('missing').map(({ selector }) => selector), [`>${path}/none`], 'events');
    },
  },
  {
    id: 'missing.conflict',
    group: GROUP,
    title: 'a second handler for a path, of the same session or another: TOPIC_TREE_REGISTRATION_CONFLICT',
    services: [20],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const other = await t.control();
      const path = t.path('branch');
      await handler(t, control, path);
      for (const session of [control, other]) {
        await t.refused(handler(t, session, path), t.diffusion.errors.TOPIC_TREE_REGISTRATION_CONFLICT.id, 'second handler');
      }
      await handler(t, other, `${path}/below`);
    },
  },
  {
    id: 'missing.deregister',
    group: GROUP,
    title: 'after deregistration, or the end of its session, a handler is told nothing, and its path is free',
    services: [21],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const other = await t.control();
      const client = await t.connect();
      const path = t.path('branch');
      const first = await handler(t, control, path);
      await first.deregister();
      await first.told.await('close');
      const second = await handler(t, other, path);
      await client.select(`${path}/a`);
      await second.told.await('missing');
      t.equal(first.told.of('missing').length, 0, 'events of the first');
      await other.closeSession();
      const third = await handler(t, control, path);
      await client.select(`${path}/b`);
      await third.told.await('missing');
    },
  },
  {
    id: 'missing.handler-throws',
    group: GROUP,
    title: 'a handler that throws is deregistered by the client; the session goes on, and the path is free',
    services: [21],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const client = await t.connect();
      const path = t.path('branch');
      const { told } = await handler(t, control, path, () => { throw new Error('on purpose'); });
      await client.select(`${path}/a`);
      await told.await('missing');
      await control.pingServer();
      const next = await handler(t, await t.control(), path);
      await client.select(`${path}/b`);
      await next.told.await('missing');
      t.equal(told.of('missing').length, 1, 'events of the first handler');
    },
  },
  {
    id: 'missing.own-selection',
    group: GROUP,
    title: 'a session is told of its own selections too',
    services: [50],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = t.path('branch');
      const { told } = await handler(t, session, path);
      await session.selectWithScope(`${path}/x`, 'some scope');
      t.equal((await told.await('missing')).session, session.sessionId.toString(), 'session');
    },
  },
  {
    id: 'missing.permissions',
    group: GROUP,
    title: 'without REGISTER_HANDLER: ACCESS_DENIED',
    services: [20],
    transports: ONE,
    async run(t) {
      const session = await t.connect();
      await t.refused(handler(t, session, t.path()), t.diffusion.errors.ACCESS_DENIED.id, 'register');
    },
  },
];
