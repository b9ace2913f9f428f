import t from 'tap';
import { formatTraceLine, type TraceRecord } from '../../src/simulator/trace.js';
import { simulateTransfer } from '../../src/simulator/transfer.js';

const small = {
  seed: 'simulation',
  receiverCount: 2,
  sizeBytes: 1000,
  mssBytes: 500,
  timeout: { mode: 'fixed', timeoutMs: 50 },
  forwardLink: { delayMs: 5 },
  backwardLink: { delayMs: 5 },
} as const;

t.test('a thousand receivers that lose packets all get the same bytes', (t) => {
  const { sender, receivers, isAtRest } = simulateTransfer({
    ...small,
    receiverCount: 1000,
    sizeBytes: 20_000,
    loss: { model: 'bernoulli', probability: 0.05 },
  });
  t.ok(isAtRest);
  t.equal(receivers.filter(({ isIdentical }) => isIdentical).length, 1000);
  t.equal(sender?.receivers.filter(({ status }) => status === 'complete').length, 1000);
  t.end();
});

t.test('another receiver does not change the losses of those before it', (t) => {
  const losses = (receiverCount: number) =>
    simulateTransfer({
      ...small,
      receiverCount,
      sizeBytes: 50_000,
      // Each round goes to every receiver that misses the segment, so a receiver is always sent the
      // same.
      loss: { model: 'bernoulli', probability: 0.2 },
    }).receivers.map(({ transfers }) => transfers[0]?.losses);
  const three = losses(3);
  t.same(losses(4).slice(0, 3), three);
  t.not(three[0], three[1], 'each has losses of its own');
  t.end();
});

t.test('two segments take two round trips, and the trace has each datagram as JSON', (t) => {
  const records: TraceRecord[] = [];
  const { sender } = simulateTransfer({ ...small, trace: (record) => records.push(record) });
  t.equal(sender?.elapsedMs, 20);
  const lines = records.map((record) => JSON.parse(formatTraceLine(record)));
  const question = 'identify request';
  const sent = lines.filter(({ what, from }) => what === 'sent' && from === 'sender');
  t.match(
    sent.map(({ atMs, to, packet }) => `${atMs} ${to} ${packet.split(',')[0]}`),
    [
      ...['0 r1 data 0', '0 r2 data 0', '10 r1 data 1', '10 r2 data 1'],
      ...[`20 r1 ${question}`, `20 r2 ${question}`, '20 r1 end marker 2'],
    ],
  );
  const write = lines.find(({ event }) => event?.type === 'write');
  t.match(write.event.bytes, /^500 bytes, crc32 [0-9a-f]{8}$/, 'without the bytes themselves');
  t.end();
});

t.test('a receiver that is down from the start fails; the others complete', (t) => {
  const { sender } = simulateTransfer({
    ...small,
    deaths: [{ receiver: 1, atMs: 0 }],
    livenessTimeoutMs: 1000,
  });
  t.match(sender?.receivers, [{ status: 'complete' }, { status: 'failed', reason: /no answer/ }]);
  t.end();
});
