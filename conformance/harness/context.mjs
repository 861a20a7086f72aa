// What a scenario's run function receives. Runs unchanged in Node and in the browser; `host` is a
// Host, or a stand-in that forwards to one.

import * as expect from './expect.mjs';

const TRANSPORTS = { ws: ['WEBSOCKET'], polling: ['XHR'] };

const DATA_TYPES = ['binary', 'json', 'int64', 'string', 'double', 'recordv2', 'timeseries', 'any'];
const CONSTRAINTS = ['value', 'noValue', 'noTopic', 'jsonValue', 'locked'];

// Methods of an object that are free to be taken apart.
const bound = (object, names) => Object.fromEntries(names.map((name) => [name, (...args) => object[name](...args)]));

export class Context {
  #sessions = [];
  #records = [];
  #shared;
  #pathSequence = 0;

  constructor({ scenario, transport, runtime, diffusion, host }) {
    Object.assign(this, expect, { plain, hex, scenario, transport, runtime, diffusion, host });
    this.transports = TRANSPORTS[transport];
    this.datatypes = bound(diffusion.datatypes, DATA_TYPES);
    this.constraints = bound(diffusion.updateConstraints(), CONSTRAINTS);
    this.TopicType = diffusion.topics.TopicType;
    this.TopicSpecification = diffusion.topics.TopicSpecification;
    // No character of it means anything in a selector's pattern.
    this.root = `conformance/${scenario.id.replaceAll('.', '-')}/${runtime}-${transport}`;
  }

  skip(reason) {
    throw new expect.Skip(reason);
  }

  // A topic path that no other run uses.
  path(name = `t${++this.#pathSequence}`) {
    return `${this.root}/${name}`;
  }

  // The data type of a topic type's name.
  datatypeOf(type) {
    return this.datatypes[type.toLowerCase().replace('_', '')]();
  }

  spec(type, properties = {}) {
    return new this.TopicSpecification(this.TopicType[type], properties);
  }

  // Adds a topic at a path of its own, and returns the path.
  async topic(session, type, properties, path = this.path()) {
    await session.topics.add(path, this.spec(type, properties));
    return path;
  }

  // The call is rejected with this error code. Fetch wraps the reason; other calls hand it over.
  async refused(promise, code, what) {
    const error = await expect.rejects(promise, what);
    const reason = error?.cause ?? error;
    expect.equal(reason?.id ?? String(reason), code, `${what}: error code`);
    return reason;
  }

  // The call is rejected with reports of what is wrong with a filter or a script, each with its place.
  async reported(promise, what) {
    const error = await expect.rejects(promise, what);
    const reports = error?.cause ?? error;
    expect.ok(Array.isArray(reports) && reports.length > 0, `${what}: got ${expect.show(error)}, want reports`);
    for (const { message, line, column } of reports) {
      expect.ok(message && line >= 1 && column >= 0, `${what}: report ${expect.show({ message, line, column })}`);
    }
    return reports;
  }

  async port() {
    this.#shared ??= await this.host.shared();
    return this.#shared.port;
  }

  // Connects over the transport under test, to the shared server unless a port is given.
  async connect(options = {}) {
    const port = options.port ?? (await this.port());
    return this.open({ host: '127.0.0.1', port, transports: this.transports, ...options });
  }

  // Connects with exactly these options. The session is closed when the scenario ends.
  async open(options) {
    const session = await this.diffusion.connect(options);
    this.#sessions.push(session);
    return session;
  }

  // A reconnection that does not wait five seconds.
  quick(timeout = 60_000, delay = 100) {
    return { timeout, strategy: (start) => setTimeout(start, delay) };
  }

  patient() {
    return this.quick(60_000, 1_000);
  }

  // An inspector in front of a server (the shared one unless a port is given).
  async inspected(port) {
    const inspector = await this.host.inspect({ port: port ?? (await this.port()) });
    return {
      ...inspector,
      cut: (mode = 'reset', transport) => this.host.control(inspector.id, '/cut', { mode, ...(transport && { transport }) }),
      fault: (faults) => this.host.control(inspector.id, '/fault', faults),
      delay: (ms, direction) => this.host.control(inspector.id, '/delay', { ms, direction }),
      stats: () => this.host.stats(inspector.id),
    };
  }

