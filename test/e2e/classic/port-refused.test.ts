/** A port that refuses datagrams is reported at once, and retried for as long as a silent one. */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import type { Address } from '../../../src/base/address.js';
import type { Refusal } from '../../../src/base/refusal.js';
import { Endpoint } from '../../../src/node/net/endpoint.js';
import type { AwaitedPeer } from '../../../src/node/net/port-watch.js';
import { PortWatch } from '../../../src/node/net/port-watch.js';
import { DrivenSender, port } from '../../support/driven-sender.js';
import {
  findClosedPort,
  hasIPv6,
  isSameContent,
  noOffload,
  openSilentPort,
  writeRandomFile,
} from '../../support/loopback.js';
import type { Cleaner } from '../../support/processes.js';
import {
  parseEvents,
  parseResult,
  runClient,
  startClient,
  startCommand,
  startServer,
} from '../../support/processes.js';

t.jobs = 4;

const skip = noOffload;
const two = ['--give-up-after', '2'];

for (const host of ['127.0.0.1', '::1']) {
  const skipHost = host === '::1' && !hasIPv6 ? 'this host has no IPv6' : skip;
  t.test(`a closed port at ${host} is reported`, { skip: skipHost, buffered: true }, async (t) => {
    const port = await findClosedPort(host);
    const server = host === '::1' ? `[::1]:${port}` : `${host}:${port}`;
    const sent = writeRandomFile(t.testdir(), 1000);
    const { code, stderr } = await runClient(t, [server], sent, 500, two);
    const reason = `port ${port} at ${host} refused: no p2mpserver runs there`;
    t.equal(code, 1);
    t.equal(
      stderr,
      `${server}: ${reason}; still trying for 2 s\n${server}: failed: ${reason} (connection refused); start it, then try again\n`,
    );
  });
}

t.test(
  'with --json, a refusal is an event, and the result has the reason',
  { skip, buffered: true },
  async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 1000);
    const serving = await startServer(t, join(folder, 'copy'), 0);
    const refusing = `127.0.0.1:${await findClosedPort()}`;
    const silent = `127.0.0.1:${await openSilentPort(t)}`;
    const servers = [serving.server, refusing, silent];
    const exit = await runClient(t, servers, sent, 500, [...two, '--json']);
    const events = parseEvents(exit.stdout).filter(({ event }) => event === 'port-refused');
    t.match(events, [{ receiver: refusing, reason: /^port \d+ at 127.0.0.1 refused/ }]);
    t.equal(events.length, 1, 'once');
    t.match(parseResult(exit)['receivers'], [
      { status: 'complete' },
      {
        status: 'failed',
        reason:
          /^port \d+ at 127.0.0.1 refused: no p2mpserver runs there \(connection refused\); start it, /,
      },
      { status: 'failed', reason: /^no answer for 2 s; is p2mpserver running there/ },
    ]);
  },
);

t.test('a server that starts later gets the whole file', { skip, buffered: true }, async (t) => {
  const folder = t.testdir();
  const [sent, copy] = [writeRandomFile(folder, 5000), join(folder, 'copy')];
  const port = await findClosedPort();
  const client = startClient(t, [`127.0.0.1:${port}`], sent, 500, ['--give-up-after', '600']);
  await client.waitFor(/refused: no p2mpserver runs there; still trying/, 'stderr');
  startCommand(t, 'p2mpserver', [String(port), copy, '0', '--bind', '127.0.0.1']);
  const { code, stderr } = await client.exited;
  t.equal(code, 0, stderr);
  t.notMatch(stderr, 'given up');
  t.ok(isSameContent(sent, copy));
});

t.test(
  'a server that is killed midway is reported as well',
  { skip, buffered: true },
  async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 500_000);
    const { program, server } = await startServer(t, join(folder, 'copy'), 0.5, ['--seed', '1']);
    // Short rounds, so that the client sends again soon after the kill.
    const client = startClient(t, [server], sent, 100, [...two, '--timeout', '100']);
    await program.waitFor(/^Packet loss, sequence number = [1-9]/m);
    program.kill('SIGKILL');
    const { code, stderr } = await client.exited;
    t.equal(code, 1);
    t.match(stderr, /refused: no p2mpserver runs there; still trying for 2 s$/m);
    t.match(
      stderr,
      /failed: acknowledged nothing new for 2 s, stuck at segment \d+ of 5000; now port \d+ at 127.0.0.1 refused/,
    );
  },
);

const driven = () =>
  new DrivenSender({
    ...{ receivers: 'a', otherHosts: { a: 'z' }, sizeBytes: 6, mssBytes: 2 },
    ...{ livenessTimeoutMs: 2000, timeout: { mode: 'fixed', timeoutMs: 100 } },
  });

t.test('if a name has two addresses, both must refuse', async (t) => {
  const sender = driven();
  sender.refuse(0, { host: 'a', port });
  t.same(sender.eventsOf('port-refused'), [], 'the other address may still answer');
  t.same(sender.takeSent(), ['a data 0']);
  sender.passTo(150);
  t.same(sender.takeSent(), ['z data 0'], 'the other address is tried immediately');
  sender.refuse(0, { host: 'z', port });
  sender.refuse(0, { host: 'z', port });
  t.match(sender.eventsOf('port-refused'), [
    { reason: /^port 7735 at a refused.*; port 7735 at z refused/ },
  ]);
  t.equal(sender.eventsOf('port-refused').length, 1, 'once');
  sender.passTo(2100);
  t.match(sender.outcome('a'), { status: 'failed', reason: /^port 7735 at a refused/ });
});

