// Requests to sessions: to one by its id, and to all of a filter (30 sections 3, 5 and 6).

const TO_SESSION = 'Requests to a session';
const TO_FILTER = 'Requests to a filter';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const TIME_OUT = 102;
const ACCESS_DENIED = 103;
const CALLBACK_EXCEPTION = 105;
const NO_SUCH_SESSION = 107;
const INCOMPATIBLE = 108;
const UNHANDLED = 109;
const REJECTED = 9003;

const echo = ({ responder, request, type }) => responder.respond(request, type);
const silent = () => {};

// Sets a request stream, and returns a record of what it is asked: {type, request, path, responder}.
function stream(t, session, path, { act = echo, type = t.datatypes.string() } = {}) {
  const asked = t.record(`request stream of ${path}`);
  asked.replaced = session.messages.setRequestStream(path, {
    onRequest: (at, request, responder) => {
      asked.push({ type: 'request', request, path: at, responder });
      return act({ request, responder, type });
    },
    onError: (error) => asked.push({ type: 'error', error: error?.id ?? String(error) }),
    onClose: () => asked.push({ type: 'close' }),
  }, type, type);
  return asked;
}

const ask = (t, session, path, target, text = 'question') =>
  session.messages.sendRequest(path, text, target, t.datatypes.string(), t.datatypes.string());

// Sends to a filter, and returns the count and a record of answers: {type, session, answer or error}.
async function askAll(t, session, filter, path, text = 'question') {
  const answers = t.record(`answers to ${path}`);
  answers.count = await session.messages.sendRequestToFilter(filter, path, text, {
    onResponse: (sessionId, answer) => answers.push({ type: 'answer', session: sessionId.toString(), answer }),
    onResponseError: (sessionId, error) => answers.push({ type: 'error', session: sessionId.toString(), error: error?.id ?? String(error) }),
  }, t.datatypes.string(), t.datatypes.string());
  return answers;
}

// A filter that selects these sessions and no other.
export const among = (...sessions) => `$SessionId in [${sessions.map(({ sessionId }) => `'${sessionId}'`).join(', ')}]`;

