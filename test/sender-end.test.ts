import t from 'tap';
import { DrivenSender } from './support/driven-sender.js';

const fixed = { mode: 'fixed', timeoutMs: 100 } as const;
const threeSegments = { sizeBytes: 6, mssBytes: 2, timeout: fixed };
const noData = { sizeBytes: 0, mssBytes: 2, timeout: fixed };

function ackAllData(driven: DrivenSender): void {
  for (const sequence of [0, 1, 2]) driven.ackAll(sequence);
}

t.test('the end is declared once all data is acknowledged and the source is confirmed', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, confirmsSource: false });
  driven.ackAll(0);
  driven.ackAll(1);
  driven.ack('a', 2);
  t.same(driven.eventsOf('check-source'), [], 'one ACK is still missing');
  driven.takeSent();
  driven.confirmSource();
  t.same(driven.takeSent(), [], 'a confirmation that was not requested is ignored');
  driven.ack('b', 2);
  t.equal(driven.eventsOf('check-source').length, 1);
  driven.takeSent();
  driven.passTo(60_000);
  t.same(driven.takeSent(), [], 'the source may take any time');
  driven.confirmSource();
  t.same(driven.takeSentHex(), ['00000003ffff5555', '00000003ffff5555'], 'an empty data packet');
  t.end();
});

t.test('a receiver that acknowledges the end is complete and confirmed', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  ackAllData(driven);
  driven.passTo(40);
  driven.ack('a', 3);
  t.match(driven.outcome('a'), { status: 'complete', isConfirmed: true, ackedBytes: 6 });
  driven.takeSent();
  driven.passTo(100);
  t.same(driven.takeSent(), ['b end 3'], 'only the other one gets it again');
  driven.ack('b', 3);
  t.match(driven.result, {
    elapsedMs: 0,
    timeouts: 0,
    receivers: [
      { receiver: 'a', isConfirmed: true },
      { receiver: 'b', isConfirmed: true },
    ],
  });
  t.equal(driven.events.at(-1)?.type, 'done');
  t.end();
});

t.test('a receiver that ignores the end is complete but unconfirmed after a few rounds', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
  ackAllData(driven);
  driven.takeSent();
  driven.passTo(60_000);
  t.same(driven.takeSent(), Array(9).fill('a end 3'), 'for a second');
  t.match(driven.outcome('a'), {
    status: 'complete',
    isConfirmed: false,
    reason: 'its end was not confirmed',
    ackedBytes: 6,
    elapsedMs: 0,
  });
  t.end();
});

t.test(
  'a receiver that repeats its last ACK is still handling the end, and gets more rounds',
  (t) => {
    const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
    ackAllData(driven);
    driven.takeSent();
    for (let i = 1; i <= 50; i++) {
      driven.passTo(i * 100);
      driven.ack('a', 2);
    }
    t.equal(driven.takeSent().length, 50);
    t.equal(driven.outcome('a'), undefined, 'still at it after 50 rounds');
    driven.ack('a', 3);
    t.match(driven.outcome('a'), { status: 'complete', isConfirmed: true });
    t.end();
  },
);

t.test('but not forever', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments, livenessTimeoutMs: 3000 });
  ackAllData(driven);
  for (let i = 1; i <= 100; i++) {
    driven.ack('a', 2);
    driven.passTo(i * 100);
  }
  t.match(driven.result?.receivers, [{ status: 'complete', isConfirmed: false }]);
  driven.takeSent();
  driven.passTo(60_000);
  t.same(driven.takeSent(), []);
  t.end();
});

t.test('a receiver that answers the end once and then falls silent gets few rounds', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
  ackAllData(driven);
  driven.ack('a', 2);
  driven.passTo(1200);
  t.match(driven.result?.receivers, [{ status: 'complete', isConfirmed: false }]);
  t.end();
});

