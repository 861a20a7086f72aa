// Administration (34 sections 1 to 4), beyond what metrics.mjs shows: metrics of servers, groups of
// collectors, what alerts may touch, who may call what; logs and pings. What counts things of the whole
// server has one of its own.

const METRICS = 'Metrics';
const LOGS = 'Logs';
const BOTH = ['ws', 'polling'];
const ONE = ['ws'];

const ACCESS_DENIED = 103;
const INVALID = 106;
const UNSUPPORTED = 104;

const all = (request) => request.fetch();

// The samples of a metric as {'label values…': value}.
async function samples(session, name) {
  const result = await session.metrics.metricsRequest().filter([name]).fetch();
  const [collection] = [...result.getServerNames()].flatMap((server) => result.getMetrics(server));
  return Object.fromEntries((collection?.samples ?? []).map(({ labelValues, value }) => [labelValues.join(' '), value]));
}

const collectors = async (list) => (await list).collectors.map(({ name }) => name).sort();

// The values of a JSON topic, as they arrive.
async function alerts(t, session, selector) {
  const received = t.record(`alerts at ${selector}`);
  session.addStream(selector, t.datatypes.json()).on('value', (path, _, value) => received.push({ type: 'alert', path, value: value.get() }));
  await session.select(selector);
  return received;
}

