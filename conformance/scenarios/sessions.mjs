// The life of a session: pings, losses, recoveries and ends.

const GROUP = 'Sessions';
const BOTH = ['ws', 'polling'];

// A subscribed session behind an inspector, and a publisher that is not.
async function subscribed(t, { port, proxy, session: options = {}, type = 'INT64' } = {}) {
  proxy ??= await t.inspected(port);
  const publisher = await t.control(port ? { port } : {});
  const session = await t.connect({ port: proxy.port, reconnect: t.quick(), ...options });
  const events = t.events(session);
  const path = t.path();
  const datatype = t.datatypeOf(type);
  await publisher.topics.add(path, t.TopicType[type]);
  const stream = t.watch(session, path, datatype);
  await session.select(path);
  await stream.await('subscribe');
  const publish = (value) => publisher.topicUpdate.set(path, datatype, value);
  return { proxy, publisher, session, events, path, stream, publish };
}

const numbers = (stream) => stream.of('value').map((event) => Number(event.value));

const upTo = (n) => Array.from({ length: n }, (_, index) => index + 1);

export const sessions = [
  {
    id: '11.1-connect-ping-close',
    group: GROUP,
    title: 'connect, ping both ways, close',
    services: [55, 56],
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--ping-period', '2s'] });
      const session = await t.connect({ port: server.port });
      const events = t.events(session);
      const ping = await session.pingServer();
      t.ok(ping.rtt >= 0 && ping.timestamp > 0, `ping details ${t.show(ping)}`);
      // Two periods and a half: the server's pings keep the client content, its answers the server.
      await t.after(5_000);
      t.equal(events.types(), [], 'events');
      t.ok(session.isConnected() && !session.isClosed(), 'connected');
      const reason = await session.closeSession();
      t.equal(reason?.id, 0, 'close reason');
      t.ok(session.isClosed() && !session.isConnected(), 'closed');
    },
  },
  {
    id: '11.2-rejection-codes',
    group: GROUP,
    title: 'each refusal code of the handshake becomes its close reason',
    transports: BOTH,
    async run(t) {
      const proxy = await t.inspected();
      const want = { 102: 17, 113: 18, 114: 4, 115: 4, 116: 99, 117: 4, 118: 4, 119: 4 };
      for (const [code, id] of Object.entries(want)) {
        await proxy.fault({ websocket: `code:${code}`, polling: `code:${code}` });
        const reason = await t.rejects(t.connect({ port: proxy.port }), `code ${code}`);
        t.equal(reason?.id, id, `code ${code}: close reason`);
      }
    },
  },
  {
    id: '11.3-recovery-nothing-lost',
    group: GROUP,
    title: 'connection lost and recovered with nothing missing; the session goes on',
    transports: BOTH,
    async run(t) {
      const { proxy, session, events, stream, publish } = await subscribed(t);
      await publish(1);
      await stream.await('value');
      await t.lose(proxy, events);
      await events.await('reconnect');
      await publish(2);
      await stream.await('value', { count: 2 });
      t.equal(numbers(stream), [1, 2], 'values');
      t.equal(stream.of('subscribe').length, 1, 'subscriptions');
      t.equal(events.types(), ['disconnect', 'reconnect'], 'events');
      t.equal(events.items[0].id, 6, 'disconnect reason');
      t.ok((await session.pingServer()).rtt >= 0, 'ping');
    },
  },
  {
    id: '11.4-recovery-queued-messages',
    group: GROUP,
    title: 'updates made during the outage arrive in order, exactly once, before the reconnect event',
    transports: BOTH,
    async run(t) {
      const { proxy, events, stream, publish } = await subscribed(t, {
        session: { reconnect: t.quick(60_000, 500) },
      });
      await publish(1);
      await stream.await('value');
      await t.lose(proxy, events);
      for (let n = 2; n <= 30; n++) await publish(n);
      await events.await('reconnect');
      await publish(31);
      await stream.await('value', { count: 31 });
      t.equal(numbers(stream), upTo(31), 'values');
      t.equal(stream.of('unsubscribe').length, 0, 'unsubscriptions');
    },
  },
  {
    id: '11.4-recovery-messages-in-flight',
    group: GROUP,
    title: 'messages that were sent and never arrived are sent again, exactly once',
    transports: BOTH,
    async run(t) {
      const proxy = await t.lossy();
      const { events, stream, publish } = await subscribed(t, { proxy, session: { reconnect: t.patient() } });
      await publish(1);
      await stream.await('value');
      await proxy.lose(19, async () => {
        for (let n = 2; n <= 20; n++) await publish(n);
      });
      await events.await('reconnect');
      await publish(21);
      await stream.until(() => numbers(stream).at(-1) === 21, 'the last value');
      t.equal(numbers(stream), upTo(21), 'values');
      t.equal(stream.of('unsubscribe').length, 0, 'unsubscriptions');
    },
  },
  {
    id: '11.4-many-cuts',
    group: GROUP,
    title: 'ten losses in a row while values flow: every value once, in order',
    transports: BOTH,
    async run(t) {
      const { proxy, events, stream, publish } = await subscribed(t);
      let counter = 0;
      for (let round = 1; round <= 10; round++) {
        for (let n = 0; n < 3; n++) await publish(++counter);
        await t.lose(proxy, events, { count: round, mode: ['reset', 'fin'][round % 2] });
        for (let n = 0; n < 3; n++) await publish(++counter);
        await events.await('reconnect', { count: round });
      }
      await stream.await('value', { count: counter });
      t.equal(numbers(stream), upTo(counter), 'values');
      t.equal(stream.of('subscribe').length, 1, 'subscriptions');
    },
  },
  {
    id: '11.5-recovery-with-loss',
    group: GROUP,
    title: 'history gone: topics are unsubscribed, subscribed again, and their values are right',
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--recovery-messages', '2'] });
      const proxy = await t.lossy(server.port);
      const { session, events, stream, publish } = await subscribed(t, {
        port: server.port, proxy, session: { reconnect: t.patient() },
      });
      const id = session.sessionId.toString();
      await publish(1);
      await stream.await('value');
      await proxy.lose(11, async () => {
        for (let n = 2; n <= 12; n++) await publish(n);
      });
      await events.await('reconnect');
      await stream.await('subscribe', { count: 2 });
      await stream.until(() => numbers(stream).at(-1) === 12, 'the current value');
      t.equal(session.sessionId.toString(), id, 'session id');
      t.equal(stream.types().filter((type) => type !== 'value'), ['subscribe', 'unsubscribe', 'subscribe'], 'stream events');
      // The counters start again: a loss of fewer messages than the buffer holds is recovered.
      await proxy.lose(2, async () => {
        await publish(13);
        await publish(14);
      });
      await events.await('reconnect', { count: 2 });
      await publish(15);
      await stream.until(() => numbers(stream).at(-1) === 15, 'a later value');
      t.equal(stream.items.slice(-4).map((event) => event.value ?? event.type), ['12', '13', '14', '15'], 'values after the reset');
      t.equal(stream.of('subscribe').length, 2, 'subscriptions');
    },
  },
  {
    id: '11.6-unknown-session',
    group: GROUP,
    title: 'the server no longer knows the session: close with HANDSHAKE_REJECTED',
    transports: BOTH,
    async run(t) {
      const first = await t.host.serve();
      const session = await t.connect({ port: first.port, reconnect: t.quick() });
      const events = t.events(session);
      await t.host.stopServer(first.id, 'SIGKILL');
      await events.await('disconnect');
      await t.host.serve({ port: first.port });
      const closed = await events.await('close');
      t.equal(closed.id, 4, 'close reason');
    },
  },
  {
    id: '11.6-keep-alive-over',
    group: GROUP,
    title: 'the server\'s reconnection window is over: close with HANDSHAKE_REJECTED',
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--reconnect-keep-alive', '300ms'] });
      const proxy = await t.inspected(server.port);
      const session = await t.connect({ port: proxy.port, reconnect: t.quick(60_000, 1_500) });
      const events = t.events(session);
      await t.lose(proxy, events);
      const closed = await events.await('close');
      t.equal(closed.id, 4, 'close reason');
      t.equal(events.types(), ['disconnect', 'close'], 'events');
    },
  },
  {
    id: '11.6-client-timeout-over',
    group: GROUP,
    title: 'the client\'s reconnection timeout is over: close with CONNECTION_TIMEOUT',
    transports: BOTH,
    async run(t) {
      const proxy = await t.inspected();
      const session = await t.connect({ port: proxy.port, reconnect: t.quick(700, 100) });
      const events = t.events(session);
      await proxy.fault({ websocket: 'refuse', polling: 'refuse' });
      await t.lose(proxy, events);
      const closed = await events.await('close');
      t.equal(closed.id, 3, 'close reason');
      t.equal(events.types(), ['disconnect', 'close'], 'events: one disconnect whatever the number of attempts');
    },
  },
  {
    id: '11.6-strategy-aborts',
    group: GROUP,
    title: 'the application\'s strategy gives up: close with RECONNECT_ABORTED',
    transports: BOTH,
    async run(t) {
      const proxy = await t.inspected();
      const session = await t.connect({ port: proxy.port, reconnect: (start, abort) => abort() });
      const events = t.events(session);
      await t.lose(proxy, events);
      const closed = await events.await('close');
      t.equal(closed.id, 2, 'close reason');
    },
  },
  {
    id: '11.7-closed-by-server',
    group: GROUP,
    title: 'the server ends the session: close with CLOSED_BY_SERVER, streams close',
    transports: BOTH,
    async run(t) {
      const { session, events } = await subscribed(t);
      const admin = await t.admin();
      await admin.clients.close(session.sessionId);
      const closed = await events.await('close');
      t.equal(closed.id, 1, 'close reason');
    },
  },
  {
    id: '11.8-close-frame',
    group: GROUP,
    title: 'a close frame or a plain FIN is a loss of connection, which is repaired',
    transports: BOTH,
    async run(t) {
      const { proxy, events, stream, publish } = await subscribed(t);
      const modes = t.transport === 'ws' ? ['close1001', 'fin', 'reset'] : ['fin', 'reset'];
      for (const [n, mode] of modes.entries()) {
        await t.lose(proxy, events, { mode, count: n + 1 });
        await events.await('reconnect', { count: n + 1 });
        await publish(n + 1);
        await stream.await('value', { count: n + 1 });
      }
      t.equal(numbers(stream), upTo(modes.length), 'values');
    },
  },
  {
    id: '11.10-told-to-reconnect',
    group: GROUP,
    title: 'polling answered with "diffusion-connection: reconnect": the client reconnects, nothing is lost',
    transports: ['polling'],
    async run(t) {
      const endpoint = await t.host.endpoint({ to: await t.port() });
      const publisher = await t.control();
      const session = await t.connect({ port: endpoint.port, reconnect: t.quick() });
      const events = t.events(session);
      const path = t.path();
      await publisher.topics.add(path, t.TopicType.INT64);
      const stream = t.watch(session, path, t.datatypes.int64());
      await session.select(path);
      await stream.await('subscribe');
      await t.host.answerNextPoll(endpoint.id, { 'diffusion-connection': 'reconnect' });
      let counter = 0;
      while (events.of('reconnect').length === 0 && counter < 200) {
        await publisher.topicUpdate.set(path, t.datatypes.int64(), ++counter);
        await t.after(20);
      }
      await events.await('reconnect');
      await publisher.topicUpdate.set(path, t.datatypes.int64(), ++counter);
      await stream.until(() => numbers(stream).at(-1) === counter, 'the last value');
      t.equal(numbers(stream), upTo(counter), 'values');
    },
  },
  {
    id: '11.10-server-forgot-poller',
    group: GROUP,
    title: 'polls after a server restart are told to reconnect, then refused: the session closes cleanly',
    transports: ['polling'],
    async run(t) {
      const first = await t.host.serve();
      const session = await t.connect({ port: first.port, reconnect: t.quick(30_000, 50) });
      const events = t.events(session);
      await t.host.stopServer(first.id, 'SIGKILL');
      await t.host.serve({ port: first.port });
      const closed = await events.await('close');
      t.equal(closed.id, 4, 'close reason');
    },
  },
  {
    id: '11.11-empty-poll',
    group: GROUP,
    title: 'polls that end empty are harmless',
    transports: ['polling'],
    async run(t) {
      const server = await t.host.serve({ args: ['--poll-hold', '200ms'] });
      const session = await t.connect({ port: server.port });
      const events = t.events(session);
      await t.after(1_500);
      t.equal(events.types(), [], 'events');
      t.ok((await session.pingServer()).rtt >= 0, 'ping');
    },
  },
  {
    id: '11.12-websocket-refused',
    group: GROUP,
    title: 'WebSocket refused: polling, and values flow',
    transports: ['polling'],
    async run(t) {
      const proxy = await t.inspected();
      await proxy.fault({ websocket: 'refuse' });
      const session = await t.open({ host: '127.0.0.1', port: proxy.port, transports: ['WEBSOCKET', 'XHR'], principal: 'control', credentials: 'password' });
      const path = t.path();
      const stream = t.watch(session, path, t.datatypes.string());
      await session.select(path);
      await session.topicUpdate.set(path, t.datatypes.string(), 'by polling', {
        specification: new t.TopicSpecification(t.TopicType.STRING),
      });
      t.equal((await stream.await('value')).value, 'by polling', 'value');
    },
  },
  {
    id: '11.13-change-of-transport',
    group: GROUP,
    title: 'a polling session reconnects over WebSocket, and back, without loss',
    transports: ['polling'],
    async run(t) {
      const proxy = await t.inspected();
      const publisher = await t.control();
      await proxy.fault({ websocket: '503' });
      const session = await t.open({
        host: '127.0.0.1', port: proxy.port, transports: ['WS', 'XHR'], reconnect: t.quick(),
      });
      const events = t.events(session);
      const path = t.path();
      await publisher.topics.add(path, t.TopicType.INT64);
      const stream = t.watch(session, path, t.datatypes.int64());
      await session.select(path);
      await stream.await('subscribe');
      let counter = 0;
      for (const [n, websocket] of ['pass', '503', 'pass'].entries()) {
        await publisher.topicUpdate.set(path, t.datatypes.int64(), ++counter);
        await proxy.fault({ websocket });
        await t.lose(proxy, events, { count: n + 1 });
        await publisher.topicUpdate.set(path, t.datatypes.int64(), ++counter);
        await events.await('reconnect', { count: n + 1 });
      }
      await stream.await('value', { count: counter });
      t.equal(numbers(stream), upTo(counter), 'values');
      t.equal(stream.of('subscribe').length, 1, 'subscriptions');
    },
  },
  {
    id: '11.14-token-rotation',
    group: GROUP,
    title: 'each reconnection uses the token of the last one; operations work after every one',
    transports: BOTH,
    async run(t) {
      const { proxy, session, events } = await subscribed(t);
      for (let n = 1; n <= 4; n++) {
        await t.lose(proxy, events, { count: n });
        await events.await('reconnect', { count: n });
        t.ok((await session.pingServer()).rtt >= 0, `ping after reconnection ${n}`);
      }
    },
  },
  {
    id: '11.15-takeover',
    group: GROUP,
    title: 'the client returns while its old connection still looks alive: the new one wins',
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--ping-period', '3s'] });
      const network = await t.deadable(server.port);
      const { session, events, stream, publish } = await subscribed(t, { port: server.port, proxy: network });
      await publish(1);
      await stream.await('value');
      await network.stall();
      const lost = await events.await('disconnect');
      t.equal(lost.id, 8, 'disconnect reason');
      await network.revive();
      await events.await('reconnect');
      await publish(2);
      await stream.await('value', { count: 2 });
      t.equal(numbers(stream), [1, 2], 'values');
      t.ok((await session.pingServer()).rtt >= 0, 'ping');
    },
  },
  {
    id: '11.16-closed-while-disconnected',
    group: GROUP,
    title: 'close() during an outage is local; calls during an outage fail at once',
    transports: BOTH,
    async run(t) {
      const { proxy, session, events } = await subscribed(t, { session: { reconnect: t.quick(60_000, 3_000) } });
      await t.lose(proxy, events);
      await t.rejects(session.pingServer(), 'ping during the outage');
      session.close();
      const closed = await events.await('close');
      t.equal(closed.id, 0, 'close reason');
    },
  },
  {
    id: '11.17-server-stops',
    group: GROUP,
    title: 'SIGTERM drains the server, which exits 0; its sessions end',
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve();
      const session = await t.connect({ port: server.port, reconnect: t.quick(1_000, 200) });
      const events = t.events(session);
      const status = await t.host.stopServer(server.id, 'SIGTERM');
      t.equal({ code: status.code, signal: status.signal }, { code: 0, signal: null }, 'exit status');
      await events.await('close');
    },
  },
  {
    id: '11.18-publisher-recovers',
    group: GROUP,
    title: 'a publisher that loses its connection between updates goes on updating',
    transports: BOTH,
    async run(t) {
      const proxy = await t.inspected();
      const publisher = await t.control({ port: proxy.port, reconnect: t.quick() });
      const events = t.events(publisher);
      const reader = await t.connect();
      const path = t.path();
      await publisher.topics.add(path, t.TopicType.INT64);
      const stream = t.watch(reader, path, t.datatypes.int64());
      await reader.select(path);
      for (let n = 1; n <= 5; n++) {
        await publisher.topicUpdate.set(path, t.datatypes.int64(), n);
        await t.lose(proxy, events, { count: n });
        await events.await('reconnect', { count: n });
      }
      await stream.await('value', { count: 5 });
      t.equal(numbers(stream), upTo(5), 'values');
    },
  },
];