  // Changes the security store of a server of the scenario's own, as an administrator; change() is
  // handed the script builder.
  async govern(port, change) {
    const { security } = await this.admin({ port });
    await security.updateSecurityStore(change(security.securityScriptBuilder()).build());
  }

  // A session of the principal control through an inspector that listens. heard() returns the messages
  // so far, decoded (docs/inspector.md, --json), once all that the session was answered is among them.
  async overheard(options = {}) {
    const inspector = await this.host.inspect({ port: options.port ?? (await this.port()), log: true });
    const session = await this.control({ ...options, port: inspector.port });
    let pings = 0;
    const heard = async () => {
      await session.pingServer();
      pings++;
      for (let n = 0; n < 200; n++) {
        const log = await this.host.inspectorLog(inspector.id);
        if (log.filter(({ kind, service }) => kind === 'response' && service === 'USER_PING').length >= pings) return log;
        await expect.after(10);
      }
      throw new expect.Failure('the inspector did not print the answer to a ping');
    };
    return { session, heard };
  }

  // A session that leaves the network and returns when the scenario says so: what is published in
  // between waits in its queue on the server. Over WebSocket. The server learns of a loss a moment
  // after the client, which leave() awaits when it is given a server that logs it (level debug).
  async absentee({ server, port = server?.port, ...options } = {}) {
    const proxy = await this.inspected(port);
    const record = new expect.Record('reconnection attempts');
    const strategy = (start) => record.push({ type: 'ready', start });
    const session = await this.connect({ ...options, port: proxy.port, reconnect: { timeout: 60_000, strategy } });
    const events = this.events(session);
    let absences = 0;
    return {
      session,
      events,
      leave: async () => {
        await this.lose(proxy, events, { count: ++absences });
        await record.await('ready', { count: absences });
        if (server) await this.host.serverLogged(server.id, `msg="session disconnected" session=${session.sessionId}`);
      },
      start: () => record.items.at(-1).start(),
      back: async () => {
        record.items.at(-1).start();
        await events.await('reconnect', { count: absences });
      },
    };
  }

  // Cuts until the session reports its n-th loss: over polling a cut may fall between two requests,
  // and Chromium repeats a request by itself when a connection that it had kept alive is reset.
  // A session without reconnection reports the loss by the event 'close'.
  async lose(proxy, events, { count = 1, mode = 'reset', event = 'disconnect' } = {}) {
    for (let n = 0; n < 40 && events.of(event).length < count; n++) {
      await proxy.cut(mode);
      await events.await(event, { count, ms: 150 }).catch(() => {});
    }
    return events.await(event, { count, ms: 1 });
  }

  // A proxy that can lose messages on their way to the client: lossy.lose(sent, publish) has the
  // server send the messages, so many at least, that publish() causes, and the client get none of
  // them and lose its connection. Over polling the first of them still arrives, by the poll that was
  // open. The session must not reconnect before lose() is done: t.patient().
  async lossy(port) {
    if (this.transport === 'polling') {
      const endpoint = await this.host.endpoint({ to: port ?? (await this.port()) });
      return {
        port: endpoint.port,
        lose: async (_, publish) => {
          await this.host.setPolls(endpoint.id, 'hold');
          await publish();
          await this.host.setPolls(endpoint.id, 'lose');
        },
      };
    }
    const proxy = await this.inspected(port);
    return {
      port: proxy.port,
      lose: async (sent, publish) => {
        await proxy.delay(60_000, 'down');
        const down = async () => (await proxy.stats()).sessions.reduce((n, session) => n + session.down, 0);
        const before = await down();
        await publish();
        while (await down() < before + sent); // the server sends in its own time
        await proxy.cut();
        await proxy.delay(0, 'both');
      },
    };
  }

  // A network that can go dead: what is open hears nothing more and is not closed either, until
  // revive(). New connections pass.
  async deadable(port) {
    const endpoint = await this.host.endpoint({ to: port });
    return {
      port: endpoint.port,
      stall: () => this.host.stall(endpoint.id),
      revive: () => this.host.setPolls(endpoint.id, 'pass'),
    };
  }

