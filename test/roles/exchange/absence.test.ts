/** Peers of an exchange that leave, die and come back, in virtual time. */
import t from 'tap';
import { blockSizeBytes, ExchangeNet } from '../../support/exchange-net.js';

const megabit = 125_000;
/** By default, lost peers may come back for this time. */
const rejoinWithinMs = 10_000;
/** Everybody else has everything by then. */
const slowMs = 1600;

/** The uplink of the first peer is so slow that everybody waits for it. */
function netOf(seed: string): ExchangeNet {
  return new ExchangeNet({
    ...{ seed, hasGroup: true },
    peers: Array.from({ length: 3 }, (_, i) => ({
      ...{ name: `p${i}`, contentSizeBytes: 20 * blockSizeBytes - 100 },
      ...{ upBytesPerSec: (i === 0 ? 1 : 8) * megabit, downBytesPerSec: 8 * megabit },
    })),
  });
}

function leave(net: ExchangeNet, name: string): void {
  const { role, host } = net.peer(name);
  role.peer?.leave(net.simulation.nowMs, 'stopped');
  host.drain();
}

/** What a peer knows of another one. */
function presenceOf(net: ExchangeNet, name: string, of: string) {
  const { roster } = net.peer(name).role.peer ?? {};
  return [...(roster?.peers.values() ?? [])].find((peer) => peer.name === of)?.presence;
}

/** For whom the coordinator waited, and for how long. */
function awaitedBy(net: ExchangeNet) {
  return net.coordinator.events.flatMap((event) =>
    event.type === 'awaited'
      ? [{ peers: event.peers.map(({ name }) => name), ms: Math.round(event.forMs / 1000) * 1000 }]
      : [],
  );
}

t.test('the others know at once that a peer leaves', (t) => {
  const net = netOf('leave');
  net.simulation.at(slowMs, () => leave(net, 'p1'));
  net.run(slowMs + 100);
  t.same([presenceOf(net, 'p0', 'p1'), presenceOf(net, 'p2', 'p1')], ['left', 'left']);
  t.equal(net.peer('p1').role.peer?.coordinatorAsk, undefined, 'the goodbye is confirmed');
  t.ok(net.run());
  t.equal(net.end?.reason, '');
  t.same(awaitedBy(net), [], 'nobody misses what it had');
  t.end();
});

t.test('a goodbye that is lost is repeated, but not for ever', (t) => {
  for (const awayMs of [300, 60_000]) {
    const net = netOf(`lost goodbye ${awayMs}`);
    const { host, role } = net.peer('p1');
    net.simulation.at(slowMs, () => {
      host.inject('disconnect');
      leave(net, 'p1');
    });
    net.simulation.at(slowMs + awayMs, () => host.inject('reconnect'));
    net.run(slowMs + 1600);
    t.equal(presenceOf(net, 'p2', 'p1'), awayMs === 300 ? 'left' : 'present');
    t.equal(role.peer?.coordinatorAsk, undefined);
  }
  t.end();
});

t.test('who has left can join again and continues', (t) => {
  const net = netOf('again');
  const { host, role } = net.peer('p1');
  net.simulation.at(slowMs, () => leave(net, 'p1'));
  net.simulation.at(slowMs + 500, () => host.inject('kill'));
  net.simulation.at(slowMs + 1000, () => host.inject('start'));
  t.ok(net.run());
  t.same(net.missing, []);
  t.equal(net.end?.reason, '');
  const ready = role.events.filter(({ type }) => type === 'ready');
  t.ok(ready.length > 2, 'it has begun twice');
  t.end();
});

t.test('an owner that dies with what only it has is waited for, and everybody knows that', (t) => {
  for (const returns of [false, true]) {
    const net = netOf(`death ${returns}`);
    const { host } = net.peer('p0');
    net.simulation.at(slowMs, () => host.inject('kill'));
    if (returns) net.simulation.at(slowMs + 14_000, () => host.inject('start'));
    t.ok(net.run());
    // It is silent for 5 s before it counts as lost.
    t.match(awaitedBy(net)[0], { peers: ['p0'], ms: rejoinWithinMs });
    const said = net.peer('p1').role.events.find(({ type }) => type === 'awaited');
    const untilMs = said?.type === 'awaited' ? said.untilMs : 0;
    t.ok(Math.abs(untilMs - (slowMs + 5000 + rejoinWithinMs)) < 1500, `until ${untilMs} ms`);
    if (returns) {
      t.same(net.missing, []);
      t.equal(net.end?.reason, '');
      t.same(awaitedBy(net).at(-1)?.peers, [], 'it is not waited for any more');
    } else {
      t.same(net.missing, ['p1 misses p0', 'p2 misses p0']);
      t.equal(net.end?.reason, 'not everything from p0 is left at any peer');
      t.ok(Math.abs(net.simulation.nowMs - untilMs) < 500, `ends at ${net.simulation.nowMs} ms`);
    }
  }
  t.end();
});

t.test('a peer that dies before it has everything is waited for, but not one that leaves', (t) => {
  for (const how of ['dies', 'returns', 'leaves']) {
    const net = netOf(how);
    const { host } = net.peer('p1');
    net.simulation.at(slowMs, () => (how === 'leaves' ? leave(net, 'p1') : host.inject('kill')));
    if (how === 'returns') net.simulation.at(slowMs + 12_000, () => host.inject('start'));
    t.ok(net.run());
    t.equal(net.end?.reason, '');
    const end = net.peer('p2').role.events.find(({ type }) => type === 'end');
    const elapsedMs = end?.type === 'end' ? end.elapsedMs : Infinity;
    if (how !== 'returns') t.ok(elapsedMs < 5000, `it has everything after ${elapsedMs} ms`);
    t.same(awaitedBy(net)[0]?.peers, how === 'leaves' ? undefined : ['p1']);
    if (how === 'returns') t.same(net.missing, []);
    if (how === 'leaves') t.ok(net.simulation.nowMs < slowMs + 5000, `${net.simulation.nowMs} ms`);
  }
  t.end();
});
