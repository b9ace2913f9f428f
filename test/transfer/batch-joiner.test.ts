import t from 'tap';
import type { Transmit } from '../../src/base/machine.js';
import { datagramsOf } from '../../src/base/machine.js';
import { BatchJoiner } from '../../src/transfer/batch-joiner.js';

const first = { host: '192.0.2.1', port: 9 };
const second = { host: '192.0.2.2', port: 9 };
const stepBytes = 100;
const maxDatagrams = 5;

let nextByte = 0;

/** @param sizes the sizes of its datagrams */
function batch(to: Transmit['to'], ...sizes: number[]): Transmit {
  const bytes = Buffer.concat(sizes.map((size) => Buffer.alloc(size, ++nextByte)));
  return { to, bytes, datagramSizeBytes: stepBytes };
}

/** What was sent: the destination and datagram sizes of each transmit, and all bytes in order. */
function joined(polled: readonly (Transmit | undefined)[]) {
  const queue = [...polled];
  const joiner = new BatchJoiner(() => queue.shift(), maxDatagrams);
  const left: { to: Transmit['to']; sizes: number[] }[] = [];
  const bytes: Uint8Array[] = [];
  for (;;) {
    const transmit = joiner.pollTransmit(0);
    if (transmit === undefined) break;
    left.push({ to: transmit.to, sizes: [...datagramsOf(transmit)].map(({ length }) => length) });
    bytes.push(transmit.bytes);
  }
  return { left, bytes: Buffer.concat(bytes) };
}

const bytesOf = (transmits: readonly Transmit[]) =>
  Buffer.concat(transmits.map(({ bytes }) => bytes));

t.test('small batches for one destination leave together, unchanged and in order', async (t) => {
  const polled = [batch(first, 100, 100), batch(first, 100), batch(first, 100, 60)];
  const { left, bytes } = joined(polled);
  t.same(left, [{ to: first, sizes: [100, 100, 100, 100, 60] }]);
  t.ok(bytes.equals(bytesOf(polled)));
});

t.test(
  'a batch that is too large, for another destination, or after a short datagram is sent next',
  async (t) => {
    const polled = [
      batch(first, 100, 100, 100),
      batch(first, 100, 100, 100),
      batch(second, 100),
      batch(first, 40),
      batch(first, 100),
    ];
    const { left, bytes } = joined(polled);
    t.same(left, [
      { to: first, sizes: [100, 100, 100] },
      { to: first, sizes: [100, 100, 100] },
      { to: second, sizes: [100] },
      { to: first, sizes: [40] },
      { to: first, sizes: [100] },
    ]);
    t.ok(bytes.equals(bytesOf(polled)));
  },
);

t.test('tagged datagrams are longer and are not joined with untagged ones', async (t) => {
  const tagged = { ...batch(first, 116), datagramSizeBytes: stepBytes + 16 };
  const { left } = joined([batch(first, 100), tagged, batch(first, 100)]);
  t.same(
    left.map(({ sizes }) => sizes),
    [[100], [116], [100]],
  );
});

t.test('a full batch is passed on unchanged and nothing is polled after it', async (t) => {
  const full = batch(first, 100, 100, 100, 100, 100);
  const queue: Transmit[] = [full, batch(first, 100)];
  const joiner = new BatchJoiner(() => queue.shift(), maxDatagrams);
  t.equal(joiner.pollTransmit(0), full, 'its memory is not copied');
  t.equal(queue.length, 1);
});

t.test('a batch that may not leave yet is not waited for', async (t) => {
  const { left } = joined([batch(first, 100), undefined, batch(first, 100)]);
  t.same(left, [
    { to: first, sizes: [100] },
    { to: first, sizes: [100] },
  ]);
});

t.test('after a reset, what was polled ahead is gone', async (t) => {
  const queue: Transmit[] = [batch(first, 100), batch(second, 100)];
  const joiner = new BatchJoiner(() => queue.shift(), maxDatagrams);
  t.equal(joiner.pollTransmit(0)?.to, first);
  joiner.clear();
  t.equal(joiner.pollTransmit(0), undefined);
});
