// The connection checklist: what a connection must be able to do and to survive.

const GROUP = 'Connecting';
const BOTH = ['ws', 'polling'];

export const connecting = [
  {
    id: '8.1-host-port',
    group: GROUP,
    title: 'connect to host:port, anonymously and by name',
    transports: BOTH,
    async run(t) {
      const port = await t.port();
      const anonymous = await t.open({ host: `127.0.0.1:${port}`, transports: t.transports });
      t.ok(anonymous.isConnected(), 'the anonymous session is connected');
      t.equal(anonymous.security.getPrincipal(), '', 'anonymous principal');
      t.ok(/^[0-9a-f]{16}-[0-9a-f]{16}$/.test(anonymous.sessionId.toString()), 'session id form');
      const named = await t.open({
        host: '127.0.0.1', port, principal: 'client', credentials: 'password', transports: t.transports,
      });
      t.equal(named.security.getPrincipal(), 'client', 'named principal');
      t.ok(named.sessionId.toString() !== anonymous.sessionId.toString(), 'session ids differ');
    },
  },
  {
    id: '8.2-credentials-refused',
    group: GROUP,
    title: 'wrong password, unknown principal and custom credentials are refused with ACCESS_DENIED',
    transports: BOTH,
    async run(t) {
      for (const [what, options] of Object.entries({
        'wrong password': { principal: 'control', credentials: 'wrong' },
        'unknown principal': { principal: 'nobody-here', credentials: 'password' },
        'no password': { principal: 'control' },
        'custom credentials': { principal: 'control', credentials: [1, 2, 3] },
      })) {
        const reason = await t.rejects(t.connect(options), what);
        t.equal(reason?.id, 99, `${what}: close reason`);
      }
    },
  },
  {
    id: '8.3-nobody-listens',
    group: GROUP,
    title: 'nobody listens: CONNECTION_ERROR',
    transports: BOTH,
    async run(t) {
      const reason = await t.rejects(t.connect({ port: await t.host.freePort() }), 'connect');
      t.equal(reason?.id, 7, 'close reason');
    },
  },
  {
    id: '8.3-accept-and-silent',
    group: GROUP,
    title: 'accepted and never answered: CONNECTION_TIMEOUT after the connection timeout',
    transports: BOTH,
    async run(t) {
      const port = await t.host.busySilence();
      const started = performance.now();
      const reason = await t.rejects(t.connect({ port, connectionTimeout: 600 }), 'connect');
      t.equal(reason?.id, 3, 'close reason');
      const took = performance.now() - started;
      t.ok(took > 500 && took < 3000, `took ${took} ms, want about 600`);
    },
  },
  {
    id: '8.4-retry-until-started',
    group: GROUP,
    title: 'the initial retry strategy outlasts a server that starts 300 ms later',
    transports: BOTH,
    async run(t) {
      const port = await t.host.freePort();
      const connecting = t.connect({ port, retry: { attempts: 100, interval: 100 } });
      connecting.catch(() => {});
      await t.after(300);
      await t.host.serve({ port });
      const session = await connecting;
      t.ok(session.isConnected(), 'connected');
    },
  },
  {
    id: '8.5-connection-killed',
    group: GROUP,
    title: 'a killed TCP connection is repaired by the default strategy and no value is lost',
    transports: BOTH,
    async run(t) {
      const proxy = await t.inspected();
      const publisher = await t.control();
      const session = await t.connect({ port: proxy.port });
      const events = t.events(session);
      const path = t.path();
      await publisher.topics.add(path, t.TopicType.INT64);
      const stream = t.watch(session, path, t.datatypes.int64());
      await session.select(path);
      await stream.await('subscribe');
      let counter = 0;
      const publish = () => publisher.topicUpdate.set(path, t.datatypes.int64(), ++counter);
      for (let n = 0; n < 5; n++) await publish();
      await stream.await('value', { count: 5 });
      const lost = await t.lose(proxy, events);
      for (let n = 0; n < 20; n++) await publish();
      const found = await events.await('reconnect', { ms: 15_000 });
      t.ok(found.at - lost.at > 4_000, `reconnected ${found.at - lost.at} ms after the loss, want about 5 s`);
      await publish();
      await stream.await('value', { count: counter });
      t.equal(stream.of('value').map((event) => Number(event.value)),
        Array.from({ length: counter }, (_, n) => n + 1), 'values in order');
      t.equal(events.types(), ['disconnect', 'reconnect'], 'events');
      t.equal(stream.of('subscribe').length, 1, 'subscriptions');
    },
  },
  {
    id: '8.6-recovery-buffer-exceeded',
    group: GROUP,
    title: 'recovery buffer exceeded: reconnect, every topic is resubscribed with its last value',
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--recovery-messages', '4'] });
      const proxy = await t.lossy(server.port);
      const publisher = await t.control({ port: server.port });
      const session = await t.connect({ port: proxy.port, reconnect: t.patient() });
      const events = t.events(session);
      const stream = t.watch(session, '?many//', t.datatypes.string());
      const paths = Array.from({ length: 10 }, (_, n) => `many/${n}`);
      for (const path of paths) await publisher.topics.add(path, t.TopicType.STRING);
      await session.select('?many//');
      await stream.await('subscribe', { count: 10 });
      await proxy.lose(30, async () => {
        for (let round = 0; round < 3; round++) {
          for (const path of paths) {
            await publisher.topicUpdate.set(path, t.datatypes.string(), `${path} round ${round}`);
          }
        }
      });
      await events.await('reconnect');
      await stream.await('subscribe', { count: 20 });
      await stream.until((items) => paths.every((path) =>
        items.some((item) => item.type === 'value' && item.value === `${path} round 2`)), 'last values');
      t.equal(stream.of('unsubscribe').length, 10, 'unsubscriptions');
      t.equal(events.types(), ['disconnect', 'reconnect'], 'events');
      await publisher.topicUpdate.set(paths[3], t.datatypes.string(), 'afterwards');
      await stream.until((items) => items.at(-1).value === 'afterwards', 'a value after the reset');
      t.ok((await session.pingServer()).rtt >= 0, 'the session answers');
    },
  },
  {
    id: '8.7-reconnection-disabled',
    group: GROUP,
    title: 'reconnection disabled: close at once, no disconnect event',
    transports: BOTH,
    async run(t) {
      const proxy = await t.inspected();
      const session = await t.connect({ port: proxy.port, reconnect: false });
      const events = t.events(session);
      const closed = await t.lose(proxy, events, { event: 'close' });
      t.equal(closed.id, 6, 'close reason');
      t.equal(events.types(), ['close'], 'events');
    },
  },
  {
    id: '8.8-closed-by-another-session',
    group: GROUP,
    title: 'closed by an administrator: close with CLOSED_BY_SERVER',
    transports: BOTH,
    async run(t) {
      const session = await t.connect();
      const events = t.events(session);
      const admin = await t.admin();
      await admin.clients.close(session.sessionId);
      const closed = await events.await('close');
      t.equal(closed.id, 1, 'close reason');
      t.equal(events.types(), ['close'], 'events');
      t.ok(session.isClosed(), 'isClosed()');
    },
  },
  {
    id: '8.9-websocket-blocked',
    group: GROUP,
    title: 'WebSocket blocked by a proxy: the list WEBSOCKET, XHR works by polling',
    transports: ['polling'],
    async run(t) {
      for (const fault of ['refuse', '503', 'close1001']) {
        const proxy = await t.inspected();
        await proxy.fault({ websocket: fault });
        const session = await t.open({
          host: '127.0.0.1', port: proxy.port, transports: ['WEBSOCKET', 'XHR'],
        });
        t.ok((await session.pingServer()).rtt >= 0, `WebSocket ${fault}: ping by polling`);
      }
    },
  },
  {
    id: '8.10-tls-private-ca',
    group: GROUP,
    title: 'a TLS listener with a certificate of a private authority',
    transports: BOTH,
    async run(t) {
      const { ca, cert, key } = await t.host.certificates();
      const server = await t.host.serve({
        args: ['--tls-listen', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', key],
      });
      const tlsOptions = t.runtime === 'node' ? { tlsOptions: { ca: [await t.host.fileText(ca)] } } : {};
      const session = await t.connect({ port: server.tlsPort, secure: true, ...tlsOptions });
      t.ok((await session.pingServer()).rtt >= 0, 'ping over TLS');
      const plain = await t.connect({ port: server.port });
      t.ok(plain.isConnected(), 'the plain listener still works');
      if (t.runtime === 'node') {
        const untrusted = await t.rejects(t.connect({ port: server.tlsPort, secure: true }), 'without the authority');
        t.equal(untrusted?.id, 7, 'untrusted certificate');
      }
    },
  },
  {
    id: '8.11-pings-missing',
    timeoutMs: 40_000,
    group: GROUP,
    title: 'two ping periods without a ping: IDLE_CONNECTION, then the client reconnects by itself',
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--ping-period', '2s'] });
      const network = await t.deadable(server.port);
      const session = await t.connect({ port: network.port, reconnect: t.quick() });
      const events = t.events(session);
      await t.after(5_000);
      t.equal(events.types(), [], 'events while pings arrive');
      await network.stall();
      const lost = await events.await('disconnect');
      t.equal(lost.id, 8, 'disconnect reason');
      await network.revive();
      await events.await('reconnect');
      t.ok((await session.pingServer()).rtt >= 0, 'the session answers');
    },
  },
  {
    id: '8.12-message-too-large-for-client',
    group: GROUP,
    // Over WebSocket this SDK takes the value all the same; over polling it ends the session.
    title: 'a value above the client\'s maxMessageSize is never a hang, and hurts nobody else',
    transports: BOTH,
    async run(t) {
      const publisher = await t.control();
      const path = t.path();
      await publisher.topics.add(path, t.TopicType.STRING);
      const small = await t.connect({ maxMessageSize: 2_000, reconnect: false });
      const events = t.events(small);
      const received = t.watch(small, path, t.datatypes.string());
      await small.select(path);
      const other = await t.connect();
      const stream = t.watch(other, path, t.datatypes.string());
      await other.select(path);
      await stream.await('subscribe');
      // Incompressible: the limit is about bytes on the wire.
      let text = '';
      while (text.length < 10_000) text += Math.random().toString(36).slice(2);
      await publisher.topicUpdate.set(path, t.datatypes.string(), text);
      await Promise.race([
        events.until((items) => items.length > 0, 'an event of the small session', 5_000),
        received.await('value', { ms: 5_000 }),
      ]);
      const value = await stream.await('value');
      t.ok(value.value === text, 'the other session has the value');
    },
  },
];
