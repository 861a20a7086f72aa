// An older release of the SDK, whose protocol version the server does not speak.

export const older = [
  {
    id: 'older.5.9.24-refused',
    group: 'Older clients',
    title: 'release 5.9.24 is refused promptly, and the server stays sound',
    transports: ['ws'],
    runtimes: ['node'],
    async run(t) {
      const { createRequire } = await import('node:module');
      const old = createRequire(import.meta.url)('diffusion-5.9.24');
      const port = await t.port();
      const started = performance.now();
      const reason = await t.rejects(t.within(new Promise((resolve, reject) => {
        old.connect({ host: '127.0.0.1', port, secure: false }).then(resolve, reject);
      }), 5_000, 'an answer'), 'connect');
      t.ok(!(reason instanceof t.Failure), t.show(reason));
      t.ok(performance.now() - started < 3_000, 'refused promptly');
      const session = await t.connect();
      t.ok((await session.pingServer()).rtt >= 0, 'a current session afterwards');
    },
  },
];
