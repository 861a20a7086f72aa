// How the client walks its transports: every row of the two tables of the handshake specification's
// section on cascading, plus what each response code does.

const GROUP = 'Handshake';

const MALFORMED = {
  'wrong protocol byte': 'bytes:241d64',
  'wrong version byte': 'bytes:231c64',
  'unknown code': 'bytes:231d7f',
  'too short': 'bytes:231d',
  'success of 51 bytes': 'bytes:231d64' + '00'.repeat(48),
};

// Under Node there is only WebSocket, so the next transport is a second WebSocket entry.
async function cascade(t, behaviour, what) {
  const node = t.runtime === 'node';
  const endpoint = await t.host.endpoint({
    to: await t.port(),
    websocket: node ? [behaviour, 'pass'] : [behaviour],
  });
  const session = await t.open({
    host: '127.0.0.1', port: endpoint.port, transports: node ? ['WS', 'WS'] : ['WS', 'XHR'],
  });
  t.ok(session.isConnected(), `${what}: connected by the next transport`);
  t.equal((await t.host.attempts(endpoint.id)).map((attempt) => attempt.transport),
    node ? ['websocket', 'websocket'] : ['websocket', 'polling'], `${what}: attempts`);
  session.close();
}

// A cascade that starts with polling: Chromium only.
async function cascadeFromPolling(t, behaviour, what) {
  const endpoint = await t.host.endpoint({ to: await t.port(), polling: [behaviour] });
  const session = await t.open({ host: '127.0.0.1', port: endpoint.port, transports: ['XHR', 'WS'] });
  t.ok(session.isConnected(), `${what}: connected by the next transport`);
  // Chromium itself repeats a request whose kept-alive connection was reset, so repeats count as one.
  const attempts = (await t.host.attempts(endpoint.id)).map((attempt) => attempt.transport);
  t.equal(attempts.filter((transport, n) => transport !== attempts[n - 1]), ['polling', 'websocket'], `${what}: attempts`);
  session.close();
}

async function attemptsUntilFailure(t, endpointScript, options, reasonId) {
  const endpoint = await t.host.endpoint({ to: await t.port(), ...endpointScript });
  const reason = await t.rejects(t.open({ host: '127.0.0.1', port: endpoint.port, ...options }), 'connect');
  t.equal(reason?.id, reasonId, 'close reason');
  return (await t.host.attempts(endpoint.id)).map((attempt) => attempt.transport);
}

