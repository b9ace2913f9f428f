/** `p2mp send` reports a refused port at once, but keeps connecting until the liveness timeout. */
import { join } from 'node:path';
import t from 'tap';
import { Runner } from '../../../src/base/machine.js';
import { Endpoint } from '../../../src/endpoint/endpoint.js';
import { SessionSender } from '../../../src/session/sender.js';
import type { SessionSenderEvent } from '../../../src/session/sender-events.js';
import { createSimulatedCrypto } from '../../../src/simulator/session-crypto.js';
import {
  findClosedPort,
  hasIPv6,
  isSameContent,
  noOffload,
  openSilentPort,
  writeRandomFile,
} from '../../support/loopback.js';
import { parseResult, startCommand } from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';
import { receiverAddress, SessionWire, type WireOptions } from '../../support/session-wire.js';

t.jobs = 4;

const buffered = true;
const skip = noOffload;
const briefly = ['--open', '--give-up-after', '2'];

for (const host of ['127.0.0.1', '::1']) {
  const skipHost = host === '::1' && !hasIPv6 ? 'this host has no IPv6' : skip;
  t.test(`a closed port at ${host} is reported`, { skip: skipHost, buffered }, async (t) => {
    const place = new SessionPlace(t);
    const sent = writeRandomFile(place.sent, 1000);
    const port = await findClosedPort(host);
    const receiver = host === '::1' ? `[::1]:${port}` : `${host}:${port}`;
    const { code, stderr } = await place.send([sent, '--to', receiver, ...briefly]).exited;
    const refusal = `port ${port} at ${host} refused: no p2mp receive runs there`;
    t.equal(code, 1);
    t.same(stderr.split('\n').slice(1, -1), [
      `${receiver}: ${refusal}; still trying for 2 s`,
      `${receiver}: failed: ${refusal} (connection refused); start it, then try again`,
    ]);
  });
}

t.test('one of two receivers refuses, and the other completes', { skip, buffered }, async (t) => {
  const place = new SessionPlace(t);
  const sent = writeRandomFile(place.sent, 100_000);
  const { name, dir } = await place.receive();
  const refusing = `127.0.0.1:${await findClosedPort()}`;
  const silent = `127.0.0.1:${await openSilentPort(t)}`;
  const to = [name, refusing, silent].join();
  const exit = await place.send([sent, '--to', to, '--json', ...briefly]).exited;
  t.equal(exit.code, 3);
  const events = eventsOf(exit, 'port-refused');
  t.match(events, [{ receiver: refusing, reason: /^port \d+ at 127.0.0.1 refused: no p2mp rec/ }]);
  t.equal(events.length, 1, 'once');
  t.match(parseResult(exit)['receivers'], [
    { status: 'complete' },
    {
      receiver: refusing,
      status: 'failed',
      reason: /refused: .* \(connection refused\); start it/,
    },
    { receiver: silent, status: 'failed', reason: /^no answer for 2 s; is p2mp receive running/ },
  ]);
  t.ok(isSameContent(sent, join(dir, 'sent')));
});

t.test(
  'a receiver that starts after the refusal gets everything',
  { skip, buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const sent = writeRandomFile(place.sent, 100_000);
    const port = await findClosedPort();
    const to = `127.0.0.1:${port}`;
    const sender = place.send([sent, '--to', to, '--open', '--give-up-after', '60']);
    await sender.waitFor(/refused: no p2mp receive runs there; still trying for 60 s/, 'stderr');
    const { dir } = await place.receive(['--open', '--port', String(port)]);
    const { code, stderr } = await sender.exited;
    t.equal(code, 0, stderr);
    t.notMatch(stderr, 'failed');
    t.ok(isSameContent(sent, join(dir, 'sent')));
  },
);

t.test('a receiver that is killed midway is reported as well', { skip, buffered }, async (t) => {
  const place = new SessionPlace(t);
  const sent = writeRandomFile(place.sent, 800_000);
  const { program, name, port } = await place.receive();
  const sender = place.send([sent, '--to', name, '--rate', '100k', '--json', ...briefly]);
  await sender.waitForEvent('progress');
  program.kill('SIGKILL');
  const refused = await sender.waitForEvent('port-refused');
  t.match(refused, { receiver: name, reason: `port ${port} at 127.0.0.1 refused: no p2mp rec` });
  const exit = await sender.exited;
  t.equal(exit.code, 1);
  t.match(parseResult(exit)['receivers'], [
    {
      reason: /^has not responded for 2 s; now port \d+ at 127.0.0.1 refused: .* then try again$/,
    },
  ]);
});

