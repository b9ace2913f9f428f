import t from 'tap';
import { DrivenSender } from './support/driven-sender.js';

const fixed = { mode: 'fixed', timeoutMs: 100 } as const;
const threeSegments = { sizeBytes: 6, mssBytes: 2, timeout: fixed };

t.test('a silent receiver fails by name, and the others continue', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, livenessTimeoutMs: 1000 });
  driven.ack('b', 0);
  driven.passTo(999);
  driven.takeSent();
  t.equal(driven.outcome('a'), undefined);
  driven.passTo(1000);
  t.match(driven.outcome('a'), {
    status: 'failed',
    reason: /^no answer for 1 s; .*UDP port 7735/,
    ackedBytes: 0,
  });
  t.same(driven.takeSent(), ['b data 1']);
  for (const sequence of [1, 2, 3]) driven.ack('b', sequence);
  t.match(driven.outcome('b'), { status: 'complete', isConfirmed: true });
  t.end();
});

t.test('a receiver whose answers acknowledge nothing new fails too', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, livenessTimeoutMs: 1000 });
  driven.passTo(50);
  driven.ackAll(0);
  driven.ack('b', 1);
  for (let atMs = 100; atMs <= 1000; atMs += 50) {
    driven.passTo(atMs);
    driven.ack('a', 0);
  }
  t.equal(driven.outcome('a'), undefined, '950 ms after its last progress');
  driven.passTo(1050);
  t.match(driven.outcome('a'), {
    status: 'failed',
    reason: 'acknowledged nothing new for 1 s, stuck at segment 1 of 3',
    ackedBytes: 2,
  });
  t.equal(driven.outcome('b'), undefined);
  t.end();
});

t.test('a receiver that merely waits for others never fails', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, livenessTimeoutMs: 1000 });
  for (const sequence of [0, 1, 2]) {
    driven.ack('b', sequence);
    driven.passTo(driven.nowMs + 900);
    driven.ack('a', sequence);
  }
  t.equal(driven.nowMs, 2700);
  t.same(driven.eventsOf('receiver'), []);
  driven.ackAll(3);
  t.match(driven.result?.receivers, [{ status: 'complete' }, { status: 'complete' }]);
  t.end();
});

t.test('a slow receiver that makes progress does not fail', (t) => {
  const driven = new DrivenSender({
    receivers: 'a',
    sizeBytes: 20,
    mssBytes: 2,
    windowBlocks: 4,
    timeout: fixed,
    livenessTimeoutMs: 1000,
  });
  for (let sequence = 0; sequence < 10; sequence++) {
    driven.passTo(driven.nowMs + 900);
    driven.ack('a', sequence);
  }
  driven.ack('a', 10);
  t.match(driven.result?.receivers, [{ status: 'complete', isConfirmed: true }]);
  t.end();
});

t.test('a long fixed timeout gives a liveness timeout of several rounds', (t) => {
  const timeout = { mode: 'fixed', timeoutMs: 1000 } as const;
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments, timeout });
  driven.passTo(19_999);
  t.equal(driven.outcome('a'), undefined);
  driven.passTo(20_000);
  t.match(driven.outcome('a'), { status: 'failed', reason: /^no answer for 20 s/ });
  t.end();
});

t.test('the delivered bytes are those of active receivers, and never what no receiver has', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, livenessTimeoutMs: 1000 });
  driven.ackAll(0);
  driven.ack('b', 1);
  t.equal(driven.sender.deliveredBytes, 2, 'a has one segment, b two');
  driven.passTo(1000);
  t.match(driven.outcome('a'), { status: 'failed' });
  t.equal(driven.sender.deliveredBytes, 4, 'a does not count any more');
  driven.passTo(60_000);
  t.match(driven.result?.receivers, [{ status: 'failed' }, { status: 'failed' }]);
  t.equal(driven.sender.deliveredBytes, 4);
  t.end();
});
