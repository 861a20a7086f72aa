// Connects to a server, subscribes to everything below "hostwatch", and shows it.
//
// Parameters of the address: url=HOST:PORT or ws[s]://HOST:PORT, transports=WS,XHR, host=NAME.

import { area, mirrored, spark } from './charts.js';

const ROOT = 'hostwatch';
const HISTORY = 60; // rounds
const RETRY_MS = 3000;
const LATE_MS = 5000;
const TRANSPORT_NAMES = { WEBSOCKET: 'WebSocket', HTTP_LONG_POLL: 'HTTP polling' };

const parameters = new URLSearchParams(location.search);
const machines = new Map(); // name to {document, history, topics, at}
const counts = { updates: 0, bytes: 0, reconnects: 0, recent: [] };
let session = null;
let shown = null;
let drawing = null;

const element = (id) => document.getElementById(id);
const machine = () => machines.get(shown);

// --- the session

async function connect() {
  const { host, port, secure } = await target();
  setState('connecting', `Connecting to ${host}:${port}`);
  const opened = await diffusion.connect({
    host, port, secure,
    transports: (parameters.get('transports') ?? 'WS,XHR').split(','),
    reconnect: { timeout: 60_000, strategy: (start) => setTimeout(start, 500) },
  });
  session = opened;
  opened.on({
    disconnect: () => setState('reconnecting', 'Reconnecting'),
    reconnect: () => {
      counts.reconnects++;
      showTransport();
    },
    close: again,
  });
  const types = diffusion.datatypes;
  listen(`?${ROOT}/.*/all`, types.json(), (path, value) => receiveDocument(path, value.get(), value.length()));
  // A value counts with the bytes that it takes at most: eight for a number and one that says what follows.
  listen(`?${ROOT}//`, types.double(), (path, value) => receiveSingle(path, 'double', value, 9));
  listen(`?${ROOT}//`, types.int64(), (path, value) => receiveSingle(path, 'int64', Number(value.toString()), 9));
  listen(`?${ROOT}//`, types.string(), (path, value) => receiveSingle(path, 'string', value, value.length + 1));
  await opened.select(`?${ROOT}//`);
  await showTransport();
}

// Where to connect: what the address says, else what the publisher publishes to.
async function target() {
  const text = parameters.get('url') ?? (await (await fetch('config.json')).json()).url;
  const url = new URL(text.includes('://') ? text.replace(/^xhr/, 'ws') : `ws://${text}`);
  const secure = url.protocol === 'wss:';
  return { host: url.hostname, port: Number(url.port || (secure ? 443 : 80)), secure };
}

function listen(selector, datatype, receive) {
  session.addStream(selector, datatype).on({
    value: (path, _, value) => receive(path, value),
    unsubscribe: forget,
  });
}

async function showTransport() {
  const properties = await session.getSessionProperties();
  document.body.dataset.transport = properties.$Transport;
  setState('connected', `Connected · ${TRANSPORT_NAMES[properties.$Transport] ?? properties.$Transport}`);
  element('session').textContent = `Session ${properties.$SessionId} on ${properties.$ServerName}.`;
}

function setState(state, text) {
  document.body.dataset.state = state;
  element('state').textContent = text;
}

// Opens a new session after one that could not be opened, or was closed.
function again(reason) {
  if (document.body.dataset.state === 'closed') return;
  session = null;
  machines.clear();
  setState('closed', `No connection: ${reason?.message ?? reason}`);
  setTimeout(() => connect().catch(again), RETRY_MS);
}

// --- what arrives

function machineAt(path) {
  const name = path.split('/')[1];
  if (!machines.has(name)) {
    machines.set(name, { document: null, history: {}, topics: new Map(), at: 0 });
    if (name === parameters.get('host') || !machines.has(shown)) show(name);
  }
  return machines.get(name);
}

function count(bytes) {
  const now = performance.now();
  counts.updates++;
  counts.bytes += bytes;
  counts.recent.push(now);
}

