#!/usr/bin/env node
// Runs the examples as a newcomer would, against the built binary, and looks at what they show:
// both quickstarts print the same, and the page of hostwatch moves, over WebSocket and, where
// WebSocket is refused, over polling. Screenshots are kept in artifacts/.
//
//   node conformance/examples.mjs [--only TEXT] [--binary FILE]
//
// Exit status: 0 all passed, 1 something failed, 2 it could not run.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { Inspector, Process, Server } from './harness/processes.mjs';
import { CONFORMANCE, REPOSITORY, findBinary } from './harness/setup.mjs';

const EXAMPLES = path.join(REPOSITORY, 'examples');
const ARTIFACTS = path.join(REPOSITORY, 'artifacts');
const SDK_BUNDLE = path.join(CONFORMANCE, 'node_modules/diffusion/dist/diffusion.js');
const LEAST_VALUES = 50;
const LEAST_CHANGES = 5;
const WAIT_MS = 20_000;

const run = promisify(execFile);
const { values: options } = parseArgs({ options: { only: { type: 'string' }, binary: { type: 'string' } } });

// Each receives what the machine offers: binary, dir (temporary), server, browser, and keep(resource),
// which stops a process at the end of the example.
const examples = {
  'quickstart: Go and JavaScript print the same': async ({ binary, dir, keep }) => {
    const outputs = await Promise.all([goQuickstart, jsQuickstart].map(async (prepare) => {
      const server = keep(await Server.start(binary));
      const [command, ...args] = await prepare(dir, server.addresses.ws.port);
      const program = keep(new Process(command, args));
      await program.line(/^demo\/count 3$/);
      return program.lines.slice(0, 3);
    }));
    assert.deepEqual(outputs[0], ['demo/count 1', 'demo/count 2', 'demo/count 3']);
    assert.deepEqual(outputs[1], outputs[0]);
  },
  'hostwatch: the page over WebSocket': (machine) => hostwatchPage(machine, {
    name: 'hostwatch-websocket', transport: 'WEBSOCKET', colorScheme: 'dark',
  }),
  'hostwatch: the page over polling, where WebSocket is refused': (machine) => hostwatchPage(machine, {
    name: 'hostwatch-polling', transport: 'HTTP_LONG_POLL', colorScheme: 'light', fault: { websocket: '503' },
  }),
};

// The quickstarts are run as they are, but for the port and the pace.
function adapted(source, port, pace, quick) {
  assert(source.includes('8080') && source.includes(pace), 'the quickstart names port 8080 and its pace');
  return source.replace('8080', port).replace(pace, quick);
}

async function goQuickstart(dir, port) {
  const original = path.join(EXAMPLES, 'quickstart/main.go');
  const copy = path.join(dir, 'main.go');
  await writeFile(copy, adapted(await readFile(original, 'utf8'), port, 'time.Second', '50 * time.Millisecond'));
  const overlay = path.join(dir, 'overlay.json');
  await writeFile(overlay, JSON.stringify({ Replace: { [original]: copy } }));
  const program = path.join(dir, 'quickstart');
  await run('go', ['build', '-overlay', overlay, '-o', program, './quickstart'], { cwd: EXAMPLES });
  return [program];
}

async function jsQuickstart(dir, port) {
  await symlink(path.join(CONFORMANCE, 'node_modules'), path.join(dir, 'node_modules'));
  const program = path.join(dir, 'quickstart.mjs');
  const source = await readFile(path.join(EXAMPLES, 'quickstart/quickstart.mjs'), 'utf8');
  await writeFile(program, adapted(source, port, '1000', '50'));
  return [process.execPath, program];
}

