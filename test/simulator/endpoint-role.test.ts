/** Hosts that send and receive several objects at once, by both protocols, on one port each. */
import t from 'tap';
import { MemoryStores } from '../../src/object/memory-store.js';
import { ClassicReceiverRole } from '../../src/simulator/roles/classic-receiver.js';
import { ClassicSenderRole } from '../../src/simulator/roles/classic-sender.js';
import { EndpointRole, type SimulatedObject } from '../../src/simulator/roles/endpoint.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { createContent } from '../../src/simulator/transfer.js';

const { hash } = createSimulatedCrypto('', '');
const sizes = { mssBytes: 500, blockSizeBytes: 4000 };

/** Sizes differ, because the names of files and their sizes identify an object. */
const objects: Readonly<Record<string, readonly SimulatedObject[]>> = {
  a: [
    { label: 'a1', content: createContent('a1', 200_000), to: ['b', 'c'] },
    { label: 'a2', content: createContent('a2', 150_000), to: ['b'] },
  ],
  b: [{ label: 'b1', content: createContent('b1', 180_000), to: ['a', 'c'] }],
  c: [{ label: 'c1', content: createContent('c1', 190_000), to: ['a', 'b'] }],
};

function run(seed: string, lossProbability: number, kills = false) {
  const simulation = new Simulation({ seed });
  const file = createContent('file', 30_000);
  const classic = new ClassicReceiverRole(simulation, { receiver: {}, content: file });
  const hosts = Object.entries(objects).map(([name, own]) => {
    const timing = { clock: simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 };
    const stores = new MemoryStores({ hash, timing });
    const role = new EndpointRole(simulation, {
      ...{ name, stores, objects: own, ...sizes },
      ...(name === 'a' ? { classic } : {}),
    });
    return { name, stores, role, host: simulation.addRole(name, role) };
  });
  const sender = new ClassicSenderRole(simulation, {
    sender: {
      receivers: [{ name: 'a', address: Simulation.address('a') }],
      ...{ sizeBytes: file.length, mssBytes: 500, windowBlocks: 4 },
    },
    content: file,
  });
  simulation.addRole('classic', sender);
  const names = [...hosts.map(({ name }) => name), 'classic'];
  for (const from of names) {
    for (const to of names) {
      const link = simulation.createLink(`${from} ${to}`, {
        delayMs: 5,
        rateBytesPerSec: 250_000,
        queueLimitBytes: 50_000,
        loss: { model: 'bernoulli', probability: lossProbability },
      });
      if (from !== to) simulation.connect(from, to, [link]);
    }
  }
  if (kills) {
    simulation.at(500, () => hosts[1]?.host.inject('kill'));
    simulation.at(900, () => hosts[1]?.host.inject('start'));
  }
  const isAtRest = simulation.run({ untilMs: 300_000 });
  return { hosts, sender, classic, isAtRest };
}

type Run = ReturnType<typeof run>;

/** @returns the labels of the objects that this host holds, whole and right */
function heldBy({ name, stores, role }: Run['hosts'][number]): string[] {
  return Object.values(objects)
    .flat()
    .filter(({ to, label, content }) => {
      const result = role.received.find((one) => one.label === label && one.status === 'complete');
      if (!to.includes(name) || result === undefined) return false;
      const blocks = [...(stores.blocksOf(result.manifestDigest) ?? [])].sort(([i], [j]) => i - j);
      return Buffer.concat(blocks.map(([, bytes]) => bytes)).equals(content);
    })
    .map(({ label }) => label);
}

const expected = [
  ['b1', 'c1'],
  ['a1', 'a2', 'c1'],
  ['a1', 'b1'],
];

for (const lossProbability of [0, 0.1]) {
  t.test(`hosts exchange objects at once, with ${100 * lossProbability} % loss`, async (t) => {
    for (const seed of ['1', '2', '3']) {
      const { hosts, sender, classic, isAtRest } = run(seed, lossProbability);
      t.ok(isAtRest);
      t.same(hosts.map(heldBy), expected);
      const statuses = hosts.flatMap(({ role }) =>
        role.sent.flatMap(({ result }) => result.receivers.map(({ status }) => status)),
      );
      t.same(statuses, Array(7).fill('complete'));
      t.match(
        hosts.map(({ role }) => role.mostAtOnce),
        [
          { sending: 2, receiving: 2 },
          { sending: 1, receiving: 3 },
          { sending: 1, receiving: 2 },
        ],
        'all sessions ran at the same time',
      );
      t.match(sender.results, [{ receivers: [{ status: 'complete' }] }]);
      t.ok(classic.isIdentical, 'P2MP-FTP on the same port');
      const faults = hosts.map(({ role }) => role.sent.map(({ result }) => result.faults));
      t.same(faults, [[{}, {}], [{}], [{}]], 'each datagram reached its role');
    }
  });
}

t.test('a host that is killed comes back in all its roles', async (t) => {
  for (const seed of ['1', '2', '3']) {
    const { hosts, isAtRest } = run(seed, 0.02, true);
    t.ok(isAtRest);
    t.same(hosts.map(heldBy), expected);
    t.same(
      hosts.map(({ role }) => role.sent.map(({ label }) => label).sort()),
      [['a1', 'a2'], ['b1'], ['c1']],
    );
    const ofB = hosts[2]?.role.received.filter(({ label }) => label === 'b1');
    t.match(ofB, [{ status: 'failed' }, { status: 'complete' }], 'it was killed while sending');
    const resumed = hosts[1]?.role.received.filter(({ heldBeforeBytes }) => heldBeforeBytes > 0);
    t.ok(resumed?.length, 'it resumed from what its disk held');
  }
});