t.test('an answer clears the refusal', async (t) => {
  const sender = driven();
  sender.refuse(0, { host: 'a', port });
  sender.refuse(0, { host: 'z', port });
  sender.ack('a', 0);
  sender.passTo(3000);
  t.match(sender.outcome('a'), {
    reason: /^acknowledged nothing new for 2 s, stuck at segment 1 of 3$/,
  });
});

class Received {
  texts: string[] = [];
  private readonly emitter = new EventEmitter();

  add(text: string): void {
    this.texts.push(text);
    this.emitter.emit('text');
  }

  async atLeast(count: number): Promise<void> {
    while (this.texts.length < count) await once(this.emitter, 'text');
  }
}

async function openEndpoint(t: Cleaner, received = new Received()) {
  const endpoint = await Endpoint.open({
    port: 0,
    bind: ['127.0.0.1'],
    handleDatagram: (_, bytes) => received.add(Buffer.from(bytes).toString()),
    handleWritable: () => undefined,
    handleSendError: () => undefined,
  });
  t.teardown(() => endpoint.close());
  return endpoint;
}

t.test('datagrams from a watched address are handled normally', { skip }, async (t) => {
  const received = new Received();
  const endpoint = await openEndpoint(t, received);
  const [at] = endpoint.addresses;
  const peers = [createSocket('udp4'), createSocket('udp4')];
  for (const [i, peer] of peers.entries()) {
    t.teardown(() => peer.close());
    peer.on('message', (_, from) => peer.send(`answer ${i}`, from.port, from.address));
    peer.bind(0, '127.0.0.1');
    await once(peer, 'listening');
    const to = { host: '127.0.0.1', port: peer.address().port };
    t.ok(
      endpoint.watchRefusals(to, () => t.fail('nothing refuses')),
      'several at once',
    );
    endpoint.send({ to, bytes: Buffer.from('question') });
  }
  await received.atLeast(2);
  t.same(received.texts.toSorted(), ['answer 0', 'answer 1']);
  const thief = createSocket({ type: 'udp4', reuseAddr: true });
  t.teardown(() => thief.close());
  thief.bind(at?.port ?? 0, '127.0.0.1');
  const [error] = await once(thief, 'error');
  t.match(error, { code: 'EADDRINUSE' }, 'no other process can take the port');
});

t.test('an answer in a watch socket is not lost when the watch ends', { skip }, async (t) => {
  const received = new Received();
  const endpoint = await openEndpoint(t, received);
  const [at] = endpoint.addresses;
  const to = { host: '127.0.0.1', port: await findClosedPort() };
  const answer = (count: number) => {
    // The answers arrive while this process is blocked, so the watch cannot have read them.
    const script = `const s = require('node:dgram').createSocket('udp4');
      s.bind(${to.port}, '127.0.0.1', async () => {
        for (let i = 0; i < ${count}; i++) {
          await new Promise((sent) => s.send('answer', ${at?.port}, '127.0.0.1', sent));
        }
        s.close();
      });`;
    execFileSync(process.execPath, ['-e', script]);
  };
  for (const count of [1, 100]) {
    const end = endpoint.watchRefusals(to, () => t.fail('nothing refuses'));
    answer(count);
    end?.();
    // After the watch ends, the first socket receives again.
    answer(1);
    await received.atLeast(count + 1);
    t.equal(received.texts.length, count + 1);
    received.texts = [];
  }
});

t.test('if there are more silent addresses than watches, they take turns', async (t) => {
  const open = new Set<Address>();
  const watched = new Set<Address>();
  const refuse = new Map<Address, (refusal: Refusal) => void>();
  const peers: AwaitedPeer[] = Array.from({ length: 300 }, (_, index) => ({
    index,
    addresses: [{ host: '10.0.0.1', port: index + 1 }],
    answerCount: index === 0 ? 1 : 0,
  }));
  const refused: number[] = [];
  const watch = new PortWatch({
    sockets: {
      watchRefusals: (to, handleRefusal) => {
        open.add(to);
        watched.add(to);
        refuse.set(to, handleRefusal);
        return () => open.delete(to);
      },
    },
    awaited: () => peers,
    handleRefusal: (index) => refused.push(index),
  });
  const startMs = performance.now();
  watch.look(startMs);
  t.equal(open.size, 128);
  const [first] = peers[1]?.addresses ?? [];
  if (first === undefined) throw new Error('no address');
  refuse.get(first)?.({ code: 'port-closed' });
  refuse.get(first)?.({ code: 'port-closed' });
  t.same(refused, [1], 'once');
  for (let i = 1; i <= 60; i++) watch.look(startMs + 200 * i);
  t.equal(watched.size, 300);
  t.notOk(open.has(first), 'a refused address needs no watch');
  watch.close();
  t.equal(open.size, 0);
});
