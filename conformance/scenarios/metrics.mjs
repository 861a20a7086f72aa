// Metrics, metric collectors and metric alerts (34).

const GROUP = 'Metrics';
const ONE = ['ws'];

const ACCESS_DENIED = 103;
const INVALID_DATA = 106;

// Reads metrics of the server that the session is connected to; there is one server.
async function read(t, session, filter) {
  const request = session.metrics.metricsRequest();
  const result = await (filter === undefined ? request : request.filter(filter)).fetch();
  const names = [...result.getServerNames()];
  t.equal(names.length, 1, 'servers');
  return result.getMetrics(names[0]);
}

// The samples as {'label value…': value}.
const values = (collection) => Object.fromEntries((collection?.samples ?? []).map((s) => [[...s.labelValues].join(' '), s.value]));

export const metrics = [
  {
    id: 'metrics.read',
    group: GROUP,
    title: 'the metrics that applications know are there with their types; filters take names and expressions',
    services: [186],
    transports: ONE,
    async run(t) {
      const session = await t.admin();
      const all = await read(t, session);
      for (const name of ['diffusion_release', 'diffusion_license', 'diffusion_server_number_of_topics', 'diffusion_sessions_open', 'diffusion_topics_count']) {
        const collection = all.find((c) => c.name === name);
        t.ok(collection, `${name} is there`);
        t.equal(collection.samples.map((s) => s.name), [name], `samples of ${name}`);
      }
      const some = await read(t, session, ['diffusion_sessions_outbound_bytes_total', 'diffusion_sessions_open']);
      t.equal(some.map((c) => c.name).sort(), ['diffusion_sessions_open', 'diffusion_sessions_outbound_bytes'], 'by name');
      t.ok(some.every((c) => c.samples.every((s) => s.value >= 1)), 'a session and its bytes');
      t.equal((await read(t, session, 'diffusion_topics_.*')).map((c) => c.name).sort(), ['diffusion_topics_count', 'diffusion_topics_subscriptions'], 'by expression');
      t.equal((await read(t, session, 'nothing')).length, 0, 'nothing');
      await t.refused((await t.control()).metrics.metricsRequest().fetch(), ACCESS_DENIED, 'without VIEW_SERVER');
    },
  },
  {
    id: 'metrics.collectors',
    group: GROUP,
    title: 'collectors are listed as they were put, count sessions and topics in groups, and go when they are removed',
    services: [135, 136, 137, 146, 147, 148],
    transports: ONE,
    async run(t) {
      const session = await t.admin();
      const name = t.path();
      const sessions = t.diffusion.newSessionMetricCollectorBuilder().groupByProperty('$Principal').removeMetricsWithNoMatches(true)
        .exportToPrometheus(true).maximumGroups(5).create(name, "$Principal in ['admin' 'client']");
      const topics = t.diffusion.newTopicMetricCollectorBuilder().groupByTopicType(true).create(name, `?${name}//`);
      await session.metrics.putSessionMetricCollector(sessions);
      await session.metrics.putTopicMetricCollector(topics);
      const type = t.diffusion.topics.TopicType;
      await session.topics.add(`${name}/a`, type.JSON);
      await session.topics.add(`${name}/b`, type.JSON);
      await session.topics.add(`${name}/c`, type.STRING);

      const listed = (await session.metrics.listSessionMetricCollectors()).collectors.find((c) => c.name === name);
      t.equal([listed.sessionFilter, listed.groupByProperties, listed.removeMetricsWithNoMatches, listed.exportToPrometheus, listed.maximumGroups],
        ["$Principal in ['admin' 'client']", ['$Principal'], true, true, 5], 'session collector');
      const other = (await session.metrics.listTopicMetricCollectors()).collectors.find((c) => c.name === name);
      t.equal([other.topicSelector, other.groupByTopicType, other.groupByTopicView, other.groupByPathPrefixParts], [`?${name}//`, true, false, 0], 'topic collector');

      const [counted] = await read(t, session, ['advect_session_collector_sessions']);
      t.ok(values(counted)[`${name} admin`] >= 1, 'sessions of admin');
      const [found] = await read(t, session, ['advect_topic_collector_topics']);
      t.equal([values(found)[`${name} JSON`], values(found)[`${name} STRING`]], [2, 1], 'topics by type');

      await session.metrics.removeSessionMetricCollector(name);
      await session.metrics.removeTopicMetricCollector(name);
      await session.metrics.removeTopicMetricCollector(name);
      t.ok(!(await session.metrics.listSessionMetricCollectors()).collectors.some((c) => c.name === name), 'removed');
      t.ok(!(await session.metrics.listTopicMetricCollectors()).collectors.some((c) => c.name === name), 'removed');

      const bad = t.diffusion.newSessionMetricCollectorBuilder().create(name, 'x =');
      const error = await session.metrics.putSessionMetricCollector(bad).then(() => null, (e) => e);
      t.ok(/Invalid filter: 1:\d+/.test(error?.message ?? String(error)), `the place of the mistake in ${error?.message ?? error}`);
      await t.refused(session.metrics.putTopicMetricCollector(t.diffusion.newTopicMetricCollectorBuilder().create(name, '?[')), INVALID_DATA, 'selector');
      await t.refused((await t.control()).metrics.putTopicMetricCollector(topics), ACCESS_DENIED, 'without CONTROL_SERVER');
    },
  },
  {
    id: 'metrics.alerts',
    group: GROUP,
    title: 'an alert publishes the samples that meet its condition to a JSON topic, and is listed as it was set',
    services: [187, 188, 191],
    transports: ONE,
    async run(t) {
      const session = await t.admin();
      const name = t.path();
      const specification = `select diffusion_sessions_open into_topic ${name}/<alert_name>/x where value >= 1 disable_until value < 1`;
      const received = t.record('alert');
      session.addStream(`?${name}//`, t.diffusion.datatypes.json()).on('value', (path, _, value) => received.push({ path, value: value.get() }));
      await session.select(`?${name}//`);
      await session.metrics.setMetricAlert(name, specification);
      const [{ path, value }] = await received.until((items) => items.length > 0, 'the alert').then(() => received.items);
      t.equal(path, `${name}/${name}/x`, 'path');
      t.equal([value.metric_name, value.alert_name, value.timestamp, value.unit, value.dimensions, value.alert_type, value.metric_type],
        ['diffusion_sessions_open', name, null, '', {}, 'sample_matches', 'GAUGE'], 'document');
      t.ok(value.value >= 1, 'value');
      const listed = (await session.metrics.listMetricAlerts()).find((a) => a.name === name);
      t.equal([listed.specification, listed.principal], [specification, 'admin'], 'listed');
      const error = await session.metrics.setMetricAlert(`${name} bad`, 'select m\nint topic x').then(() => null, (e) => e);
      t.ok(/Invalid script/.test(error?.message ?? String(error)), `the mistake: ${error?.message ?? error}`);
      await session.metrics.removeMetricAlert(name);
      await session.metrics.removeMetricAlert(name);
      t.ok(!(await session.metrics.listMetricAlerts()).some((a) => a.name === name), 'removed');
    },
  },
];