t.test('a sender without end marker stops when all data is acknowledged', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, hasEndMarker: false });
  ackAllData(driven);
  t.same(driven.takeSent(), [
    'a data 0',
    'b data 0',
    'a data 1',
    'b data 1',
    'a data 2',
    'b data 2',
  ]);
  t.match(driven.result?.receivers, [
    { status: 'complete', isConfirmed: false },
    { status: 'complete', isConfirmed: false },
  ]);
  t.end();
});

t.test('an empty file is its end marker alone', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...noData });
  t.same(driven.takeSentHex(), ['00000000ffff5555', '00000000ffff5555']);
  driven.ack('a', 0);
  driven.passTo(100);
  t.same(driven.takeSent(), ['b end 0']);
  driven.ack('b', 0);
  t.match(driven.result, {
    segmentCount: 0,
    rounds: 0,
    receivers: [
      { status: 'complete', isConfirmed: true },
      { status: 'complete', isConfirmed: true },
    ],
  });
  t.end();
});

t.test('a receiver that never answered does not have the empty file', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...noData });
  driven.ack('b', 0);
  driven.passTo(60_000);
  t.match(driven.outcome('a'), { status: 'failed', reason: /no answer/ });
  t.match(driven.outcome('b'), { status: 'complete' });
  t.end();
});

t.test('after an abort nothing more is requested from the source', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, isSourceFast: false });
  driven.answerNeeds();
  driven.ackAll(0);
  driven.abort('interrupted');
  driven.answerNeeds();
  t.equal(driven.eventsOf('done').length, 1);
  t.same(driven.eventsOf('check-source'), []);
  t.end();
});

t.test('an abort notifies every receiver that has not finished, and ends', (t) => {
  const driven = new DrivenSender({ receivers: 'abc', ...threeSegments, livenessTimeoutMs: 250 });
  driven.ack('a', 0);
  driven.ack('b', 0);
  driven.passTo(250);
  t.match(driven.outcome('c'), { status: 'failed' });
  driven.ack('a', 1);
  driven.takeSent();
  driven.abort('the source has changed');
  t.same(driven.takeSent(), [...Array(3).fill('a abort 2'), ...Array(3).fill('b abort 1')]);
  t.match(driven.outcome('a'), {
    status: 'aborted',
    reason: 'the source has changed',
    ackedBytes: 4,
  });
  t.match(driven.outcome('b'), { status: 'aborted', ackedBytes: 2 });
  t.equal(driven.events.at(-1)?.type, 'done');
  t.end();
});

t.test('an abort before the first datagram sends nothing', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, isSourceFast: false });
  driven.abort('the source cannot be read');
  t.same(driven.takeSent(), []);
  t.match(driven.result?.receivers, [{ status: 'aborted' }, { status: 'aborted' }]);
  t.end();
});

t.test('an abort instead of the confirmation invalidates the file for all receivers', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments, confirmsSource: false });
  ackAllData(driven);
  driven.takeSent();
  driven.abort('the source has changed');
  t.same(driven.takeSent(), Array(3).fill('a abort 3'));
  t.match(driven.outcome('a'), { status: 'aborted', isConfirmed: false });
  t.end();
});

t.test('an abort after the end was declared invalidates nothing', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  ackAllData(driven);
  driven.ack('a', 3);
  driven.takeSent();
  driven.abort('interrupted');
  t.same(driven.takeSent(), []);
  t.match(driven.outcome('b'), { status: 'complete', isConfirmed: false });
  t.end();
});

t.test('a sender that is done sends nothing, whatever arrives', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  ackAllData(driven);
  driven.ackAll(3);
  t.ok(driven.sender.isDone);
  driven.takeSent();
  for (const sequence of [0, 2, 3, 4]) driven.ackAll(sequence);
  driven.receiveHex('x', 'ff');
  driven.abort('too late');
  driven.confirmSource();
  t.equal(driven.sender.pollTimeout(), undefined);
  driven.sender.handleTimeout(1_000_000);
  t.equal(driven.sender.pollTransmit(1_000_000), undefined);
  t.same(driven.takeSent(), []);
  t.equal(driven.eventsOf('done').length, 1);
  t.equal(driven.eventsOf('receiver').length, 2, 'no outcome changes any more');
  t.end();
});
