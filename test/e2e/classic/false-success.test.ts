/**
 * Apparent success in P2MP-FTP: neither side reports complete or confirmed without real evidence.
 */
import t from 'tap';
import { encodeData } from '../../../src/packet.js';
import { DrivenReceiver } from '../../support/driven-receiver.js';
import { DrivenSender } from '../../support/driven-sender.js';

const oneSegment = { sizeBytes: 2, mssBytes: 2 };
const threeSegments = { sizeBytes: 6, mssBytes: 2 };
const fixed = { timeout: { mode: 'fixed', timeoutMs: 100 } } as const;

/** A server that numbers segments from 1 and answers anything unexpected with its last number. */
class NumbersFromOne {
  last = 0;

  answer(driven: DrivenSender, sent: readonly string[]): void {
    for (const line of sent) {
      const sequence = Number(line.split(' ')[2]);
      if (sequence === this.last + 1) this.last = sequence;
      driven.ack('a', this.last);
    }
  }
}

t.test('ACK 0 for everything does not confirm the only segment', (t) => {
  const driven = new DrivenSender({
    receivers: 'a',
    ...oneSegment,
    ...fixed,
    livenessTimeoutMs: 3000,
  });
  for (let i = 0; i <= 60; i++) {
    for (const _ of driven.takeSent()) driven.ack('a', 0);
    driven.passTo(i * 100);
  }
  t.match(driven.outcome('a'), { status: 'failed', isConfirmed: false, reason: /ACK 0/ });
  t.end();
});

t.test('nor does ACK 0 for the end marker, followed by silence', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...oneSegment, ...fixed });
  driven.ack('a', 0);
  driven.ack('a', 0);
  driven.passTo(20_000);
  t.match(driven.outcome('a'), {
    status: 'failed',
    reason: /might still expect segment 0/,
  });
  t.end();
});

t.test('a server that ignores the end marker is complete, but not confirmed', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...oneSegment, ...fixed });
  driven.ack('a', 0);
  driven.passTo(20_000);
  t.match(driven.outcome('a'), { status: 'complete', isConfirmed: false, isIdentified: false });
  t.end();
});

t.test('a server that numbers from 1 is never identified as p2mp', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments, ...fixed });
  const server = new NumbersFromOne();
  for (let i = 0; i < 20 && driven.result === undefined; i++) {
    server.answer(driven, driven.takeSent());
    driven.passTo(i * 100);
  }
  t.equal(server.last, 3, 'it has accepted the second and third segments and the end marker');
  t.match(driven.outcome('a'), { status: 'complete', isIdentified: false });
  t.ok(driven.questions.length > 0, 'it was asked to identify itself');
  t.end();
});

t.test('a p2mp receiver identifies itself for as long as it answers', (t) => {
  const driven = new DrivenReceiver();
  driven.data('s', 0, 'ab');
  driven.data('s', 1, 'cd');
  driven.takeSent();
  driven.receiveHex('s', '00000002 c0de 5555');
  t.same(driven.takeSent(), ['s p2mp ack 1']);
  driven.end('s', 2);
  driven.takeSent();
  driven.receiveHex('s', '00000002 c0de 5555');
  t.same(driven.takeSent(), ['s p2mp ack 2'], 'also after the end');
  driven.receiveHex('b', '00000002 c0de 5555');
  t.same(driven.takeSent(), [], 'but to no other address');
  t.end();
});

const mss = 500;
const segment = (sequence: number) => encodeData(sequence, new Uint8Array(mss));

/** Feeds these packets, then stays silent. @returns how the transfer ended */
function endOf(packets: readonly Uint8Array[], spacingMs = 10) {
  const driven = new DrivenReceiver();
  for (const packet of packets) {
    driven.passTo(driven.nowMs + spacingMs);
    driven.receive('s', packet);
  }
  driven.passTo(120_000);
  return driven.results[0];
}

t.test('silence after packets that contradict an end fails, with an explanation', (t) => {
  const bytewise = endOf([segment(0), ...[500, 1000, 1500].map(segment)]);
  t.match(bytewise, {
    status: 'failed',
    reason: /3 packets .* with number 500; the sender counts bytes/,
  });
  const swapped = endOf([segment(0), ...[1, 2, 3].map((n) => segment(n << 24))]);
  t.match(swapped, { status: 'failed', reason: /low byte first/ });
  const repeated = endOf([segment(0), ...Array(40).fill(segment(0))]);
  t.match(repeated, { status: 'failed', reason: /repeated segments up to that number 40 times/ });
  const late = endOf([segment(0), ...Array(20).fill(segment(0))]);
  t.match(late, { status: 'complete' }, 'twenty copies in a short time may be older than the ACKs');
  const gap = endOf([segment(0), segment(1), segment(3)]);
  t.match(gap, { status: 'failed', reason: /expects segment 2.*a segment is missing/ });
  t.end();
});

/** A segment with a wrong checksum. */
function damaged(sequence: number): Uint8Array {
  const bytes = segment(sequence);
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  return bytes;
}

t.test('silence after data with a wrong checksum is not an end', (t) => {
  const never = endOf([segment(0), damaged(1)]);
  t.match(never, { status: 'failed', reason: /expects segment 1.*1 packet with a wrong checksum/ });
  const repeated = endOf([segment(0), damaged(1), segment(1)]);
  t.match(repeated, { status: 'complete' }, 'the segment arrived again');
  const old = endOf([segment(0), segment(1), damaged(1), damaged(0)]);
  t.match(old, { status: 'complete' }, 'a damaged copy of a known segment proves nothing');
  t.end();
});

t.test('silence after different data with an already used number is not an end', (t) => {
  const other = (sequence: number) => encodeData(sequence, new Uint8Array(mss).fill(3));
  const constant = endOf([segment(0), other(0)]);
  t.match(constant, { status: 'failed', reason: /1 packet arrived with the number/ });
  const alternating = endOf([segment(0), segment(1), other(0)]);
  t.match(alternating, { status: 'failed', reason: /a number of its own/ });
  t.end();
});

t.test('late ACKs for copies of a single segment do not confirm the end', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...oneSegment, ...fixed });
  driven.passTo(350);
  for (let copies = 0; copies < 4; copies++) driven.ack('a', 0);
  driven.passTo(20_000);
  t.match(driven.outcome('a'), { status: 'complete', isConfirmed: false });
  t.end();
});

t.test('silence after a few duplicates is an end, since an ACK may have been lost', (t) => {
  const late = endOf([segment(0), segment(1), segment(1), segment(1), segment(0)]);
  t.match(late, { status: 'complete', end: 'silence', isCertain: false });
  const inBetween = endOf([segment(0), segment(2), segment(1)]);
  t.match(inBetween, { status: 'complete' }, 'an early packet that was followed up proves nothing');
  const short = encodeData(1, new Uint8Array(3));
  const tail = endOf([segment(0), short, ...Array(20).fill(short)]);
  t.match(tail, { status: 'complete', isCertain: true }, 'a short segment is the last one');
  const stalled = endOf([segment(0), ...Array(40).fill(segment(0))], 0);
  t.match(stalled, { status: 'complete' }, 'copies that were queued arrived before the ACK');
  const empty = endOf([segment(0), segment(1), encodeData(77, new Uint8Array(0))]);
  t.match(empty, { status: 'complete' }, 'an empty packet carries no data');
  t.end();
});
