import t from 'tap';
import { encodeData } from '../src/packet.js';
import { Receiver } from '../src/receiver.js';
import { DrivenReceiver, senderAddress } from './support/driven-receiver.js';

const eofPacket = '00000000 0000 ffff';

t.test(
  'an empty data packet in sequence is the end: it is acknowledged, and the transfer ends',
  (t) => {
    const driven = new DrivenReceiver();
    driven.data('s', 0, 'ab');
    driven.data('s', 1, 'cd');
    driven.takeSent();
    driven.end('s', 2);
    t.same(driven.takeSent(), ['s ack 2']);
    t.same(driven.results, [
      {
        from: 's:5000',
        status: 'complete',
        end: 'end-marker',
        isCertain: true,
        sizeBytes: 4,
        segmentCount: 2,
        elapsedMs: 0,
        dataPackets: 3,
        acksSent: 3,
        losses: 0,
        faults: {},
      },
    ]);
    t.end();
  },
);

t.test('an end out of sequence is ignored', (t) => {
  const driven = new DrivenReceiver();
  driven.data('s', 0, 'ab');
  driven.takeSent();
  driven.end('s', 2);
  driven.end('s', 0);
  t.same(driven.takeSent(), ['s ack 0', 's ack 0']);
  t.same(driven.eventsOf('finish'), []);
  t.end();
});

t.test('an end without data is an empty file', (t) => {
  const driven = new DrivenReceiver();
  driven.end('s', 0);
  t.same(driven.takeSent(), ['s ack 0']);
  t.same(driven.takeEventTypes(), ['open', 'finish', 'done']);
  t.end();
});

t.test('the end is acknowledged once the file is durable, not before', (t) => {
  const driven = new DrivenReceiver({ storesAtOnce: false });
  driven.data('s', 0, 'ab');
  driven.data('s', 1, 'cd');
  driven.end('s', 2);
  t.same(driven.takeSent(), ['s ack 0', 's ack 1']);
  t.same(driven.takeEventTypes(), ['open', 'write', 'write', 'finish']);
  driven.passTo(60_000);
  driven.end('s', 2);
  driven.data('s', 1, 'cd');
  t.same(
    driven.takeSent(),
    ['s ack 1', 's ack 1'],
    'meanwhile the last ACK keeps the sender waiting',
  );
  t.same(driven.takeEventTypes(), [], 'the disk is not asked a second time');
  driven.stored();
  t.same(driven.takeSent(), ['s ack 2']);
  t.same(driven.takeEventTypes(), ['done']);
  t.end();
});

t.test('a storage failure is reported to the sender, so that it reports no success', (t) => {
  const driven = new DrivenReceiver({ storesAtOnce: false });
  driven.data('s', 0, 'ab');
  driven.end('s', 1);
  driven.takeSent();
  driven.storageFails('no space left');
  t.match(driven.results, [{ status: 'failed', reason: 'no space left', sizeBytes: 2 }]);
  t.same(driven.takeSent(), Array(3).fill('s abort ack 0'), 'several at once, for one may be lost');
  t.same(driven.takeEventTypes(), ['open', 'write', 'finish', 'discard', 'done']);
  driven.end('s', 1);
  driven.data('s', 0, 'ab');
  driven.passTo(20_000);
  driven.data('s', 0, 'ab');
  driven.data('s', 1, 'cd');
  t.same(
    driven.takeSent(),
    Array(4).fill('s abort ack 0'),
    'again for each packet that still arrives',
  );
  t.same(driven.takeEventTypes(), []);
  t.end();
});

t.test('storage may fail in the middle as well', (t) => {
  const driven = new DrivenReceiver({ writesAtOnce: false });
  driven.data('s', 0, 'ab');
  driven.storageFails('disk on fire');
  driven.takeSent();
  driven.data('s', 1, 'cd');
  t.same(driven.takeSent(), ['s abort ack 0']);
  t.match(driven.results, [{ status: 'failed', isCertain: false, segmentCount: 1 }]);
  t.end();
});