async function hostwatchPage({ binary, hostwatch, browser, keep }, { name, transport, colorScheme, fault }) {
  const server = keep(await Server.start(binary));
  const inspector = keep(await Inspector.start(binary, { port: server.addresses.ws.port }));
  if (fault) await inspector.post('/fault', fault);
  // Rounds are short, so that the charts have something to show after a few seconds.
  const publisher = keep(new Process(hostwatch, [
    '-url', `ws://127.0.0.1:${server.addresses.ws.port}`, '-interval', '200ms', '-web', '127.0.0.1:0', '-sdk', SDK_BUNDLE,
  ]));
  await publisher.line(/^hostwatch: publishing topic=hostwatch\/.+\/all topics=\d+/);
  const [, address] = await publisher.line(/^hostwatch: page url=(\S+)/);

  const context = await browser.newContext({ colorScheme, viewport: { width: 1400, height: 1000 }, deviceScaleFactor: 1.5 });
  keep({ stop: () => context.close() });
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.stack));
  page.setDefaultTimeout(WAIT_MS);
  await page.goto(`${address}?url=127.0.0.1:${inspector.port}&transports=WS,XHR`);
  await page.waitForSelector('body[data-state="connected"]').catch(async (error) => {
    throw new Error([error.message, await page.textContent('#state'), ...problems].join('\n'));
  });
  assert.equal(await page.getAttribute('body', 'data-transport'), transport);

  const shown = () => page.$$eval('[data-value]', (all) =>
    Object.fromEntries(all.map((one) => [one.dataset.value, one.textContent])));
  await page.waitForFunction((least) => document.querySelectorAll('[data-value]').length >= least, LEAST_VALUES);
  const before = await shown();
  const changes = (first) => page.waitForFunction(([values, least]) => [...document.querySelectorAll('[data-value]')]
    .filter((one) => one.textContent !== values[one.dataset.value]).length >= least, [first, LEAST_CHANGES]);
  const numeric = Object.values(before).filter((text) => /^-?[\d,.]+$/.test(text));
  assert(numeric.length >= LEAST_VALUES, `${numeric.length} numbers are shown, want ${LEAST_VALUES}`);
  await changes(before);
  assert(await page.$$eval('[data-topic]', (all) => all.length) >= 20, 'single-value topics are shown');

  // A look at charts that have filled up a little.
  await page.waitForFunction(() => Number(document.querySelector('[data-value="round.round"]').textContent) >= 40);
  await page.screenshot({ path: path.join(ARTIFACTS, `${name}.png`), fullPage: true, animations: 'disabled' });

  // The page outlives the loss of its connection. Over polling a cut may fall between two requests.
  if (transport === 'WEBSOCKET') {
    await inspector.post('/cut', { mode: 'reset' });
    await page.waitForFunction(() => document.querySelector('#reconnects').textContent === '1');
    await changes(await shown());
  }
  assert.deepEqual(problems, []);
  const status = await publisher.stop('SIGINT');
  assert.deepEqual(status, { code: 0, signal: null }, 'hostwatch ends cleanly');
  return `${numeric.length} numbers`;
}

async function main() {
  const started = Date.now();
  const binary = await findBinary(options.binary);
  const dir = await mkdtemp(path.join(tmpdir(), 'advect-examples-'));
  await mkdir(ARTIFACTS, { recursive: true });
  const hostwatch = path.join(dir, 'hostwatch');
  await run('go', ['build', '-o', hostwatch, './hostwatch'], { cwd: EXAMPLES });
  const { stdout } = await run(path.join(REPOSITORY, 'scripts/chromium'));
  const browser = await chromium.launch({
    executablePath: stdout.trim(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
  });
  let failed = 0;
  try {
    for (const [title, example] of Object.entries(examples)) {
      if (options.only && !title.includes(options.only)) continue;
      failed += (await passes(title, example, { binary, dir, hostwatch, browser })) ? 0 : 1;
    }
  } finally {
    await browser.close();
    await rm(dir, { recursive: true, force: true });
  }
  console.log(`examples: ${failed} failed, ${Math.round((Date.now() - started) / 1000)} s; screenshots are in artifacts/`);
  return failed === 0 ? 0 : 1;
}

async function passes(title, example, machine) {
  const resources = [];
  const keep = (resource) => {
    resources.push(resource);
    return resource;
  };
  const started = Date.now();
  try {
    const result = await example({ ...machine, keep });
    console.log(`ok   ${title} (${[result, `${Date.now() - started} ms`].filter(Boolean).join(', ')})`);
    return true;
  } catch (error) {
    console.log(`FAIL ${title}\n${error.stack}`);
    return false;
  } finally {
    for (const resource of resources.reverse()) await resource.stop();
  }
}

main().then((status) => process.exit(status), (error) => {
  console.error(`examples: ${error.stack ?? error}`);
  process.exit(2);
});
