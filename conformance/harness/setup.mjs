// Where things are, and the command line of the runners.

import { execFile } from 'node:child_process';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';

export const CONFORMANCE = fileURLToPath(new URL('..', import.meta.url));
export const REPOSITORY = path.dirname(path.dirname(CONFORMANCE + '.'));
export const RESULTS = path.join(CONFORMANCE, 'results');

const require = createRequire(import.meta.url);

export async function findBinary(given) {
  const binary = path.resolve(given ?? path.join(REPOSITORY, 'bin/advect'));
  try {
    await access(binary);
  } catch {
    throw new Error(`${binary} is missing: run "make build" first, or give --binary`);
  }
  return binary;
}

export async function sdkVersion() {
  const text = await readFile(path.join(CONFORMANCE, 'node_modules/diffusion/package.json'), 'utf8')
    .catch(() => { throw new Error('the SDK is not installed: run "npm ci" in conformance/ first'); });
  return JSON.parse(text).version;
}

export function loadSDK() {
  const diffusion = require('diffusion');
  diffusion.log('silent');
  return diffusion;
}

// Certificates are made when first asked for, by the Go program beside this.
export function certificates() {
  let made;
  const make = async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'advect-certificates-'));
    await promisify(execFile)('go', ['run', './conformance/testcert', dir], { cwd: REPOSITORY });
    const file = (name) => path.join(dir, name);
    return { dir, ca: file('ca.pem'), cert: file('cert.pem'), key: file('key.pem') };
  };
  return {
    files: () => (made ??= make()),
    remove: async () => made && rm((await made).dir, { recursive: true, force: true }),
  };
}
