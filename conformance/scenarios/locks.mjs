// Session locks (33), and updates that depend on them (23 section 3).

const GROUP = 'Session locks';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;
const UNSATISFIED = 9012;

const scopes = (t) => t.diffusion.locks.SessionLockScope;
const number = (lock) => Number(lock.getSequence().toString());

// Starts to acquire a lock and records it: {type: 'acquired', lock} or {type: 'refused', error}. The ping that
// is awaited shows that the server has the request, and not yet answered it if nothing is recorded.
async function waiting(t, session, name, scope) {
  const record = t.record(`lock ${name}`);
  session.lock(name, scope).then((lock) => record.push({ type: 'acquired', lock }), (error) => record.push({ type: 'refused', error }));
  await session.pingServer();
  return record;
}

const acquired = async (record, what) => {
  const { type, lock, error } = await record.until((items) => items.length > 0, what).then(() => record.items[0]);
  if (type !== 'acquired') throw new Error(`${what}: ${error?.message ?? error}`);
  return lock;
};

export const locks = [
  {
    id: 'locks.acquire',
    group: GROUP,
    title: 'a free lock is acquired at once, with its scope and a growing number; unlock tells whether it was owned',
    services: [114, 116],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const { UNLOCK_ON_SESSION_LOSS, UNLOCK_ON_CONNECTION_LOSS } = scopes(t);
      const names = ['a', 'b', 'with/slashes/', ''].map((name) => t.path(name));
      const held = [];
      for (const [n, name] of names.entries()) {
        const scope = n % 2 ? UNLOCK_ON_CONNECTION_LOSS : UNLOCK_ON_SESSION_LOSS;
        const lock = await session.lock(name, scope);
        t.equal([lock.getName(), lock.getScope(), lock.isOwned()], [name, scope, true], `lock ${n}`);
        held.push(lock);
      }
      for (let n = 1; n < held.length; n++) t.ok(number(held[n]) > number(held[n - 1]), 'the numbers grow');
      for (const lock of held) {
        t.equal(await lock.unlock(), true, 'unlock');
        t.equal(lock.isOwned(), false, 'owned after unlock');
        t.equal(await lock.unlock(), false, 'unlock again');
      }
      const again = await session.lock(names[0]);
      t.ok(number(again) > number(held.at(-1)), 'acquired again: a larger number');
      t.equal(again.getScope(), UNLOCK_ON_SESSION_LOSS, 'default scope');
    },
  },
  {
    id: 'locks.wait',
    group: GROUP,
    title: 'who asks for a lock of another waits, first come first served, and other requests go on meanwhile',
    services: [114, 116],
    transports: BOTH,
    async run(t) {
      const [first, second, third] = [await t.control(), await t.control(), await t.control()];
      const name = t.path('lock');
      const lock = await first.lock(name);
      const next = await waiting(t, second, name);
      const last = await waiting(t, third, name);
      t.equal([next.items.length, last.items.length], [0, 0], 'acquired while it is owned');
      await lock.unlock();
      const theirs = await acquired(next, 'the second session');
      await third.pingServer();
      t.equal(last.items.length, 0, 'acquired by the third while the second owns it');
      await theirs.unlock();
      t.ok(number(await acquired(last, 'the third session')) > number(theirs), 'the numbers grow');
    },
  },
  {
    id: 'locks.several-requests',
    group: GROUP,
    title: 'all requests of a session for a lock are answered with one acquisition, of the weakest scope',
    services: [114],
    transports: ONE,
    async run(t) {
      const [owner, session] = [await t.control(), await t.control()];
      const { UNLOCK_ON_SESSION_LOSS, UNLOCK_ON_CONNECTION_LOSS } = scopes(t);
      const name = t.path('lock');
      const lock = await owner.lock(name);
      const requests = [];
      for (const scope of [UNLOCK_ON_SESSION_LOSS, UNLOCK_ON_CONNECTION_LOSS, UNLOCK_ON_SESSION_LOSS]) {
        requests.push(await waiting(t, session, name, scope));
      }
      await lock.unlock();
      const got = [];
      for (const request of requests) got.push(await acquired(request, 'a request'));
      t.equal(got.map(number), new Array(3).fill(number(got[0])), 'numbers');
      t.equal(got[0].getScope(), UNLOCK_ON_CONNECTION_LOSS, 'scope');
      t.equal(number(await session.lock(name)), number(got[0]), 'asked again while owned');
      await got[0].unlock();
      t.equal(got.map((one) => one.isOwned()), [false, false, false], 'owned after one unlock');
    },
  },
  {
    id: 'locks.permission',
    group: GROUP,
    title: 'without ACQUIRE_LOCK for the name, taken for a path, a lock is refused',
    services: [114],
    transports: BOTH,
    async run(t) {
      const anonymous = await t.connect();
      await t.refused(anonymous.lock(t.path('lock')), ACCESS_DENIED, 'anonymous');
      const session = await t.control();
      await t.refused(session.lock('Diffusion/lock'), ACCESS_DENIED, 'in the reserved branch');
      await t.refused(session.lock('/Diffusion/lock'), ACCESS_DENIED, 'in the reserved branch, with a slash');
      await (await session.lock(t.path('lock'))).unlock();
    },
  },
  {
    id: 'locks.session-close',
    group: GROUP,
    title: 'the locks of a session that closes pass to those who wait, whatever their scope',
    services: [114],
    transports: BOTH,
    async run(t) {
      const [owner, session] = [await t.control(), await t.control()];
      const held = [];
      const requests = [];
      for (const scope of [scopes(t).UNLOCK_ON_SESSION_LOSS, scopes(t).UNLOCK_ON_CONNECTION_LOSS]) {
        const name = t.path();
        held.push(await owner.lock(name, scope));
        requests.push(await waiting(t, session, name));
      }
      const gone = await t.control(); // waits too, and closes first
      await waiting(t, gone, held[0].getName());
      await gone.closeSession();
      await owner.closeSession();
      for (const request of requests) t.ok((await acquired(request, 'after the close')).isOwned(), 'owned');
      t.equal(held.map((lock) => lock.isOwned()), [false, false], 'owned by the closed session');
    },
  },
  {
    id: 'locks.connection-loss',
    group: GROUP,
    title: 'a lost connection releases the locks of that scope and no others',
    services: [114],
    transports: ONE,
    async run(t) {
      const away = await t.absentee({ principal: 'control', credentials: 'password' });
      const other = await t.control();
      const kept = await away.session.lock(t.path('kept'), scopes(t).UNLOCK_ON_SESSION_LOSS);
      const lost = await away.session.lock(t.path('lost'), scopes(t).UNLOCK_ON_CONNECTION_LOSS);
      const first = await waiting(t, other, lost.getName());
      const second = await waiting(t, other, kept.getName());
      await away.leave();
      t.equal([kept.isOwned(), lost.isOwned()], [true, false], 'owned while away');
      const theirs = await acquired(first, 'the lock of the connection');
      t.ok(number(theirs) > number(lost), 'the numbers grow');
      await other.pingServer();
      t.equal(second.items.length, 0, 'the lock of the session, acquired by another');
      await away.back();
      t.equal([kept.isOwned(), lost.isOwned()], [true, false], 'owned when back');
      t.equal(await kept.unlock(), true, 'unlock');
      await acquired(second, 'the lock of the session, once unlocked');
    },
  },
  {
    id: 'locks.granted-while-away',
    group: GROUP,
    title: 'a lock that comes free while the waiting session is away is its own when it is back',
    services: [114],
    transports: ONE,
    async run(t) {
      const away = await t.absentee({ principal: 'control', credentials: 'password' });
      const owner = await t.control();
      const third = await t.control();
      const lock = await owner.lock(t.path('lock'));
      const request = await waiting(t, away.session, lock.getName());
      await away.leave();
      await lock.unlock();
      const later = await waiting(t, third, lock.getName());
      t.equal(later.items.length, 0, 'acquired by who came later');
      await away.back();
      const theirs = await acquired(request, 'after the absence');
      t.equal([theirs.isOwned(), later.items.length], [true, 0], 'owned, and by nobody else');
      t.equal(await theirs.unlock(), true, 'unlock');
      await acquired(later, 'who came later');
    },
  },
  {
    id: 'locks.message-loss',
    group: GROUP,
    title: 'a reconnection with loss of messages releases all locks and forgets the requests',
    services: [114],
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--recovery-messages', '2'] });
      const proxy = await t.lossy(server.port);
      const session = await t.control({ port: proxy.port, reconnect: t.patient() });
      const other = await t.control({ port: server.port });
      const events = t.events(session);
      const path = await t.topic(other, 'INT64');
      const values = t.watch(session, path, t.datatypes.int64());
      await session.select(path);
      await values.await('subscribe');
      const mine = await session.lock('mine');
      const theirs = await other.lock('theirs');
      const pending = await waiting(t, session, 'theirs');
      const request = await waiting(t, other, 'mine');
      await proxy.lose(10, async () => {
        for (let n = 0; n < 10; n++) await other.topicUpdate.set(path, t.datatypes.int64(), n);
      });
      await events.await('reconnect');
      t.equal(mine.isOwned(), false, 'owned after the loss');
      await acquired(request, 'the lock of the session that lost messages');
      await theirs.unlock();
      const third = await t.control({ port: server.port });
      t.ok((await third.lock('theirs')).isOwned(), 'nobody waits for the lock that was asked for before the loss');
      t.equal(pending.of('acquired').length, 0, 'requests from before the loss that were granted');
    },
  },
  {
    id: 'locks.constraint',
    group: GROUP,
    title: 'an update locked by an acquisition is made while that lasts, by whichever session',
    services: [114, 116, 118, 122],
    transports: BOTH,
    async run(t) {
      const [session, other] = [await t.control(), await t.control()];
      const string = t.datatypes.string();
      const path = t.path();
      const lock = await session.lock(t.path('lock'));
      const constraint = t.constraints.locked(lock);
      const specification = t.spec('STRING');
      await session.topicUpdate.set(path, string, 'created', { constraint, specification });
      await other.topicUpdate.set(path, string, 'by another', { constraint });
      await lock.unlock();
      const refused = (by, what) => t.refused(by.topicUpdate.set(path, string, 'never', { constraint }), UNSATISFIED, what);
      await refused(session, 'when it is free');
      const theirs = await other.lock(lock.getName());
      await refused(session, 'when another owns it');
      await refused(other, 'by another, with the acquisition before');
      await session.topicUpdate.set(path, string, 'their turn', { constraint: t.constraints.locked(theirs) });
      const both = constraint.or(t.constraints.value('their turn', string));
      await session.topicUpdate.set(path, string, 'in the end', { constraint: both });
      const values = t.watch(session, path, string);
      await session.select(path);
      t.equal((await values.await('value')).value, 'in the end', 'value');
    },
  },
  {
    id: 'locks.constraint-connection-loss',
    group: GROUP,
    title: 'when the connection is lost, updates and update streams that its lock guards are over',
    services: [114, 118, 126, 128],
    transports: ONE,
    async run(t) {
      const away = await t.absentee({ principal: 'control', credentials: 'password' });
      const string = t.datatypes.string();
      const path = await t.topic(away.session, 'STRING');
      const lock = await away.session.lock(t.path('lock'), scopes(t).UNLOCK_ON_CONNECTION_LOSS);
      const constraint = t.constraints.locked(lock);
      const stream = away.session.topicUpdate.createUpdateStream(path, string, { constraint });
      await stream.set('one');
      await stream.set('two');
      await away.leave();
      await away.back();
      await t.refused(stream.set('three'), 9013, 'stream');
      await t.refused(away.session.topicUpdate.set(path, string, 'four', { constraint }), UNSATISFIED, 'set');
    },
  },
  {
    id: 'locks.queries',
    group: GROUP,
    title: 'who may view the server learns who holds which lock',
    services: [196, 197],
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve();
      const [owner, admin] = [await t.control({ port: server.port }), await t.admin({ port: server.port })];
      const plain = ({ sessionId, sequence }) => [sessionId.toString(), Number(sequence.toString())];
      t.equal(await admin.clients.getSessionLock('a'), null, 'a lock that nobody holds');
      t.equal(Object.keys(await admin.clients.getSessionLocks()), [], 'no locks');
      const held = [await owner.lock('a'), await owner.lock('b/c', scopes(t).UNLOCK_ON_CONNECTION_LOSS), await admin.lock('d')];
      const details = await admin.clients.getSessionLock('b/c');
      t.equal(plain(details), [owner.sessionId.toString(), number(held[1])], 'a lock that is held');
      t.ok(details.serverName.length > 0, 'name of the server');
      const all = await admin.clients.getSessionLocks();
      t.equal(Object.keys(all).sort(), ['a', 'b/c', 'd'], 'names');
      t.equal(plain(all.d), [admin.sessionId.toString(), number(held[2])], 'one of all');
      await t.refused(owner.clients.getSessionLock('a'), ACCESS_DENIED, 'one, without permission');
      await t.refused(owner.clients.getSessionLocks(), ACCESS_DENIED, 'all, without permission');
    },
  },
];
