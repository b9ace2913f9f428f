/** By which pair of addresses a session begins, where several can be tried (SESSIONS 3.13). */
import t from 'tap';
import { SessionFlow } from '../../src/simulator/session-flow.js';
import { Simulation } from '../../src/simulator/simulation.js';

const [first, second] = ['a', '10.1.0.1'];
const remote = 'a1';

/** Delay in milliseconds of what never arrives. */
const never = 1e9;

/** A sender with two addresses and a receiver with `addresses`: both addresses of the sender lead to its first one. */
function begin(delays: { first: number; second: number }, addresses: 1 | 2) {
  const simulation = new Simulation({ seed: 'first paths' });
  const connect = (from: string, to: string, delayMs: number) => {
    const link = simulation.createLink(`${from} ${to}`, { delayMs });
    simulation.connect(from, to, [link]);
    simulation.connect(to, from, [link]);
  };
  connect(first, remote, delays.first);
  connect(second, remote, delays.second);
  if (addresses === 2) connect(second, '10.1.0.2', delays.second);
  const { sender, receipts } = new SessionFlow(simulation, {
    ...{ name: 'a', receiverCount: 1, contentSizeBytes: 1e6, mssBytes: 1400 },
    furtherPaths: [{ sender: second, receiver: '10.1.0.2' }],
  });
  simulation.run({ untilMs: 20_000 });
  const { paths = [], status } = sender.statuses(simulation.nowMs)[0] ?? {};
  return {
    status,
    begunAtMs: receipts[0]?.begunAtMs ?? Infinity,
    paths: paths.map(({ from, address }) => `${from ?? ''} > ${address}`),
  };
}

t.test('the first address of the sender is dead, and the receiver has only one', (t) => {
  const { status, begunAtMs, paths } = begin({ first: never, second: 10 }, 1);
  t.equal(status, 'complete');
  t.ok(begunAtMs < 150, `the first content after ${begunAtMs} ms`);
  t.equal(paths[0], '10.1.0.1 > a1:7735');
  t.end();
});

t.test('a pair that shares an address with the first one leaves the session to that one', (t) => {
  const { status, begunAtMs, paths } = begin({ first: 10, second: 8 }, 2);
  t.equal(status, 'complete');
  t.ok(begunAtMs < 100, `the first content after ${begunAtMs} ms`);
  t.same(paths, [' > a1:7735', '10.1.0.1 > 10.1.0.2:7735']);
  t.end();
});

t.test('it waits only for a moment', (t) => {
  const { status, begunAtMs, paths } = begin({ first: 400, second: 10 }, 2);
  t.equal(status, 'complete');
  t.ok(begunAtMs < 150, `the first content after ${begunAtMs} ms`);
  t.equal(paths[0], '10.1.0.1 > a1:7735');
  t.end();
});
