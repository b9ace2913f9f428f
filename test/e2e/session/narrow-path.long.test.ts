/** Paths that drop large datagrams, in virtual time and over loopback. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { type SendEvent, send } from '../../../src/index.js';
import { simulateSession } from '../../../src/simulator/session-transfer.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import type { Cleaner } from '../../support/processes.js';
import { SessionHost } from '../../support/session-host.js';

const link = { delayMs: 5 };
const common = {
  contentSizeBytes: 500_000,
  forwardLink: link,
  backwardLink: link,
  deadlineMs: 120_000,
};
/** UDP payload of a tagged data packet by default. */
const fullBytes = 1432;

t.test('a path that fits a full datagram exactly works', async (t) => {
  const forwardLink = { ...link, maxDatagramBytes: fullBytes };
  const result = simulateSession({ ...common, seed: 'fits', receiverCount: 1, forwardLink });
  t.match(result.sender, [{ receivers: [{ status: 'complete' }] }]);
});

t.test(
  'a narrow path is distinguished from a dead receiver and does not delay the others',
  async (t) => {
    const narrow = { forwardLink: { ...link, maxDatagramBytes: fullBytes - 1 } };
    const seed = 'narrow';
    const result = simulateSession({ ...common, seed, receiverCount: 2, receivers: [{}, narrow] });
    const reason =
      'the path to r2 silently drops datagrams of 1432 bytes, although small ones arrive; send again with --mss auto or a smaller MSS';
    t.match(result.sender, [{ receivers: [{ status: 'complete' }, { status: 'failed', reason }] }]);
    t.ok((result.settled.find(({ outcome }) => outcome.receiver === 'r1')?.atMs ?? 0) < 2000);
    t.ok((result.sender[0]?.elapsedMs ?? Infinity) < 5000, 'faster than the liveness timeout');
  },
);

t.test('a receiver that becomes reachable late does not count as a narrow path', async (t) => {
  for (const atMs of [100, 500, 1000, 3000, 9000]) {
    const result = simulateSession({
      ...common,
      seed: `late ${atMs}`,
      receiverCount: 1,
      incidents: [
        { atMs: 0, host: 0, fault: 'disconnect' },
        { atMs, host: 0, fault: 'reconnect' },
      ],
    });
    t.match(result.sender, [{ receivers: [{ status: 'complete' }] }], `after ${atMs} ms`);
  }
});

t.test('loss does not count as a narrow path', async (t) => {
  for (let i = 0; i < 100; i++) {
    const lossy = { ...link, loss: { model: 'bernoulli', probability: 0.4 } as const };
    const result = simulateSession({
      ...common,
      contentSizeBytes: 3000,
      seed: `loss ${i}`,
      receiverCount: 1,
      forwardLink: lossy,
      backwardLink: lossy,
    });
    t.match(result.sender, [{ receivers: [{ status: 'complete' }] }]);
  }
});

t.test('a path that narrows midway fails by name', async (t) => {
  const narrow = { forwardLink: { ...link, maxDatagramBytes: 1300 } };
  const result = simulateSession({
    ...common,
    seed: 'one alone',
    receiverCount: 1,
    receivers: [narrow],
    mssBytes: 1269,
  });
  t.match(result.sender, [{ receivers: [{ status: 'failed', reason: /of 1301 bytes/ }] }]);
});

/** Opens a relay to a receiver that drops larger datagrams on the way there. */
async function openNarrowPath(t: Cleaner, toPort: number, mostBytes: number): Promise<number> {
  const front = createSocket('udp4');
  const back = createSocket('udp4');
  let senderPort = 0;
  front.on('message', (bytes, { port }) => {
    senderPort = port;
    if (bytes.length <= mostBytes) back.send(bytes, toPort, '127.0.0.1');
  });
  back.on('message', (bytes) => front.send(bytes, senderPort, '127.0.0.1'));
  for (const socket of [front, back]) {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    t.teardown(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  }
  return front.address().port;
}

for (const mostBytes of [1431, 1000]) {
  t.test(
    `before any content is sent, the session restarts with smaller segments: ${mostBytes} bytes`,
    async (t) => {
      const folder = t.testdir({ sent: {} });
      const sent = writeRandomFile(join(folder, 'sent'), 300_000, 'file');
      const near = await SessionHost.open(t, join(folder, 'near'));
      const far = await SessionHost.open(t, join(folder, 'far'));
      const port = await openNarrowPath(t, far.spec().port, mostBytes);
      const events: SendEvent[] = [];
      let asked = 0;
      const result = await send({
        paths: [sent],
        receivers: [near.spec('near'), { host: '127.0.0.1', port, name: 'far' }],
        trustReceiver: () => {
          asked++;
          return true;
        },
        onEvent: (event) => events.push(event),
      });
      t.match(result.receivers, [{ status: 'complete' }, { status: 'complete' }]);
      const sizes = events.flatMap((event) => (event.type === 'resize' ? [event.mssBytes] : []));
      t.equal(result.mssBytes, sizes.at(-1));
      t.equal(result.mssBytes, mostBytes === 1431 ? 1200 : 508);
      t.equal(asked, 2, 'no key is approved twice');
      t.same(result.faults, {}, 'late datagrams of the first session are not faults');
      for (const host of [near, far]) t.ok(isSameContent(sent, host.path('file')));
    },
  );
}

t.test('a fixed segment size does not change', async (t) => {
  const folder = t.testdir({ sent: {} });
  const sent = writeRandomFile(join(folder, 'sent'), 300_000, 'file');
  const near = await SessionHost.open(t, join(folder, 'near'));
  const far = await SessionHost.open(t, join(folder, 'far'));
  const port = await openNarrowPath(t, far.spec().port, 1000);
  const result = await send({
    paths: [sent],
    receivers: [near.spec('near'), { host: '127.0.0.1', port, name: 'far' }],
    trustReceiver: () => true,
    mssBytes: 1400,
  });
  t.match(result, {
    mssBytes: 1400,
    receivers: [
      { status: 'complete' },
      { status: 'failed', reason: /the path to far silently drops datagrams of 1432 bytes/ },
    ],
  });
});
