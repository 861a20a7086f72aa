// Requests to a path, and the handlers that serve them (30 sections 2, 4 and 6).

import { TYPES, comparable, given } from './values.mjs';

const GROUP = 'Requests to a path';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const TIME_OUT = 102;
const ACCESS_DENIED = 103;
const CALLBACK_EXCEPTION = 105;
const NO_SUCH_SESSION = 107;
const UNHANDLED = 109;
const CONFLICT = 201;
const REJECTED = 9003;

const echo = ({ responder, request, type }) => responder.respond(request, type);
const silent = () => {};

// Registers a handler, and returns a record of what it is asked: {type, request, path, sender, properties, responder}.
export async function handler(t, session, path, { act = echo, keys = [], type = t.datatypes.string() } = {}) {
  const asked = t.record(`handler of ${path}`);
  asked.registration = await session.messages.addRequestHandler(path, {
    onRequest: (request, { sessionId, path: at, properties }, responder) => {
      asked.push({ type: 'request', request, path: at, sender: sessionId.toString(), properties, responder });
      return act({ request, responder, type });
    },
    onError: (error) => asked.push({ type: 'error', error: error?.id ?? String(error) }),
    onClose: () => asked.push({ type: 'close' }),
  }, keys, type);
  return asked;
}

// Sends a text, to be answered with a text.
const ask = (t, session, path, text = 'question') =>
  session.messages.sendRequest(path, text, t.datatypes.string(), t.datatypes.string());

