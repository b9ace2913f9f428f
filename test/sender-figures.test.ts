import t from 'tap';
import { Sender } from '../src/sender.js';
import { DrivenSender } from './support/driven-sender.js';

const fixed = { mode: 'fixed', timeoutMs: 100 } as const;

// A receiver is complete once it has acknowledged all data, whatever follows.
t.test('what a sender reports about a transfer: times, counts, and each receiver', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', sizeBytes: 4, mssBytes: 2, timeout: fixed });
  driven.passTo(10);
  driven.ackAll(0);
  driven.passTo(20);
  driven.ack('a', 1);
  // One timeout: the segment is sent to the other receiver again.
  driven.passTo(130);
  driven.ack('b', 1);
  driven.ack('a', 2);
  driven.passTo(150);
  driven.ack('b', 2);
  t.ok(driven.sender.isDone);
  t.match(driven.sender.result(), {
    sizeBytes: 4,
    segmentCount: 2,
    elapsedMs: 130,
    timeouts: 1,
    datagramsSent: 7,
    retransmissions: 1,
    acksReceived: 6,
    receivers: [
      { status: 'complete', ackedBytes: 4, elapsedMs: 20, datagramsSent: 3, retransmissions: 0 },
      { status: 'complete', ackedBytes: 4, elapsedMs: 130, datagramsSent: 4, retransmissions: 1 },
    ],
    faults: {},
  });
  for (const outcome of driven.sender.result().receivers) t.notOk('reason' in outcome);
  t.end();
});

t.test('midway, active receivers count as if stopped now', (t) => {
  const driven = new DrivenSender({ receivers: 'a', sizeBytes: 4, mssBytes: 2, timeout: fixed });
  driven.ack('a', 0);
  t.notOk(driven.sender.isDone);
  t.match(driven.sender.result(), {
    elapsedMs: 0,
    receivers: [{ status: 'aborted', ackedBytes: 2, isConfirmed: false }],
  });
  t.end();
});

t.test('an empty file has its end marker, or nothing to send at all', (t) => {
  const receivers = [{ name: 'a', address: { host: 'a', port: 7735 } }];
  const empty = { receivers, sizeBytes: 0, mssBytes: 2 };
  t.throws(() => new Sender({ ...empty, hasEndMarker: false }), {
    code: 'INVALID_ARGUMENT',
    message: /only of its end marker/,
  });
  t.doesNotThrow(() => new Sender(empty));
  t.end();
});
