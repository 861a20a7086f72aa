// What the platform's page on connecting shows, in our own words and code: each way of opening a
// session that it describes for JavaScript, and the events of a session.

const GROUP = 'Connecting basics';

export const founding = [
  {
    id: 'basics.1-host-only',
    group: GROUP,
    title: 'connect with a host and nothing else',
    transports: ['ws'],
    async run(t) {
      if (t.runtime === 'chromium') {
        // The page came from the proxy in front of the server, so host and port are the page's.
        const session = await t.open({ host: '127.0.0.1' });
        t.ok((await session.pingServer()).rtt >= 0, 'ping');
        const bare = await t.open({});
        t.ok((await bare.pingServer()).rtt >= 0, 'ping, no option at all');
        return;
      }
      // Under Node a bare host means TLS on port 443: an address of the loopback network nobody uses.
      const { ca, cert, key } = await t.host.certificates();
      let address;
      let problem;
      for (let n = 0; n < 4 && !address; n++) {
        const candidate = `127.44.3.${1 + Math.floor(Math.random() * 16)}`;
        await t.host.serve({
          args: ['--tls-listen', `${candidate}:443`, '--tls-cert', cert, '--tls-key', key],
        }).then(() => { address = candidate; }, (error) => { problem = String(error).split('\n').pop(); });
      }
      if (!address) t.skip(`port 443 cannot be bound here: ${problem}`);
      const session = await t.open({ host: address, tlsOptions: { ca: [await t.host.fileText(ca)] } });
      t.ok((await session.pingServer()).rtt >= 0, 'ping');
    },
  },
  {
    id: 'basics.1-host-and-port',
    group: GROUP,
    title: 'connect with host and port, then-and-catch style',
    transports: ['ws'],
    async run(t) {
      const port = await t.port();
      const outcome = await t.open({ host: '127.0.0.1', port })
        .then((session) => `connected ${session.isConnected()}`)
        .catch((error) => `failed ${t.show(error)}`);
      t.equal(outcome, 'connected true', 'outcome');
      const failure = await t.open({ host: '127.0.0.1', port: await t.host.freePort() })
        .then(() => 'connected', (reason) => reason.id);
      t.equal(failure, 7, 'outcome with nobody listening');
    },
  },
  {
    id: 'basics.2-principal-and-credentials',
    group: GROUP,
    title: 'connect as a principal with a password',
    transports: ['ws', 'polling'],
    async run(t) {
      for (const principal of ['client', 'control', 'admin', 'operator']) {
        const session = await t.connect({ principal, credentials: 'password' });
        t.equal(session.security.getPrincipal(), principal, 'principal');
      }
    },
  },
  {
    id: 'basics.3-retry',
    group: GROUP,
    title: 'five attempts at intervals of 100 ms bridge a late start',
    transports: ['ws', 'polling'],
    async run(t) {
      const port = await t.host.freePort();
      // The scripted endpoint plays the late start exactly: it refuses twice, then serves.
      const endpoint = await t.host.endpoint({
        to: await t.port(), websocket: ['status:503', 'reset', 'pass'], polling: ['status:503', 'status:404', 'pass'],
      });
      const retry = { attempts: 5, interval: 100 };
      const started = performance.now();
      const session = await t.open({ host: '127.0.0.1', port: endpoint.port, transports: t.transports, retry });
      t.ok(session.isConnected(), 'connected');
      t.ok(performance.now() - started > 190, 'two intervals of waiting');
      t.equal((await t.host.attempts(endpoint.id)).length, 3, 'attempts');
      const reason = await t.rejects(
        t.open({ host: '127.0.0.1', port, transports: t.transports, retry: { attempts: 5, interval: 20 } }), 'nobody ever listens');
      t.equal(reason?.id, 7, 'close reason');
    },
  },
  {
    id: 'basics.4-transport-list',
    group: GROUP,
    title: 'the list WEBSOCKET, XHR: the first that works is used',
    transports: ['ws', 'polling'],
    async run(t) {
      const proxy = await t.inspected();
      if (t.transport === 'polling') await proxy.fault({ websocket: '503' });
      const session = await t.open({ host: '127.0.0.1', port: proxy.port, transports: ['WEBSOCKET', 'XHR'] });
      t.ok(session.sessionId.toString().length > 30, 'session id');
      const { $Transport: transport } = await session.getSessionProperties();
      t.equal(transport, t.transport === 'polling' ? 'HTTP_LONG_POLL' : 'WEBSOCKET', '$Transport');
    },
  },
  {
    id: 'basics.5-repeated-transport',
    group: GROUP,
    title: 'a transport listed twice is tried twice: WS, XHR, WS',
    transports: ['ws'],
    async run(t) {
      const endpoint = await t.host.endpoint({
        to: await t.port(), websocket: ['status:503', 'pass'], polling: ['status:503'],
      });
      const session = await t.open({ host: '127.0.0.1', port: endpoint.port, transports: ['WS', 'XHR', 'WS'] });
      t.ok(session.isConnected(), 'connected');
      // Node has no XHR, so there the list is WS, WS.
      t.equal((await t.host.attempts(endpoint.id)).map((attempt) => attempt.transport),
        t.runtime === 'node' ? ['websocket', 'websocket'] : ['websocket', 'polling', 'websocket'], 'attempts');
    },
  },
  {
    id: 'basics.6-async-await',
    group: GROUP,
    title: 'await a session, catch its failure',
    transports: ['ws', 'polling'],
    async run(t) {
      const session = await t.connect();
      t.ok(session.isConnected(), 'connected');
      let caught;
      try {
        await t.connect({ principal: 'admin', credentials: 'not it' });
      } catch (error) {
        caught = error;
      }
      t.equal(caught?.id, 99, 'caught reason');
    },
  },
  {
    id: 'basics.7-session-events',
    group: GROUP,
    title: 'the events disconnect, reconnect and close of one session, in that order; no error',
    transports: ['ws', 'polling'],
    async run(t) {
      const proxy = await t.inspected();
      const session = await t.connect({ port: proxy.port, reconnect: t.quick() });
      const events = t.events(session);
      const states = [];
      for (const type of ['disconnect', 'reconnect', 'close']) {
        session.on(type, () => states.push([type, session.isConnected(), session.isClosed()]));
      }
      await t.lose(proxy, events);
      await events.await('reconnect');
      session.close();
      await events.await('close');
      t.equal(events.types(), ['disconnect', 'reconnect', 'close'], 'events');
      t.equal(states.map(([type, , closed]) => [type, closed]),
        [['disconnect', false], ['reconnect', false], ['close', true]], 'isClosed() at each event');
    },
  },
  {
    id: 'basics.7-no-disconnect-event',
    group: GROUP,
    title: 'without reconnection there is no disconnect event, only close',
    transports: ['ws', 'polling'],
    async run(t) {
      const proxy = await t.inspected();
      const session = await t.connect({ port: proxy.port, reconnect: { timeout: 0 } });
      const events = t.events(session);
      await t.lose(proxy, events, { event: 'close' });
      t.equal(events.types(), ['close'], 'events');
    },
  },
];
