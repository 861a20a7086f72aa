// Checks what one subscriber sees of counters that go up by one: within a subscription every
// counter once and in order; across a reset (unsubscribe, then subscribe) never back.
// Runs unchanged in Node and in the browser.

const KEPT_DIFFERENCES = 20;

export class Ledger {
  values = 0;
  resets = 0;
  reconnects = 0;
  disconnects = 0;
  closed = null;
  differences = [];
  differenceCount = 0;
  last = {};
  #fresh = new Map();

  // Takes over a session: counters arrive on INT64 topics as themselves and on JSON topics as .n.
  follow(session, datatypes, selectors) {
    session.on({
      disconnect: () => { this.disconnects++; },
      reconnect: () => { this.reconnects++; },
      close: (reason) => { this.closed = reason?.message ?? String(reason); },
      error: (error) => this.#differ(`session error ${error}`),
    });
    const listen = (selector, datatype, counter) => session.addStream(selector, datatype).on({
      subscribe: (topic) => this.#subscribed(topic),
      unsubscribe: () => { this.resets++; },
      value: (topic, _, value) => this.#value(topic, counter(value)),
      error: (error) => this.#differ(`stream error ${error}`),
    });
    listen(selectors.int64, datatypes.int64(), (value) => Number(value.toString()));
    listen(selectors.json, datatypes.json(), (value) => value.get().n);
  }

  #subscribed(topic) {
    if (this.#fresh.has(topic) && this.#fresh.get(topic)) this.#differ(`${topic}: subscribed twice`);
    this.#fresh.set(topic, true);
  }

  #value(topic, counter) {
    this.values++;
    const last = this.last[topic];
    const fresh = this.#fresh.get(topic);
    if (fresh === undefined) this.#differ(`${topic}: value ${counter} before a subscription`);
    else if (last !== undefined && fresh ? counter < last : counter !== (last ?? 0) + 1) {
      this.#differ(`${topic}: ${counter} after ${last}${fresh ? ', first of a subscription' : ''}`);
    }
    this.#fresh.set(topic, false);
    this.last[topic] = counter;
  }

  #differ(text) {
    this.differenceCount++;
    if (this.differences.length < KEPT_DIFFERENCES) this.differences.push(text);
  }

  summary() {
    const { values, resets, reconnects, disconnects, closed, differences, differenceCount, last } = this;
    return { values, resets, reconnects, disconnects, closed, differences, differenceCount, last };
  }
}
