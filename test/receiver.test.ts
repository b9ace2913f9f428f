import fc from 'fast-check';
import t from 'tap';
import { encodeAck } from '../src/packet.js';
import { Receiver } from '../src/receiver.js';
import { countedLoss, DrivenReceiver } from './support/driven-receiver.js';

t.test('a segment in sequence is written and acknowledged with its own number', (t) => {
  const driven = new DrivenReceiver();
  driven.receiveHex('s', '00000000 9e9d 5555 6162');
  t.same(driven.takeSent(), ['s ack 0']);
  driven.data('s', 1, 'cd');
  driven.data('s', 2, 'ef');
  t.same(driven.takeSent(), ['s ack 1', 's ack 2']);
  t.equal(driven.text, 'abcdef');
  t.same(
    driven.eventsOf('write').map(({ offsetBytes, isUrgent }) => [offsetBytes, isUrgent]),
    [
      [0, false],
      [2, false],
      [4, false],
    ],
  );
  t.end();
});

t.test('an ACK on the wire is exactly as in the course text', (t) => {
  const receiver = new Receiver();
  receiver.handleDatagram(0, { host: 's', port: 5000 }, Buffer.from('000000009e9d55556162', 'hex'));
  const transmit = receiver.pollTransmit();
  t.equal(Buffer.from(transmit?.bytes ?? []).toString('hex'), '000000000000aaaa');
  t.same(transmit?.to, { host: 's', port: 5000 });
  t.end();
});

t.test(
  'a packet out of sequence is dropped, and the last in sequence is acknowledged again',
  (t) => {
    const driven = new DrivenReceiver();
    driven.data('s', 0, 'ab');
    driven.data('s', 1, 'cd');
    driven.takeSent();
    driven.data('s', 3, 'gh');
    t.same(driven.takeSent(), ['s ack 1'], 'from the future');
    driven.data('s', 0, 'ab');
    driven.data('s', 1, 'cd');
    t.same(driven.takeSent(), ['s ack 1', 's ack 1'], 'from the past');
    t.equal(driven.text, 'abcd');
    driven.data('s', 2, 'ef');
    driven.end('s', 3);
    t.match(driven.results, [{ faults: { 'out-of-sequence': 1, duplicate: 2 }, sizeBytes: 6 }]);
    t.end();
  },
);

t.test('before the first segment there is nothing to acknowledge', (t) => {
  const driven = new DrivenReceiver();
  driven.data('s', 1, 'cd');
  driven.end('s', 3);
  t.same(driven.takeSent(), []);
  t.same(driven.takeEventTypes(), [], 'no transfer begins in the middle');
  t.end();
});

t.test('a packet with a bad checksum gets no answer', (t) => {
  const driven = new DrivenReceiver();
  driven.damaged('s', 0, 'ab');
  t.equal(driven.receiver.isReceiving, false, 'it begins no transfer either');
  driven.data('s', 0, 'ab');
  driven.takeSent();
  driven.damaged('s', 1, 'cd');
  driven.damaged('s', 0, 'ab');
  t.same(driven.takeSent(), []);
  t.equal(driven.text, 'ab');
  driven.end('s', 1);
  t.same(driven.results[0]?.faults, { 'bad-checksum': 3 });
  t.end();
});

t.test('an odd last byte is summed in the high half; the low half is accepted and counted', (t) => {
  const driven = new DrivenReceiver();
  driven.receiveHex('s', '00000000 9e9d 5555 6162');
  driven.receiveHex('s', '00000001 9cff 5555 63');
  driven.takeSent();
  driven.receiveHex('s', '00000002 ff9b 5555 64');
  t.same(driven.takeSent(), ['s ack 2']);
  driven.receiveHex('s', '00000003 9d9e 5555 6162');
  t.same(driven.takeSent(), [], 'an even length has one sum only');
  driven.end('s', 3);
  t.equal(driven.text, 'abcd');
  t.same(driven.results[0]?.faults, { 'odd-byte-low': 1, 'bad-checksum': 1 });
  t.end();
});

