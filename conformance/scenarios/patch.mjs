// JSON Patch (23 section 4).

const GROUP = 'JSON Patch';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const INVALID_PATCH = 9014;
const NOT_CBOR = 9015;

// Patches: the value before, the operations, the value after.
const APPLIED = [
  ['add a member', { a: 1 }, [{ op: 'add', path: '/b', value: [true, null] }], { a: 1, b: [true, null] }],
  ['add over a member', { a: 1 }, [{ op: 'add', path: '/a', value: 'x' }], { a: 'x' }],
  ['add an element', { l: [1, 3] }, [{ op: 'add', path: '/l/1', value: 2 }], { l: [1, 2, 3] }],
  ['add at the end', { l: [1] }, [{ op: 'add', path: '/l/-', value: 2 }, { op: 'add', path: '/l/2', value: 3 }], { l: [1, 2, 3] }],
  ['add the whole', { a: 1 }, [{ op: 'add', path: '', value: ['new'] }], ['new']],
  ['remove a member', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
  ['remove an element', [1, 2, 3], [{ op: 'remove', path: '/1' }], [1, 3]],
  ['replace a member', { a: { b: { c: 1 } } }, [{ op: 'replace', path: '/a/b/c', value: 2.5 }], { a: { b: { c: 2.5 } } }],
  ['replace the whole', 'old', [{ op: 'replace', path: '', value: { new: true } }], { new: true }],
  ['move a member', { a: { x: 1 }, b: {} }, [{ op: 'move', from: '/a/x', path: '/b/y' }], { a: {}, b: { y: 1 } }],
  ['move an element', [1, 2, 3], [{ op: 'move', from: '/0', path: '/2' }], [2, 3, 1]],
  ['copy', { a: { x: [1] } }, [{ op: 'copy', from: '/a', path: '/b' }], { a: { x: [1] }, b: { x: [1] } }],
  ['test', { a: 1, t: 'x', n: null, m: { y: [2, 'z'] } }, [
    { op: 'test', path: '/a', value: 1 }, { op: 'test', path: '/t', value: 'x' }, { op: 'test', path: '/n', value: null },
    { op: 'test', path: '/m', value: { y: [2, 'z'] } }, { op: 'test', path: '/m/y/1', value: 'z' },
  ], { a: 1, t: 'x', n: null, m: { y: [2, 'z'] } }],
  ['escaped names', { 'a/b': 1, 'm~n': 2, ' ': 3, '': 4 }, [
    { op: 'replace', path: '/a~1b', value: 10 }, { op: 'replace', path: '/m~0n', value: 20 },
    { op: 'replace', path: '/ ', value: 30 }, { op: 'replace', path: '/', value: 40 },
  ], { 'a/b': 10, 'm~n': 20, ' ': 30, '': 40 }],
  ['a null value', { a: 1 }, [{ op: 'replace', path: '/a', value: null }], { a: null }],
  ['members that mean nothing', { a: 1 }, [{ op: 'add', path: '/b', value: 2, comment: 'ignored' }], { a: 1, b: 2 }],
  ['no operation', { a: 1 }, [], { a: 1 }],
];

// Patches that fail, and the operation that does.
const FAILED = [
  ['remove what is not there', { a: 1 }, [{ op: 'remove', path: '/b' }], 0],
  ['replace what is not there', { a: 1 }, [{ op: 'add', path: '/c', value: 1 }, { op: 'replace', path: '/b', value: 1 }], 1],
  ['add without a parent', { a: 1 }, [{ op: 'add', path: '/b/c', value: 1 }], 0],
  ['add past the end', { l: [1] }, [{ op: 'test', path: '/l/0', value: 1 }, { op: 'add', path: '/l/5', value: 1 }], 1],
  ['an index with a leading zero', { l: [1, 2] }, [{ op: 'replace', path: '/l/01', value: 1 }], 0],
  ['copy from nowhere', { a: 1 }, [{ op: 'copy', from: '/b', path: '/c' }], 0],
  ['move from nowhere', { a: 1 }, [{ op: 'move', from: '/b', path: '/c' }], 0],
  ['a test that differs', { a: 1 }, [{ op: 'remove', path: '/a' }, { op: 'add', path: '/a', value: 2 }, { op: 'test', path: '/a', value: 1 }], 2],
  ['a test of another type', { a: '1' }, [{ op: 'test', path: '/a', value: 1 }], 0],
  ['a member of a number', { a: 1 }, [{ op: 'add', path: '/a/b', value: 1 }], 0],
];

export const patch = [
  {
    id: 'patch.operations',
    group: GROUP,
    title: 'add, remove, replace, move, copy and test, over members, elements and the whole',
    services: [151],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      for (const [what, before, operations, after] of APPLIED) {
        const path = await t.topic(session, 'JSON');
        await session.topicUpdate.set(path, json, before);
        const result = await session.topicUpdate.applyJsonPatch(path, operations);
        t.equal(result.failedOperation ?? null, null, `${what}: failed operation`);
        const [fetched] = (await session.fetchRequest().withValues(json).fetch(path)).results();
        t.equal(fetched.value().get(), after, what);
      }
    },
  },
  {
    id: 'patch.subscribers',
    group: GROUP,
    title: 'subscribers see the patched values, as small deltas; a patch that changes nothing publishes nothing',
    services: [151],
    transports: ONE,
    async run(t) {
      const { session, heard } = await t.overheard();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const stream = t.watch(session, path, json);
      await session.select(path);
      await session.topicUpdate.set(path, json, { n: 0, text: 'of some length'.repeat(100), list: [] });
      for (let n = 1; n <= 10; n++) {
        await session.topicUpdate.applyJsonPatch(path, [{ op: 'replace', path: '/n', value: n }, { op: 'add', path: '/list/-', value: n }]);
        await session.topicUpdate.applyJsonPatch(path, [{ op: 'test', path: '/n', value: n }]);
      }
      t.equal(stream.of('value').map(({ value }) => [value.n, value.list.length]), Array.from({ length: 11 }, (_, n) => [n, n]), 'values');
      const deltas = (await heard()).filter((message) => message.kind === 'delta' && message.path === path);
      t.equal(deltas.length, 10, 'deltas');
      t.ok(deltas.every(({ delta }) => delta < 100), 'deltas are small');
    },
  },
  {
    id: 'patch.failed-operation',
    group: GROUP,
    title: 'an operation that cannot be applied: its index, and nothing of the patch is applied',
    services: [151],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const stream = t.watch(session, path, json);
      await session.select(path);
      for (const [what, before, operations, index] of FAILED) {
        await session.topicUpdate.set(path, json, before);
        const published = stream.of('value').length;
        const result = await session.topicUpdate.applyJsonPatch(path, operations);
        t.equal(result.failedOperation, index, what);
        const [fetched] = (await session.fetchRequest().withValues(json).fetch(path)).results();
        t.equal([fetched.value().get(), stream.of('value').length], [before, published], `${what}: the value stays`);
      }
      const empty = await t.topic(session, 'JSON');
      t.equal((await session.topicUpdate.applyJsonPatch(empty, [{ op: 'add', path: '', value: 1 }])).failedOperation, 0, 'a topic without a value');
    },
  },
  {
    id: 'patch.invalid',
    group: GROUP,
    title: 'what is no patch: 9014',
    services: [151],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'JSON');
      await session.topicUpdate.set(path, t.datatypes.json(), { a: 1 });
      const invalid = [
        'not JSON', '[', '{"op":"add","path":"/a","value":1}', '[1]', '[{}]', '[{"op":"add","path":"/b"}]', '[{"op":"add","value":1}]',
        '[{"op":"grow","path":"/a","value":1}]', '[{"op":"move","path":"/b"}]', '[{"op":"remove","path":"a"}]',
        '[{"op":"remove","path":"/a"},{"op":"remove","path":7}]', '[{"op":"copy","from":"a","path":"/b"}]', '[] []',
      ];
      for (const text of invalid) await t.refused(session.topicUpdate.applyJsonPatch(path, text), INVALID_PATCH, text);
      const valid = await session.topicUpdate.applyJsonPatch(path, ' [ {"op":"replace","path":"/a","value":2} ] ');
      t.equal(valid.failedOperation ?? null, null, 'a valid text');
    },
  },
  {
    id: 'patch.failures',
    group: GROUP,
    title: 'no topic 9000; not JSON 500; value that is no CBOR 9015; constraint 9012; no permission ACCESS_DENIED',
    services: [151],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const operations = [{ op: 'add', path: '/x', value: 1 }];
      const apply = (path, constraint, by = session) => by.topicUpdate.applyJsonPatch(path, operations, constraint);
      await t.refused(apply(t.path()), 9000, 'no topic');
      await t.refused(apply(await t.topic(session, 'STRING')), 500, 'STRING topic');
      await t.refused(apply(await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'json' })), 500, 'time series');
      const path = await t.topic(session, 'JSON');
      await session.topicUpdate.set(path, json, {});
      await t.refused(apply(path, t.constraints.noValue()), 9012, 'constraint');
      await t.refused(apply(path, undefined, await t.connect()), t.diffusion.errors.ACCESS_DENIED.id, 'no permission');
      const broken = await t.topic(session, 'JSON');
      await session.topicUpdate.set(broken, json, json.readValue(Uint8Array.of(0xbf, 0x61)));
      await t.refused(apply(broken), NOT_CBOR, 'broken value');
    },
  },
  {
    id: 'patch.numbers',
    group: GROUP,
    title: 'numbers of a patch: integers stay integers, others become doubles; what the patch does not touch keeps its bytes',
    services: [151],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      // {"k": 1.0 as a half float, "n": 0}, of definite length.
      await session.topicUpdate.set(path, json, json.readValue(Uint8Array.of(0xa2, 0x61, 0x6b, 0xf9, 0x3c, 0x00, 0x61, 0x6e, 0x00)));
      await session.topicUpdate.applyJsonPatch(path, '[{"op":"replace","path":"/n","value":-9007199254740993},{"op":"add","path":"/d","value":1.5e3}]');
      const { IS } = t.diffusion.topicUpdate.UpdateConstraintOperator;
      const constraint = t.constraints.jsonValue()
        .with('/n', '-9007199254740993', IS, t.datatypes.int64()).with('/d', 1500, IS, t.datatypes.double());
      await session.topicUpdate.set(path, json, {}, { constraint });
    },
  },
  {
    id: 'patch.concurrent',
    group: GROUP,
    title: 'two sessions patch one topic a hundred times: no patch is lost',
    services: [151],
    transports: ONE,
    async run(t) {
      const sessions = [await t.control(), await t.control()];
      const json = t.datatypes.json();
      const path = await t.topic(sessions[0], 'JSON');
      await sessions[0].topicUpdate.set(path, json, { list: [] });
      await Promise.all(sessions.flatMap((session, by) => Array.from({ length: 50 }, (_, n) =>
        session.topicUpdate.applyJsonPatch(path, [{ op: 'add', path: '/list/-', value: `${by} ${n}` }]))));
      const [fetched] = (await sessions[0].fetchRequest().withValues(json).fetch(path)).results();
      t.equal(fetched.value().get().list.length, 100, 'elements');
    },
  },
];