export const administration = [
  {
    id: 'metrics.servers',
    group: METRICS,
    title: 'metrics of all servers, of this one, and of one by its name; one that is not there has none',
    services: [186],
    transports: BOTH,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--server-name', 'lighthouse'] });
      const { metrics } = await t.admin({ port });
      const names = async (request) => [...(await all(request)).getServerNames()];
      const request = () => metrics.metricsRequest().filter(['diffusion_sessions_open']);
      t.equal(await names(request()), ['lighthouse'], 'all servers');
      t.equal(await names(request().currentServer()), ['lighthouse'], 'this server');
      t.equal(await names(request().server('lighthouse')), ['lighthouse'], 'by name');
      t.equal(await names(request().server('elsewhere')), [], 'a server that is not there');
      const none = await all(metrics.metricsRequest().filter('nothing of this name'));
      t.equal([[...none.getServerNames()], none.getMetrics('lighthouse')], [['lighthouse'], []], 'everything filtered out');
    },
  },
  {
    id: 'metrics.samples',
    group: METRICS,
    title: 'samples have types, labels and values: counters grow, gauges follow what there is, and a filter may name a sample',
    services: [186],
    transports: BOTH,
    async run(t) {
      const { port } = await t.host.serve();
      const admin = await t.admin({ port });
      const { MetricType } = t.diffusion;
      const request = admin.metrics.metricsRequest().filter(/diffusion_(sessions_open|connector_total_number_of_connections|release)/);
      const result = await all(request);
      const found = Object.fromEntries(result.getMetrics([...result.getServerNames()][0]).map((one) => [one.name, one]));
      t.equal([found.diffusion_sessions_open.type, found.diffusion_connector_total_number_of_connections.type, found.diffusion_release.type], [
        MetricType.GAUGE, MetricType.COUNTER, MetricType.INFO,
      ], 'types');
      const [sample] = found.diffusion_connector_total_number_of_connections.samples;
      t.equal([sample.name, sample.labelNames, sample.labelValues.length], ['diffusion_connector_total_number_of_connections_total', ['connector'], 1], 'sample');
      const count = async () => [await samples(admin, 'diffusion_sessions_open'), await samples(admin, 'diffusion_topics_count'), await samples(admin, 'diffusion_topics_subscriptions')];
      t.equal(await count(), [{ '': 1 }, { '': 0 }, { '': 0 }], 'at first');
      const client = await t.connect({ port });
      const path = await t.topic(admin, 'STRING');
      const stream = t.watch(client, path, t.datatypes.string());
      await client.select(path);
      await stream.await('subscribe');
      t.equal(await count(), [{ '': 2 }, { '': 1 }, { '': 1 }], 'with a session, a topic and a subscription more');
      await client.closeSession();
      await admin.topics.remove(path);
      t.equal(await count(), [{ '': 1 }, { '': 0 }, { '': 0 }], 'without them');
      t.equal(await samples(admin, sample.name), { [sample.labelValues[0]]: 2 }, 'connections, by the name of the sample');
    },
  },
  {
    id: 'metrics.no-expression',
    group: METRICS,
    title: 'an expression that is none is refused',
    services: [186],
    transports: ONE,
    async run(t) {
      const admin = await t.admin();
      await t.refused(admin.metrics.metricsRequest().filter('[').fetch(), INVALID, 'expression');
    },
  },
  {
    id: 'metrics.collector-groups',
    group: METRICS,
    title: 'collectors group by several properties, by type and the beginning of paths, up to their maximum; putting again replaces',
    services: [135, 137, 146, 148, 186],
    transports: BOTH,
    async run(t) {
      const { port } = await t.host.serve();
      const admin = await t.admin({ port });
      const client = await t.connect({ port, principal: 'client', credentials: 'password' });
      await admin.clients.setSessionProperties(client.sessionId, { Tier: 'gold' });
      const sessions = t.diffusion.newSessionMetricCollectorBuilder();
      await admin.metrics.putSessionMetricCollector(sessions.groupByProperties(['$Principal', 'Tier']).create('s', 'all'));
      const bySession = await samples(admin, 'advect_session_collector_sessions');
      t.equal([bySession['s client gold'], Object.keys(bySession).length], [1, 2], 'groups of sessions');
      for (const path of ['a/b/1', 'a/b/2', 'a/c/1', 'x/y/1']) await t.topic(admin, 'JSON', {}, path);
      const topics = () => t.diffusion.newTopicMetricCollectorBuilder();
      await admin.metrics.putTopicMetricCollector(topics().groupByPathPrefixParts(2).create('t', '?a//'));
      t.equal(Object.values(await samples(admin, 'advect_topic_collector_topics')).sort(), [1, 2], 'groups of topics');
      await admin.metrics.putTopicMetricCollector(topics().groupByPathPrefixParts(2).maximumGroups(1).create('t', '?.*//'));
      t.equal(Object.keys(await samples(admin, 'advect_topic_collector_topics')).length, 1, 'one group');
      await admin.metrics.putTopicMetricCollector(topics().create('t', '?.*//'));
      t.equal(Object.values(await samples(admin, 'advect_topic_collector_topics')), [4], 'without groups');
      t.equal([await collectors(admin.metrics.listSessionMetricCollectors()), await collectors(admin.metrics.listTopicMetricCollectors())], [['s'], ['t']], 'collectors');
    },
  },
  {
    id: 'metrics.permissions',
    group: METRICS,
    title: 'to read takes VIEW_SERVER, to define and to remove CONTROL_SERVER',
    services: [132, 135, 136, 137, 146, 147, 148, 186, 187, 188, 191],
    transports: BOTH,
    async run(t) {
      const [control, operator] = [await t.control(), await t.connect({ principal: 'operator', credentials: 'password' })];
      const name = t.path();
      const reads = {
        'metrics': ({ metrics }) => metrics.metricsRequest().fetch(),
        'session collectors': ({ metrics }) => metrics.listSessionMetricCollectors(),
        'topic collectors': ({ metrics }) => metrics.listTopicMetricCollectors(),
        'log': ({ logRetrieval }) => logRetrieval.fetchEntries(0, 1),
      };
      const changes = {
        'put of a session collector': ({ metrics }) => metrics.putSessionMetricCollector(t.diffusion.newSessionMetricCollectorBuilder().create(name, 'all')),
        'put of a topic collector': ({ metrics }) => metrics.putTopicMetricCollector(t.diffusion.newTopicMetricCollectorBuilder().create(name, 'a')),
        'removal of a session collector': ({ metrics }) => metrics.removeSessionMetricCollector(name),
        'removal of a topic collector': ({ metrics }) => metrics.removeTopicMetricCollector(name),
        'alert': ({ metrics }) => metrics.setMetricAlert(name, `select diffusion_sessions_open into topic ${name}`),
        'alerts': ({ metrics }) => metrics.listMetricAlerts(),
        'removal of an alert': ({ metrics }) => metrics.removeMetricAlert(name),
      };
      for (const [what, call] of Object.entries(reads)) {
        await t.refused(call(control), ACCESS_DENIED, `control: ${what}`);
        await call(operator);
      }
      for (const [what, call] of Object.entries(changes)) {
        await t.refused(call(control), ACCESS_DENIED, `control: ${what}`);
        await t.refused(call(operator), ACCESS_DENIED, `operator: ${what}`);
      }
    },
  },
  {
    id: 'metrics.older-requests',
    group: METRICS,
    title: 'the requests of older consoles are answered: no metrics of theirs, no managed objects',
    services: [142, 145, 149],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--server-name', 'lighthouse'] });
      const [admin, client] = [await t.admin({ port }), await t.connect({ port })];
      t.equal(await admin.metrics.getServerMetrics(), { lighthouse: {} }, 'metrics');
      t.equal((await admin.metrics.getMeasuredEntityClassMetrics('topics')).metricNames, [], 'names');
      const objects = await admin.metrics.fetchClusterJMXValues(['java.lang:type=Memory']);
      t.equal(objects.lighthouse?.id, UNSUPPORTED, 'managed objects of all servers');
      await t.rejects(admin.metrics.fetchJMXValues(['java.lang:type=Memory']), 'managed objects of this one');
      await t.refused(client.metrics.getServerMetrics(), ACCESS_DENIED, 'without VIEW_SERVER');
    },
  },
  {
    id: 'metrics.alert-condition',
    group: METRICS,
    title: 'an alert waits for its condition, then is silent until another one holds, and publishes again',
    services: [187],
    transports: ONE,
    timeoutMs: 40_000,
    async run(t) {
      const { port } = await t.host.serve();
      const admin = await t.admin({ port });
      const received = await alerts(t, admin, 'alerts/sessions');
      // An alert without a condition: what it publishes shows that all have been evaluated.
      const rounds = await alerts(t, admin, 'alerts/rounds');
      await admin.metrics.setMetricAlert('busy', 'SELECT diffusion_sessions_open INTO TOPIC alerts/sessions WHERE value > 1 AND metric_type = "GAUGE" DISABLE UNTIL value <= 1');
      await admin.metrics.setMetricAlert('rounds', 'select diffusion_server_uptime_millis into topic alerts/rounds');
      const round = () => rounds.await('alert', { count: rounds.items.length + 2 });
      await round();
      t.equal(received.items.length, 0, 'alerts before the condition holds');
      const client = await t.connect({ port });
      const { value } = await received.await('alert');
      t.equal([value.value, value.metric_type, value.alert_name], [2, 'GAUGE', 'busy'], 'document');
      const another = await t.connect({ port });
      await round();
      t.equal(received.items.length, 1, 'alerts while silent');
      await client.closeSession();
      await another.closeSession();
      await round();
      t.equal(received.items.length, 1, 'alerts once it may speak again');
      await admin.topics.remove('alerts/sessions');
      await t.connect({ port });
      await received.await('alert', { count: 2 });
    },
  },
  {
    id: 'metrics.alert-topics',
    group: METRICS,
    title: 'an alert names its topics by members of the document and gives them properties, and leaves alone topics that others made',
    services: [187, 188],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve({ args: ['--server-name', 'lighthouse', '--log-level', 'debug'] });
      const admin = await t.admin({ port });
      await admin.topicUpdate.set('taken', t.datatypes.json(), 'mine', { specification: t.spec('JSON') });
      await admin.metrics.setMetricAlert('taken', 'select diffusion_sessions_open into topic taken');
      await admin.metrics.setMetricAlert('named', [
        'select diffusion_connector_total_number_of_connections_total from server lighthouse',
        'into topic by/<server>/<dimensions/connector> with properties { PRIORITY: high }', 'where value >= 1',
      ].join('\n'));
      await admin.metrics.setMetricAlert('elsewhere', 'select diffusion_sessions_open from server elsewhere into topic never');
      const received = t.record('alerts');
      admin.addStream('?by//', t.datatypes.json()).on({
        subscribe: (path, { properties }) => received.push({ type: 'subscribe', path, properties }),
        value: (path, _, value) => received.push({ type: 'value', path, value: value.get() }),
      });
      await admin.select('?by//');
      const { path, properties } = await received.await('subscribe');
      const { value } = await received.await('value');
      const rounds = await alerts(t, admin, 'rounds');
      await admin.metrics.setMetricAlert('rounds', 'select diffusion_server_uptime_millis into topic rounds');
      await rounds.await('alert', { count: 2 });
      t.equal([path, properties.PRIORITY], [`by/lighthouse/${value.dimensions.connector}`, 'high'], 'topic');
      const topics = await admin.fetchRequest().withValues(t.datatypes.json()).fetch('?.*//');
      const found = Object.fromEntries(topics.results().map((one) => [one.path(), one.value().get()]));
      t.equal([found.taken, found.never], ['mine', undefined], 'topics of others');
      t.equal((await admin.metrics.listMetricAlerts()).map(({ name }) => name), ['taken', 'named', 'elsewhere', 'rounds'], 'alerts in the order of their creation');
    },
  },
  {
    id: 'metrics.alert-replaced',
    group: METRICS,
    title: 'an alert that is set again replaces the one of its name; specifications that are none are refused with the place of the error',
    services: [187, 188, 191],
    transports: ONE,
    async run(t) {
      const { port } = await t.host.serve();
      const admin = await t.admin({ port });
      const set = (text) => admin.metrics.setMetricAlert('alert', text);
      await set('select diffusion_sessions_open into topic first');
      const wrong = ['', 'select', 'select x', 'select x into', 'select x into topic y where', 'select x into topic y where value >', 'select x into topic y where value ~ 1',
        'select x into topic y with properties {PRIORITY: nonsense}', 'select x into topic y with properties {PRIORITY}', 'select x into topic y\nand more', 'choose x into topic y', 'select x into topic y where (value > 1'];
      for (const text of wrong) {
        const error = await t.rejects(set(text), `specification ${text}`);
        t.ok(/^Invalid script: \d+:\d+ ./.test(error?.message), `specification ${text}: ${error?.message ?? t.show(error)}`);
      }
      t.equal((await admin.metrics.listMetricAlerts()).map(({ specification }) => specification), ['select diffusion_sessions_open into topic first'], 'alerts after errors');
      await set('select diffusion_sessions_open into topic second');
      t.equal((await admin.metrics.listMetricAlerts()).map(({ name, specification, principal }) => [name, specification, principal]), [
        ['alert', 'select diffusion_sessions_open into topic second', 'admin'],
      ], 'alerts');
      await admin.metrics.removeMetricAlert('alert');
      await admin.metrics.removeMetricAlert('alert');
      t.equal(await admin.metrics.listMetricAlerts(), [], 'no alerts');
    },
  },
  {
    id: 'logs.fetch',
    group: LOGS,
    title: 'the latest lines of the log are read from any of them on',
    services: [132],
    transports: BOTH,
    async run(t) {
      const { port } = await t.host.serve();
      const [admin, client] = [await t.admin({ port }), await t.connect({ port })];
      const { logRetrieval, security } = admin;
      for (const path of ['a', 'b', 'c', 'd']) await security.updateSecurityStore(security.securityScriptBuilder().isolatePath(path).build());
      const read = async (first, count) => {
        const { firstEntry, entryCount, maxEntriesAvailable, firstLineNumber, entries } = await logRetrieval.fetchEntries(first, count);
        const lines = new TextDecoder().decode(entries).split('\n').slice(0, -1);
        return { first: Number(firstEntry), count: Number(entryCount), available: Number(maxEntriesAvailable), line: Number(firstLineNumber), lines };
      };
      const log = await read(0, 1000);
      t.equal([log.first, log.count, log.line], [0, log.lines.length, 1], 'from the first on');
      t.ok(log.lines.length >= 4 && log.available === log.lines.length, `${log.lines.length} lines of ${log.available}`);
      t.ok(log.lines.some((line) => line.includes(admin.sessionId.toString())), 'a line about what the session did');
      const some = await read(1, 2);
      t.equal([some.first, some.count, some.line, some.lines], [1, 2, 2, log.lines.slice(1, 3)], 'two of them');
      t.equal((await read(1_000_000, 10)).lines, [], 'beyond the last');
      await t.refused(client.logRetrieval.fetchEntries(0, 10), ACCESS_DENIED, 'without VIEW_SERVER');
    },
  },
];
