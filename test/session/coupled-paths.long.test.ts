/** Paths of one session that share a bottleneck take together no more than one flow's share. */
import t from 'tap';
import { Bottleneck } from '../../src/simulator/bottleneck.js';
import { SessionFlow } from '../../src/simulator/session-flow.js';
import { Simulation } from '../../src/simulator/simulation.js';

const mbit = 125_000;
const runMs = 16_000;
const furtherPaths = [{ sender: '10.1.0.1', receiver: '10.1.0.2' }];

function bottleneckOf(simulation: Simulation, mbits: number, name: string): Bottleneck {
  const rateBytesPerSec = mbits * mbit;
  return new Bottleneck(simulation, { rateBytesPerSec, rttMs: 40, queueBdp: 1 }, name);
}

function flow(simulation: Simulation, name: string, hasTwo: boolean): SessionFlow {
  const options = { name, receiverCount: 1, contentSizeBytes: 4e9, mssBytes: 1400 };
  return new SessionFlow(simulation, { ...options, ...(hasTwo && { furtherPaths }) });
}

function rateOf({ receipts }: SessionFlow): number {
  return receipts[0]?.rate(runMs / 2, runMs) ?? 0;
}

t.test('two paths through one queue, beside a session with one path', (t) => {
  const simulation = new Simulation({ seed: 'coupled' });
  const bottleneck = bottleneckOf(simulation, 20, 'shared');
  bottleneck.connect('a', 'a1');
  bottleneck.connect('10.1.0.1', '10.1.0.2');
  bottleneck.connect('b', 'b1');
  const [a, b] = [flow(simulation, 'a', true), flow(simulation, 'b', false)];
  simulation.run({ untilMs: runMs });
  const rates = [rateOf(a), rateOf(b)];
  const sum = rates.reduce((total, rate) => total + rate, 0);
  const jain = sum ** 2 / (2 * rates.reduce((total, rate) => total + rate ** 2, 0));
  t.ok(jain >= 0.9, `Jain's index ${jain.toFixed(2)} of ${rates.map(Math.round)}`);
  const [status] = a.sender.statuses(simulation.nowMs);
  t.equal(status?.paths?.filter(({ isInUse }) => isInUse).length, 1, 'one path is used');
  t.end();
});

t.test('two paths with a bottleneck each, which probe at equal intervals', (t) => {
  const simulation = new Simulation({ seed: 'separate' });
  bottleneckOf(simulation, 20, 'first').connect('a', 'a1');
  bottleneckOf(simulation, 20, 'second').connect('10.1.0.1', '10.1.0.2');
  const a = flow(simulation, 'a', true);
  simulation.run({ untilMs: runMs });
  t.ok(rateOf(a) > 1.8 * 20 * mbit, `${(rateOf(a) / mbit).toFixed(1)} Mbit/s`);
  t.end();
});
