import fc from 'fast-check';
import t from 'tap';
import { encodeAbortAck, encodeAck, encodeData } from '../src/packet.js';
import { Sender } from '../src/sender.js';
import { DrivenSender, port } from './support/driven-sender.js';

const fixed = { mode: 'fixed', timeoutMs: 100 } as const;
const threeSegments = { sizeBytes: 6, mssBytes: 2, timeout: fixed };

t.test('an ACK of an earlier number does not acknowledge this one', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  driven.ackAll(0);
  driven.takeSent();
  driven.ack('b', 1);
  driven.ack('a', 0);
  driven.ack('a', 0);
  t.same(driven.takeSent(), [], 'the sender does not continue');
  driven.passTo(100);
  t.same(driven.takeSent(), ['a data 1'], 'it repeats the segment');
  t.equal(driven.sender.result().faults['stale-ack'], 2);
  t.end();
});

t.test('a receiver that acknowledges the next number is ignored, then fails', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  driven.takeSent();
  driven.ack('b', 0);
  driven.ack('a', 1);
  driven.passTo(100);
  driven.ack('a', 1);
  t.same(driven.takeSent(), ['a data 0'], 'the others wait, for it may be a stray packet');
  t.equal(driven.outcome('a'), undefined);
  driven.passTo(200);
  driven.takeSent();
  driven.ack('a', 1);
  t.match(driven.outcome('a'), { status: 'failed', ackedBytes: 0, isConfirmed: false });
  t.match(driven.outcome('a')?.reason, /acknowledges the next number \(1\)/);
  t.same(driven.takeSent(), ['b data 1'], 'the others continue at once');
  for (const sequence of [1, 2, 3]) driven.ack('b', sequence);
  t.match(driven.outcome('b'), { status: 'complete', isConfirmed: true });
  t.equal(driven.result?.faults['next-number-ack'], 3);
  t.end();
});

t.test('one correct ACK clears the suspicion', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
  driven.ack('a', 1);
  driven.ack('a', 1);
  driven.ack('a', 0);
  driven.ack('a', 2);
  driven.ack('a', 2);
  driven.ack('a', 2);
  t.equal(driven.outcome('a'), undefined, 'not failed');
  for (const sequence of [1, 2, 3]) driven.ack('a', sequence);
  t.match(driven.result?.receivers, [{ status: 'complete', isConfirmed: true }]);
  t.end();
});

t.test('an ACK of a number that was never sent is ignored and counted', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
  driven.takeSent();
  for (const sequence of [2, 3, 1000, 0xffffffff]) driven.ack('a', sequence);
  t.same(driven.takeSent(), []);
  t.same(driven.sender.result().faults, { 'ack-of-unsent': 4 });
  t.equal(driven.sender.result().receivers[0]?.ackedBytes, 0);
  t.end();
});

t.test('reserved bits and trailing bytes are accepted, and counted', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
  driven.takeSent();
  driven.receiveHex('a', '000000001234aaaa');
  t.same(driven.takeSent(), ['a data 1']);
  driven.receiveHex('a', '000000010000aaaa00ff00');
  t.same(driven.takeSent(), ['a data 2']);
  t.same(driven.sender.result().faults, { 'ack-reserved-bits': 1, 'ack-trailing-bytes': 1 });
  t.match(driven.eventsOf('fault'), [
    { kind: 'ack-reserved-bits', from: 'a:7735', packet: /reserved bits 0x1234 instead of zero/ },
    { kind: 'ack-trailing-bytes', from: 'a:7735', packet: /3 bytes after the header/ },
  ]);
  t.end();
});

t.test('a packet that is no ACK, or comes from a stranger, is counted and reported once', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
  driven.takeSent();
  driven.receiveHex('a', '00000000');
  driven.receiveHex('a', '000000000000abcd');
  driven.receive({ host: 'a', port }, encodeData(0, Uint8Array.of(1)));
  driven.receive({ host: 'x', port: 9 }, encodeAck(0));
  driven.receive({ host: 'x', port: 9 }, encodeAck(0));
  driven.receive({ host: 'a', port: 9 }, encodeAck(0));
  t.same(driven.takeSent(), [], 'none of them advances the transfer');
  t.same(driven.sender.result().faults, {
    'too-short': 1,
    'unknown-type': 1,
    'wrong-direction': 1,
    stranger: 3,
  });
  t.same(
    driven.eventsOf('fault').map(({ kind, from }) => `${kind} ${from}`),
    ['too-short a:7735', 'unknown-type a:7735', 'wrong-direction a:7735', 'stranger x:9'],
  );
  t.end();
});