t.test('a packet of type 0xFFFF is returned unchanged, and ends the transfer', (t) => {
  const driven = new DrivenReceiver({ storesAtOnce: false });
  driven.data('s', 0, 'ab');
  driven.data('s', 1, 'cd');
  driven.takeSent();
  driven.receiveHex('s', eofPacket);
  driven.receiveHex('s', eofPacket);
  t.same(driven.takeSent(), [], 'not before the file is durable');
  t.equal(driven.eventsOf('finish').length, 1, 'it is asked once');
  driven.stored();
  t.same(driven.takeSent(), ['s end 0']);
  t.match(driven.results, [{ status: 'complete', end: 'end-packet', isCertain: true }]);
  driven.receiveHex('s', eofPacket);
  driven.receiveHex('s', eofPacket);
  t.same(driven.takeSent(), ['s end 0', 's end 0'], 'as often as it arrives');
  driven.receiveHex('x', eofPacket);
  t.same(driven.takeSent(), [], 'but to nobody else');
  t.end();
});

for (const type of ['5557', '5556']) {
  t.test(
    `a data packet of type 0x${type} is accepted as data, acknowledged, and ends the transfer`,
    (t) => {
      const driven = new DrivenReceiver({ storesAtOnce: false });
      driven.receiveHex('s', '00000000 9e9d 5555 6162');
      driven.receiveHex('s', `00000002 9a99 ${type} 6566`);
      t.same(driven.takeSent(), ['s ack 0', 's ack 0'], 'out of sequence it is not an end');
      driven.receiveHex('s', `00000001 9c9b ${type} 6364`);
      t.same(driven.takeSent(), [], 'its ACK waits until the file is durable');
      driven.receiveHex('s', `00000001 9c9b ${type} 6364`);
      t.same(driven.takeSent(), ['s ack 0']);
      driven.stored();
      t.same(driven.takeSent(), ['s ack 1']);
      driven.receiveHex('s', `00000001 9c9b ${type} 6364`);
      t.same(driven.takeSent(), ['s ack 1']);
      t.equal(driven.text, 'abcd');
      t.match(driven.results, [{ end: 'marked-last', isCertain: true, acksSent: 4 }]);
      t.end();
    },
  );
}

t.test('a sender that goes silent has ended after the idle timeout', (t) => {
  const driven = new DrivenReceiver({ idleTimeoutMs: 5000 });
  driven.data('s', 0, 'ab');
  driven.passTo(1000);
  driven.data('s', 1, 'cd');
  driven.passTo(4000);
  driven.data('s', 1, 'cd');
  driven.takeSent();
  driven.passTo(8999);
  t.equal(driven.receiver.isReceiving, true, 'a late duplicate counts as activity');
  driven.passTo(9000);
  t.match(driven.results, [
    { status: 'complete', end: 'silence', isCertain: false, sizeBytes: 4, elapsedMs: 1000 },
  ]);
  t.same(driven.takeSent(), [], 'there is nothing to acknowledge');
  driven.data('s', 1, 'cd');
  t.same(driven.takeSent(), ['s ack 1'], 'late duplicates are answered as before');
  t.end();
});

t.test('packets dropped by the loss service count as activity too', (t) => {
  let isLosing = false;
  const driven = new DrivenReceiver({ idleTimeoutMs: 5000, loss: () => isLosing });
  driven.data('s', 0, 'ab');
  isLosing = true;
  driven.passTo(4000);
  driven.data('s', 1, 'cd');
  driven.passTo(8999);
  t.equal(driven.receiver.isReceiving, true);
  driven.passTo(9000);
  t.equal(driven.receiver.isReceiving, false);
  t.end();
});

t.test('a short segment can only be the last: a second of silence is enough', (t) => {
  const driven = new DrivenReceiver();
  driven.data('s', 0, 'abc');
  driven.data('s', 1, 'd');
  driven.passTo(999);
  t.equal(driven.receiver.isReceiving, true);
  driven.passTo(1000);
  t.match(driven.results, [{ status: 'complete', end: 'silence', isCertain: true, sizeBytes: 4 }]);
  t.end();
});

