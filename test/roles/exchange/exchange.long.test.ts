/** Exchanges in virtual time: everybody's objects to everybody. */
import t from 'tap';
import { assert } from '../../../src/base/assert.js';
import { listRuns, parsePlan } from '../../../src/experiment/plan.js';
import { simulateExchange } from '../../../src/experiment/simulated/exchange.js';
import { blockSizeBytes, ExchangeNet, type PeerSpec } from '../../support/exchange-net.js';

const sizeBytes = 50 * blockSizeBytes - 100;
const megabit = 125_000;

function peers(count: number, changes: Partial<PeerSpec> = {}): PeerSpec[] {
  return Array.from({ length: count }, (_, i) => ({
    ...{ name: `p${i}`, contentSizeBytes: sizeBytes },
    ...{ upBytesPerSec: 8 * megabit, downBytesPerSec: 8 * megabit },
    ...changes,
  }));
}

function elapsedMs(net: ExchangeNet): number {
  return net.end?.elapsedMs ?? Infinity;
}

t.test('everybody gets everything, and each byte leaves its owner once', (t) => {
  const net = new ExchangeNet({ seed: 'multicast', peers: peers(4), hasGroup: true });
  t.ok(net.run());
  t.same(net.missing, []);
  t.equal(net.end?.reason, '');
  for (const name of net.peers.keys()) {
    const copies = net.sentBytes(name) / sizeBytes;
    t.ok(copies < 1.25, `${name} sent ${copies.toFixed(2)} times its own object`);
  }
  const boundMs = ExchangeNet.idealMs(3 * sizeBytes, 8 * megabit);
  t.ok(elapsedMs(net) < 2 * boundMs, `${elapsedMs(net)} ms, at best ${boundMs} ms`);
  t.end();
});

t.test('by multicast, slow uplinks carry each object once', (t) => {
  const specs = peers(4, { upBytesPerSec: 2 * megabit, downBytesPerSec: 20 * megabit });
  const net = new ExchangeNet({ seed: 'slow uplinks', peers: specs, hasGroup: true });
  t.ok(net.run());
  t.same(net.missing, []);
  const unicastMs = ExchangeNet.idealMs(3 * sizeBytes, 2 * megabit);
  t.ok(elapsedMs(net) < unicastMs / 1.8, `${elapsedMs(net)} ms; by unicast ${unicastMs} ms`);
  t.end();
});

t.test('on a shared medium, each object is carried once', (t) => {
  const net = new ExchangeNet({
    ...{ seed: 'medium', peers: peers(4), hasGroup: true },
    mediumBytesPerSec: 20 * megabit,
  });
  t.ok(net.run());
  t.same(net.missing, []);
  const unicastMs = ExchangeNet.idealMs(12 * sizeBytes, 20 * megabit);
  t.ok(elapsedMs(net) < unicastMs / 1.5, `${elapsedMs(net)} ms; by unicast ${unicastMs} ms`);
  t.end();
});

t.test('without multicast, peers pass on what they hold', (t) => {
  // One uplink is so slow that its owner should send each block only once.
  const specs = peers(4).map((spec, i) => ({
    ...{ ...spec, contentSizeBytes: 4 * sizeBytes, downBytesPerSec: 20 * megabit },
    upBytesPerSec: (i === 0 ? 4 : 40) * megabit,
  }));
  const net = new ExchangeNet({ seed: 'unicast', peers: specs });
  t.ok(net.run());
  t.same(net.missing, []);
  const onceMs = ExchangeNet.idealMs(4 * sizeBytes, 4 * megabit);
  t.ok(elapsedMs(net) < 2 * onceMs, `${elapsedMs(net)} ms; ${onceMs} ms to send it once`);
  const copies = net.sentBytes('p0') / (4 * sizeBytes);
  t.ok(copies < 2.2, `it is sent ${copies} times; others pass it on`);
  t.end();
});

t.test('if an owner dies, everybody gets what is left of its object', (t) => {
  for (const hasGroup of [true, false]) {
    const specs = peers(4).map((spec, i) => ({
      ...spec,
      upBytesPerSec: (i === 0 ? 2 : 8) * megabit,
    }));
    const net = new ExchangeNet({ seed: `death ${hasGroup}`, peers: specs, hasGroup });
    const dead = net.peer('p0');
    net.simulation.at(1600, () => dead.host.inject('kill'));
    t.ok(net.run());
    const expected = ['p1 misses p0', 'p2 misses p0', 'p3 misses p0'];
    t.same(net.missing, expected, 'all the rest is there');
    t.equal(net.end?.reason, 'not everything from p0 is left at any peer');
    const held = ['p1', 'p2', 'p3'].map((name) =>
      [...(net.peer(name).role.peer?.objects ?? [])]
        .filter((object) => object.name === 'p0.bin')
        .flatMap(({ shared }) => [...shared.held.ranges()]),
    );
    t.ok((held[0]?.length ?? 0) > 0, 'some of it is left');
    t.same(held[1], held[0]);
    t.same(held[2], held[0]);
  }
  t.end();
});

t.test('if an owner dies, the others soon have what is left', (t) => {
  // Each loses other datagrams, so that peers miss different blocks of the dead owner.
  const net = new ExchangeNet({
    ...{ seed: 'short silence', peers: peers(4), hasGroup: true },
    link: { loss: { model: 'bernoulli', probability: 0.05 } },
  });
  const killedAtMs = 1600;
  net.simulation.at(killedAtMs, () => net.peer('p0').host.inject('kill'));
  t.ok(net.run());
  t.same(net.missing, ['p1 misses p0', 'p2 misses p0', 'p3 misses p0'], 'all the rest is there');
  const start = net.coordinator.events.find(({ type }) => type === 'start');
  const startMs = start?.type === 'start' ? start.atMs : 0;
  const afterMs = startMs + elapsedMs(net) - killedAtMs;
  // Nobody says that the owner is gone before it was silent for 5 s.
  t.ok(afterMs < 3500, `everything that is left is there ${afterMs} ms later`);
  t.end();
});

