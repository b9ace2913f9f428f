import t from 'tap';
import { countedLoss, DrivenReceiver } from './support/driven-receiver.js';

/** Runs a whole transfer of one segment with an end marker. */
function transferOne(driven: DrivenReceiver, from: string, text: string): void {
  driven.data(from, 0, text);
  driven.end(from, 1);
}

t.test('senders are served one after another, each with its own counts', (t) => {
  const driven = new DrivenReceiver({ loss: countedLoss([1]) });
  driven.data('a', 0, 'ab');
  driven.data('a', 1, 'lost');
  driven.data('a', 0, 'ab');
  driven.end('a', 1);
  t.equal(driven.text, 'ab');
  driven.passTo(10);
  driven.data('b', 0, 'wx');
  driven.passTo(30);
  driven.data('b', 1, 'y');
  driven.end('b', 2);
  t.equal(driven.text, 'wxy');
  t.match(driven.results, [
    { from: 'a:5000', status: 'complete', sizeBytes: 2, dataPackets: 4, losses: 1, acksSent: 3 },
    {
      from: 'b:5000',
      status: 'complete',
      sizeBytes: 3,
      dataPackets: 3,
      losses: 0,
      acksSent: 3,
      elapsedMs: 20,
    },
  ]);
  t.same(
    driven.results.map(({ faults }) => faults),
    [{ duplicate: 1 }, {}],
  );
  t.end();
});

t.test('a second sender waits while the first one is active', (t) => {
  const driven = new DrivenReceiver();
  driven.data('a', 0, 'ab');
  driven.takeSent();
  for (let atMs = 1000; atMs <= 9000; atMs += 1000) {
    driven.passTo(atMs);
    driven.data('b', 0, 'wx');
    driven.data('a', atMs / 1000, 'cd');
  }
  t.ok(
    driven.takeSent().every((line) => line.startsWith('a ')),
    'it gets no answer',
  );
  driven.end('a', 10);
  t.match(driven.results, [{ from: 'a:5000', sizeBytes: 20, faults: { busy: 9 } }]);
  driven.data('b', 0, 'wx');
  t.same(driven.takeSent(), ['a ack 10', 'b ack 0'], 'then it is served');
  t.end();
});

t.test('a second sender takes over from a silent one', (t) => {
  const driven = new DrivenReceiver();
  driven.data('a', 0, 'ab');
  driven.passTo(7999);
  driven.data('b', 0, 'wx');
  t.same(driven.results, []);
  driven.passTo(8000);
  driven.data('b', 1, 'yz');
  t.same(driven.results, [], 'only a first packet requests a turn');
  driven.data('b', 0, 'wx');
  t.match(driven.results, [
    { from: 'a:5000', status: 'failed', reason: /another sender took over/ },
  ]);
  driven.takeSent();
  driven.passTo(8100);
  driven.data('b', 0, 'wx');
  t.same(driven.takeSent(), ['b ack 0']);
  driven.data('a', 1, 'cd');
  driven.data('a', 0, 'ab');
  t.same(driven.takeSent(), Array(2).fill('a abort ack 0'), 'the first sender is notified');
  driven.end('b', 1);
  t.match(driven.results[1], { from: 'b:5000', status: 'complete' });
  t.end();
});

t.test('nobody takes over while a file is made durable', (t) => {
  const driven = new DrivenReceiver({ storesAtOnce: false });
  transferOne(driven, 'a', 'ab');
  driven.passTo(10_000);
  driven.data('b', 0, 'wx');
  driven.stored();
  t.match(driven.results, [{ from: 'a:5000', status: 'complete' }]);
  driven.data('b', 0, 'wx');
  t.same(driven.takeSent(), ['a ack 0', 'a ack 1', 'b ack 0']);
  t.end();
});

t.test('senders are distinguished by port as well as by host', (t) => {
  const driven = new DrivenReceiver();
  driven.data('a', 0, 'ab');
  const bytes = Buffer.from('000000019c9b55556364', 'hex');
  driven.receiver.handleDatagram(0, { host: 'a', port: 5001 }, bytes);
  t.equal(driven.receiver.pollTransmit(), undefined);
  t.equal(driven.receiver.receivedBytes, 2);
  t.end();
});

