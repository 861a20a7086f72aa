// Assertions and event records for scenarios. Runs unchanged in Node and in the browser.

export class Failure extends Error {}

export class Skip extends Error {}

export function show(value) {
  return JSON.stringify(readable(value, [])) ?? String(value);
}

// The value with what JSON lacks as text, and keys in order, so that equal objects look equal.
function readable(item, ancestors) {
  if (typeof item === 'bigint') return `${item}n`;
  if (item instanceof Error) return `${item.name}: ${item.message}`;
  if (!item || typeof item !== 'object') return item;
  if (ancestors.includes(item)) return '(itself)';
  if (typeof item.toJSON === 'function') return item.toJSON();
  const inside = [...ancestors, item];
  if (Array.isArray(item)) return item.map((element) => readable(element, inside));
  const entries = Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, readable(member, inside)]));
}

export function ok(condition, message) {
  if (!condition) throw new Failure(message);
}

export function equal(got, want, what) {
  if (show(got) !== show(want)) throw new Failure(`${what}: got ${show(got)}, want ${show(want)}`);
}

// The reason of a rejected promise, or of a function that throws or returns one.
export async function rejects(promise, what) {
  let value;
  try {
    value = await (typeof promise === 'function' ? promise() : promise);
  } catch (error) {
    return error;
  }
  throw new Failure(`${what}: resolved with ${show(value)?.slice(0, 200)}, want a rejection`);
}

export function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failure(`${what}: nothing within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function after(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// An ordered record of what happened, with waiting for what has not happened yet.
export class Record {
  items = [];
  #waiters = new Set();

  constructor(name) {
    this.name = name;
  }

  push(item) {
    this.items.push(item);
    for (const check of [...this.#waiters]) check();
  }

  of(type) {
    return this.items.filter((item) => item.type === type);
  }

  types() {
    return this.items.map((item) => item.type);
  }

  // Resolves once condition(items) is truthy, with that value.
  until(condition, what, ms = 10_000) {
    let check;
    const arrived = new Promise((resolve, reject) => {
      check = () => {
        try {
          const value = condition(this.items);
          if (value) resolve(value);
        } catch (error) {
          reject(error);
        }
      };
      this.#waiters.add(check);
      check();
    });
    return within(arrived, ms, what)
      .catch((error) => {
        const tail = this.items.slice(-12).map((item) => show(item).slice(0, 160)).join('\n  ');
        throw new Failure(`${error.message}; ${this.name} has ${this.items.length}:\n  ${tail}`);
      })
      .finally(() => this.#waiters.delete(check));
  }

  // Resolves with the item of this type, the n-th when several are wanted.
  async await(type, { count = 1, ms } = {}) {
    await this.until(() => this.of(type).length >= count, `${this.name}: ${type} x ${count}`, ms);
    return this.of(type)[count - 1];
  }
}
