import t from 'tap';
import { DrivenSender } from './support/driven-sender.js';

const fixed = { mode: 'fixed', timeoutMs: 100 } as const;
const threeSegments = { sizeBytes: 6, mssBytes: 2, timeout: fixed };

t.test('a segment on the wire is exactly as in the course text', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments });
  t.same(driven.takeSentHex(), ['000000009e9d55556162'], 'number, checksum, type, payload');
  driven.receiveHex('a', '000000000000aaaa');
  t.same(driven.takeSentHex(), ['000000019c9b55556364'], 'its ACK triggers the next one');
  t.end();
});

t.test('the first round goes to all receivers back to back', (t) => {
  const driven = new DrivenSender({ receivers: 'abc', ...threeSegments });
  t.same(driven.takeSent(), ['a data 0', 'b data 0', 'c data 0']);
  t.equal(driven.nowMs, 0, 'without waiting for anything in between');
  t.end();
});

t.test('at the deadline only receivers that have not acknowledged get the segment again', (t) => {
  const driven = new DrivenSender({ receivers: 'abc', ...threeSegments });
  driven.takeSent();
  driven.ack('b', 0);
  driven.passTo(99);
  t.same(driven.takeSent(), [], 'not a moment too early');
  driven.passTo(100);
  t.same(driven.takeSent(), ['a data 0', 'c data 0']);
  driven.ack('c', 0);
  driven.passTo(200);
  t.same(driven.takeSent(), ['a data 0']);
  t.end();
});

t.test('the deadline is fixed when the round is sent; answers do not extend it', (t) => {
  const driven = new DrivenSender({ receivers: 'abc', ...threeSegments });
  t.equal(driven.sender.pollTimeout(), 100);
  driven.passTo(60);
  driven.ack('a', 0);
  t.equal(driven.sender.pollTimeout(), 100, '40 ms are left for the others');
  driven.passTo(90);
  driven.ack('b', 0);
  t.equal(driven.sender.pollTimeout(), 100, '10 ms are left for the last');
  driven.passTo(100);
  t.equal(driven.sender.pollTimeout(), 200, 'a new round has a deadline of its own');
  t.end();
});

t.test("a round's deadline counts from its last datagram, not from its first", (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments, isSourceFast: false });
  const { sender } = driven;
  sender.provideBlock(0, 0, Uint8Array.of(1, 2));
  t.equal(sender.pollTransmit(0)?.to.host, 'a');
  t.equal(sender.pollTransmit(30)?.to.host, 'b', 'the shell delayed the first');
  t.equal(sender.pollTransmit(50), undefined, 'the second was sent as well');
  t.equal(sender.pollTimeout(), 150);
  t.end();
});

t.test('a timeout is reported with its segment, round and number of pending receivers', (t) => {
  const driven = new DrivenSender({ receivers: 'abc', ...threeSegments });
  driven.ackAll(0);
  driven.ack('b', 1);
  driven.passTo(200);
  t.same(driven.eventsOf('timeout'), [
    { type: 'timeout', sequence: 1, round: 1, pendingCount: 2 },
    { type: 'timeout', sequence: 1, round: 2, pendingCount: 2 },
  ]);
  t.end();
});

t.test('the next segment is sent only when every receiver has acknowledged this one', (t) => {
  const driven = new DrivenSender({ receivers: 'abc', ...threeSegments });
  driven.takeSent();
  driven.ack('a', 0);
  driven.ack('c', 0);
  t.same(driven.takeSent(), []);
  driven.ack('b', 0);
  t.same(driven.takeSent(), ['a data 1', 'b data 1', 'c data 1']);
  driven.ackAll(1);
  t.same(driven.takeSent(), ['a data 2', 'b data 2', 'c data 2']);
  t.end();
});

t.test('an answer just in time prevents the timeout', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  for (let sequence = 0; sequence <= 3; sequence++) {
    driven.passTo(driven.nowMs + 99);
    driven.ackAll(sequence);
  }
  t.match(driven.result, { rounds: 3, timeouts: 0, retransmissions: 0, elapsedMs: 297 });
  t.same(driven.eventsOf('timeout'), []);
  t.end();
});

