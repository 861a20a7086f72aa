// All scenarios. A scenario is
//   id          stable name; the first part points to what it checks
//   group       heading in the report
//   title       what holds when it passes
//   services    the services that it proves (20 section 1); the report has a table of them
//   lacks       the services that it shows the server to lack
//   transports  'ws', 'polling' or both. Under Node the official SDK has no XHR: polling runs in Chromium
//   runtimes    default: Node for 'ws' and Chromium for both
//   run(t)      throws when it does not hold; t is a Context (harness/context.mjs)
//   timeoutMs   default 25 s
// and runs unchanged in Node and in the browser.

import { addressed } from './addressed.mjs';
import { administration } from './administration.mjs';
import { authenticators } from './authenticators.mjs';
import { backlog } from './backlog.mjs';
import { connecting } from './connecting.mjs';
import { constraints } from './constraints.mjs';
import { control } from './control.mjs';
import { fetch } from './fetch.mjs';
import { founding } from './founding.mjs';
import { handshake } from './handshake.mjs';
import { listeners } from './listeners.mjs';
import { locks } from './locks.mjs';
import { messages } from './messages.mjs';
import { metrics } from './metrics.mjs';
import { missing } from './missing.mjs';
import { notifications } from './notifications.mjs';
import { older } from './older.mjs';
import { patch } from './patch.mjs';
import { permissions } from './permissions.mjs';
import { properties } from './properties.mjs';
import { rangequeries } from './rangequeries.mjs';
import { removal } from './removal.mjs';
import { selections } from './selections.mjs';
import { services } from './services.mjs';
import { sessions } from './sessions.mjs';
import { stores } from './stores.mjs';
import { subscription } from './subscription.mjs';
import { timeseries } from './timeseries.mjs';
import { topics } from './topics.mjs';
import { updates } from './updates.mjs';
import { updatestreams } from './updatestreams.mjs';
import { values } from './values.mjs';
import { valuestreams } from './valuestreams.mjs';

export const scenarios = [
  ...founding, ...connecting, ...handshake, ...sessions,
  ...topics, ...properties, ...backlog, ...removal,
  ...values, ...valuestreams, ...subscription,
  ...updates, ...constraints, ...updatestreams, ...patch,
  ...fetch, ...timeseries, ...rangequeries, ...notifications, ...missing,
  ...messages, ...addressed, ...control, ...selections, ...listeners,
  ...stores, ...authenticators, ...permissions,
  ...locks, ...metrics, ...administration, ...services, ...older,
];

// The runs of a scenario in a runtime: its transports there.
export function transportsIn(scenario, runtime) {
  const runtimes = scenario.runtimes ?? ['node', 'chromium'];
  if (!runtimes.includes(runtime)) return [];
  return scenario.transports.filter((transport) => runtime === 'chromium' || transport === 'ws');
}
