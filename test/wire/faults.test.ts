import t from 'tap';
import { encodeAck, encodeData } from '../../src/packet.js';
import { type FaultEvent, FaultLog } from '../../src/wire/faults.js';

const stranger = { host: '192.0.2.7', port: 4711 };
const other = { host: '2001:db8::1', port: 7735 };

function createLog(): { log: FaultLog; reported: FaultEvent[] } {
  const reported: FaultEvent[] = [];
  return { log: new FaultLog((event) => reported.push(event)), reported };
}

t.test('every fault is counted by kind', (t) => {
  const { log } = createLog();
  t.strictSame(log.toCounts(), {});
  log.add('stranger', stranger, encodeAck(1));
  log.add('duplicate', stranger, encodeAck(2));
  log.add('stranger', other, encodeAck(3));
  t.strictSame(log.toCounts(), { stranger: 2, duplicate: 1 });
  t.strictSame(log.toCounts(), { stranger: 2, duplicate: 1 }, 'reading the counts changes nothing');
  t.end();
});

t.test('the first of each kind is reported in words, with its origin', (t) => {
  const { log, reported } = createLog();
  log.add('stale-ack', stranger, encodeAck(7));
  log.add('stale-ack', other, encodeAck(8));
  log.add('wrong-direction', other, encodeData(1, Buffer.from('abc')));
  log.add('too-short', stranger, Uint8Array.of(1, 2));
  t.strictSame(reported, [
    { type: 'fault', kind: 'stale-ack', from: '192.0.2.7:4711', packet: 'ACK of 7' },
    {
      type: 'fault',
      kind: 'wrong-direction',
      from: '[2001:db8::1]:7735',
      packet: 'data 1, 3 bytes, crc32 352441c2, checksum 0x3b9d good',
    },
    {
      type: 'fault',
      kind: 'too-short',
      from: '192.0.2.7:4711',
      packet: 'too-short: 2 bytes, starting 01 02',
    },
  ]);
  t.end();
});

t.test('taking the counts resets them, and no kind is reported a second time', (t) => {
  const { log, reported } = createLog();
  log.add('busy', stranger, encodeAck(1));
  log.add('busy', stranger, encodeAck(1));
  const taken = log.takeCounts();
  t.strictSame(log.toCounts(), {});
  log.add('busy', stranger, encodeAck(1));
  t.strictSame(taken, { busy: 2 }, 'counts taken before are unchanged');
  t.strictSame(log.takeCounts(), { busy: 1 });
  t.equal(reported.length, 1);
  t.end();
});

t.test('a flood of faults is reported once', (t) => {
  const { log, reported } = createLog();
  for (let i = 0; i < 10_000; i++) {
    log.add('stranger', { host: 'h', port: i + 1 }, Uint8Array.of(i, i >>> 8));
  }
  t.equal(reported.length, 1);
  t.strictSame(log.toCounts(), { stranger: 10_000 });
  t.end();
});
