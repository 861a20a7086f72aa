// Update constraints: every kind, operator and type of value, satisfied and not (23 section 3).

const GROUP = 'Update constraints';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const UNSATISFIED = 9012;

const OPERATORS = ['EQ', 'NE', 'GT', 'GE', 'LT', 'LE'];

const operatorsOf = (t) => t.diffusion.topicUpdate.UpdateConstraintOperator;

// Checks that a set under the constraint is done or refused. The value is put back first.
async function check(t, session, path, type, value, constraint, holds, what) {
  const datatype = t.datatypeOf(type);
  if (value !== undefined) await session.topicUpdate.set(path, datatype, value);
  const attempt = session.topicUpdate.set(path, datatype, value ?? null, { constraint });
  if (!holds) return t.refused(attempt, UNSATISFIED, `${what}, which does not hold`);
  return attempt.catch((error) => { throw new Error(`${what}, which holds: ${t.show(error)}`); });
}

// Which comparisons hold, by how the value compares with the operand.
const TABLE = {
  less: { EQ: false, NE: true, GT: false, GE: false, LT: true, LE: true },
  equal: { EQ: true, NE: false, GT: false, GE: true, LT: false, LE: true },
  greater: { EQ: false, NE: true, GT: true, GE: true, LT: false, LE: false },
};

const NUMBERS = [
  { type: 'INT64', values: { less: 6, equal: 7, greater: 8 }, operand: ['int64', 7] },
  { type: 'INT64', values: { less: 7, greater: 8 }, operand: ['double', 7.5] },
  { type: 'INT64', values: { less: '9007199254740992', equal: '9007199254740993', greater: '9007199254740994' }, operand: ['int64', '9007199254740993'] },
  { type: 'DOUBLE', values: { less: -1.5, equal: 2, greater: 2.5 }, operand: ['int64', 2] },
  { type: 'DOUBLE', values: { less: 0.1, equal: 0.25, greater: 1e300 }, operand: ['double', 0.25] },
  { type: 'STRING', values: { less: '-12', equal: '12.0', greater: '100' }, operand: ['int64', 12] },
  { type: 'STRING', values: { less: '1', equal: '1.5', greater: '15' }, operand: ['double', 1.5] },
];