t.test('both zeros of the checksum are one', (t) => {
  const driven = new DrivenReceiver();
  driven.receiveHex('s', '00000000 0000 5555 ffff');
  driven.receiveHex('s', '00000001 ffff 5555 ffff');
  driven.receiveHex('s', '00000002 0000 5555 0000');
  t.same(driven.takeSent(), ['s ack 0', 's ack 1', 's ack 2']);
  driven.end('s', 3);
  t.same(driven.results[0]?.faults, {});
  t.end();
});

t.test('the loss service draws once for each data packet, even an invalid one', (t) => {
  const loss = countedLoss();
  const driven = new DrivenReceiver({ loss });
  driven.data('x', 7, 'of no transfer');
  driven.data('s', 0, 'ab');
  driven.data('s', 0, 'ab');
  driven.data('s', 5, 'kl');
  driven.data('x', 0, 'busy');
  driven.damaged('s', 1, 'cd');
  driven.abortMarker('x', 0);
  driven.end('s', 1);
  driven.end('s', 1);
  t.equal(loss.draws, 9);
  driven.receive('s', encodeAck(0));
  driven.receiveHex('s', '00000000 ffff ffff');
  driven.receiveHex('s', '00000000 0000 1234');
  driven.receiveHex('s', '0000');
  t.equal(loss.draws, 9, 'for nothing else');
  t.end();
});

t.test('a packet dropped by the loss service is only reported and counted', (t) => {
  const driven = new DrivenReceiver({ loss: countedLoss([0, 2, 3, 4, 6]) });
  driven.data('s', 0, 'ab');
  t.equal(driven.receiver.isReceiving, false);
  driven.data('s', 0, 'ab');
  t.same(driven.takeSent(), ['s ack 0']);
  driven.data('s', 0, 'ab');
  driven.data('s', 9, 'yz');
  driven.damaged('s', 1, 'cd');
  t.same(driven.takeSent(), [], 'duplicates, unexpected and damaged packets are dropped as well');
  driven.data('s', 1, 'cd');
  driven.end('s', 2);
  t.same(driven.takeSent(), ['s ack 1'], 'so is the end');
  driven.end('s', 2);
  t.same(driven.takeSent(), ['s ack 2']);
  t.same(
    driven.eventsOf('loss').map(({ sequence }) => sequence),
    [0, 0, 9, 1, 2],
  );
  t.match(driven.results, [{ losses: 5, dataPackets: 8, faults: {}, sizeBytes: 4 }]);
  t.end();
});

t.test('the ACK of a short last segment waits until it is written', (t) => {
  const driven = new DrivenReceiver({ writesAtOnce: false });
  driven.data('s', 0, 'abc');
  driven.data('s', 1, 'def');
  t.same(driven.takeSent(), ['s ack 0', 's ack 1'], 'full segments do not wait for the disk');
  driven.data('s', 2, 'g');
  t.equal(driven.eventsOf('write').at(-1)?.isUrgent, true);
  driven.written(3);
  t.same(driven.takeSent(), []);
  driven.data('s', 2, 'g');
  t.same(driven.takeSent(), ['s ack 1'], 'meanwhile a duplicate of it only gets a sign of life');
  driven.written(7);
  t.same(driven.takeSent(), ['s ack 2']);
  driven.data('s', 2, 'g');
  t.same(driven.takeSent(), ['s ack 2']);
  t.end();
});

t.test('too many unwritten segments are not acknowledged, and arrive again', (t) => {
  const driven = new DrivenReceiver({ writesAtOnce: false, maxUnwrittenBytes: 4 });
  driven.data('s', 0, 'ab');
  driven.data('s', 1, 'cd');
  driven.takeSent();
  driven.data('s', 2, 'ef');
  t.same(driven.takeSent(), []);
  t.equal(driven.text, 'abcd');
  driven.written(2);
  driven.data('s', 2, 'ef');
  t.same(driven.takeSent(), ['s ack 2']);
  driven.written();
  driven.end('s', 3);
  t.equal(driven.text, 'abcdef');
  t.same(driven.results[0]?.faults, { 'storage-busy': 1 });
  t.end();
});

