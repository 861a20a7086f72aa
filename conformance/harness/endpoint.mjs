// A scripted stand-in for a server: it answers each new connection with the next behaviour of a
// list and passes the rest through to a real server. The inspector covers faults of a live
// connection; this covers answers that no sound server gives.
//
// Behaviours: "pass" (to the real server), "status:503", "reset" (before any answer), "close1001"
// (WebSocket close frame before the response), "silent" (accepted, never answered),
// "bytes:HEX" (this connection response), "text:T" (a text frame; on polling the same text).

import http from 'node:http';
import net from 'node:net';
import { createHash } from 'node:crypto';

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'POST, GET, OPTIONS',
  'Access-Control-Allow-Headers': 'm, ty, ca, r, v, c, cs, ss, sp, s, username, password, content-type',
  'Access-Control-Expose-Headers': 'diffusion-connection',
};

// frame encodes one unmasked, unfragmented WebSocket frame of less than 64 KiB.
function frame(opcode, payload) {
  const header = payload.length < 126
    ? Buffer.from([0x80 | opcode, payload.length])
    : Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([header, payload]);
}

export class Endpoint {
  // Attempts seen so far, oldest first: {transport, behaviour, url}.
  attempts = [];
  // Bytes passed from the server to clients, WebSocket only.
  bytesDown = 0;
  #sockets = new Set();
  #pollAnswers = [];
  #polls = 'pass';
  #held = [];
  #live = new Set();