export const addressed = [
  {
    id: 'messages.to-session',
    group: TO_SESSION,
    title: 'a request reaches the stream of exactly its path in the session, by id or its text, and is answered',
    services: [85, 86],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path('branch');
      const asked = stream(t, client, path);
      const below = stream(t, client, `${path}/below`);
      t.equal(await ask(t, control, path, client.sessionId), 'question', 'answer');
      t.equal(await ask(t, control, path, client.sessionId.toString(), 'again'), 'again', 'answer to a request by the text of the id');
      t.equal(asked.items.map((item) => [item.path, item.request]), [[path, 'question'], [path, 'again']], 'requests');
      t.equal(below.items.length, 0, 'requests of another stream');
      await t.refused(ask(t, control, `${path}/below/further`, client.sessionId), UNHANDLED, 'below a stream');
    },
  },
  {
    id: 'messages.to-session-json',
    group: TO_SESSION,
    title: 'without types of data named, the SDK sends and answers what the values are',
    services: [85, 86],
    transports: ONE,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      client.messages.setRequestStream(path, {
        onRequest: (_, request, responder) => responder.respond({ got: request.get() }),
        onError: silent,
        onClose: silent,
      }, t.datatypes.json(), t.datatypes.json());
      const answer = await control.messages.sendRequest(path, { a: [1, 'two'] }, client.sessionId, t.datatypes.json(), t.datatypes.json());
      t.equal(answer.get(), { got: { a: [1, 'two'] } }, 'answer');
    },
  },
  {
    id: 'messages.to-session-unhandled',
    group: TO_SESSION,
    title: 'the session has no stream for the path, or no longer: UNHANDLED_MESSAGE',
    services: [86],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      await t.refused(ask(t, control, path, client.sessionId), UNHANDLED, 'no stream');
      const first = stream(t, client, path, { act: ({ responder }) => responder.respond('first', t.datatypes.string()) });
      const second = stream(t, client, path, { act: ({ responder }) => responder.respond('second', t.datatypes.string()) });
      t.equal([first.replaced === undefined, second.replaced !== undefined], [true, true], 'stream that was replaced');
      t.equal(await ask(t, control, path, client.sessionId), 'second', 'answer');
      t.ok(client.messages.removeRequestStream(path), 'the stream that was removed');
      await t.refused(ask(t, control, path, client.sessionId), UNHANDLED, 'stream removed');
      t.ok(client.isConnected(), 'the session goes on');
    },
  },
  {
    id: 'messages.to-session-refusals',
    group: TO_SESSION,
    title: 'the stream rejects, throws, or cannot read the request: the sender is told which, and the session goes on',
    services: [86],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const target = client.sessionId;
      const [rejects, throws, numbers] = [t.path(), t.path(), t.path()];
      stream(t, client, rejects, { act: ({ responder }) => responder.reject('not today') });
      stream(t, client, throws, { act: () => { throw new Error('on purpose'); } });
      stream(t, client, numbers, { type: t.datatypes.int64() });
      t.equal((await t.refused(ask(t, control, rejects, target), REJECTED, 'rejected')).reason, 'not today', 'reason');
      await t.refused(ask(t, control, throws, target), CALLBACK_EXCEPTION, 'the stream throws');
      await t.refused(control.messages.sendRequest(numbers, { a: 1 }, target, t.datatypes.json()), INCOMPATIBLE, 'another type');
      const fine = t.path();
      stream(t, client, fine);
      t.equal(await ask(t, control, fine, target), 'question', 'the next request');
    },
  },
  {
    id: 'messages.to-no-session',
    group: TO_SESSION,
    title: 'an unknown session, or one that closes before it answers: NO_SUCH_SESSION',
    services: [86],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      await t.refused(ask(t, control, path, '0123456789abcdef-0000000000000001'), NO_SUCH_SESSION, 'unknown');
      const asked = stream(t, client, path, { act: silent });
      const answer = t.refused(ask(t, control, path, client.sessionId), NO_SUCH_SESSION, 'closes before it answers');
      await asked.await('request');
      await client.closeSession();
      await answer;
      await t.refused(ask(t, control, path, client.sessionId), NO_SUCH_SESSION, 'closed');
    },
  },
  {
    id: 'messages.to-session-away',
    group: TO_SESSION,
    title: 'a session that is away answers when it is back',
    services: [86],
    transports: ONE,
    async run(t) {
      const [control, away] = [await t.control(), await t.absentee()];
      const path = t.path();
      const asked = stream(t, away.session, path);
      await away.leave();
      const answer = ask(t, control, path, away.session.sessionId);
      await control.pingServer();
      t.equal(asked.items.length, 0, 'requests while away');
      await away.back();
      t.equal(await answer, 'question', 'answer');
    },
  },
  {
    id: 'messages.to-session-time-out',
    group: TO_SESSION,
    title: 'a session that does not answer: REQUEST_TIME_OUT, from each of a filter too',
    services: [86, 103],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--request-timeout', '200ms'] });
      const [control, client] = [await t.control({ port }), await t.connect({ port })];
      const asked = stream(t, client, 'slow', { act: silent });
      await t.refused(ask(t, control, 'slow', client.sessionId), TIME_OUT, 'by id');
      const answers = await askAll(t, control, "$Principal is ''", 'slow');
      t.equal((await answers.await('error')).error, TIME_OUT, 'of a filter');
      for (const { responder } of asked.items) responder.respond('too late', t.datatypes.string());
      await client.pingServer();
      await control.pingServer();
      t.equal([asked.items.length, answers.items.length], [2, 1], 'requests and answers');
    },
  },
  {
    id: 'messages.to-session-permission',
    group: TO_SESSION,
    title: 'without SEND_TO_SESSION for the path: ACCESS_DENIED',
    services: [86, 102],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect({ principal: 'client', credentials: 'password' })];
      stream(t, control, t.path());
      await t.refused(ask(t, client, t.path('x'), control.sessionId), ACCESS_DENIED, 'by id, of a client');
      await t.refused(askAll(t, client, 'all', t.path('x')), ACCESS_DENIED, 'by filter, of a client');
      await t.refused(ask(t, control, 'Diffusion/x', client.sessionId), ACCESS_DENIED, 'by id, in the reserved branch');
      await t.refused(askAll(t, control, 'all', 'Diffusion/x'), ACCESS_DENIED, 'by filter, in the reserved branch');
    },
  },
  {
    id: 'messages.to-filter',
    group: TO_FILTER,
    title: 'every session of the filter is asked, the sender too, and each answer comes with its session',
    services: [85, 102, 103],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const asked = [control, await t.connect(), await t.connect(), await t.connect()];
      const bystander = await t.connect();
      const path = t.path();
      const streams = [...asked, bystander].map((session) =>
        stream(t, session, path, { act: ({ responder }) => responder.respond(session.sessionId.toString(), t.datatypes.string()) }));
      const answers = await askAll(t, control, among(...asked), path);
      t.equal(answers.count, asked.length, 'count');
      await answers.await('answer', { count: asked.length });
      t.equal(answers.items.map(({ session }) => session).sort(), asked.map(({ sessionId }) => sessionId.toString()).sort(), 'sessions');
      t.ok(answers.items.every(({ session, answer }) => session === answer), 'the answers are theirs');
      t.equal(streams.map((record) => record.items.length), [1, 1, 1, 1, 0], 'requests');
    },
  },
  {
    id: 'messages.to-filter-failures',
    group: TO_FILTER,
    title: 'whoever rejects, has no stream, closes, or cannot read the request is reported with the reason, once',
    services: [102, 103],
    transports: ONE,
    async run(t) {
      const control = await t.control();
      const [answers, rejects, lacks, closes, misreads] = await Promise.all(Array.from({ length: 5 }, () => t.connect()));
      const path = t.path();
      stream(t, answers, path);
      stream(t, rejects, path, { act: ({ responder }) => responder.reject('no') });
      const leaving = stream(t, closes, path, { act: silent });
      stream(t, misreads, path, { type: t.datatypes.int64() });
      const sessions = [answers, rejects, lacks, closes, misreads];
      const answer = await askAll(t, control, among(...sessions), path, 'not a number');
      t.equal(answer.count, sessions.length, 'count');
      await leaving.await('request');
      await closes.closeSession();
      await answer.until((items) => items.length >= sessions.length, 'an answer for each');
      const of = ({ sessionId }) => answer.items.filter(({ session }) => session === sessionId.toString()).map((item) => item.answer ?? item.error);
      t.equal(sessions.map(of), [['not a number'], [REJECTED], [UNHANDLED], [NO_SUCH_SESSION], [INCOMPATIBLE]], 'outcomes');
      await control.pingServer();
      t.equal(answer.items.length, sessions.length, 'answers');
    },
  },
  {
    id: 'messages.to-filter-none',
    group: TO_FILTER,
    title: 'a filter that selects nobody counts none; one that is no filter is reported with the place of the error',
    services: [102],
    transports: BOTH,
    async run(t) {
      const control = await t.control();
      const answers = await askAll(t, control, "$Principal is 'nobody of this name'", t.path());
      t.equal([answers.count, answers.items.length], [0, 0], 'count and answers');
      for (const wrong of ['$Principal', "$Principal is bob", '', "all and"]) {
        await t.reported(askAll(t, control, wrong, t.path()), `filter ${wrong}`);
      }
    },
  },
];
