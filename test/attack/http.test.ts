/**
 * Attacks on the HTTP port of a receiver affect neither its transfers nor, for long, honest
 * requests.
 */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { type ReceiverProgram, SessionPlace } from '../support/session-commands.js';

const buffered = true;

/** The limits in bounded-http.ts. */
const maxConnections = 16;
const maxRequestsPerSec = 50;

/** Resolves when the socket closes or is reset. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

class Target {
  private constructor(
    readonly place: SessionPlace,
    readonly receiver: ReceiverProgram,
    readonly port: number,
  ) {}

  static async start(t: Test, options: readonly string[] = []): Promise<Target> {
    const place = new SessionPlace(t);
    const receiver = await place.receive(['--open', '--json', '--metrics', '0', ...options]);
    const { address } = await receiver.program.waitForEvent('metrics');
    return new Target(place, receiver, Number(String(address).replace(/.*:/, '')));
  }

  /** Opens a connection and sends only this text. */
  async connect(t: Test, text = ''): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1');
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    if (text !== '') socket.write(text);
    return socket;
  }

  /** Sends one request on its own connection. @returns the status code */
  async ask(headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<number> {
    const options = { port: this.port, host: '127.0.0.1', path: '/healthz', method, headers };
    const sent = request({ ...options, agent: false });
    sent.end();
    const [response] = await once(sent, 'response');
    response.resume();
    return response.statusCode;
  }

  get descriptorCount(): number {
    return readdirSync(`/proc/${this.receiver.program.pid}/fd`).length;
  }

  /** Runs an honest transfer. */
  async transfer(t: Test): Promise<void> {
    const sent = writeRandomFile(this.place.sent, 300_000);
    const exit = await this.place.send([sent, '--to', this.receiver.name, '--open']).exited;
    t.equal(exit.code, 0, exit.stderr);
    t.ok(isSameContent(sent, `${this.receiver.dir}/sent`), 'the transfer is complete');
  }
}

t.test(
  '480 idle connections: the oldest are closed, and everything else works',
  { buffered },
  async (t) => {
    const target = await Target.start(t);
    const idle: Socket[] = [];
    for (let count = 0; count < 480; count++) idle.push(await target.connect(t));
    t.equal(await target.ask(), 200, 'the next request is answered');
    t.ok(target.descriptorCount < 100, `${target.descriptorCount} descriptors are open`);
    await target.transfer(t);
  },
);

t.test('the limit also holds for half-sent requests', { buffered }, async (t) => {
  const target = await Target.start(t);
  const before = target.descriptorCount;
  const all: Socket[] = [];
  for (let count = 0; count < 3 * maxConnections; count++) {
    all.push(await target.connect(t, 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-'));
  }
  t.equal(await target.ask(), 200);
  t.ok(target.descriptorCount <= before + maxConnections + 1, 'descriptors');
  // The last connection is below the limit, but still times out.
  const last = all.at(-1);
  if (last?.closed === false) await closed(last.resume());
  t.pass('a request that is never finished times out');
});

t.test('a page whose domain resolves to this host cannot read metrics', { buffered }, async (t) => {
  const target = await Target.start(t, ['--metrics-name', 'receiver.example.net']);
  const { port } = target;
  for (const host of [
    'attacker.example',
    `attacker.example:${port}`,
    'localhost.attacker.example',
  ]) {
    t.equal(await target.ask({ Host: host }), 421, host);
  }
  const known = ['127.0.0.1', `[::1]:${port}`, `localhost:${port}`, 'Receiver.Example.net:80'];
  for (const host of known) t.equal(await target.ask({ Host: host }), 200, host);
});

t.test('only GET and HEAD without a body are answered', { buffered }, async (t) => {
  const target = await Target.start(t);
  t.equal(await target.ask({}, 'HEAD'), 200);
  t.equal(await target.ask({}, 'DELETE'), 405);
  for (const method of ['POST', 'GET']) {
    const head = `${method} /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n`;
    const socket = await target.connect(t, head);
    let answer = '';
    socket.on('data', (bytes: Buffer) => {
      answer += bytes.toString();
    });
    await closed(socket);
    t.match(answer, /^HTTP\/1.1 405 /, `${method}: the server does not wait for the body`);
  }
});

t.test('excessive requests are refused', { buffered }, async (t) => {
  const target = await Target.start(t);
  const requestCount = 100 * maxRequestsPerSec;
  let asked = 0;
  while (asked < requestCount && (await target.ask()) !== 429) asked++;
  t.ok(asked < requestCount, `request ${asked + 1} is refused`);

  // All at once: the server closes the connection and drops what it has not read.
  const socket = await target.connect(t);
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  socket.write('GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(requestCount));
  await closed(socket);
  const answered = text.split('HTTP/1.1 404 ').length - 1;
  t.ok(answered < requestCount, `${answered} were answered`);
  await target.transfer(t);
});
