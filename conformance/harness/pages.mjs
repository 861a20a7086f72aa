// A local web server for the browser runs: the page, the scenario modules, and the SDK's browser
// bundle straight from node_modules. Requests for /diffusion go on to a server, so that the page
// can also be one that came from the host it connects to.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Endpoint } from './endpoint.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SDK_BUNDLE = path.join(ROOT, 'node_modules/diffusion/dist/diffusion.js');
const SERVED = /^\/(page|harness|scenarios)\/[a-z-]+\.(mjs|html)$/;
const TYPES = { '.mjs': 'text/javascript', '.js': 'text/javascript', '.html': 'text/html' };

export async function servePages(serverPort) {
  const endpoint = await Endpoint.start({ to: serverPort });
  const [forward] = endpoint.server.listeners('request');
  endpoint.server.removeAllListeners('request');
  endpoint.server.on('request', async (request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    if (pathname === '/diffusion') return forward(request, response);
    if (pathname === '/favicon.ico') return response.writeHead(204).end();
    const file = pathname === '/sdk/diffusion.js' ? SDK_BUNDLE : SERVED.test(pathname) && path.join(ROOT, pathname);
    if (!file) return response.writeHead(404).end();
    try {
      const body = await readFile(file);
      response.writeHead(200, { 'Content-Type': TYPES[path.extname(file)] }).end(body);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  return { url: `http://127.0.0.1:${endpoint.port}/page/index.html`, stop: () => endpoint.stop() };
}