function receiveDocument(path, content, bytes) {
  count(bytes);
  const received = machineAt(path);
  received.document = content;
  received.at = performance.now();
  const { cpu, memory, load, processes, publisher, network, devices } = content;
  const keep = (name, value) => push((received.history[name] ??= []), value);
  keep('cpu', cpu.total);
  keep('cpu-system', cpu.system + cpu.interrupts);
  keep('memory', memory.percent);
  keep('load', load.one);
  keep('switches', processes.switchRate);
  keep('heap', publisher.heap);
  for (const [name, { receiveRate, sendRate }] of Object.entries(network)) {
    keep(`in ${name}`, receiveRate);
    keep(`out ${name}`, sendRate);
  }
  for (const [name, { readRate, writeRate }] of Object.entries(devices)) {
    keep(`read ${name}`, readRate);
    keep(`write ${name}`, writeRate);
  }
  // Only changes of single values arrive; in the charts they go with the rounds.
  for (const topic of received.topics.values()) push(topic.history, topic.value);
  redraw();
}

function receiveSingle(path, type, value, bytes) {
  count(bytes);
  const { topics } = machineAt(path);
  const topic = topics.get(path) ?? { type, history: [] };
  topic.value = value;
  topics.set(path, topic);
  redraw();
}

function forget(path) {
  const name = path.split('/')[1];
  const left = machines.get(name);
  if (!left) return;
  left.topics.delete(path);
  document.querySelector(`[data-topic="${CSS.escape(path)}"]`)?.remove();
  if (path === `${ROOT}/${name}/all`) {
    machines.delete(name);
    if (name === shown) show([...machines.keys()][0]);
  }
}

function push(history, value) {
  history.push(value);
  if (history.length > HISTORY) history.shift();
}

// --- what is shown

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });
const fixed = (value, digits) => value.toFixed(digits);

