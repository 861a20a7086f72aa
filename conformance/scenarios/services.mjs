// The session's other services of this release.

const GROUP = 'Session services';
const BOTH = ['ws', 'polling'];

export const services = [
  {
    id: 'services.ping-server',
    group: GROUP,
    title: 'pingServer: many at once, each answered',
    services: [56],
    transports: BOTH,
    async run(t) {
      const session = await t.connect();
      const pings = await Promise.all(Array.from({ length: 50 }, () => session.pingServer()));
      t.ok(pings.every((ping) => ping.rtt >= 0), 'round trips');
    },
  },
  {
    id: 'services.session-properties',
    group: GROUP,
    title: 'getSessionProperties: the fixed properties of the session itself',
    services: [202],
    transports: BOTH,
    async run(t) {
      const session = await t.connect({ principal: 'client', credentials: 'password' });
      const properties = await session.getSessionProperties();
      t.equal(properties.$SessionId, session.sessionId.toString(), '$SessionId');
      t.equal(properties.$Principal, 'client', '$Principal');
      t.ok(['WEBSOCKET', 'HTTP_LONG_POLL'].includes(properties.$Transport), `$Transport ${properties.$Transport}`);
      t.equal(properties.$ClientIP, '127.0.0.1', '$ClientIP');
      t.ok(Number(properties.$StartTime) > 1.6e12, `$StartTime ${properties.$StartTime}`);
    },
  },
  {
    id: 'services.change-principal',
    group: GROUP,
    title: 'changePrincipal: right password changes what the session may do, a wrong one changes nothing',
    services: [203],
    transports: BOTH,
    async run(t) {
      const session = await t.connect();
      const path = t.path();
      await t.rejects(session.topics.add(path, t.TopicType.STRING), 'add as anonymous');
      await t.rejects(session.security.changePrincipal('control', 'wrong'), 'wrong password');
      t.equal(session.security.getPrincipal(), '', 'principal after the refusal');
      await t.rejects(session.topics.add(path, t.TopicType.STRING), 'add after the refusal');
      await session.security.changePrincipal('control', 'password');
      t.equal(session.security.getPrincipal(), 'control', 'principal');
      t.equal((await session.topics.add(path, t.TopicType.STRING)).added, true, 'added');
    },
  },
  {
    id: 'services.reauthenticate',
    group: GROUP,
    title: 'reauthenticate: false for a wrong password, true for the right one',
    services: [203],
    transports: BOTH,
    async run(t) {
      const session = await t.connect();
      t.equal(await session.security.reauthenticate('control', 'wrong', {}), false, 'wrong password');
      t.equal(await session.security.reauthenticate('control', 'password', {}), true, 'right password');
      t.equal((await session.topics.add(t.path(), t.TopicType.STRING)).added, true, 'added');
    },
  },
  {
    id: 'services.close-other-session',
    group: GROUP,
    title: 'clients.close: an administrator closes by id and gets the count; an anonymous session may not',
    services: [14],
    transports: BOTH,
    async run(t) {
      const victim = await t.connect();
      const events = t.events(victim);
      const other = await t.connect();
      await t.rejects(other.clients.close(victim.sessionId), 'close by an anonymous session');
      t.ok(victim.isConnected(), 'still connected');
      const admin = await t.admin();
      await admin.clients.close(victim.sessionId);
      t.equal((await events.await('close')).id, 1, 'close reason');
      t.ok(other.isConnected(), 'the other session is untouched');
    },
  },
  {
    id: 'services.unimplemented',
    group: GROUP,
    title: 'a call of a service that this release lacks is refused with UNSUPPORTED, and the session goes on',
    lacks: [138, 139, 141, 157, 158, 159, 164, 165, 170, 173, 174, 175, 176, 177, 178, 182, 185],
    transports: BOTH,
    async run(t) {
      const session = await t.admin();
      const { remoteServers, topicViews, sessionTrees, gateways, licenceUpdater } = session;
      const { newRemoteServerBuilder, newBranchMappingTableBuilder, RemoteServerType } = t.diffusion;
      const gateway = { type: 'type', id: 'id' };
      const calls = {
        138: () => topicViews.createTopicView('view', 'map a to b'),
        139: () => topicViews.removeTopicView('view'),
        141: () => topicViews.listTopicViews(),
        157: () => remoteServers.createRemoteServer(newRemoteServerBuilder(RemoteServerType.SECONDARY_INITIATOR).build('server', 'ws://localhost:1')),
        158: () => remoteServers.removeRemoteServer('server'),
        159: () => licenceUpdater.updateLicence(new Uint8Array([1])),
        164: () => remoteServers.listRemoteServers(),
        165: () => remoteServers.checkRemoteServer('server'),
        170: () => gateways.getConfiguration(session.sessionId),
        173: () => gateways.registerClient(gateway),
        174: () => gateways.removeClient(gateway),
        175: () => gateways.getClients(),
        176: () => sessionTrees.putBranchMappingTable(newBranchMappingTableBuilder().addBranchMapping('all', 'b').create('a')),
        177: () => sessionTrees.getSessionTreeBranchesWithMappings(),
        178: () => sessionTrees.getBranchMappingTable('a'),
        182: () => topicViews.getTopicView('view'),
        185: () => gateways.getClientDetailList({}),
      };
      for (const [id, call] of Object.entries(calls)) {
        await t.refused(t.within(call(), 5_000, `an answer of service ${id}`), t.diffusion.errors.UNSUPPORTED.id, `service ${id}`);
      }
      t.ok((await session.pingServer()).rtt >= 0, 'ping');
    },
  },
  {
    id: 'services.closed-session',
    group: GROUP,
    title: 'every call of a session that is closed is refused by the SDK',
    transports: ['ws'],
    async run(t) {
      const session = await t.admin();
      const { sessionId, messages, clients, security, metrics, logRetrieval } = session;
      await session.closeSession();
      const handler = { onRequest() {}, authenticate() {}, onSessionEvent() {}, onResponse() {}, onResponseError() {}, onClose() {}, onError() {} };
      const parameters = t.diffusion.newSessionEventParametersBuilder().build();
      const calls = {
        'pingServer': () => session.pingServer(),
        'lock': () => session.lock('a'),
        'getSessionProperties': () => session.getSessionProperties(),
        'addRequestHandler': () => messages.addRequestHandler('a', handler),
        'sendRequest': () => messages.sendRequest('a', 'text'),
        'sendRequest to a session': () => messages.sendRequest('a', 'text', sessionId),
        'sendRequestToFilter': () => messages.sendRequestToFilter('all', 'a', 'text', handler),
        'clients.getSessionProperties': () => clients.getSessionProperties(sessionId, ['*F']),
        'setSessionProperties': () => clients.setSessionProperties(sessionId, { a: 'b' }),
        'close': () => clients.close(sessionId),
        'changeRoles': () => clients.changeRoles(sessionId, [], ['A']),
        'setConflated': () => clients.setConflated(sessionId, true),
        'subscribe': () => clients.subscribe(sessionId, 'a'),
        'getTopicSelections': () => clients.getTopicSelections(sessionId),
        'addSessionEventListener': () => clients.addSessionEventListener(handler, parameters),
        'clients.fetchRequest': () => clients.fetchRequest().fetch(),
        'setAuthenticator': () => security.setAuthenticator('before-system-handler', handler),
        'changePrincipal': () => security.changePrincipal('admin', 'password'),
        'reauthenticate': () => security.reauthenticate('admin', 'password', {}),
        'revokeAuthentication': () => security.revokeAuthentication(sessionId),
        'getGlobalPermissions': () => security.getGlobalPermissions(),
        'getPathPermissions': () => security.getPathPermissions('a'),
        'getSecurityConfiguration': () => security.getSecurityConfiguration(),
        'getSystemAuthenticationConfiguration': () => security.getSystemAuthenticationConfiguration(),
        'updateSecurityStore': () => security.updateSecurityStore('isolate path "a"'),
        'updateAuthenticationStore': () => security.updateAuthenticationStore('deny anonymous connections'),
        'metricsRequest': () => metrics.metricsRequest().fetch(),
        'setMetricAlert': () => metrics.setMetricAlert('a', 'select b into topic c'),
        'listTopicMetricCollectors': () => metrics.listTopicMetricCollectors(),
        'fetchEntries': () => logRetrieval.fetchEntries(0, 1),
      };
      for (const [what, call] of Object.entries(calls)) {
        const error = await t.rejects(Promise.resolve().then(call), what);
        t.ok(/closed|not connected/.test(error?.message ?? error?.reason), `${what}: ${t.show(error)}`);
      }
    },
  },
  {
    id: 'services.many-sessions',
    group: GROUP,
    title: 'thirty sessions at once see the same values',
    transports: ['ws'],
    async run(t) {
      const publisher = await t.control();
      const path = t.path();
      await publisher.topics.add(path, t.TopicType.INT64);
      const readers = await Promise.all(Array.from({ length: 30 }, () => t.connect()));
      const streams = readers.map((reader) => t.watch(reader, path, t.datatypes.int64()));
      await Promise.all(readers.map((reader) => reader.select(path)));
      for (let n = 1; n <= 20; n++) await publisher.topicUpdate.set(path, t.datatypes.int64(), n);
      for (const stream of streams) {
        await stream.await('value', { count: 20 });
        t.equal(stream.of('value').map((event) => Number(event.value)), Array.from({ length: 20 }, (_, n) => n + 1), 'values');
      }
    },
  },
];