  static async start({ websocket = ['pass'], polling = ['pass'], to = null }) {
    const endpoint = new Endpoint();
    endpoint.script = { websocket: [...websocket], polling: [...polling] };
    endpoint.to = to;
    endpoint.server = http.createServer((request, response) => endpoint.#request(request, response));
    endpoint.server.on('upgrade', (request, socket, head) => endpoint.#upgrade(request, socket, head));
    endpoint.server.on('connection', (socket) => {
      endpoint.#sockets.add(socket);
      socket.on('close', () => endpoint.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    await new Promise((resolve) => endpoint.server.listen(0, '127.0.0.1', resolve));
    endpoint.port = endpoint.server.address().port;
    return endpoint;
  }

  // The last behaviour of a list repeats.
  #next(transport, request) {
    const script = this.script[transport];
    const behaviour = script.length > 1 ? script.shift() : script[0];
    this.attempts.push({ transport, behaviour, url: request.url });
    return behaviour;
  }

  #upgrade(request, socket, head) {
    socket.on('error', () => socket.destroy());
    const [kind, value] = split(this.#next('websocket', request));
    if (kind === 'pass') return this.#tunnel(request, socket, head);
    if (kind === 'reset') return socket.resetAndDestroy();
    if (kind === 'status') {
      socket.end(`HTTP/1.1 ${value} Scripted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    const accept = createHash('sha1')
      .update(request.headers['sec-websocket-key'] + WEBSOCKET_GUID).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    if (kind === 'bytes') socket.write(frame(2, Buffer.from(value, 'hex')));
    if (kind === 'text') socket.write(frame(1, Buffer.from(value)));
    if (kind === 'close1001') socket.write(frame(8, Buffer.from([0x03, 0xe9])));
    // Silent but alive: a close frame is answered, or the client would wait for that.
    socket.on('data', (chunk) => { if ((chunk[0] & 0x0f) === 8) socket.end(frame(8, Buffer.from([0x03, 0xe8]))); });
    if (kind === 'silent') return;
    // The client answers or drops; half-close soon after, as real servers do after a rejection.
    setTimeout(() => socket.end(), 200);
  }

  #tunnel(request, socket, head) {
    const upstream = net.connect(this.to, '127.0.0.1');
    const lines = [`${request.method} ${request.url} HTTP/1.1`];
    for (let n = 0; n < request.rawHeaders.length; n += 2) {
      lines.push(`${request.rawHeaders[n]}: ${request.rawHeaders[n + 1]}`);
    }
    upstream.write(lines.join('\r\n') + '\r\n\r\n');
    upstream.write(head);
    upstream.on('data', (chunk) => { this.bytesDown += chunk.length; });
    socket.pipe(upstream).pipe(socket);
    let stalled = false;
    const ended = () => { if (!stalled) socket.destroy(); };
    upstream.on('error', ended);
    upstream.on('close', ended);
    const stall = () => {
      stalled = true;
      socket.unpipe(upstream);
      upstream.unpipe(socket);
      upstream.resume();
      // The client gives up by a close frame (6 bytes, or 8 with a code), and would wait for the answer.
      const closes = (chunk) => [0, chunk.length - 6, chunk.length - 8].some((at) => chunk[at] === 0x88);
      socket.on('data', (chunk) => { if (closes(chunk)) socket.destroy(); }).resume();
    };
    this.#live.add(stall);
    socket.on('close', () => {
      this.#live.delete(stall);
      if (!stalled) upstream.destroy();
    });
    this.#sockets.add(upstream);
  }

  // What is open now goes dead without either side being told: nothing passes any more, and the
  // server's side stays open. Polls made later are held until setPolls('pass').
  stall() {
    for (const stall of this.#live) stall();
    this.#live.clear();
    this.#polls = 'hold';
  }

  #request(request, response) {
    if (request.method === 'OPTIONS') return response.writeHead(204, CORS).end();
    if (request.headers.m === '1' && this.#pollAnswers.length > 0) {
      request.resume();
      return response.writeHead(200, { ...CORS, ...this.#pollAnswers.shift() }).end();
    }
    if (request.headers.m === '1') return this.#poll(request, response);
    if (request.headers.m !== '0') return this.#forward(request, response);
    const [kind, value] = split(this.#next('polling', request));
    request.resume();
    switch (kind) {
      case 'pass': return this.#forward(request, response);
      case 'status': return response.writeHead(Number(value), CORS).end();
      case 'bytes': return response.writeHead(200, CORS).end(Buffer.from(value, 'hex'));
      case 'text': return response.writeHead(200, CORS).end(value);
      case 'silent': return undefined;
      default: return request.socket.resetAndDestroy();
    }
  }

  // Polls pass, are held here until the mode changes, or lose their answer: the server believes it
  // sent, the client sees a broken connection.
  setPolls(mode) {
    this.#polls = mode;
    const held = this.#held;
    this.#held = [];
    for (const [request, response] of held) {
      if (!response.destroyed) this.#poll(request, response);
    }
  }

  #poll(request, response) {
    if (this.#polls === 'hold') return this.#held.push([request, response]);
    return this.#forward(request, response, this.#polls === 'lose');
  }

  #forward(request, response, lose = false) {
    const { host, connection, ...headers } = request.headers;
    const upstream = http.request(
      { host: '127.0.0.1', port: this.to, path: request.url, method: request.method, headers, agent: false },
      (answer) => {
        if (stalled) return answer.resume();
        if (lose) {
          this.#polls = 'pass';
          answer.resume();
          answer.on('end', () => response.destroy());
          // With a status line on its way, Chromium does not repeat the request by itself.
          response.writeHead(200, { ...CORS, 'Content-Length': 1_000_000 });
          return response.flushHeaders();
        }
        response.writeHead(answer.statusCode, answer.headers);
        return answer.pipe(response);
      });
    upstream.on('error', () => response.destroy());
    let stalled = false;
    const stall = () => { stalled = true; };
    this.#live.add(stall);
    response.on('close', () => {
      this.#live.delete(stall);
      if (!stalled) upstream.destroy();
    });
    request.pipe(upstream);
  }

  // The next poll is answered by an empty 200 with these headers instead of by the server.
  answerNextPoll(headers) {
    this.#pollAnswers.push(headers);
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function split(behaviour) {
  const at = behaviour.indexOf(':');
  return at < 0 ? [behaviour] : [behaviour.slice(0, at), behaviour.slice(at + 1)];
}