export const handshake = [
  {
    id: '9.1-tcp-refused',
    group: GROUP,
    title: 'TCP refused or an unknown name: every transport is tried, CONNECTION_ERROR',
    transports: ['ws'],
    async run(t) {
      const port = await t.host.freePort();
      const refused = await t.rejects(
        t.open({ host: '127.0.0.1', port, transports: ['WS', 'XHR', 'WS'] }), 'refused');
      t.equal(refused?.id, 7, 'refused: close reason');
      const unknown = await t.rejects(
        t.open({ host: 'no-such-host.invalid', port, transports: ['WS', 'XHR'] }), 'unknown name');
      t.equal(unknown?.id, 7, 'unknown name: close reason');
    },
  },
  {
    id: '9.1-reset-before-answer',
    group: GROUP,
    title: 'connection reset before an answer: next transport',
    transports: ['ws', 'polling'],
    run: (t) => (t.transport === 'ws'
      ? cascade(t, 'reset', 'reset')
      : cascadeFromPolling(t, 'reset', 'reset')),
  },
  {
    id: '9.1-tls-failure',
    group: GROUP,
    title: 'TLS spoken to a plain port: CONNECTION_ERROR, and the server stays sound',
    transports: ['ws', 'polling'],
    async run(t) {
      const reason = await t.rejects(t.connect({ secure: true }), 'connect');
      t.equal(reason?.id, 7, 'close reason');
      t.ok((await t.connect()).isConnected(), 'a plain session afterwards');
    },
  },
  {
    id: '9.2-http-status',
    group: GROUP,
    title: 'HTTP status other than 101 or 200: next transport',
    transports: ['ws', 'polling'],
    async run(t) {
      for (const status of ['503', '404', '401']) {
        if (t.transport === 'ws') await cascade(t, `status:${status}`, `status ${status}`);
        else await cascadeFromPolling(t, `status:${status}`, `status ${status}`);
      }
    },
  },
  {
    id: '9.3-closed-before-response',
    group: GROUP,
    title: 'WebSocket closed by a close frame before the response: next transport',
    transports: ['ws'],
    run: (t) => cascade(t, 'close1001', 'close frame'),
  },
  {
    id: '9.4-malformed-response',
    group: GROUP,
    title: 'malformed response: next transport',
    transports: ['ws', 'polling'],
    async run(t) {
      for (const [what, behaviour] of Object.entries(MALFORMED)) {
        if (t.transport === 'ws') await cascade(t, behaviour, what);
        else await cascadeFromPolling(t, behaviour, what);
      }
      if (t.transport === 'ws') await cascade(t, 'text:hello', 'text frame');
    },
  },
  {
    id: '9.5-failure-code-stops',
    group: GROUP,
    title: 'a well-formed refusal ends the walk: no further transport, no retry',
    transports: ['ws', 'polling'],
    async run(t) {
      const first = t.transport === 'ws' ? 'websocket' : 'polling';
      const attempts = await attemptsUntilFailure(t, { [first]: ['bytes:231d74'] },
        { transports: t.transport === 'ws' ? ['WS', 'XHR', 'WS'] : ['XHR', 'WS'], retry: { attempts: 2, interval: 50 } }, 99);
      t.equal(attempts, [first], 'attempts');
    },
  },
  {
    id: '9.6-silence-stops',
    group: GROUP,
    title: 'silence: CONNECTION_TIMEOUT after one timeout, no further transport',
    transports: ['ws', 'polling'],
    async run(t) {
      const first = t.transport === 'ws' ? 'websocket' : 'polling';
      const started = performance.now();
      const attempts = await attemptsUntilFailure(t, { [first]: ['silent'] },
        { transports: t.transport === 'ws' ? ['WS', 'XHR'] : ['XHR', 'WS'], connectionTimeout: 500 }, 3);
      const took = performance.now() - started;
      t.equal(attempts, [first], 'attempts');
      t.ok(took < 2_500, `took ${took} ms, want about 500`);
    },
  },
  {
    id: '9.observed-503-then-polling',
    group: GROUP,
    title: 'upgrade answered 503, list WS, XHR: connected over XHR',
    transports: ['polling'],
    run: (t) => inspectedCascade(t, '503'),
  },
  {
    id: '9.observed-1001-then-polling',
    group: GROUP,
    title: 'closed 1001 before the response, list WS, XHR: connected over XHR',
    transports: ['polling'],
    run: (t) => inspectedCascade(t, 'close1001'),
  },
  {
    id: '9.observed-116-no-polling',
    group: GROUP,
    title: 'code 116 on WS, list WS, XHR: ACCESS_DENIED, XHR never tried',
    transports: ['ws'],
    async run(t) {
      const proxy = await t.inspected();
      await proxy.fault({ websocket: 'code:116' });
      const reason = await t.rejects(
        t.open({ host: '127.0.0.1', port: proxy.port, transports: ['WS', 'XHR'] }), 'connect');
      t.equal(reason?.id, 99, 'close reason');
    },
  },
  {
    id: '9.observed-127-everywhere',
    group: GROUP,
    title: 'code 127 on every transport: each is tried, HANDSHAKE_ERROR',
    transports: ['ws', 'polling'],
    async run(t) {
      const list = t.transport === 'ws' ? ['WS', 'WS'] : ['WS', 'XHR'];
      const attempts = await attemptsUntilFailure(t,
        { websocket: ['bytes:231d7f'], polling: ['bytes:231d7f'] }, { transports: list }, 5);
      t.equal(attempts, list.map((name) => (name === 'WS' ? 'websocket' : 'polling')), 'attempts');
    },
  },
  {
    id: '9.observed-503-retries',
    group: GROUP,
    title: 'upgrade answered 503, list WS, two retries: three upgrades, CONNECTION_ERROR',
    transports: ['ws'],
    async run(t) {
      const attempts = await attemptsUntilFailure(t, { websocket: ['status:503'] },
        { transports: ['WS'], retry: { attempts: 2, interval: 100 } }, 7);
      t.equal(attempts.length, 3, 'upgrades');
    },
  },
  {
    id: '9.observed-116-no-retry',
    group: GROUP,
    title: 'wrong password with two retries: one attempt, ACCESS_DENIED',
    transports: ['ws', 'polling'],
    async run(t) {
      const attempts = await attemptsUntilFailure(t, {},
        { transports: t.transports, retry: { attempts: 2, interval: 100 }, principal: 'control', credentials: 'wrong' }, 99);
      t.equal(attempts.length, 1, 'attempts');
    },
  },
  {
    id: '9.observed-silent-after-101',
    group: GROUP,
    title: 'silent after the upgrade, timeout 500 ms, list WS, XHR: CONNECTION_TIMEOUT, XHR never tried',
    transports: ['ws'],
    async run(t) {
      const proxy = await t.inspected();
      await proxy.fault({ websocket: 'silent' });
      const started = performance.now();
      const reason = await t.rejects(t.open({
        host: '127.0.0.1', port: proxy.port, transports: ['WS', 'XHR'], connectionTimeout: 500,
      }), 'connect');
      t.equal(reason?.id, 3, 'close reason');
      t.ok(performance.now() - started < 2_500, 'one timeout only');
    },
  },
  {
    id: '9.retry-arithmetic',
    group: GROUP,
    title: 'two transports and three retries make eight attempts; one transport and two retries make three',
    transports: ['ws'],
    async run(t) {
      for (const [list, retries, want] of [[['WS', 'WS'], 3, 8], [['WS'], 2, 3]]) {
        const attempts = await attemptsUntilFailure(t, { websocket: ['reset'] },
          { transports: list, retry: { attempts: retries, interval: 30 } }, 7);
        t.equal(attempts.length, want, `${list} with ${retries} retries`);
      }
    },
  },
  {
    id: '9.version-mismatch',
    group: GROUP,
    title: 'answers of another version: every attempt is used, PROTOCOL_VERSION_MISMATCH',
    transports: ['ws'],
    async run(t) {
      const attempts = await attemptsUntilFailure(t, { websocket: ['bytes:231c64'] },
        { transports: ['WS', 'WS'], retry: { attempts: 2, interval: 30 } }, 17);
      t.equal(attempts.length, 6, 'attempts');
    },
  },
  {
    id: '9.no-valid-transport',
    group: GROUP,
    title: 'no transport that exists: an error at once',
    transports: ['ws'],
    async run(t) {
      await t.rejects((async () => t.open({ host: '127.0.0.1', port: await t.port(), transports: ['PIGEON'] }))(), 'connect');
    },
  },
  {
    id: '9.session-limit',
    group: GROUP,
    title: 'more sessions than --max-sessions: LICENSE_EXCEEDED, and room again after one closes',
    transports: ['ws', 'polling'],
    async run(t) {
      const { port } = await t.host.serve({ args: ['--max-sessions', '2'] });
      const first = await t.connect({ port });
      await t.connect({ port });
      const reason = await t.rejects(t.connect({ port }), 'third session');
      t.equal(reason?.id, 18, 'close reason');
      await first.closeSession();
      // The client calls itself closed at once; the server may still be at it.
      let retried;
      for (let n = 0; !retried && n < 50; n++) {
        retried = await t.connect({ port }).catch(() => t.after(100));
      }
      t.ok(retried?.isConnected(), 'connected after one closed');
    },
  },
];

async function inspectedCascade(t, fault) {
  const proxy = await t.inspected();
  await proxy.fault({ websocket: fault });
  const session = await t.open({ host: '127.0.0.1', port: proxy.port, transports: ['WS', 'XHR'] });
  t.ok((await session.pingServer()).rtt >= 0, 'ping over polling');
}
