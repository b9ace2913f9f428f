/** Multicast probes: how many, when, and how long to wait for their answers. */
import t from 'tap';
import { BlockSeal } from '../../src/security/block-seal.js';
import { GroupProbe } from '../../src/session/outgoing/group-probe.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { ProbePacket } from '../../src/wire/header.js';
import { decodeSession } from '../../src/wire/header.js';

const group = { host: '239.128.0.1', port: 4000 };
const crypto = createSimulatedCrypto('group probe', 'one');
const sealOf = (key: number) => new BlockSeal(crypto, new Uint8Array(32).fill(key));
const createProbe = () => new GroupProbe(group, 9, sealOf(1));
const nothing = new Uint8Array(0);

/** Sends every probe when it is due. */
function takeAll(probe: GroupProbe) {
  const taken: { atMs: number; isLast: boolean }[] = [];
  while (probe.dueAtMs < Infinity && taken.length < 100) {
    const atMs = probe.dueAtMs;
    taken.push({ atMs, isLast: probe.take(atMs).isLast });
  }
  return taken;
}

t.test('three probes within 150 ms, the first once a receiver has had time to join', (t) => {
  const probe = createProbe();
  t.equal(probe.dueAtMs, Infinity, 'no receiver listens yet');
  probe.restart(1000);
  t.same(takeAll(probe), [
    { atMs: 1003, isLast: false },
    { atMs: 1030, isLast: false },
    { atMs: 1110, isLast: true },
  ]);
  t.equal(probe.dueAtMs, Infinity);
  t.end();
});

t.test('the wait for answers lasts until 150 ms after the last probe', (t) => {
  const probe = createProbe();
  t.equal(probe.answersUntilMs, -Infinity, 'no wait before the first probe');
  probe.restart(1000);
  t.equal(probe.answersUntilMs, Infinity);
  probe.take(1003);
  t.equal(probe.answersUntilMs, Infinity);
  probe.take(1030);
  probe.take(1125);
  t.equal(probe.answersUntilMs, 1275);
  t.end();
});

t.test('each receiver that joins later gets three more probes', (t) => {
  const probe = createProbe();
  probe.restart(1000);
  takeAll(probe);
  probe.restart(5000);
  t.equal(probe.answersUntilMs, Infinity);
  t.same(
    takeAll(probe).map(({ atMs }) => atMs),
    [5003, 5030, 5110],
  );
  t.end();
});

t.test('a receiver that joins meanwhile delays no probe and gets its three', (t) => {
  const probe = createProbe();
  probe.restart(1000);
  for (let ms = 1001; ms <= 1019; ms++) probe.restart(ms);
  t.equal(probe.dueAtMs, 1003);
  probe.take(1003);
  probe.take(1030);
  probe.restart(1075);
  t.same(
    takeAll(probe).map(({ atMs, isLast }) => [atMs, isLast]),
    [
      [1078, false],
      [1105, false],
      [1185, true],
    ],
  );
  t.end();
});

t.test('a probe goes to the group and carries the tag of its session', (t) => {
  const probe = createProbe();
  probe.restart(0);
  const { transmit } = probe.take(20);
  t.same(transmit.to, group);
  const packet = decodeSession(transmit.bytes) as ProbePacket;
  t.match(packet, { kind: 'probe', session: 9 });
  t.equal(sealOf(1).hasTag(packet.header, nothing, packet.body), true);
  t.equal(sealOf(2).hasTag(packet.header, nothing, packet.body), false, 'another group key');
  const header = packet.header.slice();
  header[3] = 8;
  t.equal(sealOf(1).hasTag(header, nothing, packet.body), false, 'another session');
  t.equal(sealOf(1).hasTag(packet.header, nothing, packet.body.subarray(1)), false, 'truncated');
  t.end();
});