t.test('an idle timeout below that second applies to short segments as well', (t) => {
  const driven = new DrivenReceiver({ idleTimeoutMs: 300 });
  driven.data('s', 0, 'abc');
  driven.data('s', 1, 'd');
  driven.passTo(300);
  t.match(driven.results, [{ status: 'complete', end: 'silence' }]);
  t.end();
});

t.test('with whole files only, a file that may be truncated is not kept', (t) => {
  const driven = new DrivenReceiver({ mustEnd: true, idleTimeoutMs: 5000 });
  driven.data('s', 0, 'abc');
  driven.data('s', 1, 'def');
  driven.passTo(5000);
  t.match(driven.results, [{ status: 'failed', reason: /no data for 5 s before the end/ }]);
  t.same(driven.takeEventTypes(), ['open', 'write', 'write', 'discard', 'done']);
  t.end();
});

t.test('but one whose end a short segment shows is kept', (t) => {
  const driven = new DrivenReceiver({ mustEnd: true, idleTimeoutMs: 5000 });
  driven.data('s', 0, 'abc');
  driven.data('s', 1, 'd');
  driven.passTo(1000);
  t.match(driven.results, [{ status: 'complete', end: 'silence', isCertain: true }]);
  t.end();
});

t.test('an abort marker discards the transfer', (t) => {
  const driven = new DrivenReceiver();
  driven.data('s', 0, 'ab');
  driven.takeSent();
  driven.abortMarker('x', 0);
  t.equal(driven.receiver.isReceiving, true, 'an abort from a stranger does not count');
  for (let copy = 0; copy < 3; copy++) driven.abortMarker('s', 1);
  t.same(driven.takeSent(), []);
  t.match(driven.results, [{ status: 'aborted', reason: 'the sender stopped before the end' }]);
  t.same(driven.takeEventTypes(), ['open', 'write', 'discard', 'done']);
  t.equal(driven.receiver.pollTimeout(), undefined);
  t.end();
});

t.test('an abort marker after the end was declared changes nothing', (t) => {
  const driven = new DrivenReceiver({ storesAtOnce: false });
  driven.data('s', 0, 'ab');
  driven.end('s', 1);
  driven.abortMarker('s', 1);
  driven.stored();
  driven.abortMarker('s', 1);
  t.match(driven.results, [{ status: 'complete', end: 'end-marker' }]);
  t.end();
});

t.test('a receiver that is stopped drops what it has', (t) => {
  const driven = new DrivenReceiver();
  driven.data('s', 0, 'ab');
  driven.receiver.abort(0, 'interrupted');
  driven.receiver.abort(0, 'interrupted twice');
  driven.passTo(1);
  t.equal(driven.receiver.isReceiving, false);
  t.match(driven.receiver.pollEvent(), { type: 'discard' });
  t.match(driven.receiver.pollEvent(), { result: { status: 'aborted', reason: 'interrupted' } });
  t.equal(driven.receiver.pollEvent(), undefined);
  t.end();
});

t.test('what is sent back is a copy: a datagram’s buffer may be reused at once', (t) => {
  const receiver = new Receiver();
  const from = senderAddress('s');
  const endPacket = Buffer.from(eofPacket.replaceAll(' ', ''), 'hex');
  const receiveEnd = () => {
    const buffer = Buffer.from(endPacket);
    receiver.handleDatagram(0, from, buffer);
    buffer.fill(0);
  };
  receiver.handleDatagram(0, from, encodeData(0, Buffer.from('ab')));
  receiver.handleWritten(2);
  while (receiver.pollTransmit() !== undefined);
  receiveEnd();
  receiver.handleStored(0);
  t.same(receiver.pollTransmit()?.bytes, endPacket, 'at the end');
  receiveEnd();
  t.same(receiver.pollTransmit()?.bytes, endPacket, 'again after it');
  t.end();
});
