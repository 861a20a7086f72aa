// What a scenario's run function receives. Runs unchanged in Node and in the browser; `host` is a
// Host, or a stand-in that forwards to one.

import * as expect from './expect.mjs';

const TRANSPORTS = { ws: ['WEBSOCKET'], polling: ['XHR'] };

export class Context {
  #sessions = [];
  #records = [];
  #shared;
  #pathSequence = 0;

  constructor({ scenario, transport, runtime, diffusion, host }) {
    Object.assign(this, expect, { scenario, transport, runtime, diffusion, host });
    this.transports = TRANSPORTS[transport];
    this.datatypes = diffusion.datatypes;
    this.TopicType = diffusion.topics.TopicType;
    this.TopicSpecification = diffusion.topics.TopicSpecification;
    this.root = `conformance/${scenario.id}/${runtime}-${transport}`;
  }

  skip(reason) {
    throw new expect.Skip(reason);
  }

  // A topic path that no other run uses.
  path(name = `t${++this.#pathSequence}`) {
    return `${this.root}/${name}`;
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

  // A proxy that can lose messages on their way to the client: lossy.lose(publish) has the server
  // send what publish() causes, and the client get none of it and lose its connection. Over polling
  // the first message of publish() still arrives, by the poll that was open. The session must not
  // reconnect before lose() is done: t.patient().
  async lossy(port) {
    if (this.transport === 'polling') {
      const endpoint = await this.host.endpoint({ to: port ?? (await this.port()) });
      return {
        port: endpoint.port,
        lose: async (publish) => {
          await this.host.setPolls(endpoint.id, 'hold');
          await publish();
          await this.host.setPolls(endpoint.id, 'lose');
        },
      };
    }
    const proxy = await this.inspected(port);
    return {
      port: proxy.port,
      lose: async (publish) => {
        await proxy.delay(60_000, 'down');
        await publish();
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
    const record = this.#record('session events');
    for (const type of ['disconnect', 'reconnect', 'close', 'error']) {
      session.on(type, (reason) =>
        record.push({ type, id: reason?.id, reason: reason?.message ?? reason, at: performance.now() }));
    }
    return record;
  }

  // Records the events of a value stream: {type, topic, value, old, reason, topicType}.
  watch(session, selector, datatype) {
    const record = this.#record(`stream of ${selector}`);
    const comparable = (value) => plain(value, datatype.name());
    session.addStream(selector, datatype).on({
      subscribe: (topic, specification) => record.push({ type: 'subscribe', topic, topicType: specification.type?.name ?? String(specification.type) }),
      unsubscribe: (topic, _, reason) => record.push({ type: 'unsubscribe', topic, reason: reason?.reason ?? String(reason) }),
      value: (topic, _, value, old) => record.push({ type: 'value', topic, value: comparable(value), old: comparable(old) }),
      error: (error) => record.push({ type: 'error', error: String(error) }),
    });
    return record;
  }

  #record(name) {
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

// The comparable form of an SDK value: JSON as itself, INT64 as decimal text, BINARY as hexadecimal.
export function plain(value, datatype) {
  if (value === null || value === undefined) return value;
  if (datatype === 'int64') return value.toString();
  if (typeof value !== 'object') return value;
  if (typeof value.get === 'function') {
    const content = value.get();
    if (ArrayBuffer.isView(content)) return hex(content);
    return content;
  }
  return value.toString();
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
