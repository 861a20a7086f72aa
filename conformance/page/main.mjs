// Runs one scenario in the browser when the driver says so. hostCall is bound by the driver
// (harness/chromium.mjs) and forwards to the run's Host in Node.

import { runScenario } from '/harness/context.mjs';
import { scenarios } from '/scenarios/index.mjs';

const host = new Proxy({}, {
  // Not a promise, whatever asks.
  get: (_, method) => (method === 'then' ? undefined : (...args) => window.hostCall(method, args)),
});

window.diffusion.log('silent');

window.runScenario = (id, transport) => runScenario({
  scenario: scenarios.find((scenario) => scenario.id === id),
  transport,
  runtime: 'chromium',
  diffusion: window.diffusion,
  host,
});

window.ready = true;
