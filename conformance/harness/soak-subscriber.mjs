// A Node subscriber of the soak, on a thread of its own so that it does not slow the publisher.
// workerData: {port, selectors}. Messages in: 'summary'. Messages out: 'ready', or the summary.

import { parentPort, workerData } from 'node:worker_threads';
import { Ledger } from './ledger.mjs';
import { loadSDK } from './setup.mjs';

process.on('unhandledRejection', () => {});

const diffusion = loadSDK();
const ledger = new Ledger();
const session = await diffusion.connect({
  host: '127.0.0.1',
  port: workerData.port,
  reconnect: { timeout: 60_000, strategy: (start) => setTimeout(start, 100) },
});
ledger.follow(session, diffusion.datatypes, workerData.selectors);
for (const selector of Object.values(workerData.selectors)) await session.select(selector);
parentPort.on('message', () => parentPort.postMessage(ledger.summary()));
parentPort.postMessage('ready');