function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${fixed(value, unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`;
}

function duration(seconds) {
  const days = Math.floor(seconds / 86_400);
  const clock = new Date(seconds * 1000).toISOString().slice(11, 19);
  return days > 0 ? `${days} d ${clock}` : clock;
}

// The unit of a single-value topic follows from its name.
function withUnit(path, value) {
  if (typeof value === 'string') return value;
  if (/\/(rx|tx|read|write|allocations)$/.test(path)) return `${bytes(value)}/s`;
  if (/\/(used|available|heap)$/.test(path)) return bytes(value);
  if (/\/cpu\/|\/percent$/.test(path)) return `${fixed(value, 1)} %`;
  if (/\/load\//.test(path)) return fixed(value, 2);
  if (/\/uptime$/.test(path)) return duration(value);
  return number.format(value);
}

// Without a name there is nothing to show.
function show(name = null) {
  shown = name;
  document.querySelector('main').hidden = name === null;
  element('empty').hidden = name !== null;
  element('singles').replaceChildren();
  element('document').replaceChildren();
  element('network').replaceChildren();
  element('devices').replaceChildren();
  redraw();
}

// Draws what has arrived, once for each frame of the screen and not for each value.
function redraw() {
  drawing ??= requestAnimationFrame(() => {
    drawing = null;
    if (!machine()?.document) return;
    showDocument(machine());
    for (const [path, topic] of machine().topics) showSingle(path, topic);
    for (const [path, topic] of machine().topics) showSpark(path, topic);
  });
}

function showDocument({ document: content, history }) {
  const { system, cpu, memory, load, processes, publisher } = content;
  put('host', system.name);
  put('system', [system.platform, system.kernel, system.arch, `up ${duration(system.uptime)}`].filter(Boolean).join('  ·  '));
  put('path', `${ROOT}/${shown}/all`);
  document.title = `${system.name}: ${fixed(cpu.total, 0)} %`;

  put('model', `${system.cpuModel}, ${cpu.count} cores`);
  put('cpu-total', fixed(cpu.total, 1));
  legend('cpu-legend', [
    ['--accent', 'busy', `${fixed(cpu.total, 1)} %`], ['--second', 'system', `${fixed(cpu.system + cpu.interrupts, 1)} %`],
    [null, 'user', `${fixed(cpu.user + cpu.nice, 1)} %`], [null, 'waiting', `${fixed(cpu.wait, 1)} %`],
  ]);
  area(element('cpu-chart'), [
    { values: history.cpu, color: '--accent' }, { values: history['cpu-system'], color: '--second' },
  ], { length: HISTORY, most: 100, unit: '%' });
  rows('cores', cpu.cores.map((share, core) => [core, share]), (_, share, core) => ({
    label: `core ${core}`, text: `${fixed(share, 0)} %`, share,
  }));

  const [amount, unit] = bytes(memory.used).split(' ');
  put('memory-used', amount);
  put('memory-unit', `${unit}, ${fixed(memory.percent, 1)} %`);
  put('memory-total', `of ${bytes(memory.total)}`);
  const cached = memory.cached + memory.buffers;
  const parts = [['--accent', 'used', memory.used], ['--second', 'cache', cached], ['--track', 'free', memory.free]];
  stack('memory-stack', parts, memory.total);
  legend('memory-legend', parts.map(([color, name, size]) => [color, name, bytes(size)]));
  area(element('memory-chart'), [{ values: history.memory, color: '--accent' }], { length: HISTORY, unit: '%', spread: 1 });

  traffic('network', content.network, history, ['in', 'receiveRate'], ['out', 'sendRate']);
  traffic('devices', content.devices, history, ['read', 'readRate'], ['write', 'writeRate']);
  rows('disks', Object.entries(content.disks), (_, disk) => ({
    label: `${disk.mount}  ${disk.type}`, text: `${bytes(disk.used)} of ${bytes(disk.total)}, ${fixed(disk.percent, 0)} %`, share: disk.percent,
  }));

  put('load', fixed(load.one, 2));
  put('load-rest', `${fixed(load.five, 2)}   ${fixed(load.fifteen, 2)}`);
  area(element('load-chart'), [{ values: history.load, color: '--third' }], { length: HISTORY });
  put('processes', number.format(processes.total));
  put('processes-rest', `${processes.running} running, ${number.format(processes.switchRate)} switches/s`);
  area(element('processes-chart'), [{ values: history.switches, color: '--second' }], { length: HISTORY });
  put('go', publisher.goVersion);
  put('heap', bytes(publisher.heap));
  put('heap-rest', `heap, ${publisher.goroutines} goroutines`);
  area(element('heap-chart'), [{ values: history.heap, color: '--warm' }], { length: HISTORY, format: bytes });
  showFigures(content);
  showHosts();
}

// Every leaf of the document, by section; those that changed flash.
function showFigures(content) {
  const sections = new Map([['round', {}]]);
  for (const [name, part] of Object.entries(content)) {
    if (typeof part !== 'object') sections.get('round')[name] = part;
    else if (['network', 'disks', 'devices'].includes(name)) {
      for (const [key, child] of Object.entries(part)) sections.set(`${name} ${key}`, child);
    } else sections.set(name, part);
  }
  let figures = 0;
  for (const [title, part] of sections) {
    const id = title.replace(' ', '.');
    const section = keyed(element('document'), id, () => build('section', build('h3', title)));
    for (const [path, value] of leaves(id, part)) {
      if (typeof value === 'number') figures++;
      const row = keyed(section, path, () => {
        const shownValue = build('b');
        shownValue.dataset.value = path;
        return build('div', build('span', path.slice(id.length + 1)), shownValue);
      });
      flash(row.lastChild, typeof value === 'number' ? number.format(value) : value);
    }
  }
  put('figures', figures);
}

function leaves(path, node) {
  if (node === null || typeof node !== 'object') return [[path, node]];
  return Object.entries(node).flatMap(([key, child]) => leaves(`${path}.${key}`, child));
}

function showSingle(path, { type, value }) {
  const row = keyed(element('singles'), path, () => {
    const name = build('span', path.split('/').slice(2).join(' / '));
    name.title = `${path} (${type.toUpperCase()})`;
    const made = build('div', name, build('b'), ...(type === 'string' ? [] : [build('canvas')]));
    made.dataset.topic = path;
    made.classList.toggle('text', type === 'string');
    return made;
  });
  flash(row.children[1], withUnit(path, value));
}

function showSpark(path, { type, history }) {
  const canvas = element('singles').byKey?.get(path)?.querySelector('canvas');
  if (canvas) spark(canvas, history, HISTORY, type === 'double' ? '--accent' : '--second');
}

function traffic(id, entries, history, [first, firstKey], [second, secondKey]) {
  for (const [name, now] of Object.entries(entries)) {
    const row = keyed(element(id), name, () => build('div', build('strong', name), build('canvas'), build('div')));
    row.lastChild.replaceChildren(
      colored('--accent', build('span', first, build('b', `${bytes(now[firstKey])}/s`))),
      colored('--second', build('span', second, build('b', `${bytes(now[secondKey])}/s`))),
    );
    mirrored(row.children[1], history[`${first} ${name}`], history[`${second} ${name}`], HISTORY);
  }
  for (const row of [...element(id).children]) if (!(row.dataset.key in entries)) row.remove();
}

function rows(id, entries, describe) {
  for (const [key, value] of entries) {
    const { label, text, share } = describe(key, value, key);
    const row = keyed(element(id), key, () => {
      const track = build('div', build('i'));
      track.className = 'track';
      return build('div', build('span', label), build('b'), track);
    });
    row.children[1].textContent = text;
    row.lastChild.firstChild.style.width = `${share}%`;
    row.lastChild.firstChild.style.setProperty('--color', `var(${share > 90 ? '--bad' : share > 75 ? '--warm' : '--accent'})`);
  }
}

function legend(id, entries) {
  element(id).replaceChildren(...entries.map(([color, name, value]) =>
    colored(color, build('li', ...(color ? [build('i')] : []), name, build('b', value)))));
}

function stack(id, parts, total) {
  for (const [color, name, size] of parts) {
    keyed(element(id), name, () => colored(color, build('i'))).style.width = `${(100 * size) / total}%`;
  }
}

function showHosts() {
  const others = [...machines.keys()].filter((name) => name !== shown);
  element('hosts').replaceChildren(...others.map((name) => {
    const button = build('button', name);
    button.onclick = () => show(name);
    return button;
  }));
}

// --- elements

function build(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

function colored(color, made) {
  if (color) made.style.setProperty('--color', `var(${color})`);
  return made;
}

// The child of a parent that has a key; new ones go where their key belongs in the order of topics.
function keyed(parent, key, make) {
  parent.byKey ??= new Map();
  let child = parent.byKey.get(key);
  if (child?.parentNode !== parent) {
    child = make();
    child.dataset.key = key;
    parent.byKey.set(key, child);
    const sorted = parent.classList.contains('singles');
    const after = sorted && [...parent.children].find((other) => other.dataset.key > key);
    parent.insertBefore(child, after || null);
  }
  return child;
}

function put(id, text) {
  element(id).textContent = text;
}

function flash(target, text) {
  text = String(text);
  if (target.textContent === text) return;
  const first = target.textContent === '';
  target.textContent = text;
  target.title = text;
  if (first) return;
  target.classList.remove('flash');
  requestAnimationFrame(() => target.classList.add('flash'));
}

// --- once a second

async function everySecond() {
  const now = performance.now();
  counts.recent = counts.recent.filter((at) => at > now - 5000);
  put('updates', number.format(counts.updates));
  put('rate', fixed(counts.recent.length / 5, 1));
  put('topics', machine() ? machine().topics.size + 1 : 0);
  put('bytes', bytes(counts.bytes));
  put('reconnects', counts.reconnects);
  const late = machine() && machine().at > 0 && now - machine().at > LATE_MS;
  element('age').classList.toggle('late', Boolean(late));
  put('age', late ? `last figures ${Math.round((now - machine().at) / 1000)} s ago` : '');
  if (session?.isConnected()) {
    const ping = await session.pingServer().catch(() => null);
    if (ping) put('rtt', `${number.format(ping.rtt)} ms`);
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('theme', theme);
  redraw();
}

element('theme').onclick = () => setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
setTheme(localStorage.getItem('theme') ?? (matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'));
setInterval(everySecond, 1000);
connect().catch(again);
