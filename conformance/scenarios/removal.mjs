// Topics that remove themselves (12 section 12.6). The server evaluates the policies every few seconds.

const GROUP = 'Automatic removal';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const SOON = { ms: 20_000 };
const PATIENCE_MS = 60_000; // several evaluations, on a slow machine

// Adds a topic with the policy, and returns a session's record of it.
async function doomed(t, policy, { path = t.path(), observer } = {}) {
  const creator = await t.control();
  const watcher = observer ?? (await t.connect());
  const stream = t.watch(watcher, path, t.datatypes.string());
  if (observer !== null) await watcher.select(path);
  await t.topic(creator, 'STRING', { REMOVAL: policy }, path);
  if (observer !== null) await stream.await('subscribe');
  return { creator, stream, path };
}

const gone = async (t, stream) => t.equal((await stream.await('unsubscribe', SOON)).id, t.diffusion.topics.UnsubscribeReason.REMOVED.id, 'reason');

const exists = async (session, path) => (await session.fetchRequest().fetch(path)).size() === 1;

// Resolves once there is no topic at the path.
async function absent(t, session, path) {
  for (let n = 0; n < 200 && await exists(session, path); n++) await t.after(100);
  t.ok(!(await exists(session, path)), `${path} is still there`);
}

export const removal = [
  {
    id: 'removal.this-session-closes',
    group: GROUP,
    title: 'when this session closes: the topic goes with its creator, and with nobody else',
    transports: BOTH,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const { creator, stream, path } = await doomed(t, 'when this session closes');
      const other = await t.control();
      t.equal((await other.topics.add(path, t.spec('STRING', { REMOVAL: 'when this session closes' }))).added, false, 'added by another');
      await other.closeSession();
      await (await t.control()).topicUpdate.set(path, t.datatypes.string(), 'still here');
      await stream.await('value');
      await creator.closeSession();
      await gone(t, stream);
    },
  },
  {
    id: 'removal.survives-reconnection',
    group: GROUP,
    title: 'when this session closes: a session that loses its connection and recovers keeps the topic',
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const { session, leave, back } = await t.absentee({ principal: 'control', credentials: 'password' });
      const observer = await t.connect();
      const path = await t.topic(session, 'STRING', { REMOVAL: 'when this session closes' });
      await leave();
      t.ok(await exists(observer, path), 'there while the creator is away');
      await back();
      await session.topicUpdate.set(path, t.datatypes.string(), 'fine');
      await session.closeSession();
      await absent(t, observer, path);
    },
  },
  {
    id: 'removal.selector',
    group: GROUP,
    title: 'remove "selector": what it selects goes; the topic with the policy only if it is selected itself',
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const owner = await t.control();
      const branch = t.path('branch');
      for (const name of ['a', 'a/deep', 'b']) await t.topic(owner, 'STRING', {}, `${branch}/${name}`);
      const { creator, stream } = await doomed(t, `when this session closes remove "?${branch}/a//"`, { path: `${branch}/a/policy` });
      const outside = await doomed(t, `when this session closes remove '>${branch}/b'`, { path: `${branch}/policy` });
      await creator.closeSession();
      await gone(t, stream);
      await absent(t, owner, `${branch}/a`);
      await absent(t, owner, `${branch}/a/deep`);
      t.ok(await exists(owner, `${branch}/b`), 'what the selector does not select stays');
      await outside.creator.closeSession();
      await absent(t, owner, `${branch}/b`);
      t.ok(await exists(owner, outside.path), 'the topic with the policy stays');
    },
  },
  {
    id: 'removal.no-updates',
    group: GROUP,
    title: 'no updates for 1s: an idle topic goes, one that is updated stays',
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const { stream } = await doomed(t, 'when no updates for 1s');
      const busy = await doomed(t, 'when no updates for 4s');
      for (let n = 0; stream.of('unsubscribe').length === 0 && n < 40; n++) {
        await busy.creator.topicUpdate.set(busy.path, t.datatypes.string(), `update ${n}`);
        await t.after(500);
      }
      await gone(t, stream);
      t.equal(busy.stream.of('unsubscribe').length, 0, 'unsubscriptions of the busy topic');
    },
  },
  {
    id: 'removal.subscriptions',
    group: GROUP,
    title: 'subscriptions < 1 for 1s: goes when the last subscriber has left',
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const creator = await t.control();
      const subscriber = await t.connect();
      const policy = { REMOVAL: 'when subscriptions < 1 for 1s' };
      const path = t.path('wanted');
      const lonely = t.path('lonely');
      await subscriber.select(path);
      await t.topic(creator, 'STRING', policy, path);
      await t.topic(creator, 'STRING', policy, lonely);
      await absent(t, creator, lonely);
      t.ok(await exists(creator, path), 'there while somebody is subscribed');
      await subscriber.unsubscribe(path);
      await absent(t, creator, path);
    },
  },
  {
    id: 'removal.time-after',
    group: GROUP,
    title: 'time after: in milliseconds or as a date; a time to come leaves the topic alone',
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const past = await doomed(t, 'when time after 1000000000000');
      const date = await doomed(t, 'when time after "Tue, 3 Jun 2008 11:05:30 GMT"');
      const future = await doomed(t, `when time after ${Date.now() + 86_400_000}`);
      const soon = await doomed(t, `when time after ${Date.now() + 1_500}`);
      await Promise.all([gone(t, past.stream), gone(t, date.stream), gone(t, soon.stream)]);
      t.equal(future.stream.of('unsubscribe').length, 0, 'unsubscriptions of the one to come');
    },
  },
  {
    id: 'removal.no-session-has',
    group: GROUP,
    title: 'no session has "filter", at once or for 1s: goes when nobody matches any more',
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const { port } = await t.host.serve();
      const creator = await t.control({ port });
      const operator = await t.connect({ port, principal: 'operator', credentials: 'password' });
      const policy = (filter, period) => ({ REMOVAL: `when no session has '${filter}'${period}` });
      const kept = await t.topic(creator, 'STRING', policy('$Principal is "operator"', ''));
      const nobody = await t.topic(creator, 'STRING', policy('$Principal is "nobody"', ' for 1s'));
      await absent(t, creator, nobody);
      t.ok(await exists(creator, kept), 'there while a session matches');
      await operator.closeSession();
      await absent(t, creator, kept);
    },
  },
  {
    id: 'removal.combined',
    group: GROUP,
    title: 'and, or and parentheses: and binds tighter',
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const [past, future] = ['time after 1000000000000', 'time after 4102444800000'];
      const idle = 'no updates for 1s';
      const never = 'subscriptions < 1 for 9d';
      const session = await t.control();
      const go = [`${past} and ${idle}`, `${never} or ${idle}`, `${idle} or ${never} and ${future}`, `(${never} or ${idle}) and ${past}`];
      const stay = [`${future} and ${idle}`, `(${never} or ${idle}) and ${future}`];
      const topics = async (policies) => Promise.all(policies.map((policy) => t.topic(session, 'STRING', { REMOVAL: `when ${policy}` })));
      const stayers = await topics(stay);
      for (const path of await topics(go)) await absent(t, session, path);
      for (const [n, path] of stayers.entries()) t.ok(await exists(session, path), `gone: ${stay[n]}`);
    },
  },
  {
    id: 'removal.expressions',
    group: GROUP,
    title: 'all expressions of the manual are accepted; what makes no sense is INVALID_DETAILS',
    services: [112],
    transports: ONE,
    timeoutMs: PATIENCE_MS,
    async run(t) {
      const session = await t.control();
      const branch = t.root;
      const valid = [
        'when time after 4102444800000', `when time after 'Tue, 1 Jan 2030 00:00:00 GMT' remove '?${branch}/none//'`,
        'when subscriptions < 1 for 5m', 'when local subscriptions < 3 for 90s after 2h', 'when no updates for 45m after 3d',
        `when no session has '$Principal is "bob"' for 2m`, `when no local session has "$Country is 'GB' and not Desk eq 'fx'" for 1h after 1d`,
        'when time after "Tue, 1 Jan 2030 00:00:00 GMT" and (no updates for 7m or subscriptions < 5 for 20s after 1h)',
        `when this session closes remove "?${branch}/none//"`, 'WHEN NO UPDATES FOR 10m',
      ];
      for (const policy of valid) {
        t.equal((await session.topics.add(t.path(), t.spec('STRING', { REMOVAL: policy }))).added, true, policy);
      }
      const { INVALID_DETAILS } = t.diffusion.topics.TopicAddFailReason;
      const invalid = [
        'no updates for 1s', 'when', 'when it rains', 'when no updates', 'when no updates for 1w', 'when no updates for 1 s',
        'when subscriptions > 1 for 1s', 'when time after tomorrow', 'when no updates for 1s and', 'when (no updates for 1s',
        'when no session has "" for 1s', `when no session has '$Principal bob' for 1s`, 'when this session closes remove "?["',
        'when this session closes remove ?a//', 'when no updates for 1s or no updates for 2s',
      ];
      for (const policy of invalid) {
        await t.refused(session.topics.add(t.path(), t.spec('STRING', { REMOVAL: policy })), INVALID_DETAILS.id, `"${policy}"`);
      }
    },
  },
];