  // A session that may update topics.
  control(options = {}) {
    return this.connect({ principal: 'control', credentials: 'password', ...options });
  }

  admin(options = {}) {
    return this.connect({ principal: 'admin', credentials: 'password', ...options });
  }

  // Records the session's events: {type, id, reason, at}.
  events(session) {
    const record = this.record('session events');
    for (const type of ['disconnect', 'reconnect', 'close', 'error']) {
      session.on(type, (reason) =>
        record.push({ type, id: reason?.id, reason: reason?.message ?? reason, at: performance.now() }));
    }
    return record;
  }

  // Records the events of a value stream: {type, topic, value, old, reason, id, topicType, properties}.
  // watch() adds the stream; listen() takes one.
  watch(session, selector, datatype) {
    return this.listen(session.addStream(selector, datatype), `stream of ${selector}`, datatype);
  }

  listen(stream, name, datatype) {
    const record = this.record(name);
    const comparable = (value) => plain(value, datatype.name?.());
    stream.on({
      subscribe: (topic, { type, properties }) =>
        record.push({ type: 'subscribe', topic, topicType: this.TopicType[type], properties }),
      unsubscribe: (topic, _, reason) =>
        record.push({ type: 'unsubscribe', topic, reason: reason?.reason ?? String(reason), id: reason?.id }),
      value: (topic, _, value, old) => record.push({ type: 'value', topic, value: comparable(value), old: comparable(old) }),
      error: (error) => record.push({ type: 'error', error: String(error) }),
      close: () => record.push({ type: 'close' }),
    });
    return record;
  }

  // A record that is shown when the scenario does not end.
  record(name) {
    const record = new expect.Record(name);
    this.#records.push(record);
    return record;
  }

  // How far it came, for a scenario that does not end.
  progress() {
    const states = this.#sessions.map((session) =>
      `${session.sessionId} ${session.isClosed() ? 'closed' : session.isConnected() ? 'connected' : 'away'}`);
    const records = this.#records.map((record) =>
      `${record.name}: ${record.items.length} items, last ${record.items.slice(-3).map((item) => expect.show(item)).join(' ')}`);
    return ['sessions:', ...states, ...records].join('\n  ');
  }

  async close() {
    for (const session of this.#sessions) {
      try {
        if (!session.isClosed()) session.close();
      } catch {
        // The SDK throws when a session is closed while it reconnects.
      }
    }
  }
}

// The comparable form of an SDK value: JSON as itself, INT64 as decimal text, BINARY as hexadecimal,
// RECORD_V2 as a list of records; of an event of a time series its value, sequence and author, and
// the sequence that an edit replaces.
export function plain(value, datatype = 'any') {
  if (value === null || value === undefined) return value;
  if (datatype.startsWith('timeseriesevent')) return event(value);
  if (typeof value.asRecords === 'function') return value.asRecords();
  if (datatype === 'int64') return value.toString();
  if (typeof value !== 'object') return value;
  if (typeof value.get === 'function') {
    const content = value.get();
    if (ArrayBuffer.isView(content)) return hex(content);
    return content;
  }
  return value.toString();
}

export function event({ value, sequence, author, isEditEvent, originalEvent }) {
  return {
    value: plain(value), sequence: Number(sequence), author,
    ...(isEditEvent && { edits: Number(originalEvent.sequence) }),
  };
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Runs one scenario on one transport and reports how it went.
export async function runScenario({ scenario, transport, runtime, diffusion, host }) {
  const started = performance.now();
  const context = new Context({ scenario, transport, runtime, diffusion, host });
  const result = { id: scenario.id, transport, status: 'pass' };
  try {
    const limit = scenario.timeoutMs ?? 25_000;
    await expect.within(scenario.run(context), limit, 'the scenario').catch((error) => {
      if (performance.now() - started >= limit) error.message += `\n${context.progress()}`;
      throw error;
    });
  } catch (error) {
    result.status = error instanceof expect.Skip ? 'skip' : 'fail';
    result.reason = error instanceof expect.Skip || error instanceof expect.Failure
      ? error.message
      : error?.stack ?? `the SDK rejected a call with ${expect.show(error)}`;
  }
  result.ms = Math.round(performance.now() - started);
  await context.close();
  return result;
}