t.test(
  'an invalid packet, or one that is not for a receiver, is counted and reported once',
  (t) => {
    const driven = new DrivenReceiver();
    for (const hex of ['00', '00000000 0000 abcd', '00000000 0000 aaaa', '00000000 0000 aaaa']) {
      driven.receiveHex('x', hex);
    }
    t.same(
      driven.eventsOf('fault').map(({ kind, from, packet }) => `${kind} ${from} ${packet}`),
      [
        'too-short x:5000 too-short: 1 bytes, starting 00',
        'unknown-type x:5000 unknown-type: 8 bytes, starting 00 00 00 00 00 00 ab cd',
        'wrong-direction x:5000 ACK of 0',
      ],
    );
    driven.end('s', 0);
    t.match(driven.results[0]?.faults, { 'too-short': 1, 'unknown-type': 1, 'wrong-direction': 2 });
    t.same(driven.takeSent(), ['s ack 0']);
    t.end();
  },
);

t.test('an idle timeout of zero is refused', (t) => {
  for (const idleTimeoutMs of [0, -1, Number.NaN, Infinity]) {
    t.throws(() => new Receiver({ idleTimeoutMs }), { code: 'INVALID_ARGUMENT' });
  }
  t.end();
});

t.test('for any input, what is written and acknowledged is what was sent, in sequence', (t) => {
  const text = 'abcdefghijk';
  const mssBytes = 2;
  const segments = Array.from({ length: 6 }, (_, i) =>
    text.slice(mssBytes * i, mssBytes * (i + 1)),
  );
  const segment = fc.record({
    from: fc.constantFrom('s', 's', 's', 'x'),
    sequence: fc.nat(segments.length),
    isDamaged: fc.boolean(),
  });
  const step = fc.oneof(
    { weight: 8, arbitrary: segment },
    { weight: 1, arbitrary: fc.constantFrom('written', 'stored', 'second') },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  );
  const property = fc.property(fc.array(step, { minLength: 30, maxLength: 150 }), (steps) => {
    const driven = new DrivenReceiver({ writesAtOnce: false, storesAtOnce: false });
    const through = new Map<string, number>();
    let isGood = true;
    for (const step of steps) {
      if (step === 'written') driven.written();
      else if (step === 'stored') {
        if (driven.takeEventTypes().includes('finish')) driven.stored();
      } else if (step === 'second') driven.passTo(driven.nowMs + 1000);
      else if (step instanceof Uint8Array) driven.receive('y', step);
      else {
        const { from, sequence, isDamaged } = step;
        const wasReceiving = driven.receiver.isReceiving;
        const before = wasReceiving ? driven.text : '';
        if (isDamaged) driven.damaged(from, sequence, segments[sequence] || '?');
        else driven.data(from, sequence, segments[sequence] ?? '');
        if (!wasReceiving && driven.receiver.isReceiving) through.set(from, 0);
        const added = driven.receiver.isReceiving ? driven.text.slice(before.length) : '';
        if (added !== '') through.set(from, sequence + 1);
        isGood &&= added === '' || (!isDamaged && added === segments[sequence]);
        isGood &&= text.startsWith(driven.text);
      }
      for (const line of driven.takeSent()) {
        const [to = '', , number] = line.split(' ');
        // The end is acknowledged with the number after the last segment.
        const isOfEnd = step === 'stored' || !driven.receiver.isReceiving;
        isGood &&= Number(number) < (through.get(to) ?? 0) + (isOfEnd ? 1 : 0);
      }
    }
    return isGood;
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 20_240_602, numRuns: 400 }));
  t.end();
});