export const messages = [
  {
    id: 'messages.types',
    group: GROUP,
    title: 'a request reaches the handler of its path and is answered, with values of every type',
    services: [85, 88, 97],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect({ principal: 'client', credentials: 'password' })];
      for (const type of TYPES) {
        const datatype = t.datatypeOf(type.name);
        const path = t.path(type.name);
        const asked = await handler(t, control, path, { type: datatype });
        for (const value of type.values) {
          const answer = await client.messages.sendRequest(path, given(t, type, value), datatype, datatype);
          t.equal(t.plain(answer, type.name.toLowerCase().replace('_', '')), comparable(type, value), `answer of ${type.name}`);
        }
        const got = asked.items.map(({ request }) => t.plain(request, type.name.toLowerCase().replace('_', '')));
        t.equal(got, type.values.map((value) => comparable(type, value)), `requests of ${type.name}`);
      }
    },
  },
  {
    id: 'messages.context',
    group: GROUP,
    title: 'the handler learns the sender, the whole path as it was written, and of the properties that it asked for those there are',
    services: [88, 97],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect({ principal: 'client', credentials: 'password' })];
      const path = t.path('branch');
      const plain = await handler(t, control, path);
      await ask(t, client, `${path}/a//b/`);
      const [first] = plain.items;
      t.equal([first.path, first.sender, first.properties], [`${path}/a//b/`, client.sessionId.toString(), {}], 'request');
      const named = await handler(t, control, `${path}/named`, { keys: ['$Principal', '$Roles', '$MQTTClientId', 'nothing'] });
      await ask(t, client, `${path}/named`);
      t.equal(named.items[0].properties, { $Principal: 'client', $Roles: '"CLIENT"' }, 'named properties');
      const fixed = await handler(t, control, `${path}/fixed`, { keys: ['*F', '*U', '$Principal'] });
      await ask(t, client, `${path}/fixed`);
      const { $SessionId, $ClientIP, $Transport, $Principal } = fixed.items[0].properties;
      t.equal([$SessionId, $ClientIP, $Principal], [client.sessionId.toString(), '127.0.0.1', 'client'], 'fixed properties');
      t.ok(['WEBSOCKET', 'HTTP_LONG_POLL'].includes($Transport), `$Transport ${$Transport}`);
    },
  },
  {
    id: 'messages.longest-path',
    group: GROUP,
    title: 'of several handlers that with the longest path is asked, in whole segments; slashes too many do not count',
    services: [85, 97],
    transports: ONE,
    async run(t) {
      const [control, other, client] = [await t.control(), await t.control(), await t.connect()];
      const path = t.path('branch');
      const named = (name) => ({ act: ({ responder }) => responder.respond(name, t.datatypes.string()) });
      await handler(t, control, `/${path}/`, named('short'));
      await handler(t, other, `${path}/a/b`, named('long'));
      for (const [to, by] of [['', 'short'], ['/a', 'short'], ['/a/bc', 'short'], ['/a/b', 'long'], ['/a/b/c/d', 'long'], ['//a/b/', 'long']]) {
        t.equal(await ask(t, client, path + to), by, `who answers ${to}`);
      }
      await t.refused(ask(t, client, `${path}x`), UNHANDLED, 'a path that only begins alike');
    },
  },
  {
    id: 'messages.unhandled',
    group: GROUP,
    title: 'a request to a path without a handler: UNHANDLED_MESSAGE',
    services: [85],
    transports: BOTH,
    async run(t) {
      const session = await t.control();
      await handler(t, session, `${t.path('branch')}/below`);
      await t.refused(ask(t, session, t.path('branch')), UNHANDLED, 'above the only handler');
      await t.refused(ask(t, session, t.path('elsewhere')), UNHANDLED, 'elsewhere');
    },
  },
  {
    id: 'messages.rejected',
    group: GROUP,
    title: 'the handler rejects: the sender gets its text, and the next request is served',
    services: [85, 88],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      await handler(t, control, path, { act: ({ request, responder, type }) => (request === 'no' ? responder.reject('not today') : responder.respond('yes', type)) });
      const { reason } = await t.refused(ask(t, client, path, 'no'), REJECTED, 'rejected');
      t.equal(reason, 'not today', 'reason');
      t.equal(await ask(t, client, path), 'yes', 'the next');
    },
  },
  {
    id: 'messages.handler-fails',
    group: GROUP,
    title: 'the handler throws, or is sent what it cannot read: CALLBACK_EXCEPTION. The client gives the handler up, and its path is free',
    services: [85, 88, 98],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const throwing = () => { throw new Error('on purpose'); };
      for (const [options, value] of [[{ act: throwing }, 'text'], [{ type: t.datatypes.int64() }, 'no number']]) {
        const path = t.path();
        const asked = await handler(t, control, path, options);
        await t.refused(ask(t, client, path, value), CALLBACK_EXCEPTION, value);
        await asked.await('error');
        await control.pingServer();
        await t.refused(ask(t, client, path), UNHANDLED, `after ${value}`);
        await handler(t, control, path);
        t.equal(await ask(t, client, path), 'question', 'a handler registered anew');
      }
    },
  },
  {
    id: 'messages.wrong-answer',
    group: GROUP,
    title: 'an answer of another type than the sender wants is refused by the SDK of the sender',
    services: [85],
    transports: ONE,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      const [int64, json] = [t.datatypes.int64(), t.datatypes.json()];
      await handler(t, control, path, { type: int64, act: ({ responder }) => responder.respond({ a: 1 }, json) });
      await t.rejects(client.messages.sendRequest(path, 1, int64, int64), 'a number wanted');
      t.equal((await client.messages.sendRequest(path, 1, int64, json)).get(), { a: 1 }, 'JSON wanted');
    },
  },
  {
    id: 'messages.out-of-order',
    group: GROUP,
    title: 'many requests are under way at once, and answered in any order',
    services: [85, 88],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      const asked = await handler(t, control, path, { act: silent });
      const answers = Array.from({ length: 40 }, (_, n) => ask(t, client, path, `${n}`));
      await asked.await('request', { count: answers.length });
      for (const { responder, request } of [...asked.items].reverse()) responder.respond(`answer ${request}`, t.datatypes.string());
      t.equal(await Promise.all(answers), answers.map((_, n) => `answer ${n}`), 'answers');
    },
  },
  {
    id: 'messages.own-handler',
    group: GROUP,
    title: 'a session may send requests to its own handler',
    services: [85],
    transports: ONE,
    async run(t) {
      const session = await t.control();
      const path = t.path();
      const asked = await handler(t, session, path);
      t.equal([await ask(t, session, path), asked.items[0].sender], ['question', session.sessionId.toString()], 'answer and sender');
    },
  },
  {
    id: 'messages.several-sessions',
    group: GROUP,
    title: 'several sessions may register one path; one of them is asked, while any is there. A second handler of the same session: HANDLER_CONFLICT',
    services: [97, 98],
    transports: BOTH,
    async run(t) {
      const [control, other, client] = [await t.control(), await t.control(), await t.connect()];
      const path = t.path();
      const first = await handler(t, control, path);
      const second = await handler(t, other, path);
      await t.refused(handler(t, control, path), CONFLICT, 'a second handler');
      await t.refused(handler(t, control, `/${path}/`), CONFLICT, 'a second handler, otherwise written');
      await ask(t, client, path);
      t.equal(first.of('request').length + second.of('request').length, 1, 'handlers that were asked');
      const asked = second.of('request').length;
      await first.registration.close();
      await ask(t, client, path);
      t.equal(second.of('request').length, asked + 1, 'requests of the one that is left');
      await other.closeSession();
      await t.refused(ask(t, client, path), UNHANDLED, 'when none is left');
    },
  },
  {
    id: 'messages.close-handler',
    group: GROUP,
    title: 'a handler that was closed is asked nothing more, and its path is free',
    services: [98],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      const asked = await handler(t, control, path);
      await ask(t, client, path);
      await asked.registration.close();
      await asked.await('close');
      await t.refused(ask(t, client, path), UNHANDLED, 'after the close');
      const next = await handler(t, control, path);
      await ask(t, client, path);
      t.equal([asked.of('request').length, next.of('request').length], [1, 1], 'requests of the old and the new');
    },
  },
  {
    id: 'messages.handler-session-closes',
    group: GROUP,
    title: 'the session of the handler closes before it answers: NO_SUCH_SESSION',
    services: [85],
    transports: BOTH,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      const asked = await handler(t, control, path, { act: silent });
      const answer = t.refused(ask(t, client, path), NO_SUCH_SESSION, 'request under way');
      await asked.await('request');
      await control.closeSession();
      await answer;
      await asked.await('close');
      await t.refused(ask(t, client, path), UNHANDLED, 'the next request');
    },
  },
  {
    id: 'messages.sender-closes',
    group: GROUP,
    title: 'the sender closes before it is answered: the handler may still answer, and goes on',
    services: [88],
    transports: ONE,
    async run(t) {
      const [control, client] = [await t.control(), await t.connect()];
      const path = t.path();
      const asked = await handler(t, control, path, { act: silent });
      const failed = t.rejects(ask(t, client, path), 'request of a session that closes');
      const { responder } = await asked.await('request');
      await client.closeSession();
      await failed;
      responder.respond('too late', t.datatypes.string());
      const next = ask(t, control, path);
      (await asked.await('request', { count: 2 })).responder.respond('in time', t.datatypes.string());
      t.equal(await next, 'in time', 'answer');
    },
  },
  {
    id: 'messages.handler-away',
    group: GROUP,
    title: 'a request to a handler whose session is away is answered when it is back',
    services: [88],
    transports: ONE,
    async run(t) {
      const away = await t.absentee({ principal: 'control', credentials: 'password' });
      const client = await t.connect();
      const path = t.path();
      const asked = await handler(t, away.session, path);
      await away.leave();
      const answer = ask(t, client, path);
      await client.pingServer();
      t.equal(asked.items.length, 0, 'requests while away');
      await away.back();
      t.equal(await answer, 'question', 'answer');
    },
  },
  {
    id: 'messages.sender-away',
    group: GROUP,
    title: 'the answer to a sender that is away waits until it is back',
    services: [85],
    transports: ONE,
    async run(t) {
      const [control, away] = [await t.control(), await t.absentee()];
      const path = t.path();
      const asked = await handler(t, control, path, { act: silent });
      const answer = ask(t, away.session, path);
      const { responder } = await asked.await('request');
      await away.leave();
      responder.respond('patience', t.datatypes.string());
      await control.pingServer();
      await away.back();
      t.equal(await answer, 'patience', 'answer');
    },
  },
  {
    id: 'messages.message-loss',
    group: GROUP,
    title: 'a reconnection with loss of messages ends handlers; requests under way are refused to their senders',
    services: [85, 97],
    transports: BOTH,
    async run(t) {
      const server = await t.host.serve({ args: ['--recovery-messages', '2'] });
      const proxy = await t.lossy(server.port);
      const session = await t.control({ port: proxy.port, reconnect: t.patient() });
      const other = await t.control({ port: server.port });
      const events = t.events(session);
      const topic = await t.topic(other, 'INT64');
      const values = t.watch(session, topic, t.datatypes.int64());
      await session.select(topic);
      await values.await('subscribe');
      const asked = await handler(t, session, 'lossy', { act: silent });
      const failed = t.rejects(ask(t, other, 'lossy'), 'request under way');
      await asked.await('request');
      await proxy.lose(10, async () => {
        for (let n = 0; n < 10; n++) await other.topicUpdate.set(topic, t.datatypes.int64(), n);
      });
      await events.await('reconnect');
      await failed;
      await t.refused(ask(t, other, 'lossy'), UNHANDLED, 'after the loss');
      await handler(t, session, 'lossy');
      t.equal(await ask(t, other, 'lossy'), 'question', 'a handler registered anew');
    },
  },
  {
    id: 'messages.time-out',
    group: GROUP,
    title: 'no answer in the time that the server allows: REQUEST_TIME_OUT; one that comes later is nothing to anybody',
    services: [85],
    transports: BOTH,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--request-timeout', '200ms'] });
      const [control, client] = [await t.control({ port }), await t.connect({ port })];
      const act = ({ request, responder, type }) => request === 'now' && responder.respond('in time', type);
      const asked = await handler(t, control, 'slow', { act });
      await t.refused(ask(t, client, 'slow', 'later'), TIME_OUT, 'request');
      asked.items[0].responder.respond('too late', t.datatypes.string());
      t.equal(await ask(t, client, 'slow', 'now'), 'in time', 'the next');
      t.ok(control.isConnected() && client.isConnected(), 'both sessions go on');
    },
  },
  {
    id: 'messages.permissions',
    group: GROUP,
    title: 'to register takes REGISTER_HANDLER, and VIEW_SESSION for properties; to send takes SEND_TO_MESSAGE_HANDLER for the path',
    services: [85, 97],
    transports: BOTH,
    async run(t) {
      const { port } = await t.host.serve();
      const { security } = await t.admin({ port });
      await security.updateAuthenticationStore(security.authenticationScriptBuilder().addPrincipal('handler', 'secret', ['AUTHENTICATION_HANDLER']).build());
      const [control, client] = [await t.control({ port }), await t.connect({ port, principal: 'client', credentials: 'password' })];
      await t.refused(handler(t, client, 'a'), ACCESS_DENIED, 'handler of a client');
      const registrant = await t.connect({ port, principal: 'handler', credentials: 'secret' });
      await t.refused(handler(t, registrant, 'a', { keys: ['$Principal'] }), ACCESS_DENIED, 'properties without VIEW_SESSION');
      await handler(t, registrant, 'a');
      t.equal(await ask(t, client, 'a/b'), 'question', 'answer');
      await handler(t, control, 'Diffusion/handler');
      await t.refused(ask(t, client, 'Diffusion/handler'), ACCESS_DENIED, 'request into the reserved branch');
      await t.refused(ask(t, client, '//Diffusion//handler'), ACCESS_DENIED, 'the same, otherwise written');
      await t.govern(port, (script) => script.setPathPermissions('CLIENT', 'a', ['READ_TOPIC']));
      await t.refused(ask(t, client, 'a/b'), ACCESS_DENIED, 'once the permission is withdrawn');
      t.ok(client.isConnected(), 'the session goes on');
    },
  },
  {
    id: 'messages.permission-withdrawn',
    group: GROUP,
    title: 'a handler whose session has lost REGISTER_HANDLER is asked nothing, while it has not',
    services: [85],
    transports: ONE,
    async run(t) {
      const [admin, control, client] = [await t.admin(), await t.control(), await t.connect()];
      const path = t.path();
      const asked = await handler(t, control, path);
      const roles = ['CLIENT_CONTROL', 'AUTHENTICATION_HANDLER'];
      await admin.clients.changeRoles(control.sessionId, roles, []);
      await t.refused(ask(t, client, path), UNHANDLED, 'without the permission');
      await admin.clients.changeRoles(control.sessionId, [], roles);
      t.equal(await ask(t, client, path), 'question', 'with the permission again');
      t.equal(asked.of('request').length, 1, 'requests');
    },
  },
];
