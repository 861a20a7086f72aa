// All scenarios. A scenario is
//   id          stable name; the first part points to what it checks
//   group       heading in the report
//   title       what holds when it passes
//   transports  'ws', 'polling' or both. Under Node the official SDK has no XHR: polling runs in Chromium
//   runtimes    default: Node for 'ws' and Chromium for both
//   run(t)      throws when it does not hold; t is a Context (harness/context.mjs)
//   timeoutMs   default 25 s
// and runs unchanged in Node and in the browser.

import { connecting } from './connecting.mjs';
import { founding } from './founding.mjs';
import { handshake } from './handshake.mjs';
import { older } from './older.mjs';
import { services } from './services.mjs';
import { sessions } from './sessions.mjs';
import { values } from './values.mjs';

export const scenarios = [...founding, ...connecting, ...handshake, ...sessions, ...values, ...services, ...older];

// The runs of a scenario in a runtime: its transports there.
export function transportsIn(scenario, runtime) {
  const runtimes = scenario.runtimes ?? ['node', 'chromium'];
  if (!runtimes.includes(runtime)) return [];
  return scenario.transports.filter((transport) => runtime === 'chromium' || transport === 'ws');
}