t.test('without system support, a refused port looks silent', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const sent = writeRandomFile(place.sent, 1000);
  const to = `127.0.0.1:${await findClosedPort()}`;
  const env = { P2MP_HOME: place.senderHome, P2MP_OFFLOAD: 'off' };
  const words = ['send', sent, '--to', to, '--json', ...briefly];
  const exit = await startCommand(t, 'p2mp', words, { env }).exited;
  t.equal(exit.code, 1);
  t.same(eventsOf(exit, 'port-refused'), []);
  t.match(parseResult(exit)['receivers'], [{ reason: /^no answer for 2 s; is p2mp receive run/ }]);
});

/** Forges an ICMP error for the port of this receiver whenever anything is sent. */
function runWithForgery(index: number | undefined, options: WireOptions): SessionWire {
  return new SessionWire({
    ...options,
    attack: (passing, wire) => {
      if (index !== undefined) {
        wire.sender.handleRefusal(index, receiverAddress(index), { code: 'port-closed' });
      }
      return options.attack?.(passing, wire) ?? [passing.bytes];
    },
  }).run();
}

t.test('forged refusals change nothing if the receiver answers', async (t) => {
  const options = { receiverCount: 2, sizeBytes: 100_000 };
  const plain = runWithForgery(undefined, options);
  const forged = runWithForgery(0, options);
  t.match(forged.outcomes, [{ status: 'complete' }, { status: 'complete' }]);
  t.ok(forged.receivers.every(({ isIdentical }) => isIdentical));
  t.equal(forged.nowMs, plain.nowMs);
  t.same(forged.result?.datagramsSent, plain.result?.datagramsSent);
});

t.test('refusals do not shorten the liveness timeout', async (t) => {
  const options: WireOptions = {
    sender: { livenessTimeoutMs: 2000 },
    attack: ({ to, bytes }) => (to === 'sender' ? [] : [bytes]),
  };
  const plain = runWithForgery(undefined, options);
  const refused = runWithForgery(0, options);
  t.match(plain.outcomeOf(0), { status: 'failed', reason: /^no answer for 2 s/ });
  t.match(refused.outcomeOf(0), {
    status: 'failed',
    reason: /^port 7735 at 192\.0\.2\.10 refused: .* \(connection refused\); start it or open the /,
  });
  t.equal(refused.nowMs, plain.nowMs);
  t.equal(refused.senderEvents.filter(({ type }) => type === 'port-refused').length, 1, 'once');
});

t.test('an answer clears a refusal', async (t) => {
  let isCut = false;
  const wire = new SessionWire({
    sizeBytes: 100_000,
    sender: { livenessTimeoutMs: 2000, rateBytesPerSec: 100_000 },
    attack: ({ bytes }) => (isCut ? [] : [bytes]),
  }).run(200);
  wire.sender.handleRefusal(0, receiverAddress(0), { code: 'port-closed' });
  wire.run(400);
  isCut = true;
  t.match(wire.run().outcomeOf(0), {
    status: 'failed',
    reason: 'has not responded for 2 s; send again once it is back',
  });
});

t.test('a restarted session remembers the refusal and does not report it twice', async (t) => {
  const createSender = () =>
    new SessionSender({
      label: 'sent',
      receivers: [{ name: 'r0', address: receiverAddress(0) }],
      manifest: new Uint8Array(10),
      contentSizeBytes: 0,
      crypto: createSimulatedCrypto('anew', 'sender'),
      livenessTimeoutMs: 2000,
    });
  let sender = createSender();
  const endpoint = new Endpoint({ senders: [sender] });
  const events: SessionSenderEvent[] = [];
  let nowMs = 0;
  const runner = new Runner(endpoint, {
    now: () => nowMs,
    canTransmit: () => true,
    transmit: () => undefined,
    handleEvent: (event) => {
      if (event.role === 'sender') events.push(event.event);
    },
    scheduleTimeout: () => undefined,
  });
  const refuse = () => {
    sender.handleRefusal(0, receiverAddress(0), { code: 'port-closed' });
    runner.drain();
  };
  refuse();
  const next = createSender();
  endpoint.replaceSender(sender, next);
  sender = next;
  refuse();
  for (let atMs = endpoint.pollTimeout(); atMs !== undefined; atMs = endpoint.pollTimeout()) {
    nowMs = atMs;
    runner.handleTimeout();
  }
  t.match(events, [
    { type: 'port-refused' },
    { type: 'receiver', outcome: { reason: /^port 7735 at 192\.0\.2\.10 refused/ } },
    { type: 'done' },
  ]);
});
