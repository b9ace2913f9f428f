/** The path to a receiver, and the host that sends on it. */
import t from 'tap';
import { Path } from '../../src/path/path.js';
import { ControlOutbox } from '../../src/session/outgoing/control-outbox.js';
import { SessionMember } from '../../src/session/outgoing/member.js';
import { BatchJoiner } from '../../src/transfer/batch-joiner.js';

const address = { host: '192.0.2.1', port: 7735 };
const bytes = new Uint8Array(10);

t.test('a transmit names the local host of its path, if that is chosen', (t) => {
  t.same(new Path({ address, localHost: '198.51.100.1' }, 1400).carry({ to: address, bytes }), {
    to: address,
    from: '198.51.100.1',
    bytes,
  });
  t.same(new Path({ address }, 1400).carry({ to: address, bytes }), { to: address, bytes });
  const outbox = new ControlOutbox();
  outbox.send(new SessionMember(0, { name: 'r', address, localHost: '198.51.100.1' }, 1400), bytes);
  t.equal(outbox.shift()?.from, '198.51.100.1');
  t.end();
});

t.test('a path that does not carry the largest datagrams gets smaller ones', (t) => {
  const path = new Path({ address }, 8940);
  const sizes = [path.mssBytes];
  while (path.narrow()) {
    t.equal(path.datagramSizeBytes, path.mssBytes + 32);
    sizes.push(path.mssBytes);
  }
  t.same(sizes, [8940, 1400, 1200, 508]);
  t.equal(path.mssBytes, 508, 'the smallest size stays');
  t.end();
});

t.test('batches of different paths are not joined', (t) => {
  const batch = { to: address, bytes, datagramSizeBytes: 10 };
  const batches = [
    batch,
    { ...batch, from: 'a' },
    { ...batch, from: 'a' },
    { ...batch, from: 'b' },
  ];
  const joiner = new BatchJoiner(() => batches.shift(), 10);
  const sent = [0, 1, 2].map((nowMs) => joiner.pollTransmit(nowMs));
  t.same(
    sent.map((each) => [each?.from, each?.bytes.length]),
    [
      [undefined, 10],
      ['a', 20],
      ['b', 10],
    ],
  );
  t.end();
});
