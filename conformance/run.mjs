#!/usr/bin/env node
// Runs the conformance scenarios against the built binary and writes what happened to
// results/js-node.json and results/js-chromium.json, one JSON object a line.
//
//   node conformance/run.mjs [--sdk node|chromium] [--only TEXT] [--jobs N] [--binary FILE]
//
// --only runs the scenarios whose id contains TEXT and leaves the result files alone.
// Exit status: 0 all passed, 1 something failed, 2 it could not run.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Chromium } from './harness/chromium.mjs';
import { runScenario } from './harness/context.mjs';
import { Host } from './harness/host.mjs';
import { servePages } from './harness/pages.mjs';
import { Server } from './harness/processes.mjs';
import { RESULTS, certificates, findBinary, loadSDK, sdkVersion } from './harness/setup.mjs';
import { scenarios, transportsIn } from './scenarios/index.mjs';

const { values: options } = parseArgs({
  options: {
    sdk: { type: 'string' }, only: { type: 'string' }, jobs: { type: 'string' }, binary: { type: 'string' },
  },
});

// A run that hangs below the scenario's own limit, in the browser or its driver.
const RUN_LIMIT_MS = 90_000;

// The SDK leaves promises of its own behind when sessions end under it; scenarios await what matters.
process.on('unhandledRejection', () => {});

// Timers of its own, too, which throw when they find their session gone. The scenario decides whether
// that matters; a fault of the harness ends the run.
process.on('uncaughtException', (error) => {
  if (!/node_modules.diffusion/.test(error.stack ?? '')) {
    console.error(error);
    process.exit(2);
  }
  console.error(`note: the SDK threw from a timer of its own: ${error.message}`);
});

async function main() {
  const started = Date.now();
  const binary = await findBinary(options.binary);
  const version = await sdkVersion();
  const certificateFiles = certificates();
  const shared = await Server.start(binary);
  const hostFor = () => new Host({ binary, shared, certificates: certificateFiles.files });
  const cleanup = [() => shared.stop(), () => certificateFiles.remove()];
  try {
    const pools = [];
    if (options.sdk !== 'chromium') {
      const diffusion = loadSDK();
      pools.push({
        sdk: 'js-node',
        runtime: `node ${process.version}`,
        jobs: jobsIn('node'),
        width: Number(options.jobs ?? 8),
        run: (scenario, transport, host) => runScenario({ scenario, transport, runtime: 'node', diffusion, host }),
      });
    }
    if (options.sdk !== 'node') {
      const pages = await servePages(shared.addresses.ws.port);
      cleanup.unshift(() => pages.stop());
      const chromium = await Chromium.start(pages.url);
      cleanup.unshift(() => chromium.stop());
      pools.push({
        sdk: 'js-chromium',
        runtime: `chromium ${chromium.version}`,
        jobs: jobsIn('chromium'),
        width: Number(options.jobs ?? 4),
        run: (scenario, transport, host) => chromium.run(scenario, transport, host),
      });
    }
    const results = (await Promise.all(pools.map((pool) => runPool(pool, version, hostFor)))).flat();
    await checkServer(shared);
    return summarize(results, started, shared);
  } finally {
    for (const step of cleanup) await step();
  }
}

function jobsIn(runtime) {
  return scenarios
    .filter((scenario) => !options.only || scenario.id.includes(options.only))
    .flatMap((scenario) => transportsIn(scenario, runtime).map((transport) => ({ scenario, transport })));
}

async function runPool({ sdk, runtime, jobs, width, run }, version, hostFor) {
  const results = [];
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const { scenario, transport } = job;
      const host = hostFor();
      const outcome = await limited(run(scenario, transport, host))
        .catch((error) => ({ id: scenario.id, transport, status: 'fail', reason: error.stack, ms: 0 }));
      await host.dispose();
      const result = {
        ...outcome, group: scenario.group, title: scenario.title, sdk, sdkVersion: version, runtime,
      };
      results.push(result);
      progress(result);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (!options.only) await write(sdk, results, jobs);
  return results;
}

function limited(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${RUN_LIMIT_MS} ms`)), RUN_LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function progress({ sdk, transport, id, status, ms, reason }) {
  const mark = { pass: 'ok  ', fail: 'FAIL', skip: 'skip' }[status];
  console.log(`${mark} ${sdk.padEnd(11)} ${transport.padEnd(7)} ${id} (${ms} ms)`);
  if (reason) console.log(reason.replace(/^/gm, '       '));
}

// In the order of the scenarios, whatever order they ended in.
async function write(sdk, results, jobs) {
  const order = new Map(jobs.map(({ scenario, transport }, n) => [`${scenario.id} ${transport}`, n]));
  const position = ({ id, transport }) => order.get(`${id} ${transport}`);
  results.sort((a, b) => position(a) - position(b));
  await mkdir(RESULTS, { recursive: true });
  await writeFile(path.join(RESULTS, `${sdk}.json`), results.map((result) => JSON.stringify(result) + '\n').join(''));
}

async function checkServer(shared) {
  if (shared.process.status) throw new Error(`the shared server ended: ${JSON.stringify(shared.process.status)}\n${shared.process.lines.slice(-30).join('\n')}`);
}

async function summarize(results, started, shared) {
  const count = (status) => results.filter((result) => result.status === status).length;
  const failed = count('fail');
  if (failed > 0) {
    await mkdir(RESULTS, { recursive: true });
    await writeFile(path.join(RESULTS, 'server.log'), shared.process.lines.join('\n') + '\n');
    console.log('\nfailed:');
    for (const result of results.filter(({ status }) => status === 'fail')) {
      console.log(`  ${result.sdk} ${result.transport} ${result.id}: ${result.reason.split('\n')[0]}`);
    }
    console.log('the log of the shared server is in conformance/results/server.log');
  }
  console.log(`conformance: ${count('pass')} passed, ${failed} failed, ${count('skip')} skipped in ${Math.round((Date.now() - started) / 1000)} s`);
  return failed === 0 && results.length > 0 ? 0 : 1;
}

main().then((status) => process.exit(status), (error) => {
  console.error(`conformance: ${error.stack ?? error}`);
  process.exit(2);
});
