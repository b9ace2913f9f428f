/** By which addresses of both hosts an ask finds its way, if some of them are dead (SESSIONS 3.13). */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import { OutgoingAsk } from '../../src/session/asks/outgoing-ask.js';
import { EndpointRole, type EndpointRoleOptions } from '../../src/simulator/roles/endpoint.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { holds, served } from '../support/asking-hosts.js';

const own = ['10.0.0.1', '10.1.0.1'] as const;
const remote = ['10.0.0.2', '10.1.0.2'] as const;
const big = served('big', 400_000);
const { hash } = createSimulatedCrypto('', '');

interface Options {
  /** Pairs of addresses, as `from > to`, that let datagrams pass. */
  readonly alive: (from: string, to: string, nowMs: number) => boolean;
  readonly ownAddresses?: readonly string[];
  readonly remoteAddresses?: readonly string[];
  readonly delayMs?: number;
}

/** A host asks another one for an object of 400 kB at 2 MB/s. */
function run({ alive, ownAddresses = own, remoteAddresses = remote, delayMs = 5 }: Options) {
  const passed: { atMs: number; from: string; to: string }[] = [];
  const simulation = new Simulation({
    seed: 'ask paths',
    intercept: ({ atMs, from, to, bytes }) => {
      passed.push({ atMs, from, to });
      const [a = '', b = ''] = ownAddresses.includes(from) ? [from, to] : [to, from];
      return alive(a, b, atMs) ? [bytes] : [];
    },
  });
  const [first = '', ...furtherAddresses] = remoteAddresses;
  const add = (name: string, addresses: readonly string[], plan: Partial<EndpointRoleOptions>) => {
    const timing = { clock: simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 };
    const stores = new MemoryStores({ hash, timing });
    const sizes = { mssBytes: 500, blockSizeBytes: 4000 };
    const role = new EndpointRole(simulation, { name, stores, ...sizes, ...plan });
    return { role, stores, host: simulation.addRole(name, role, { addresses }) };
  };
  add('server', remoteAddresses, { serves: [big] });
  const ask = { of: first, furtherAddresses, name: 'big' };
  const asker = add('asker', ownAddresses, { asks: [ask] });
  for (const a of ownAddresses) {
    for (const b of remoteAddresses) {
      for (const [from, to] of [[a, b] as const, [b, a] as const]) {
        const link = simulation.createLink(`${from} ${to}`, { delayMs, rateBytesPerSec: 2e6 });
        simulation.connect(from, to, [link]);
      }
    }
  }
  simulation.run({ untilMs: 60_000 });
  const answer = passed.find(({ from }) => remoteAddresses.includes(from));
  return { asker, passed, firstAnswerMs: answer?.atMs ?? Infinity };
}

t.test('where the first pair works, nothing goes by others', (t) => {
  const { asker, passed } = run({ alive: () => true });
  t.ok(holds(asker, big));
  const used = new Set(passed.map(({ from, to }) => `${from} > ${to}`));
  t.same([...used], ['10.0.0.1 > 10.0.0.2', '10.0.0.2 > 10.0.0.1']);
  t.end();
});

for (const [what, alive, within] of [
  ['its first own address is', (from: string) => from !== own[0], 150],
  ['the first address of the other host is', (_: string, to: string) => to !== remote[0], 150],
  [
    'all pairs but one, across two networks, are',
    (from: string, to: string) => from === own[0] && to === remote[1],
    700,
  ],
  [
    'all pairs but the other one across two networks are',
    (from: string, to: string) => from === own[1] && to === remote[0],
    700,
  ],
] as const) {
  t.test(`${what} dead`, (t) => {
    const { asker, firstAnswerMs } = run({ alive });
    t.ok(holds(asker, big));
    t.ok(firstAnswerMs < within, `the first answer after ${firstAnswerMs} ms`);
    t.end();
  });
}

t.test('of four own addresses, three are dead, and the host has one', (t) => {
  const ownAddresses = ['10.0.0.1', '10.1.0.1', '10.2.0.1', '10.3.0.1'];
  const { asker, firstAnswerMs } = run({
    ...{ ownAddresses, remoteAddresses: ['10.9.0.2'] },
    alive: (from) => from === '10.3.0.1',
  });
  t.ok(holds(asker, big));
  t.ok(firstAnswerMs < 700, `the first answer after ${firstAnswerMs} ms`);
  t.end();
});

t.test('sixteen pairs, of which one is alive', (t) => {
  const ownAddresses = ['10.0.0.1', '10.1.0.1', '10.2.0.1', '10.3.0.1'];
  const remoteAddresses = ['10.5.0.2', '10.6.0.2', '10.7.0.2', '10.8.0.2'];
  for (const only of ownAddresses.flatMap((from) => remoteAddresses.map((to) => from + to))) {
    const { asker, firstAnswerMs } = run({
      ...{ ownAddresses, remoteAddresses },
      alive: (from, to) => from + to === only,
    });
    t.ok(holds(asker, big), only);
    t.ok(firstAnswerMs < 5000, `${only}: the first answer after ${firstAnswerMs} ms`);
  }
  t.end();
});

t.test('an answer that is slow wins if nothing else is alive', (t) => {
  const { asker } = run({ delayMs: 400, alive: (from, to) => from === own[0] && to === remote[0] });
  t.ok(holds(asker, big));
  t.end();
});

t.test('the pair dies midway: the host is asked by another one', (t) => {
  const { asker } = run({
    alive: (from, _to, nowMs) => from !== own[0] || nowMs < 150,
  });
  t.ok(holds(asker, big));
  t.ok(asker.role.answers.some(({ type }) => type === 'silent'));
  t.end();
});

t.test(
  'a host that answers from an address that nobody has named is reached by the latest pair',
  (t) => {
    const [dead, alive, unnamed] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((host) => ({
      host,
      port: 7735,
    })) as [Address, Address, Address];
    const server = { name: 'server', address: dead, otherAddresses: [alive] };
    const ask = new OutgoingAsk(1, server, undefined, 0, 1400, new Map());
    const pairs = [{ address: dead }, { address: alive }];
    t.equal(ask.noteAnswer(pairs, pairs.toReversed(), unnamed), true);
    t.same(ask.address, alive);
    const own = ['10.0.0.1', '10.0.0.2'] as const;
    const further = new OutgoingAsk(2, server, undefined, 0, 1400, new Map());
    const fromOwn = pairs.map((pair, i) => ({ ...pair, localHost: own[i] as string }));
    further.noteAnswer(fromOwn, fromOwn.toReversed(), { ...unnamed, localHost: own[1] });
    t.same(further.path.ends, fromOwn[1]);
    t.end();
  },
);
