#!/usr/bin/env node
// Recovery under random cuts. A publisher, connected directly, updates 100 topics 20 times a second;
// each subscriber is connected through an inspector of its own that cuts its connections at random.
//
// A subscriber whose reconnections were all without loss must have seen every counter exactly once
// and in order; one that lost history must never go back and must end with the right values, and
// is subscribed again only as often as its inspector saw a loss on the wire.
//
//   node conformance/soak.mjs [--seconds N] [--topics N] [--rate N] [--binary FILE] [--server-args="..."]

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Chromium } from './harness/chromium.mjs';
import { servePages } from './harness/pages.mjs';
import { Inspector, Server } from './harness/processes.mjs';
import { RESULTS, findBinary, loadSDK } from './harness/setup.mjs';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    topics: { type: 'string', default: '100' },
    rate: { type: 'string', default: '20' },
    binary: { type: 'string' },
    // Queues that hold the whole run: a subscriber on a busy machine may fall behind, and conflation
    // is not what this is about. The recovery buffer stays as it is, so some history is lost.
    'server-args': { type: 'string', default: '--queue-messages 1000000 --queue-bytes 1GiB' },
    'min-cut-ms': { type: 'string', default: '200' },
    'max-cut-ms': { type: 'string', default: '2000' },
  },
});

const SETTLE_MS = 30_000;
const SELECTORS = { int64: '?soak/int64//', json: '?soak/json//' };

process.on('unhandledRejection', () => {});

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Publishes every topic's next counter on a fixed beat; returns the final counters.
async function publish(diffusion, port, seconds, topicCount, rate) {
  const session = await diffusion.connect({ host: '127.0.0.1', port, principal: 'control', credentials: 'password' });
  const { TopicType } = diffusion.topics;
  const filler = 'the part of the document that stays as it is. '.repeat(6);
  const topics = Array.from({ length: topicCount }, (_, n) => {
    const json = n % 2 === 1;
    return {
      path: `soak/${json ? 'json' : 'int64'}/${n}`,
      type: json ? TopicType.JSON : TopicType.INT64,
      datatype: json ? diffusion.datatypes.json() : diffusion.datatypes.int64(),
      value: json ? (counter) => ({ filler, n: counter, name: `topic ${n}` }) : (counter) => counter,
    };
  });
  await Promise.all(topics.map(({ path: topic, type }) => session.topics.add(topic, type)));

  return {
    async run() {
      const failures = [];
      const started = Date.now();
      const rounds = seconds * rate;
      let answered = 0;
      for (let round = 1; round <= rounds; round++) {
        for (const topic of topics) {
          session.topicUpdate.set(topic.path, topic.datatype, topic.value(round))
            .then(() => { answered++; }, (error) => failures.push(error));
        }
        await pause(Math.max(0, started + (round * 1000) / rate - Date.now()));
      }
      const tookSeconds = (Date.now() - started) / 1000;
      const sent = rounds * topics.length;
      for (let n = 0; n < 600 && answered + failures.length < sent; n++) await pause(50);
      return {
        finals: Object.fromEntries(topics.map(({ path: topic }) => [topic, rounds])),
        sent, answered, failures, tookSeconds,
      };
    },
    close: () => session.close(),
  };
}

async function nodeSubscriber(port) {
  const worker = new Worker(new URL('./harness/soak-subscriber.mjs', import.meta.url), {
    workerData: { port, selectors: SELECTORS },
  });
  const next = () => new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await next();
  return {
    summary: () => {
      worker.postMessage('summary');
      return next();
    },
    stop: () => worker.terminate(),
  };
}

async function chromiumSubscriber(chromium, port, transports) {
  const opened = await chromium.open({});
  await opened.page.evaluate(async ([serverPort, transportList, selectors]) => {
    const { Ledger } = await import('/harness/ledger.mjs');
    const ledger = new Ledger();
    window.ledger = ledger;
    const session = await window.diffusion.connect({
      host: '127.0.0.1',
      port: serverPort,
      transports: transportList,
      reconnect: { timeout: 60_000, strategy: (start) => setTimeout(start, 100) },
    });
    ledger.follow(session, window.diffusion.datatypes, selectors);
    for (const selector of Object.values(selectors)) await session.select(selector);
  }, [port, transports, SELECTORS]);
  return {
    summary: () => opened.page.evaluate(() => window.ledger.summary()),
    stop: () => opened.close(),
  };
}

// The handshake outcomes that passed through an inspector: {105: n, 106: n, ...}.
async function outcomes(inspector) {
  const counts = {};
  for (const { codes } of (await inspector.stats()).sessions) {
    for (const [code, n] of Object.entries(codes)) counts[code] = (counts[code] ?? 0) + n;
  }
  return counts;
}

