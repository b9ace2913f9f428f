/** Addresses that come and go in the middle of a session by several paths (SESSIONS 3.18). */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import type { SessionReceiver } from '../../src/session/receiver.js';
import { SessionFlow } from '../../src/simulator/session-flow.js';
import { type Passing, Simulation } from '../../src/simulator/simulation.js';
import { decodeSession } from '../../src/wire/header.js';

const senderHosts = ['a', '10.1.0.1'];
const receiverHosts = ['a1', '10.1.0.2'];
const both = 2;

interface Change {
  readonly atMs: number;
  readonly side: 'sender' | 'receiver';
  /** How many of its addresses the side has from then on. */
  readonly count: number;
  /** Addresses that the receiver names, although they are not its own. */
  readonly further?: readonly Address[];
}

/** @param intercept as of `Simulation` */
function run(changes: readonly Change[], intercept = ({ bytes }: Passing) => [bytes]) {
  const dataAtMs: number[][] = [[], []];
  const simulation = new Simulation({
    seed: 'changing paths',
    intercept: (each) => {
      const packet = decodeSession(each.bytes);
      if (typeof packet !== 'string' && packet.kind === 'data')
        dataAtMs[receiverHosts.indexOf(each.to)]?.push(each.atMs);
      return intercept(each);
    },
  });
  for (const path of [0, 1]) {
    const [from = '', to = ''] = [senderHosts[path], receiverHosts[path]];
    const link = { delayMs: 10, rateBytesPerSec: 500_000, queueLimitBytes: 50_000 };
    simulation.connect(from, to, [simulation.createLink(`${path}`, link)]);
    simulation.connect(to, from, [simulation.createLink(`${path} back`, link)]);
  }
  let receiver: SessionReceiver | undefined;
  const { sender } = new SessionFlow(simulation, {
    ...{ name: 'a', receiverCount: 1, contentSizeBytes: 2e6, mssBytes: 1400, startAtMs: 1 },
    furtherPaths: [{ sender: '10.1.0.1', receiver: '10.1.0.2' }],
    wrapReceiver: (machine) => {
      receiver = machine;
      return machine;
    },
  });
  for (const { atMs, side, count, further = [] } of changes) {
    simulation.at(atMs, () => {
      // Only numbers are announced.
      const addresses = [...receiverHosts.slice(1, count).map(Simulation.address), ...further];
      if (side === 'receiver') receiver?.setAddresses(simulation.nowMs, addresses);
      else sender.setLocalHosts(simulation.nowMs, senderHosts.slice(0, count));
    });
  }
  simulation.run({ untilMs: 60_000 });
  const { paths = [], status } = sender.statuses(simulation.nowMs)[0] ?? {};
  return {
    status,
    faults: sender.result(simulation.nowMs).faults,
    states: paths.map(({ address, state }) => `${address} ${state}`),
    /** When data went by the second path for the first and the last time. */
    second: dataAtMs[1] ?? [],
    endMs: Math.max(...(dataAtMs[0] ?? []), ...(dataAtMs[1] ?? [])),
  };
}

const alone: Change[] = [
  { atMs: 0, side: 'sender', count: 1 },
  { atMs: 0, side: 'receiver', count: 1 },
];

for (const [first, then] of [
  ['sender', 'receiver'],
  ['receiver', 'sender'],
] as const) {
  t.test(`the ${first} gets another address, and then the ${then}`, (t) => {
    const { status, states, second, endMs, faults } = run([
      ...alone,
      { atMs: 500, side: first, count: both },
      { atMs: 1000, side: then, count: both },
    ]);
    t.equal(status, 'complete');
    t.same(faults, {});
    t.same(states, ['a1:7735 open', '10.1.0.2:7735 open']);
    const [beganMs = Infinity] = second;
    t.ok(beganMs >= 1000 && beganMs < 1200, `data by the new path after ${beganMs} ms`);
    t.ok(endMs < 3200, `${endMs} ms`);
    t.end();
  });
}

t.test('the sender learns the addresses of the receiver although messages are lost', (t) => {
  const { status, second } = run(
    [
      ...alone,
      { atMs: 500, side: 'sender', count: both },
      { atMs: 1000, side: 'receiver', count: both },
    ],
    ({ atMs, from, bytes }) => (atMs >= 1000 && atMs < 1500 && from === 'a1' ? [] : [bytes]),
  );
  t.equal(status, 'complete');
  const [beganMs = Infinity] = second;
  t.ok(beganMs < 2500, `data by the new path after ${beganMs} ms`);
  t.end();
});

for (const side of ['sender', 'receiver'] as const) {
  t.test(`an address of the ${side} goes, and comes back`, (t) => {
    const { status, states, second, faults } = run([
      { atMs: 800, side, count: 1 },
      { atMs: 1600, side, count: both },
    ]);
    t.equal(status, 'complete');
    t.same(faults, {});
    t.same(states.slice(0, 2), ['a1:7735 open', '10.1.0.2:7735 open']);
    const during = second.filter((atMs) => atMs >= 900 && atMs < 1600);
    t.same(during, [], 'nothing goes there meanwhile');
    t.ok(second.some((atMs) => atMs < 800) && second.some((atMs) => atMs > 1600));
    t.end();
  });
}

t.test(
  'a receiver that names one address after the other cannot make the sender flood them',
  (t) => {
    let strayCount = 0;
    const changeCount = 200;
    const changes = Array.from({ length: changeCount }, (_, i) => ({
      ...{ atMs: 500 + 10 * i, side: 'receiver' as const, count: 1 },
      further: [1, 2, 3].map((end) => ({ host: `10.9.${i}.${end}`, port: 7735 })),
    }));
    const { status, faults } = run(changes, ({ to, bytes }) => {
      if (to.startsWith('10.9.')) strayCount++;
      return [bytes];
    });
    t.equal(status, 'complete');
    t.same(faults, {});
    t.ok(strayCount > 0 && strayCount < changeCount / 2, `${strayCount} datagrams`);
    t.end();
  },
);