t.test('a receiver that answers from another of its addresses is adopted', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  driven.ack('b', 0);
  driven.takeSent();
  driven.receive({ host: 'other', port }, encodeAck(0));
  t.same(driven.takeSent(), ['a data 1', 'b data 1'], 'it is still sent to at the old address');
  driven.receive({ host: 'other', port }, encodeAck(1));
  driven.ack('a', 1);
  driven.ack('b', 1);
  t.same(
    driven.sender.result().faults,
    { 'other-address': 1, 'stale-ack': 1 },
    'both belong to it',
  );
  for (const sequence of [2, 3]) {
    driven.receive({ host: 'other', port }, encodeAck(sequence));
    driven.ack('b', sequence);
  }
  t.match(driven.outcome('a'), { status: 'complete', address: 'a:7735', isConfirmed: true });
  t.end();
});

t.test('an address that could belong to two receivers, or none, is not adopted', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  driven.takeSent();
  driven.receive({ host: 'other', port }, encodeAck(0));
  t.equal(driven.sender.result().faults.stranger, 1, 'two receivers have not answered yet');
  driven.ack('a', 0);
  driven.receive({ host: 'other', port: port + 1 }, encodeAck(0));
  t.equal(driven.sender.result().faults.stranger, 2, 'another port');
  driven.receive({ host: 'other', port }, encodeAck(1));
  t.equal(driven.sender.result().faults.stranger, 3, 'a number that was not sent to it');
  driven.ack('b', 0);
  driven.receive({ host: 'other', port }, encodeAck(1));
  t.equal(driven.sender.result().faults.stranger, 4, 'every receiver has answered');
  t.end();
});

t.test('each receiver is named once', (t) => {
  t.throws(() => new DrivenSender({ receivers: 'aba', ...threeSegments }), {
    code: 'INVALID_ARGUMENT',
    message: /receiver a: same address as a \(a:7735\)/,
  });
  t.doesNotThrow(
    () =>
      new Sender({
        ...threeSegments,
        receivers: [7735, 7736].map((p) => ({ name: `${p}`, address: { host: 'a', port: p } })),
      }),
    'two receivers on one host have a port each',
  );
  t.end();
});

t.test('for any input, a receiver is complete only once it has acknowledged everything', (t) => {
  const segmentCount = 5;
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(segmentCount + 1)) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 400 }) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  );
  const property = fc.property(
    fc.array(step, { minLength: 20, maxLength: 120 }),
    fc.integer({ min: 1, max: 4 }),
    (steps, windowBlocks) => {
      const sizeBytes = 2 * segmentCount;
      const driven = new DrivenSender({
        receivers: 'abc',
        sizeBytes,
        mssBytes: 2,
        windowBlocks,
        timeout: fixed,
        livenessTimeoutMs: 2000,
      });
      const highestSent = new Map<string, number>();
      const acked = new Map([...'abc'].map((name) => [name, 0]));
      const failed = new Set<string>();
      const observe = () => {
        for (const { outcome } of driven.eventsOf('receiver')) {
          if (outcome.status === 'failed') failed.add(outcome.receiver);
        }
        const living = [...'abc'].filter((name) => !failed.has(name));
        const slowest = Math.min(...living.map((name) => acked.get(name) ?? 0));
        for (const line of driven.takeSent()) {
          const [to = '', kind, number] = line.split(' ');
          const sequence = Number(number);
          if (kind === 'data' && sequence >= slowest + windowBlocks) return false;
          if (kind === 'end' && slowest < segmentCount) return false;
          highestSent.set(to, Math.max(highestSent.get(to) ?? -1, sequence));
        }
        return true;
      };
      let isGood = observe();
      for (const step of steps) {
        if (typeof step === 'number') driven.passTo(driven.nowMs + step);
        else if (step instanceof Uint8Array) driven.receive({ host: 'a', port }, step);
        else {
          const [from, sequence] = step;
          if (sequence <= (highestSent.get(from) ?? -1) && !driven.outcome(from)) {
            acked.set(from, Math.max(acked.get(from) ?? 0, sequence + 1));
          }
          driven.ack(from, sequence);
        }
        isGood &&= observe();
      }
      const isTrue = driven.eventsOf('receiver').every(({ outcome }) => {
        const through = acked.get(outcome.receiver) ?? 0;
        return (
          outcome.ackedBytes === Math.min(sizeBytes, 2 * through) &&
          (outcome.status !== 'complete' || through >= segmentCount) &&
          outcome.isConfirmed === through > segmentCount
        );
      });
      return isGood && isTrue;
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 20_240_601, numRuns: 400 }));
  t.end();
});

t.test('an abort ACK fails its receiver at once, whatever it had acknowledged', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  for (const sequence of [0, 1, 2]) driven.ackAll(sequence);
  driven.receive({ host: 'a', port }, encodeAbortAck(2));
  t.match(driven.outcome('a'), { status: 'failed', reason: /could not store the file/ });
  driven.ack('b', 3);
  t.match(driven.outcome('b'), { status: 'complete', isConfirmed: true });
  t.end();
});
