/** What looks like success by P2MP-FTP and is none: no side says complete, or confirmed, on such evidence. */
import t from 'tap';
import { encodeData } from '../../../src/packet.js';
import { DrivenReceiver } from '../../support/driven-receiver.js';
import { DrivenSender } from '../../support/driven-sender.js';

const oneSegment = { sizeBytes: 2, mssBytes: 2 };
const threeSegments = { sizeBytes: 6, mssBytes: 2 };
const fixed = { timeout: { mode: 'fixed', timeoutMs: 100 } } as const;

/** A server that numbers its segments from 1 and answers anything else with its last number. */
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

t.test('a server that answers everything with ACK 0 has not confirmed its only segment', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...oneSegment, ...fixed, giveUpAfterMs: 3000 });
  for (let i = 0; i <= 60; i++) {
    for (const _ of driven.takeSent()) driven.ack('a', 0);
    driven.passTo(i * 100);
  }
  t.match(driven.outcome('a'), { status: 'failed', isConfirmed: false, reason: /ACK 0/ });
  t.end();
});

t.test('nor has one that answers the end with ACK 0 once and falls silent', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...oneSegment, ...fixed });
  driven.ack('a', 0);
  driven.ack('a', 0);
  driven.passTo(20_000);
  t.match(driven.outcome('a'), {
    status: 'failed',
    reason: /may mean that it still expects segment 0/,
  });
  t.end();
});

t.test('one that ignores the end marker is complete, and not confirmed', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...oneSegment, ...fixed });
  driven.ack('a', 0);
  driven.passTo(20_000);
  t.match(driven.outcome('a'), { status: 'complete', isConfirmed: false, isIdentified: false });
  t.end();
});

t.test('a server that numbers from 1 is never taken for one of ours', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments, ...fixed });
  const server = new NumbersFromOne();
  for (let i = 0; i < 20 && driven.result === undefined; i++) {
    server.answer(driven, driven.takeSent());
    driven.passTo(i * 100);
  }
  t.equal(server.last, 3, 'it has taken the second and third segment, and the end');
  t.match(driven.outcome('a'), { status: 'complete', isIdentified: false });
  t.ok(driven.questions.length > 0, 'although it was asked');
  t.end();
});

t.test('a receiver of p2mp says what it is, for as long as it answers', (t) => {
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
  t.same(driven.takeSent(), [], 'but to nobody else');
  t.end();
});

const mss = 500;
const segment = (sequence: number) => encodeData(sequence, new Uint8Array(mss));

/** Silence after these packets. @returns how the transfer ended */
function endOf(packets: readonly Uint8Array[], spacingMs = 10) {
  const driven = new DrivenReceiver();
  for (const packet of packets) {
    driven.passTo(driven.nowMs + spacingMs);
    driven.receive('s', packet);
  }
  driven.passTo(120_000);
  return driven.results[0];
}

t.test('silence after packets that contradict it is a failure, which says why', (t) => {
  const bytewise = endOf([segment(0), ...[500, 1000, 1500].map(segment)]);
  t.match(bytewise, { status: 'failed', reason: /3 packets from 500 on; its sender counts bytes/ });
  const swapped = endOf([segment(0), ...[1, 2, 3].map((n) => segment(n << 24))]);
  t.match(swapped, { status: 'failed', reason: /low byte first/ });
  const repeated = endOf([segment(0), ...Array(40).fill(segment(0))]);
  t.match(repeated, { status: 'failed', reason: /repeated it or earlier ones 40 times/ });
  const gap = endOf([segment(0), segment(1), segment(3)]);
  t.match(gap, { status: 'failed', reason: /expects segment 2.*a segment is missing/ });
  t.end();
});

/** A segment whose checksum is wrong. */
function damaged(sequence: number): Uint8Array {
  const bytes = segment(sequence);
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  return bytes;
}

t.test('nor is silence an end after data that was refused for its checksum', (t) => {
  const never = endOf([segment(0), damaged(1)]);
  t.match(never, { status: 'failed', reason: /expects segment 1.*1 packet with a wrong checksum/ });
  const repeated = endOf([segment(0), damaged(1), segment(1)]);
  t.match(repeated, { status: 'complete' }, 'it came again');
  const old = endOf([segment(0), segment(1), damaged(1), damaged(0)]);
  t.match(old, { status: 'complete' }, 'of what is there a damaged copy says nothing');
  t.end();
});

t.test('nor after other data by a number that was taken', (t) => {
  const other = (sequence: number) => encodeData(sequence, new Uint8Array(mss).fill(3));
  const constant = endOf([segment(0), other(0)]);
  t.match(constant, { status: 'failed', reason: /1 packet came with the number/ });
  const alternating = endOf([segment(0), segment(1), other(0)]);
  t.match(alternating, { status: 'failed', reason: /a number of its own/ });
  t.end();
});

t.test('late answers to copies of a single segment say nothing about the end', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...oneSegment, ...fixed });
  driven.passTo(350);
  for (let copies = 0; copies < 4; copies++) driven.ack('a', 0);
  driven.passTo(20_000);
  t.match(driven.outcome('a'), { status: 'complete', isConfirmed: false });
  t.end();
});

t.test('silence after a few duplicates is an end: an ACK may be lost', (t) => {
  const late = endOf([segment(0), segment(1), segment(1), segment(1), segment(0)]);
  t.match(late, { status: 'complete', end: 'silence', isCertain: false });
  const inBetween = endOf([segment(0), segment(2), segment(1)]);
  t.match(inBetween, { status: 'complete' }, 'what came early and was followed up says nothing');
  const short = encodeData(1, new Uint8Array(3));
  const tail = endOf([segment(0), short, ...Array(20).fill(short)]);
  t.match(tail, { status: 'complete', isCertain: true }, 'after a short segment all is here');
  const stalled = endOf([segment(0), ...Array(40).fill(segment(0))], 0);
  t.match(stalled, { status: 'complete' }, 'copies that waited in a buffer came before the ACK');
  const empty = endOf([segment(0), segment(1), encodeData(77, new Uint8Array(0))]);
  t.match(empty, { status: 'complete' }, 'an empty packet holds no data');
  t.end();
});