t.test('calls that are early, late or repeated do no harm', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...threeSegments });
  driven.takeSent();
  const { sender } = driven;
  for (const nowMs of [1, 50, 99]) sender.handleTimeout(nowMs);
  t.equal(sender.pollTransmit(99), undefined, 'early: nothing is due');
  sender.handleTimeout(175);
  sender.handleTimeout(175);
  t.equal(sender.pollTransmit(175)?.to.host, 'a');
  t.equal(sender.pollTransmit(175)?.to.host, 'b');
  t.equal(sender.pollTransmit(175), undefined, 'late and twice: one round');
  t.equal(sender.pollTimeout(), 275);
  t.end();
});

t.test('a window opens only when every receiver has acknowledged something', (t) => {
  const driven = new DrivenSender({
    receivers: 'ab',
    sizeBytes: 10,
    mssBytes: 2,
    windowBlocks: 3,
    timeout: fixed,
  });
  t.same(driven.takeSent(), ['a data 0', 'b data 0'], 'first a single segment');
  driven.ack('a', 0);
  t.same(driven.takeSent(), [], 'while a receiver has not shown how it counts');
  driven.ack('b', 0);
  t.same(
    driven.takeSent(),
    ['a data 1', 'b data 1', 'a data 2', 'b data 2', 'a data 3', 'b data 3'],
    'then as many as the window holds',
  );
  driven.ackAll(1);
  t.same(driven.takeSent(), ['a data 4', 'b data 4'], 'one more for each that is done');
  t.end();
});

t.test('a window also opens when the receiver that blocked it fails', (t) => {
  const driven = new DrivenSender({
    receivers: 'ab',
    sizeBytes: 10,
    mssBytes: 2,
    windowBlocks: 2,
    timeout: fixed,
    livenessTimeoutMs: 1000,
  });
  driven.ack('a', 0);
  driven.passTo(999);
  driven.takeSent();
  driven.passTo(1000);
  t.same(driven.takeSent(), ['a data 1', 'a data 2']);
  t.end();
});

t.test('with several segments in flight an ACK also covers all before it', (t) => {
  const driven = new DrivenSender({
    receivers: 'ab',
    sizeBytes: 12,
    mssBytes: 2,
    windowBlocks: 3,
    timeout: fixed,
  });
  driven.ackAll(0);
  driven.takeSent();
  driven.passTo(50);
  driven.ack('a', 3);
  driven.ack('b', 2);
  t.same(driven.takeSent(), ['a data 4', 'b data 4', 'a data 5', 'b data 5'], 'two are done');
  driven.passTo(100);
  const following = ['b data 4', 'b data 5'];
  t.same(driven.takeSent(), ['b data 3', ...following], 'and what b could not accept after it');
  driven.passTo(149);
  t.same(driven.takeSent(), [], 'the following blocks have the deadline of their new round');
  t.end();
});

t.test('a block of several segments is sent, repeated and acknowledged together', (t) => {
  const driven = new DrivenSender({
    receivers: 'ab',
    sizeBytes: 10,
    mssBytes: 2,
    segmentsPerBlock: 3,
    timeout: fixed,
  });
  t.same(
    driven.takeSent(),
    ['a data 0', 'a data 1', 'a data 2', 'b data 0', 'b data 1', 'b data 2'],
    'all of it to one, then to the next',
  );
  driven.ack('a', 2);
  driven.ack('b', 0);
  driven.passTo(100);
  t.same(driven.takeSent(), ['b data 1', 'b data 2']);
  driven.ack('b', 2);
  t.same(driven.takeSent(), ['a data 3', 'a data 4', 'b data 3', 'b data 4'], 'a shorter last one');
  driven.ackAll(4);
  t.same(driven.takeSent(), ['a end 5', 'b end 5']);
  t.equal(driven.sender.result().rounds, 3);
  t.end();
});

t.test('a slow source delays only what waits for it', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...threeSegments, isSourceFast: false });
  t.same(driven.eventsOf('need'), [{ type: 'need', blockIndex: 0, offsetBytes: 0, sizeBytes: 2 }]);
  t.equal(driven.sender.pollTimeout(), undefined, 'nothing was sent, so nothing is awaited');
  driven.passTo(5000);
  driven.answerNeeds();
  t.same(driven.takeSent(), ['a data 0']);
  t.equal(driven.sender.pollTimeout(), 5100);
  t.end();
});