async function settled(subscribers, finals) {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const summaries = await Promise.all(subscribers.map(({ subscriber }) => subscriber.summary()));
    const open = summaries.filter(({ last, closed }) =>
      !closed && !Object.entries(finals).every(([topic, counter]) => last[topic] === counter));
    if (open.length === 0 || Date.now() > deadline) return summaries;
    await pause(200);
  }
}

function judge(name, summary, codes, finals, topicCount) {
  const { last, ...figures } = summary;
  const problems = [...summary.differences];
  if (summary.differenceCount > problems.length) problems.push(`… ${summary.differenceCount} differences in all`);
  if (summary.closed) problems.push(`the session closed: ${summary.closed}`);
  const behind = Object.entries(finals).filter(([topic, counter]) => last[topic] !== counter);
  if (behind.length > 0) {
    problems.push(`${behind.length} topics end wrong, such as ${behind[0][0]} with ${last[behind[0][0]]} instead of ${behind[0][1]}`);
  }
  // Fewer are right too: a response that was cut off on its way resets nothing at the client.
  const resets = (codes[106] ?? 0) * topicCount;
  if (summary.resets > resets) {
    problems.push(`${summary.resets} unsubscriptions, and ${codes[106] ?? 0} reconnections with loss account for ${resets}`);
  }
  if (summary.reconnects === 0) problems.push('never reconnected: nothing was tested');
  return { name, ...figures, lossless: codes[105] ?? 0, withLoss: codes[106] ?? 0, problems };
}

async function main() {
  const [seconds, topicCount, rate] = [options.seconds, options.topics, options.rate].map(Number);
  const binary = await findBinary(options.binary);
  const diffusion = loadSDK();
  const cleanup = [];
  try {
    const server = await Server.start(binary, { args: options['server-args'].split(' ').filter(Boolean) });
    cleanup.unshift(() => server.stop());
    const { port } = server.addresses.ws;
    const pages = await servePages(port);
    cleanup.unshift(() => pages.stop());
    const chromium = await Chromium.start(pages.url);
    cleanup.unshift(() => chromium.stop());

    const publisher = await publish(diffusion, port, seconds, topicCount, rate);
    const subscribers = [];
    for (const [name, start] of [
      ['Node, WebSocket (1)', (proxyPort) => nodeSubscriber(proxyPort)],
      ['Node, WebSocket (2)', (proxyPort) => nodeSubscriber(proxyPort)],
      ['Chromium, WebSocket', (proxyPort) => chromiumSubscriber(chromium, proxyPort, ['WS'])],
      ['Chromium, polling', (proxyPort) => chromiumSubscriber(chromium, proxyPort, ['XHR'])],
    ]) {
      const inspector = await Inspector.start(binary, { port });
      cleanup.unshift(() => inspector.stop());
      const subscriber = await start(inspector.port);
      cleanup.unshift(() => subscriber.stop());
      subscribers.push({ name, inspector, subscriber });
    }

    console.log(`${topicCount} topics, ${rate} updates a second each, ${seconds} s, ${subscribers.length} subscribers`);
    const cuts = { minMs: Number(options['min-cut-ms']), maxMs: Number(options['max-cut-ms']) };
    await Promise.all(subscribers.map(({ inspector }) => inspector.post('/random-cuts', cuts)));
    const { finals, sent, answered, failures, tookSeconds } = await publisher.run();
    await Promise.all(subscribers.map(({ inspector }) => inspector.post('/random-cuts', { stop: true })));
    const summaries = await settled(subscribers, finals);

    const codes = await Promise.all(subscribers.map(({ inspector }) => outcomes(inspector)));
    const reports = subscribers.map(({ name }, n) => judge(name, summaries[n], codes[n], finals, topicCount));
    console.log(`published ${sent} updates in ${tookSeconds.toFixed(1)} s, ${answered} acknowledged, ${failures.length} failed`);
    for (const { name, values, reconnects, lossless, withLoss, problems } of reports) {
      console.log(`${problems.length ? 'FAIL' : 'ok  '} ${name.padEnd(20)} ${values} values, ${reconnects} reconnections (${lossless} lossless, ${withLoss} with loss)`);
      for (const problem of problems) console.log(`       ${problem}`);
    }
    await mkdir(RESULTS, { recursive: true });
    await writeFile(path.join(RESULTS, 'soak.json'), JSON.stringify({ seconds, topicCount, rate, sent, answered, reports }, null, 2) + '\n');
    publisher.close();
    return reports.every(({ problems }) => problems.length === 0) && failures.length === 0 && answered === sent ? 0 : 1;
  } finally {
    for (const step of cleanup) await step();
  }
}

main().then((status) => {
  console.log(status === 0 ? 'soak: every subscriber is explained' : 'soak: FAILED');
  process.exit(status);
}, (error) => {
  console.error(`soak: ${error.stack ?? error}`);
  process.exit(2);
});