export const constraints = [
  {
    id: 'constraints.no-topic',
    group: GROUP,
    title: 'noTopic: holds where there is no topic, so that one of two creators wins',
    services: [122],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const constraint = t.constraints.noTopic();
      const path = t.path();
      const create = () => session.topicUpdate.set(path, string, 'v', { specification: t.spec('STRING'), constraint });
      t.equal(await create(), t.diffusion.topicUpdate.TopicCreationResult.CREATED, 'first');
      await t.refused(create(), UNSATISFIED, 'second');
      await t.refused(session.topicUpdate.set(path, string, 'v', { constraint }), UNSATISFIED, 'set');
      await t.refused(session.topicUpdate.set(t.path(), string, 'v', { constraint }), 9000, 'set without a topic');
    },
  },
  {
    id: 'constraints.no-value',
    group: GROUP,
    title: 'noValue: holds for a topic without a value, also after null; neither with a value nor without a topic',
    services: [118],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const string = t.datatypes.string();
      const constraint = t.constraints.noValue();
      const path = await t.topic(session, 'STRING');
      await session.topicUpdate.set(path, string, 'one', { constraint });
      await t.refused(session.topicUpdate.set(path, string, 'two', { constraint }), UNSATISFIED, 'with a value');
      await session.topicUpdate.set(path, string, null);
      await session.topicUpdate.set(path, string, 'three', { constraint });
      await t.refused(session.topicUpdate.set(t.path(), string, 'v', { constraint }), UNSATISFIED, 'without a topic');
    },
  },
  {
    id: 'constraints.value-is',
    group: GROUP,
    title: 'value (IS): equal to the last byte, for every type; never without a value or a topic',
    services: [118],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const record = (...fields) => t.datatypes.recordv2().valueBuilder().addRecord(fields).build();
      const samples = {
        JSON: [{ a: 1, b: [null] }, { b: [null], a: 1 }], STRING: ['a', 'b'], INT64: [7, 8], DOUBLE: [0.5, 0.25],
        BINARY: [Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3)], RECORD_V2: [record('a', 'b'), record('a', 'c')],
      };
      for (const [type, [value, other]] of Object.entries(samples)) {
        const datatype = t.datatypeOf(type);
        const { value: is } = t.constraints;
        const path = await t.topic(session, type);
        await t.refused(session.topicUpdate.set(path, datatype, value, { constraint: is(value, datatype) }), UNSATISFIED, `${type}, no value`);
        await check(t, session, path, type, value, is(value, datatype), true, `${type} equal`);
        await check(t, session, path, type, value, is(operatorsOf(t).IS, value, datatype), true, `${type} IS equal`);
        await check(t, session, path, type, value, is(other, datatype), false, `${type} different`);
        await t.refused(session.topicUpdate.set(t.path(), datatype, value, { constraint: is(value, datatype) }), UNSATISFIED, `${type}, no topic`);
      }
    },
  },
  {
    id: 'constraints.value-numbers',
    group: GROUP,
    title: 'value with EQ, NE, GT, GE, LT, LE and a number: INT64, DOUBLE and STRING topics compare by value, exactly',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      for (const { type, values, operand: [name, operand] } of NUMBERS) {
        const path = await t.topic(session, type);
        for (const [relation, value] of Object.entries(values)) {
          for (const operator of OPERATORS) {
            const constraint = t.constraints.value(operatorsOf(t)[operator], operand, t.datatypes[name]());
            await check(t, session, path, type, value, constraint, TABLE[relation][operator], `${type} ${value} ${operator} ${name} ${operand}`);
          }
        }
      }
    },
  },
  {
    id: 'constraints.value-text',
    group: GROUP,
    title: 'value with EQ, NE and a text: the text of STRING, INT64 and DOUBLE values',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const { EQ, NE } = operatorsOf(t);
      for (const [type, value, text] of [['STRING', 'abc', 'abc'], ['INT64', -42, '-42'], ['DOUBLE', 1.5, '1.5']]) {
        const path = await t.topic(session, type);
        const string = t.datatypes.string();
        for (const [operator, operand, holds] of [[EQ, text, true], [EQ, `${text}0`, false], [NE, text, false], [NE, `${text}0`, true]]) {
          await check(t, session, path, type, value, t.constraints.value(operator, operand, string), holds, `${type} ${value} ${operator} "${operand}"`);
        }
      }
    },
  },
  {
    id: 'constraints.value-never',
    group: GROUP,
    title: 'no comparison holds without a value or a topic, for text that is no number, or for types that do not compare',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const operators = operatorsOf(t);
      const five = (operator) => t.constraints.value(operators[operator], 5, t.datatypes.int64());
      for (const operator of OPERATORS) {
        await t.refused(session.topicUpdate.set(t.path(), t.datatypes.int64(), 1, { constraint: five(operator) }), UNSATISFIED, `${operator}, no topic`);
        const empty = await t.topic(session, 'INT64');
        await t.refused(session.topicUpdate.set(empty, t.datatypes.int64(), 1, { constraint: five(operator) }), UNSATISFIED, `${operator}, no value`);
        const text = await t.topic(session, 'STRING');
        await check(t, session, text, 'STRING', 'five', five(operator), false, `STRING "five" ${operator} 5`);
        const json = await t.topic(session, 'JSON');
        await check(t, session, json, 'JSON', 5, five(operator), false, `JSON 5 ${operator} 5`);
        const binary = await t.topic(session, 'BINARY');
        await check(t, session, binary, 'BINARY', Uint8Array.of(5), five(operator), false, `BINARY ${operator} 5`);
      }
    },
  },
  {
    id: 'constraints.json-is',
    group: GROUP,
    title: 'jsonValue().with(pointer, value): a member or an element, equal in its bytes',
    services: [118],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'JSON');
      const value = { id: 'x', n: 1, list: [{ a: true }, 'two'], 'a/b': 1, deep: { er: { still: 'here' } } };
      const json = () => t.constraints.jsonValue();
      const cases = [
        [json().with('/id', 'x', t.datatypes.string()), true], [json().with('/id', 'y', t.datatypes.string()), false],
        [json().with('/list/1', 'two', t.datatypes.string()), true], [json().with('/list/2', 'two', t.datatypes.string()), false],
        [json().with('/list/1', 2, t.datatypes.int64()), false], [json().with('/deep/er/still', 'here', t.datatypes.string()), true],
        [json().with('/deep/er/still', 'gone', t.datatypes.string()), false], [json().with('/deep/none', 'here', t.datatypes.string()), false],
        [json().with('/n', 1, t.datatypes.int64()), true], [json().with('/n', 1, t.datatypes.double()), false], [json().with('/a~1b', 1, t.datatypes.int64()), true],
        [json().with('/id', 'x', t.datatypes.string()).with('/list/1', 'two', t.datatypes.string()), true],
        [json().with('/id', 'x', t.datatypes.string()).with('/list/1', 'three', t.datatypes.string()), false],
      ];
      for (const [n, [constraint, holds]] of cases.entries()) await check(t, session, path, 'JSON', value, constraint, holds, `case ${n}`);
    },
  },
  {
    id: 'constraints.json-without',
    group: GROUP,
    title: 'jsonValue().without(pointer): holds where nothing is selected; an empty constraint holds for any value',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'JSON');
      const value = { id: 'x', none: null, list: [1] };
      const json = () => t.constraints.jsonValue();
      const cases = [
        [json(), true], [json().without('/other'), true], [json().without('/id'), false], [json().without('/none'), false],
        [json().without('/list/1'), true], [json().without('/list/0'), false],
        [json().with('/id', 'x', t.datatypes.string()).without('/other'), true], [json().with('/id', 'x', t.datatypes.string()).without('/list'), false],
      ];
      for (const [n, [constraint, holds]] of cases.entries()) await check(t, session, path, 'JSON', value, constraint, holds, `case ${n}`);
      const empty = await t.topic(session, 'JSON');
      await t.refused(session.topicUpdate.set(empty, t.datatypes.json(), {}, { constraint: json() }), UNSATISFIED, 'no value');
      const text = await t.topic(session, 'STRING');
      await check(t, session, text, 'STRING', 'x', json(), false, 'a STRING topic');
    },
  },
  {
    id: 'constraints.json-compare',
    group: GROUP,
    title: 'jsonValue().with(pointer, value, operator): numbers, texts that are numbers, texts, null and booleans',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'JSON');
      const value = { n: 7, d: 7.5, digits: '7', text: 'abc', yes: true, no: false, nil: null, list: [] };
      const { EQ, NE, GT, GE, LT, LE } = operatorsOf(t);
      const all = { EQ, NE, GT, GE, LT, LE };
      const compare = (pointer, relation, operand, datatype) =>
        Object.entries(all).map(([name, operator]) => [pointer, operand, operator, datatype, TABLE[relation][name], name]);
      const cases = [
        ...compare('/n', 'equal', 7, 'int64'), ...compare('/n', 'less', 7.5, 'double'), ...compare('/d', 'greater', 7, 'int64'),
        ...compare('/digits', 'equal', 7, 'int64'), ...compare('/digits', 'less', 8, 'double'),
        ['/text', 'abc', EQ, 'string', true], ['/text', 'abd', EQ, 'string', false], ['/text', 'abc', NE, 'string', false], ['/text', 'abd', NE, 'string', true],
        ['/n', '7', EQ, 'string', true], ['/n', '8', NE, 'string', true],
        ['/nil', null, EQ, null, true], ['/n', null, EQ, null, false], ['/nil', null, NE, null, false], ['/n', null, NE, null, true],
        ['/yes', true, EQ, null, true], ['/no', true, EQ, null, false], ['/no', false, EQ, null, true], ['/n', true, EQ, null, false],
        ...Object.values(all).map((operator) => ['/missing', 7, operator, 'int64', false]),
        ...Object.values(all).map((operator) => ['/text', 7, operator, 'int64', false]),
        ...Object.values(all).map((operator) => ['/list', 7, operator, 'int64', false]),
        ['/missing', null, NE, null, false], ['/missing', 'x', NE, 'string', false], ['/yes', 'true', EQ, 'string', false],
      ];
      for (const [pointer, operand, operator, datatype, holds] of cases) {
        const constraint = t.constraints.jsonValue().with(pointer, operand, operator, ...(datatype ? [t.datatypes[datatype]()] : []));
        await check(t, session, path, 'JSON', value, constraint, holds, `${pointer} ${operatorsOf(t)[operator]} ${t.show(operand)} as ${datatype}`);
      }
    },
  },
  {
    id: 'constraints.combined',
    group: GROUP,
    title: 'and, or, and nests of both',
    services: [118],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      const path = await t.topic(session, 'INT64');
      const { GT, LT, EQ } = operatorsOf(t);
      const { value, noValue, noTopic } = t.constraints;
      const is = (operator, number) => value(operator, number, t.datatypes.int64());
      const [yes, no] = [is(EQ, 5), is(EQ, 6)];
      const cases = [
        ['yes and yes', is(GT, 4).and(is(LT, 6)), true], ['yes and no', yes.and(no), false], ['no and yes', no.and(yes), false],
        ['yes or no', yes.or(no), true], ['no or yes', no.or(yes), true], ['no or no', no.or(is(GT, 5)), false],
        ['noValue or yes', noValue().or(yes), true], ['noTopic or no', noTopic().or(no), false],
        ['(no or yes) and (yes or no)', no.or(yes).and(is(GT, 1).or(is(GT, 9))), true],
        ['(yes and no) or yes', yes.and(no).or(is(LT, 9)), true], ['(yes or no) and no', yes.or(is(GT, 9)).and(no), false],
      ];
      for (const [what, constraint, holds] of cases) await check(t, session, path, 'INT64', 5, constraint, holds, what);
      let deep = yes;
      for (let n = 0; n < 40; n++) deep = deep.or(is(EQ, 100 + n)).and(is(GT, -n));
      await check(t, session, path, 'INT64', 5, deep, true, 'a nest of eighty');
      await session.topicUpdate.set(t.path(), t.datatypes.int64(), 1, { specification: t.spec('INT64'), constraint: noTopic().or(noValue()) });
    },
  },
  {
    id: 'constraints.local-refusals',
    group: GROUP,
    title: 'constraints that make no sense are refused by the client',
    transports: ONE,
    async run(t) {
      const { EQ, GT, NE } = operatorsOf(t);
      const { value, noValue, noTopic, jsonValue } = t.constraints;
      const text = t.datatypes.string();
      const refused = {
        'GT with a text': () => value(GT, 'a', text), 'EQ with JSON': () => value(EQ, { a: 1 }, t.datatypes.json()),
        'NE with a boolean': () => jsonValue().with('/a', true, NE), 'value and noValue': () => value('a', text).and(noValue()),
        'value and noTopic': () => value('a', text).and(noTopic()), 'noTopic and noValue': () => noTopic().and(noValue()),
      };
      for (const [what, build] of Object.entries(refused)) await t.rejects(build, what);
    },
  },
  {
    id: 'constraints.not-locked',
    group: GROUP,
    title: 'locked: a lock that nobody holds satisfies nothing, with or without a topic',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const lock = { getName: () => t.path('lock'), getSequence: () => 1 };
      const constraint = t.constraints.locked(lock);
      const path = await t.topic(session, 'STRING');
      await check(t, session, path, 'STRING', 'x', constraint, false, 'locked');
      const specification = t.spec('STRING');
      await t.refused(session.topicUpdate.set(t.path(), t.datatypes.string(), 'x', { constraint, specification }), UNSATISFIED, 'without a topic');
      await check(t, session, path, 'STRING', 'x', constraint.or(t.constraints.value('x', t.datatypes.string())), true, 'locked or value');
    },
  },
  {
    id: 'constraints.locked',
    group: GROUP,
    title: 'locked: holds for the session that holds the lock, until it unlocks it',
    services: [118, 125, 127],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const other = await t.control();
      const lock = await session.lock(t.path('lock'));
      const constraint = t.constraints.locked(lock);
      const path = await t.topic(session, 'STRING');
      await check(t, session, path, 'STRING', 'x', constraint, true, 'locked');
      await check(t, session, path, 'STRING', 'x', constraint.and(t.constraints.value('x', t.datatypes.string())), true, 'locked and value');
      const stream = session.topicUpdate.createUpdateStream(path, t.datatypes.string(), { constraint });
      await stream.validate();
      await lock.unlock();
      await t.rejects(stream.set('y'), 'stream after the lock is gone');
      await check(t, session, path, 'STRING', 'x', constraint, false, 'after unlock');
      await (await other.lock(lock.getName())).unlock();
    },
  },
  {
    id: 'constraints.every-call',
    group: GROUP,
    title: 'every update call has constraints: set, with a specification, patch, and the four ways to open a stream',
    services: [118, 122, 125, 126, 130, 131, 151],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const json = t.datatypes.json();
      const path = await t.topic(session, 'JSON');
      const specification = t.spec('JSON');
      const calls = {
        set: (options) => session.topicUpdate.set(path, json, { n: 1 }, options),
        'set with a specification': (options) => session.topicUpdate.set(path, json, { n: 1 }, { ...options, specification }),
        patch: ({ constraint }) => session.topicUpdate.applyJsonPatch(path, [{ op: 'replace', path: '/n', value: 1 }], constraint),
        'stream, set': (options) => session.topicUpdate.createUpdateStream(path, json, options).set({ n: 1 }),
        'stream, validate': (options) => session.topicUpdate.createUpdateStream(path, json, options).validate(),
        'adding stream, set': (options) => session.topicUpdate.createUpdateStream(path, json, { ...options, specification }).set({ n: 1 }),
        'adding stream, validate': (options) => session.topicUpdate.createUpdateStream(path, json, { ...options, specification }).validate(),
      };
      const n = (number) => t.constraints.jsonValue().with('/n', number, operatorsOf(t).EQ, t.datatypes.int64());
      for (const [what, call] of Object.entries(calls)) {
        await session.topicUpdate.set(path, json, { n: 1 });
        await call({ constraint: n(1) });
        await t.refused(call({ constraint: n(2) }), UNSATISFIED, what);
      }
    },
  },
  {
    id: 'constraints.time-series',
    group: GROUP,
    title: 'constraints on a time series look at the value of the newest event',
    services: [118],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const int64 = t.datatypes.int64();
      const { EQ, GE } = operatorsOf(t);
      const path = await t.topic(session, 'TIME_SERIES', { TIME_SERIES_EVENT_VALUE_TYPE: 'int64' });
      const set = (value, constraint) => session.topicUpdate.set(path, int64, value, { constraint });
      await set(1, t.constraints.noValue());
      await set(2, t.constraints.value(1, int64));
      await t.refused(set(3, t.constraints.value(1, int64)), UNSATISFIED, 'IS an older value');
      await set(3, t.constraints.value(EQ, 2, int64));
      await t.refused(set(4, t.constraints.value(GE, 4, int64)), UNSATISFIED, 'GE');
      t.equal((await session.timeseries.rangeQuery().as(int64).selectFrom(path)).events.map(({ value }) => String(value)), ['1', '2', '3'], 'events');
    },
  },
];
