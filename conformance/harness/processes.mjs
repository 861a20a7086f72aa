// Runs the built binary: servers, inspectors, and whatever else a scenario starts as a process.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 10_000;
const KEPT_LINES = 5_000;

const running = new Set();

// Whatever ends the runner ends what it started.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

// A started process with its output lines. stop() ends it and waits for its exit.
export class Process {
  lines = [];
  exited = null;
  #child;
  #waiters = new Set();

  constructor(file, args, env = {}) {
    this.command = [path.basename(file), ...args].join(' ');
    this.#child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      readline.createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        if (this.lines.length > KEPT_LINES) this.lines.shift();
        this.#wake();
      });
    }
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => resolve({ code, signal }));
      this.#child.on('error', (error) => resolve({ code: -1, signal: null, error: String(error) }));
    });
    this.exited.then((status) => {
      running.delete(this.#child);
      this.status = status;
      this.#wake();
    });
  }

  #wake() {
    for (const waiter of [...this.#waiters]) waiter();
  }

  // Resolves with the first line that matches; rejects when the process ends or the time is over.
  line(pattern, timeoutMs = START_TIMEOUT_MS) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#waiters.delete(check);
        settle(value);
      };
      const fail = (why) =>
        finish(reject, new Error(`${this.command}: ${why}\n${this.lines.slice(-10).join('\n')}`));
      const check = () => {
        const match = this.lines.map((line) => line.match(pattern)).find(Boolean);
        if (match) finish(resolve, match);
        else if (this.status) fail(`ended with ${JSON.stringify(this.status)} before ${pattern}`);
      };
      const timer = setTimeout(() => fail(`no line ${pattern} within ${timeoutMs} ms`), timeoutMs);
      this.#waiters.add(check);
      check();
    });
  }

  async stop(signal = 'SIGTERM') {
    if (this.status) return this.status;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const status = await this.exited;
    clearTimeout(timer);
    return status;
  }
}

// One `advect serve`. The data directory is temporary unless one is given.
export class Server {
  static async start(binary, { listen = '127.0.0.1:0', args = [], dataDir } = {}) {
    const server = new Server();
    server.ownsDataDir = !dataDir;
    server.dataDir = dataDir ?? (await mkdtemp(path.join(tmpdir(), 'advect-conformance-')));
    server.process = new Process(binary, ['serve', '--listen', listen, '--data-dir', server.dataDir, '--removal-interval', '200ms', ...args]);
    const listeners = args.includes('--tls-listen') ? 2 : 1;
    try {
      await server.process.line(/^advect: ready url=wss?:/);
      server.addresses = {};
      for (let n = 0; n < listeners; n++) {
        const scheme = n === 0 ? 'ws' : 'wss';
        const [, host, port] = await server.process.line(
          new RegExp(`^advect: ready url=${scheme}://([^/]+):(\\d+)`));
        server.addresses[scheme] = { host, port: Number(port) };
      }
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async stop(signal) {
    const status = await this.process.stop(signal);
    if (this.ownsDataDir) await rm(this.dataDir, { recursive: true, force: true });
    return status;
  }
}

// One `advect inspect` in front of a server, with its control interface.
export class Inspector {
  static async start(binary, { port, log = false }) {
    const inspector = new Inspector();
    inspector.process = new Process(binary, [
      'inspect', '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0',
      '--to', `ws://127.0.0.1:${port}`, ...(log ? ['--json'] : []),
    ]);
    const [, listening, control] = await inspector.process.line(
      /^advect: inspect listening=(\S+) control=(\S+)/);
    inspector.port = Number(listening.split(':').pop());
    inspector.url = control;
    return inspector;
  }

  async post(path, body = {}) {
    const response = await fetch(this.url + path, { method: 'POST', body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`inspector ${path} ${JSON.stringify(body)}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : {};
  }

  async stats() {
    const response = await fetch(this.url + '/stats');
    return response.json();
  }

  stop() {
    return this.process.stop();
  }
}