t.test('late duplicates of an ended transfer are acknowledged again', (t) => {
  const driven = new DrivenReceiver();
  driven.passTo(20_000);
  driven.data('a', 0, 'ab');
  driven.data('a', 1, 'cd');
  driven.end('a', 2);
  driven.takeSent();
  driven.end('a', 2);
  driven.data('a', 1, 'cd');
  driven.passTo(21_000);
  driven.data('a', 0, 'ab');
  t.same(driven.takeSent(), ['a ack 2', 'a ack 2', 'a ack 2'], 'with the last number');
  driven.data('a', 3, 'gh');
  t.same(driven.takeSent(), [], 'packets beyond the end get no answer');
  t.equal(driven.results.length, 1, 'nothing new begins');
  t.equal(driven.text, 'abcd');
  t.end();
});

t.test('also while another sender is active', (t) => {
  const driven = new DrivenReceiver();
  transferOne(driven, 'a', 'ab');
  driven.data('b', 0, 'wx');
  driven.takeSent();
  driven.end('a', 1);
  t.same(driven.takeSent(), ['a ack 1']);
  t.equal(driven.text, 'wx');
  t.end();
});

t.test('some seconds later the same sender may begin again', (t) => {
  const driven = new DrivenReceiver();
  transferOne(driven, 'a', 'ab');
  driven.passTo(8000);
  driven.takeSent();
  driven.data('a', 0, 'ab');
  t.same(driven.takeSent(), ['a ack 0']);
  driven.data('a', 1, 'cd');
  driven.end('a', 2);
  t.match(driven.results, [{ sizeBytes: 2 }, { sizeBytes: 4 }]);
  t.end();
});

t.test('another file from the same port is no late duplicate of the previous one', (t) => {
  const driven = new DrivenReceiver();
  driven.receiveHex('a', '00000000 9e9d 5557 6162');
  t.same(driven.takeSent(), ['a ack 0']);
  driven.receiveHex('a', '00000000 9c9b 5557 6364');
  t.equal(driven.text, 'cd', 'an ACK without storing it would be a false success');
  t.same(driven.takeSent(), ['a ack 0']);
  t.match(driven.results, [{ status: 'complete' }, { status: 'complete' }]);
  t.end();
});

t.test('an ended transfer is remembered for the idle timeout', (t) => {
  const driven = new DrivenReceiver({ idleTimeoutMs: 5000 });
  transferOne(driven, 'a', 'ab');
  driven.takeSent();
  driven.passTo(4999);
  driven.end('a', 1);
  t.same(driven.takeSent(), ['a ack 1']);
  driven.passTo(5000);
  driven.end('a', 1);
  t.same(driven.takeSent(), []);
  t.end();
});

t.test('a failed one is remembered as long as its sender keeps asking', (t) => {
  const driven = new DrivenReceiver({ idleTimeoutMs: 5000 });
  driven.data('a', 0, 'ab');
  driven.storageFails('no space left');
  driven.takeSent();
  for (let atMs = 4000; atMs <= 40_000; atMs += 4000) {
    driven.passTo(atMs);
    driven.data('a', 0, 'ab');
  }
  t.same(driven.takeSent(), Array(10).fill('a abort ack 0'));
  driven.passTo(45_000);
  driven.data('a', 0, 'ab');
  t.same(driven.takeSent(), ['a ack 0'], 'after a pause it may try again');
  t.end();
});

t.test('the memory of ended transfers is bounded: the oldest are dropped first', (t) => {
  const driven = new DrivenReceiver();
  const names = Array.from({ length: 200 }, (_, i) => `sender-${i}`);
  for (const name of names) transferOne(driven, name, 'ab');
  driven.takeSent();
  for (const name of names) driven.end(name, 1);
  const answered = driven.takeSent().map((line) => line.split(' ')[0]);
  t.same(answered, names.slice(-64));
  t.equal(driven.results.length, 200);
  t.end();
});
