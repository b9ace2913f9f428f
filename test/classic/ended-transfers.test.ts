import t from 'tap';
import { receiverDefaults } from '../../src/classic/config.js';
import { EndedTransfers } from '../../src/classic/ended-transfers.js';

const memoryMs = 1_000;
const from = { host: '192.0.2.7', port: 4711 };
const ended = (lastSequence: number) => ({
  isFailed: false,
  end: 'end-marker' as const,
  lastSequence,
  mssBytes: 2,
  firstChecksum: 0x9e9d,
});
const port = (number: number) => ({ host: '192.0.2.7', port: number });

t.test('an ended transfer is found by its address until it expires', (t) => {
  const transfers = new EndedTransfers(memoryMs);
  t.equal(transfers.find(0, from), undefined);
  transfers.add(500, from, ended(41));
  const found = { isFailed: false, lastSequence: 41, endedAtMs: 500, expiresAtMs: 1_500 };
  t.match(transfers.find(500, { ...from }), found);
  t.match(transfers.find(1_499, from), found);
  t.equal(transfers.find(1_500, from), undefined);
  t.equal(transfers.find(1_499, from), undefined, 'an expired transfer is gone for good');
  t.end();
});

t.test('another port or another host is another sender', (t) => {
  const transfers = new EndedTransfers(memoryMs);
  transfers.add(0, from, ended(1));
  t.equal(transfers.find(0, { ...from, port: 4712 }), undefined);
  t.equal(transfers.find(0, { ...from, host: '192.0.2.8' }), undefined);
  t.end();
});

t.test('a transfer that its sender still asks about is kept longer', (t) => {
  const transfers = new EndedTransfers(memoryMs);
  transfers.add(0, from, ended(1));
  for (const nowMs of [900, 1_800, 2_700]) {
    const transfer = transfers.find(nowMs, from);
    t.match(transfer, { endedAtMs: 0 });
    if (transfer !== undefined) transfers.touch(nowMs, transfer);
  }
  t.match(transfers.find(3_699, from), { lastSequence: 1 });
  t.equal(transfers.find(3_700, from), undefined);
  t.end();
});

t.test('the latest transfer from an address replaces the previous one', (t) => {
  const transfers = new EndedTransfers(memoryMs);
  transfers.add(0, from, ended(1));
  transfers.add(600, from, {
    ...ended(2),
    isFailed: true,
    end: undefined,
    lastSequence: undefined,
  });
  t.match(transfers.find(1_200, from), { isFailed: true, lastSequence: undefined });
  t.end();
});

t.test('one transfer can be forgotten; others remain', (t) => {
  const transfers = new EndedTransfers(memoryMs);
  transfers.add(0, port(1), ended(1));
  transfers.add(0, port(2), ended(2));
  transfers.forget(port(1));
  transfers.forget(port(3));
  t.equal(transfers.find(0, port(1)), undefined);
  t.match(transfers.find(0, port(2)), { lastSequence: 2 });
  t.end();
});

t.test('the memory is bounded: the transfer that ended first is dropped first', (t) => {
  const { maxEndedTransfers } = receiverDefaults;
  const transfers = new EndedTransfers(memoryMs);
  for (let i = 1; i <= maxEndedTransfers; i++) transfers.add(0, port(i), ended(i));
  transfers.add(0, port(1), ended(1_001));
  t.match(transfers.find(0, port(2)), { lastSequence: 2 }, 'the same address takes no new slot');
  transfers.add(0, port(5_000), ended(5_000));
  t.equal(transfers.find(0, port(2)), undefined, 'now the oldest is dropped');
  t.match(transfers.find(0, port(1)), { lastSequence: 1_001 }, 'this one is no longer the oldest');
  for (let i = 3; i <= maxEndedTransfers; i++) {
    t.match(transfers.find(0, port(i)), { lastSequence: i });
  }
  t.match(transfers.find(0, port(5_000)), { lastSequence: 5_000 });
  t.end();
});
