/** What a sender reports about a server that answers, but not with the expected ACKs. */
import t from 'tap';
import { encodeAck } from '../../../src/packet.js';
import { DrivenSender } from '../../support/driven-sender.js';

const address = { host: 'a', port: 7735 };
const options = {
  receivers: 'a',
  sizeBytes: 5000,
  mssBytes: 500,
  timeout: { mode: 'fixed', timeoutMs: 100 },
  livenessTimeoutMs: 1000,
} as const;

function answer(driven: DrivenSender, bytes: Uint8Array): void {
  for (let atMs = 50; atMs < 1000; atMs += 50) {
    driven.passTo(atMs);
    driven.receive(address, bytes);
  }
  driven.passTo(2500);
}

const ofType = (type: number) => {
  const bytes = encodeAck(0);
  new DataView(bytes.buffer).setUint16(6, type);
  return bytes;
};

const servers: readonly (readonly [what: string, bytes: Uint8Array, reason: RegExp])[] = [
  [
    'counts bytes',
    encodeAck(500),
    /19 unusable answers arrived, .* an ACK of 500, but only segment 0 was sent; the receiver seems to count bytes/,
  ],
  [
    'acknowledges a number that was never sent',
    encodeAck(333),
    /19 unusable answers arrived, .* an ACK of 333, but only segment 0 was sent$/,
  ],
  [
    'sends ACKs of the type of data',
    ofType(0x5555),
    /type 0x5555, the type of data, .* an ACK has type 0xaaaa/,
  ],
  [
    'sends ACKs of another type',
    ofType(0x1234),
    /type 0x1234 with 8 bytes, but an ACK has type 0xaaaa/,
  ],
  ['sends short ACKs', encodeAck(0).subarray(0, 4), /a datagram of 4 bytes, but an ACK has 8/],
  ['answers with text', Buffer.from('ACK'), /a datagram of 3 bytes, but an ACK has 8/],
];

for (const [what, bytes, reason] of servers) {
  t.test(`a server that ${what}`, (t) => {
    const driven = new DrivenSender(options);
    answer(driven, bytes);
    t.match(driven.outcome('a'), { status: 'failed', ackedBytes: 0, reason });
    t.notMatch(driven.outcome('a')?.reason, /firewall/);
    t.end();
  });
}

t.test('a server that writes numbers with the low byte first', (t) => {
  const driven = new DrivenSender(options);
  // Number 0 reads the same in both orders.
  driven.ack('a', 0);
  answer(driven, encodeAck(0x0100_0000));
  const reason = /an ACK of 16777216, but only segments 0 to 1 were sent; .* the low byte first/;
  t.match(driven.outcome('a'), { status: 'failed', reason });
  t.end();
});

t.test('an empty packet of the data type is not called an end marker', (t) => {
  const driven = new DrivenSender(options);
  driven.receive(address, ofType(0x5555));
  t.match(driven.eventsOf('fault'), [{ packet: /^a packet of type 0x5555, the type of data, / }]);
  t.end();
});

t.test('a server that stops acknowledging midway, and answers otherwise', (t) => {
  const driven = new DrivenSender(options);
  driven.ack('a', 0);
  answer(driven, ofType(0x1234));
  const reason =
    /^acknowledged nothing new for 1 s, stuck at segment 1 of 10; 19 unusable answers arrived, /;
  t.match(driven.outcome('a'), { status: 'failed', ackedBytes: 500, reason });
  t.end();
});

t.test('a server that exits once it has everything gets no more end markers', (t) => {
  const driven = new DrivenSender({ ...options, receivers: 'ab', sizeBytes: 1000 });
  for (const sequence of [0, 1]) driven.ackAll(sequence);
  t.same(driven.takeSent().slice(-2), ['a end 2', 'b end 2']);
  driven.refuse(0, address);
  t.match(driven.outcome('a'), { status: 'complete', isConfirmed: false });
  driven.passTo(500);
  t.ok(
    driven.takeSent().every((line) => line.startsWith('b ')),
    'nothing more is sent to it',
  );
  t.equal(driven.outcome('b'), undefined, 'the other one still gets end markers');
  t.end();
});

t.test('an empty file consists only of its end, so a refused port is no success', (t) => {
  const driven = new DrivenSender({ ...options, sizeBytes: 0 });
  driven.refuse(0, address);
  driven.passTo(3000);
  t.match(driven.outcome('a'), { status: 'failed', reason: /refused/ });
  t.end();
});