t.test('peers that help after the death of an owner are not taken for the owner', (t) => {
  const plan = {
    ...{ title: 'A death', seed: 'death', repetitions: 1, receivers: 1, fileSizeBytes: 500_000 },
    ...{ protocol: ['multicast'], mssBytes: 1400, link: { rttMs: 20, queueBytes: 256_000 } },
    exchanges: { peers: 8, shape: ['symmetric'], deaths: [1], rateBytesPerSec: 2_500_000 },
  };
  const [run] = listRuns(parsePlan(JSON.stringify(plan), 'plan.json'));
  assert(run !== undefined, 'the plan has a run');
  // Helpers serve by multicast, too. If they are dismissed for that, and called again, it takes seconds longer.
  const { delayMs, completeReceivers } = simulateExchange(run.point, 'b', 20);
  t.equal(completeReceivers, 1);
  t.ok(delayMs < 4000, `everything that is left is there after ${delayMs} ms`);
  t.end();
});

t.test('a peer that comes late gets everything, even of an owner that is dead by then', (t) => {
  const specs = peers(4).map((spec, i) => ({
    ...spec,
    ...(i === 3 && { startsAtMs: 3500 }),
    // The others take longer with this one, so that the exchange still runs.
    ...(i === 1 && { contentSizeBytes: 4 * sizeBytes }),
    ...(i === 0 && { upBytesPerSec: 20 * megabit }),
  }));
  const net = new ExchangeNet({
    ...{ seed: 'late', peers: specs, hasGroup: true, coordinator: { expectedPeers: 3 } },
  });
  const hasFirst = () => ['p1', 'p2'].every((name) => net.has(name, 'p0'));
  net.simulation.at(3400, () => {
    t.ok(hasFirst() && !net.isOver, 'the others have the first object, and miss the rest');
    net.peer('p0').host.inject('kill');
  });
  t.ok(net.run());
  t.same(net.missing, []);
  t.end();
});

t.test('a coordinator that dies and returns learns everything again', (t) => {
  for (const [killMs, startMs] of [
    [1000, 1500],
    [1000, 12_000],
  ] as const) {
    const net = new ExchangeNet({ seed: `restart ${startMs}`, peers: peers(4), hasGroup: true });
    const { coordinatorHost, simulation } = net;
    simulation.at(killMs, () => coordinatorHost.inject('kill'));
    simulation.at(startMs, () => coordinatorHost.inject('start'));
    t.ok(net.run());
    t.same(net.missing, []);
    t.equal(net.end?.reason, '');
    t.ok(simulation.nowMs < startMs + 12_000, `over after ${simulation.nowMs} ms`);
  }
  t.end();
});

t.test('a peer that was disconnected or killed catches up', (t) => {
  for (const [fault, end] of [
    ['disconnect', 'reconnect'],
    ['kill', 'start'],
  ] as const) {
    for (const awayMs of [500, 8000]) {
      const net = new ExchangeNet({ seed: `${fault} ${awayMs}`, peers: peers(4), hasGroup: true });
      const { host } = net.peer('p2');
      net.simulation.at(1000, () => host.inject(fault));
      net.simulation.at(1000 + awayMs, () => host.inject(end));
      t.ok(net.run());
      t.same(net.missing, [], `${fault} for ${awayMs} ms`);
      const { events } = net.peer('p2').role;
      const others = events.filter((event) => event.type === 'peer' || event.type === 'presence');
      t.notOk(
        others.some(({ peer }) => peer.name === 'p2'),
        'its earlier life is no other peer',
      );
    }
  }
  t.end();
});

t.test('an owner that was lost may come back for a while with what only it has', (t) => {
  for (const rejoinWithinMs of [0, 30_000]) {
    for (const returns of [true, false]) {
      const specs = peers(3).map((spec, i) => ({
        ...spec,
        upBytesPerSec: (i === 0 ? 2 : 8) * megabit,
      }));
      const seed = `rejoin ${rejoinWithinMs} ${returns}`;
      const coordinator = { rejoinWithinMs, absentAfterMs: 3000, goneAfterMs: 5000 };
      const net = new ExchangeNet({ seed, peers: specs, hasGroup: true, coordinator });
      const { host } = net.peer('p0');
      net.simulation.at(1600, () => host.inject('kill'));
      if (returns) net.simulation.at(25_000, () => host.inject('start'));
      t.ok(net.run());
      const isComplete = returns && rejoinWithinMs > 0;
      t.equal(net.end?.reason, isComplete ? '' : 'not everything from p0 is left at any peer');
      if (isComplete) t.same(net.missing, []);
      if (rejoinWithinMs > 0 && !returns) t.ok(net.simulation.nowMs >= 1600 + rejoinWithinMs);
      if (rejoinWithinMs === 0) t.ok(net.simulation.nowMs < 25_000);
    }
  }
  t.end();
});

t.test('a peer that lies about its own object harms nobody else', (t) => {
  const corrupt = (bytes: Uint8Array) => bytes.map((byte) => byte ^ 1);
  const specs = peers(4).map((spec, i) => ({ ...spec, ...(i === 0 && { corrupt }) }));
  const net = new ExchangeNet({
    ...{ seed: 'lie', peers: specs, hasGroup: true, coordinator: { stalledAfterMs: 5000 } },
  });
  t.ok(net.run());
  t.same(net.missing, ['p1 misses p0', 'p2 misses p0', 'p3 misses p0']);
  t.match(net.end?.reason, /nobody got anything for 5 s/);
  t.end();
});
