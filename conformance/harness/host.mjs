// What a scenario may ask of the machine around it: servers, inspectors, scripted endpoints. One
// Host belongs to one run of one scenario; dispose() ends everything that it started. Every
// argument and result is plain JSON, because scenarios in the browser call it from afar.

import net from 'node:net';
import { readFile } from 'node:fs/promises';
import { Endpoint } from './endpoint.mjs';
import { Inspector, Server } from './processes.mjs';

export const HOST_METHODS = [
  'shared', 'serve', 'stopServer', 'serverLogged', 'freePort', 'busySilence',
  'inspect', 'control', 'stats', 'inspectorLog',
  'endpoint', 'attempts', 'traffic', 'answerNextPoll', 'setPolls', 'stall', 'certificates', 'fileText',
];

export class Host {
  #resources = new Map();
  #sequence = 0;

  constructor({ binary, shared, certificates }) {
    this.binary = binary;
    this.sharedServer = shared;
    this.certificateFiles = certificates;
  }

  #keep(resource) {
    const id = ++this.#sequence;
    this.#resources.set(id, resource);
    return id;
  }

  #get(id) {
    const resource = this.#resources.get(id);
    if (!resource) throw new Error(`the scenario has no resource ${id}`);
    return resource;
  }

  // The server that all scenarios share: stock settings, topics under one branch per scenario.
  async shared() {
    return { port: this.sharedServer.addresses.ws.port };
  }

  // A server of the scenario's own. A port of 0 means any.
  async serve({ port = 0, address = '127.0.0.1', args = [], dataDirOf = null } = {}) {
    const dataDir = dataDirOf === null ? undefined : this.#get(dataDirOf).dataDir;
    const server = await Server.start(this.binary, { listen: `${address}:${port}`, args, dataDir });
    return {
      id: this.#keep(server),
      port: server.addresses.ws.port,
      tlsPort: server.addresses.wss?.port ?? null,
    };
  }

  async stopServer(id, signal) {
    return this.#get(id).process.stop(signal);
  }

  // Resolves once a server of the scenario's own has logged a line with this text, long ago or now.
  async serverLogged(id, text) {
    await this.#get(id).process.line(new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  }

  // A port that nothing listens on, below those that systems give to outgoing connections: one of those
  // may take a port in the moment before a server does.
  async freePort() {
    for (;;) {
      const port = 10_000 + Math.floor(Math.random() * 20_000);
      const probe = net.createServer();
      const free = await new Promise((resolve) => probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)));
      if (!free) continue;
      await new Promise((resolve) => probe.close(resolve));
      return port;
    }
  }

  // A TCP port that accepts and never says anything.
  async busySilence() {
    const sockets = new Set();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.stop = () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    };
    this.#keep(server);
    return server.address().port;
  }

  async inspect({ port, log = false }) {
    const inspector = await Inspector.start(this.binary, { port, log });
    return { id: this.#keep(inspector), port: inspector.port };
  }

  async control(id, path, body) {
    return this.#get(id).post(path, body);
  }

  async stats(id) {
    return this.#get(id).stats();
  }

  // What the inspector has printed: parsed JSON lines.
  async inspectorLog(id) {
    return this.#get(id).process.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }

  async endpoint(script) {
    const endpoint = await Endpoint.start(script);
    return { id: this.#keep(endpoint), port: endpoint.port };
  }

  async attempts(id) {
    return this.#get(id).attempts;
  }

  async traffic(id) {
    return { bytesDown: this.#get(id).bytesDown };
  }

  async answerNextPoll(id, headers) {
    this.#get(id).answerNextPoll(headers);
  }

  async setPolls(id, mode) {
    this.#get(id).setPolls(mode);
  }

  async stall(id) {
    this.#get(id).stall();
  }

  async certificates() {
    return this.certificateFiles();
  }

  async fileText(file) {
    return readFile(file, 'utf8');
  }

  async dispose() {
    const resources = [...this.#resources.values()].reverse();
    this.#resources.clear();
    await Promise.allSettled(resources.map((resource) => resource.stop()));
  }
}
